package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// charterChange is a change of a team's charter that is being made.
type charterChange struct {
	deed
	change team.Change
	losers []board.UserID // people from whom it takes power
	keepAs team.Role
	words  []string // what it does
}

func (s *teamService) ChangeCharter(ctx context.Context, req *connect.Request[weftv1.ChangeCharterRequest]) (changeResponse, error) {
	m := req.Msg
	st, err := s.findTeam(m.Team)
	if err != nil {
		return nil, err
	}
	keepAs, err := roleNamed(m.KeepAs, team.Member)
	if err != nil {
		return nil, err
	}
	c := &charterChange{deed: deed{team: st}, keepAs: keepAs}
	if err := s.fillPower(c, m); err != nil {
		return nil, err
	}
	if m.Name != "" && m.Name != st.Name() {
		c.change.Name = m.Name
		c.words = append(c.words, fmt.Sprintf("team %s is called %s", st.Name(), m.Name))
	}
	for _, list := range []struct {
		nodes []string
		to    *[]board.NodeID
		words string
	}{{m.AddRelays, &c.change.AddRelays, "%s is a relay of team %s"}, {m.RemoveRelays, &c.change.RemoveRelays, "%s is no longer a relay of team %s"}} {
		for _, name := range list.nodes {
			n, err := s.findNode(st, name)
			if err != nil {
				return nil, err
			}
			*list.to = append(*list.to, n)
			c.words = append(c.words, fmt.Sprintf(list.words, "node …"+lastOf(nodeText(n), 8), st.Name()))
		}
	}
	if len(c.words) == 0 {
		return nil, refuse(reasonEmpty, "couldn't change the charter of team %s: nothing to change was given", st.Name()).
			hint("give one of add_admins, remove_admins, add_owners, remove_owners, handover_to, name, add_relays, remove_relays")
	}
	return s.changeCharter(ctx, c, m.WaitMs)
}

func lastOf(text string, n int) string { return text[max(0, len(text)-n):] }

// fillPower reads who gains and who loses power.
func (s *service) fillPower(c *charterChange, m *weftv1.ChangeCharterRequest) error {
	st := c.team
	for _, list := range []struct {
		users []string
		to    *[]board.UserID
		loses bool
		words string
	}{
		{m.AddAdmins, &c.change.AddAdmins, false, "%s is an admin of team %s"},
		{m.RemoveAdmins, &c.change.RemoveAdmins, true, "%s is no longer an admin of team %s"},
		{m.AddOwners, &c.change.AddOwners, false, "%s is an owner of team %s"},
		{m.RemoveOwners, &c.change.RemoveOwners, true, "%s is no longer an owner of team %s"},
	} {
		for _, name := range list.users {
			u, err := s.findPerson(st, name)
			if err != nil {
				return err
			}
			*list.to = append(*list.to, u)
			did := fmt.Sprintf(list.words, s.nameOf(st, u), st.Name())
			if list.loses {
				c.losers = append(c.losers, u)
				did += ", and stays " + roleNames[c.keepAs]
				if c.keepAs <= team.Removed {
					did = fmt.Sprintf(list.words, s.nameOf(st, u), st.Name()) + ", and " + roleNames[c.keepAs]
				}
			}
			c.words = append(c.words, did)
		}
	}
	if m.HandoverTo == "" {
		return nil
	}
	u, err := s.findPerson(st, m.HandoverTo)
	if err != nil {
		return err
	}
	c.change.Handover = u
	c.losers = append(c.losers, s.Identity.User)
	c.words = append(c.words, fmt.Sprintf("team %s is handed over to %s; you stay %s", st.Name(), s.nameOf(st, u), roleNames[c.keepAs]))
	return nil
}

// changeCharter proposes the charter and agrees to it as this device.
func (s *service) changeCharter(ctx context.Context, c *charterChange, waitMs uint64) (changeResponse, error) {
	cuts := map[board.UserID]*weftv1.Cut{}
	for _, u := range c.losers {
		cut, err := s.Store.CutUser(c.team.ID(), u)
		if err != nil {
			return nil, fmt.Errorf("couldn't look up what is here of %s: %w", s.nameOf(c.team, u), err)
		}
		cuts[u] = cut
	}
	charter, err := team.NewCharter(c.team, s.Identity, c.change, cuts, c.keepAs, nonce())
	c.did, c.proposed = strings.Join(c.words, "; "), true
	if errors.Is(err, team.ErrUnchanged) {
		c.did = "nothing would change: " + c.did + " already"
		return s.answer(ctx, &c.deed, 0)
	}
	if err != nil {
		return nil, s.explainPower(c.team, s.Identity.User, err)
	}
	if err := s.record(ctx, &c.deed, charter); err != nil {
		return nil, err
	}
	if err := s.agree(ctx, &c.deed, charter.Hash); err != nil {
		return nil, err
	}
	for _, w := range s.warnings(c.team) {
		c.note("%s", w)
	}
	return s.answer(ctx, &c.deed, waitMs)
}

