package rpc

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// Defaults of invites.
const (
	defaultInviteAge = 7 * 24 * time.Hour
	maxInviteUses    = 1000
)

func (s *teamService) CreateInvite(ctx context.Context, req *connect.Request[weftv1.CreateInviteRequest]) (*connect.Response[weftv1.CreateInviteResponse], error) {
	st, err := s.findTeam(req.Msg.Team)
	if err != nil {
		return nil, err
	}
	role, err := roleNamed(req.Msg.Role, team.Member, team.Member, team.Reader)
	if err != nil {
		return nil, err
	}
	uses := max(req.Msg.Uses, 1)
	if uses > maxInviteUses {
		return nil, refuse(reasonTooMany, "couldn't make an invite for %d uses: at most %d", uses, maxInviteUses).hint("make several invites")
	}
	expires, err := s.inviteExpiry(req.Msg.ExpiresInMs)
	if err != nil {
		return nil, err
	}
	switch st.Policy().Join {
	case weftv1.JoinMode_JOIN_MODE_APPROVAL:
		link, err := s.askLink(st)
		if err != nil {
			return nil, err
		}
		return connect.NewResponse(&weftv1.CreateInviteResponse{Link: link, Ask: true}), nil
	case weftv1.JoinMode_JOIN_MODE_OPEN:
		link, err := s.askLink(st)
		if err != nil {
			return nil, err
		}
		return connect.NewResponse(&weftv1.CreateInviteResponse{Link: link}), nil
	}
	var seed [32]byte
	rand.Read(seed[:])
	o, err := team.NewInvite(st, s.Identity, role, s.Node, uses, expires, nonce(), seed)
	if err != nil {
		return nil, s.explainPower(st, s.Identity.User, err)
	}
	if _, err := s.Store.AppendObject(ctx, st.ID(), o); err != nil {
		return nil, err
	}
	if now, ok := s.Store.Team(st.ID()); ok {
		st = now
	}
	link, err := team.NewLink(st, s.Identity, o, seed, s.Mesh.InviteAddrs())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&weftv1.CreateInviteResponse{Link: team.EncodeLink(link), InviteId: o.Hash.String(), ExpiresMs: expires}), nil
}

// askLink says where people ask how to get in: it gives nothing by itself.
func (s *service) askLink(st *team.State) (string, error) {
	if role := st.Role(s.Identity.User); role != team.Owner && role != team.Admin {
		return "", s.explainPower(st, s.Identity.User, fmt.Errorf("couldn't make a link: %w", team.ErrNoPower))
	}
	link, err := team.NewAskLink(st, s.Identity, s.Node, s.Mesh.InviteAddrs())
	if err != nil {
		return "", err
	}
	return team.EncodeLink(link), nil
}

// inviteExpiry is when an invite made now expires, in milliseconds since 1970.
func (s *service) inviteExpiry(inMs uint64) (uint64, error) {
	const longest = 10 * 365 * 24 * time.Hour
	if inMs > uint64(longest.Milliseconds()) {
		return 0, refuse(reasonTooMany, "couldn't make an invite for more than ten years").hint("choose an earlier expiry")
	}
	age := time.Duration(inMs) * time.Millisecond
	if inMs == 0 {
		age = defaultInviteAge
	}
	return uint64(s.Now().Add(age).UnixMilli()), nil
}

// wireInvites are a team's invites that count.
func (s *service) wireInvites(st *team.State) []*weftv1.InviteInfo {
	var out []*weftv1.InviteInfo
	for _, i := range st.Invites() {
		out = append(out, &weftv1.InviteInfo{
			InviteId: i.Op.String(), Role: roleNames[i.Role], Admitter: nodeText(i.Admitter), Quota: i.Quota, Used: i.Used, ExpiresMs: i.ExpiresMs,
			Author: i.Author.String(), AuthorName: s.nameOf(st, i.Author), Open: isOpen(st.ID(), i),
		})
	}
	return out
}

// isOpen says whether an invite is a standing one of an open team: its key is public.
func isOpen(t board.TeamID, i team.InviteState) bool {
	return i.Key == board.NewKey(team.OpenSeed(t, i.Admitter)).Public()
}

