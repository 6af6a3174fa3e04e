package rpc

import (
	"context"
	"slices"
	"strings"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

// Traffic is what a mesh carries.
type Traffic struct {
	Kinds  []*weftv1.Traffic    // since the node started
	Topics map[board.TeamID]int // nodes that gossip with this one about each team
}

func (s *nodeService) GetTraffic(context.Context, *connect.Request[weftv1.GetTrafficRequest]) (*connect.Response[weftv1.GetTrafficResponse], error) {
	t := s.Mesh.Traffic()
	res := &weftv1.GetTrafficResponse{UptimeMs: uint64(s.Now().Sub(s.began).Milliseconds()), Kinds: t.Kinds, SyncStreams: uint32(len(s.sessions))}
	slices.SortFunc(res.Kinds, func(a, b *weftv1.Traffic) int { return strings.Compare(a.Kind, b.Kind) })
	sessions, watchers, listeners := s.Hub.Numbers()
	res.Sessions, res.Watchers, res.Listeners = uint32(sessions), uint32(watchers), uint32(listeners)
	for id, peers := range t.Topics {
		p := &weftv1.TopicPeers{TeamId: id.String(), Peers: uint32(peers)}
		if st, ok := s.Store.Team(id); ok && st.Known() {
			p.Team = st.Name()
		}
		res.Topics = append(res.Topics, p)
	}
	slices.SortFunc(res.Topics, func(a, b *weftv1.TopicPeers) int {
		return strings.Compare(a.Team+" "+a.TeamId, b.Team+" "+b.TeamId)
	})
	return connect.NewResponse(res), nil
}
