package rpc

import (
	"context"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// ListMembers are a team's people: the most powerful first, and at the end, if wanted, those who are out of it.
func (s *teamService) ListMembers(ctx context.Context, req *connect.Request[weftv1.ListMembersRequest]) (*connect.Response[weftv1.ListMembersResponse], error) {
	st, err := s.findTeam(req.Msg.Team)
	if err != nil {
		return nil, err
	}
	res := &weftv1.ListMembersResponse{}
	homes := map[board.NodeID]Follower{}
	for _, f := range s.Mesh.Followers(board.GovernanceID(st.ID()), nil) {
		homes[f.Node] = f
	}
	for _, m := range st.Members() {
		res.Members = append(res.Members, s.wireMember(m, homes))
	}
	if !req.Msg.WithRemoved {
		return connect.NewResponse(res), nil
	}
	recorded, err := s.recordedOf(ctx, st.ID())
	if err != nil {
		return nil, err
	}
	for _, m := range st.Outsiders() {
		w := s.wireMember(m, homes)
		if r, ok := st.Removal(m.User); ok {
			w.Reason, w.SinceMs, w.Left = text(r.Reason), recorded.at(r.Object), r.Left
			w.By, w.ByName = s.whoRemoved(st, r)
		}
		res.Members = append(res.Members, w)
	}
	return connect.NewResponse(res), nil
}

func (s *service) wireMember(m team.Person, homes map[board.NodeID]Follower) *weftv1.Member {
	out := &weftv1.Member{UserId: m.User.String(), Name: m.Name, Role: roleNames[m.Role], Homes: nodeTexts(m.Homes), You: m.User == s.Identity.User}
	for _, d := range m.Devices {
		out.Devices = append(out.Devices, d.String())
	}
	for _, h := range m.Homes {
		f := homes[h]
		out.Connected = out.Connected || f.Connected || h == s.Node
		if !f.LastHeard.IsZero() {
			out.LastHeardMs = max(out.LastHeardMs, uint64(f.LastHeard.UnixMilli()))
		}
	}
	return out
}