// agree records this device's ack of a charter.
func (s *service) agree(ctx context.Context, d *deed, charter board.Hash) error {
	ack, err := team.NewAck(d.team, s.Identity, charter)
	if err != nil {
		return err
	}
	return s.record(ctx, d, ack)
}

func (s *teamService) Disband(ctx context.Context, req *connect.Request[weftv1.DisbandRequest]) (changeResponse, error) {
	st, err := s.findTeam(req.Msg.Team)
	if err != nil {
		return nil, err
	}
	c := &charterChange{deed: deed{team: st}, keepAs: team.Member, words: []string{fmt.Sprintf("team %s is disbanded", st.Name())}}
	c.change.Close = true
	if req.Msg.Successor != "" {
		next, err := s.successor(req.Msg.Successor)
		if err != nil {
			return nil, err
		}
		if next == st.ID() {
			return nil, refuse(reasonMalformed, "couldn't disband team %s in favour of itself", st.Name())
		}
		c.change.Successor = next
		c.words[0] += "; team " + shorten(req.Msg.Successor) + " goes on in its place"
	}
	c.note("everyone in it is told; what was written stays readable to them")
	return s.changeCharter(ctx, c, req.Msg.WaitMs)
}

// successor is a team by id, also one that isn't here, or by name.
func (s *service) successor(name string) (board.TeamID, error) {
	if id, err := board.ParseTeamID(name); err == nil {
		return id, nil
	}
	st, err := s.findTeam(name)
	if err != nil {
		return board.TeamID{}, err
	}
	return st.ID(), nil
}

// Proposals are charters that wait for owners.
func (s *teamService) Proposals(_ context.Context, req *connect.Request[weftv1.ProposalsRequest]) (*connect.Response[weftv1.ProposalsResponse], error) {
	st, err := s.findTeam(req.Msg.Team)
	if err != nil {
		return nil, err
	}
	res := &weftv1.ProposalsResponse{}
	version := st.Charter().GetVer() + 1
	for _, p := range st.Proposals() {
		w := &weftv1.Proposal{
			CharterId: p.Charter.String(), Version: version, Words: strings.Join(p.Words, "; "), Acked: s.nameList(st, p.Owners),
			Missing: s.nameList(st, p.Missing), Valid: p.Valid,
		}
		if p.By != (board.UserID{}) {
			w.By, w.ByName = p.By.String(), s.nameOf(st, p.By)
		}
		for _, u := range append(p.Owners, p.Admins...) {
			w.Mine = w.Mine || u == s.Identity.User
		}
		res.Proposals = append(res.Proposals, w)
	}
	return connect.NewResponse(res), nil
}

func (s *teamService) Acknowledge(ctx context.Context, req *connect.Request[weftv1.AcknowledgeRequest]) (changeResponse, error) {
	st, err := s.findTeam(req.Msg.Team)
	if err != nil {
		return nil, err
	}
	var found []team.Proposal
	for _, p := range st.Proposals() {
		if strings.HasPrefix(p.Charter.String(), strings.ToLower(req.Msg.Charter)) {
			found = append(found, p)
		}
	}
	switch {
	case len(found) == 0:
		return nil, refuse(reasonNotFound, "couldn't find a change of the charter of team %s that waits", st.Name()).hint("weft team proposals %s shows what waits", word(st.Name()))
	case len(found) > 1:
		ids := make([]string, len(found))
		for i, p := range found {
			ids[i] = p.Charter.String()
		}
		return nil, ambiguous("change of the charter", req.Msg.Charter, ids)
	}
	d := &deed{team: st, did: fmt.Sprintf("you agreed to this change of team %s: %s", st.Name(), strings.Join(found[0].Words, "; "))}
	before := st.Policy()
	if err := s.agree(ctx, d, found[0].Charter); err != nil {
		return nil, err
	}
	if err := s.policyCounts(ctx, d, before); err != nil {
		return nil, err
	}
	return s.answer(ctx, d, req.Msg.WaitMs)
}

// warnings say how a team could be lost or taken over (trust §5, §11).
func (s *service) warnings(st *team.State) (out []string) {
	if _, closed := st.Closed(); closed || !st.Known() {
		return nil
	}
	owners, admins := 0, 0
	for _, m := range st.Members() {
		switch m.Role {
		case team.Owner:
			owners++
		case team.Admin:
			admins++
		}
	}
	if owners == 1 && admins == 0 {
		out = append(out, "the team has one owner and no admin: it is only as safe as that one key, and if the key is lost nobody can ever change who has power; add one with: weft team owner add "+word(st.Name())+" USER")
	}
	return out
}