func (s *teamService) ListInvites(_ context.Context, req *connect.Request[weftv1.ListInvitesRequest]) (*connect.Response[weftv1.ListInvitesResponse], error) {
	st, err := s.findTeam(req.Msg.Team)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&weftv1.ListInvitesResponse{Invites: s.wireInvites(st)}), nil
}

func (s *teamService) RevokeInvite(ctx context.Context, req *connect.Request[weftv1.RevokeInviteRequest]) (changeResponse, error) {
	st, err := s.findTeam(req.Msg.Team)
	if err != nil {
		return nil, err
	}
	if req.Msg.Invite == "" {
		return nil, refuse(reasonEmpty, "couldn't withdraw an invite: none was named").hint("weft team invite %s --list shows their ids", word(st.Name()))
	}
	var found []team.InviteState
	for _, i := range st.Invites() {
		if strings.HasPrefix(i.Op.String(), strings.ToLower(req.Msg.Invite)) {
			found = append(found, i)
		}
	}
	switch {
	case len(found) == 0:
		return nil, refuse(reasonNotFound, "couldn't find an invite %s in team %s", shorten(req.Msg.Invite), st.Name()).
			hint("weft team invite %s --list shows those that are good", word(st.Name()))
	case len(found) > 1:
		ids := make([]string, len(found))
		for i, v := range found {
			ids[i] = v.Op.String()
		}
		return nil, ambiguous("invite", req.Msg.Invite, ids)
	}
	d := &deed{team: st, did: fmt.Sprintf("invite %s of team %s is withdrawn", found[0].Op.String()[:9], st.Name())}
	if err := s.uninvite(ctx, d, found[0]); err != nil {
		return nil, s.explainPower(st, s.Identity.User, err)
	}
	if found[0].Used > 0 {
		d.note("%s by it before, and that stays", plural(int(found[0].Used), "person came", "people came"))
	}
	return s.answer(ctx, d, req.Msg.WaitMs)
}

func (s *service) uninvite(ctx context.Context, d *deed, i team.InviteState) error {
	cut, err := s.Store.CutInvite(d.team.ID(), i.Op)
	if err != nil {
		return fmt.Errorf("couldn't look up who came by invite %s: %w", i.Op, err)
	}
	o, err := team.NewUninvite(d.team, s.Identity, i.Op, cut, nonce())
	if err != nil {
		return err
	}
	return s.record(ctx, d, o)
}

// openOrClose makes what people join by after a change of the join mode, and withdraws what they joined by before.
func (s *service) openOrClose(ctx context.Context, d *deed, before, after team.Policy) error {
	if before.Join == after.Join {
		return nil
	}
	open := after.Join == weftv1.JoinMode_JOIN_MODE_OPEN
	for _, i := range d.team.Invites() {
		if isOpen(d.team.ID(), i) && !open {
			if err := s.uninvite(ctx, d, i); err != nil {
				return err
			}
		}
	}
	switch after.Join {
	case weftv1.JoinMode_JOIN_MODE_OPEN:
		if err := s.standingInvite(ctx, d); err != nil {
			return err
		}
		d.note("whoever has this link is let in, at this node:")
	case weftv1.JoinMode_JOIN_MODE_APPROVAL:
		d.note("links that were given out before let nobody in any more, they only let people ask; so does this one:")
	case weftv1.JoinMode_JOIN_MODE_CLOSED:
		d.note("links that were given out let nobody in while it is closed")
		return nil
	default:
		return nil
	}
	link, err := s.askLink(d.team)
	d.link = link
	return err
}

// standingInvite makes the invite by which this node lets people into an open team, if there is none that is good.
func (s *service) standingInvite(ctx context.Context, d *deed) error {
	for _, i := range d.team.Invites() {
		if isOpen(d.team.ID(), i) && i.Admitter == s.Node && i.Used < i.Quota {
			return nil
		}
	}
	o, err := team.NewInvite(d.team, s.Identity, team.Member, s.Node, team.MaxQuota, 0, nonce(), team.OpenSeed(d.team.ID(), s.Node))
	if err != nil {
		return err
	}
	return s.record(ctx, d, o)
}
