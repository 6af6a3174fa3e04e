package rpc

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect"
	"github.com/libp2p/go-libp2p/core/peer"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// SetNode keeps a node out of a team or lets it in again.
func (s *teamService) SetNode(ctx context.Context, req *connect.Request[weftv1.SetNodeRequest]) (changeResponse, error) {
	m := req.Msg
	st, err := s.findTeam(m.Team)
	if err != nil {
		return nil, err
	}
	n, err := s.findNode(st, m.Node)
	if err != nil {
		return nil, err
	}
	if n == s.Node && !m.Allowed {
		return nil, refuse(reasonMalformed, "couldn't deny this node: it is the one that you use").hint("deny it at another node of an owner or admin")
	}
	var cut *weftv1.Cut
	if !m.Allowed {
		if cut, err = s.Store.CutNode(st.ID(), n); err != nil {
			return nil, fmt.Errorf("couldn't look up what is here of that node: %w", err)
		}
	}
	d := &deed{team: st}
	name := s.nodeName(st, n)
	o, err := team.NewNode(st, s.Identity, n, m.Allowed, cut, nonce())
	switch {
	case errors.Is(err, team.ErrUnchanged):
		d.did = fmt.Sprintf("%s is %s team %s already", name, inOrOut(m.Allowed), st.Name())
		return s.answer(ctx, d, 0)
	case err != nil:
		return nil, s.explainPower(st, s.Identity.User, err)
	}
	d.did = fmt.Sprintf("%s is %s team %s", name, inOrOut(m.Allowed), st.Name())
	if err := s.record(ctx, d, o); err != nil {
		return nil, err
	}
	if !m.Allowed {
		d.note("what it recorded before counts; people whose home it is need another node to take part")
	}
	return s.answer(ctx, d, m.WaitMs)
}

func inOrOut(allowed bool) string {
	if allowed {
		return "let into"
	}
	return "kept out of"
}

// nodeName is what people call a node.
func (s *service) nodeName(st *team.State, n board.NodeID) string {
	if users := s.usersOf(st, n); len(users) > 0 {
		return fmt.Sprintf("%s's node (…%s)", anyOf(users), lastOf(nodeText(n), 8))
	}
	return "node …" + lastOf(nodeText(n), 8)
}

// ruleNodeDenied is the name of the rule by which a node is kept out.
const ruleNodeDenied = "node-denied"

// mayRecord refuses what would be recorded at this node for a team that keeps it out. Who is out of the team themselves
// is told that instead, by others.
func (s *service) mayRecord(st *team.State) error {
	if _, denied := st.Denial(s.Node); !denied || st.Role(s.Identity.User) <= team.Removed {
		return nil
	}
	r := refuse(reasonNodeDenied, "couldn't write to team %[1]s here: this node is kept out of team %[1]s, so nobody would get it", st.Name()).
		hint("write at another node of yours, or %s", s.askForThisNode(st))
	r.detail.Rule = ruleNodeDenied
	return r
}

// askForThisNode says how a team lets this node in again.
func (s *service) askForThisNode(st *team.State) string {
	var others []string
	for _, m := range st.Members() {
		if m.User != s.Identity.User && (m.Role == team.Owner || m.Role == team.Admin) {
			others = append(others, personName(m))
		}
	}
	if others == nil {
		return "let it in there: weft team node allow " + word(st.Name()) + " " + nodeText(s.Node)
	}
	return fmt.Sprintf("ask %s for: weft team node allow %s %s", anyOf(others), word(st.Name()), nodeText(s.Node))
}

// findNode is the node with this id, or the only home of somebody.
func (s *service) findNode(st *team.State, name string) (board.NodeID, error) {
	if name == "" {
		return board.NodeID{}, refuse(reasonEmpty, "couldn't find the node: none was named").hint("weft team members %s shows the ids of nodes", word(st.Name()))
	}
	if id, err := peer.Decode(name); err == nil {
		raw := string(id)
		if len(raw) != len(peerIDPrefix)+32 || raw[:len(peerIDPrefix)] != peerIDPrefix {
			return board.NodeID{}, refuse(reasonMalformed, "couldn't use %s: it is not the id of a weft node", shorten(name)).hint("ids of nodes begin with 12D3Koo")
		}
		return board.NodeID([]byte(raw[len(peerIDPrefix):])), nil
	}
	u, err := s.findPerson(st, name)
	if err != nil {
		return board.NodeID{}, err
	}
	homes := st.Homes(u)
	if len(homes) == 1 {
		return homes[0], nil
	}
	if len(homes) == 0 {
		return board.NodeID{}, refuse(reasonNotFound, "couldn't find a node of %s in team %s", s.nameOf(st, u), st.Name()).hint("weft team members %s shows the ids of nodes", word(st.Name()))
	}
	return board.NodeID{}, ambiguous("node", name, nodeTexts(homes))
}
