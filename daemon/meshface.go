package daemon

import (
	"context"
	"errors"
	"slices"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/p2p"
	"weft/rpc"
	"weft/store"
)

// meshFace shows the mesh to the API in the API's own types: p2p and rpc never import each other.
type meshFace struct {
	mesh  *p2p.Mesh
	store *store.Store
	self  board.NodeID
	now   func() time.Time
}

var _ rpc.Mesh = meshFace{}

func (f meshFace) ListPeers() []*weftv1.Peer {
	var peers []*weftv1.Peer
	for _, p := range f.mesh.Peers() {
		peers = append(peers, f.peer(p))
	}
	return peers
}

func (f meshFace) peer(p p2p.PeerInfo) *weftv1.Peer {
	w := &weftv1.Peer{
		NodeId: p.ID.String(), Addresses: p.Addrs, Connected: p.Connected, RttUs: uint64(p.RTT.Microseconds()),
		LastSeenMs: unixMilli(p.LastSeen), LastError: p.LastError, Static: p.Static,
		Health: p.Health, HealthSinceMs: unixMilli(p.HealthSince), Incarnation: p.Incarnation,
	}
	for _, n := range p.SuspectedBy {
		if id, err := p2p.PeerIDOf(n); err == nil {
			w.SuspectedBy = append(w.SuspectedBy, id.String())
		}
	}
	switch {
	case p.Connected && p.Inbound:
		w.Direction = "inbound"
	case p.Connected:
		w.Direction = "outbound"
	case !p.NextDial.IsZero():
		w.RetryInMs = uint64(max(0, p.NextDial.Sub(f.now()).Milliseconds()))
	}
	node, err := p2p.NodeIDOf(p.ID)
	if err != nil {
		return w
	}
	for _, id := range p.Teams {
		st, ok := f.store.Team(id)
		if !ok {
			continue
		}
		w.Teams = append(w.Teams, st.Name())
		for _, m := range st.Members() {
			if slices.Contains(m.Homes, node) && !slices.Contains(w.Users, m.Name) {
				w.Users = append(w.Users, m.Name)
			}
		}
	}
	return w
}

func unixMilli(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixMilli())
}

// marked is an error of the mesh that is of one of the API's kinds, too. The kind adds nothing to its words, which say it already.
type marked struct {
	error
	kind error
}

// Unwrap is for errors.Is and errors.As.
func (m marked) Unwrap() []error { return []error{m.error, m.kind} }

func (f meshFace) AddPeer(ctx context.Context, address string) (n board.NodeID, err error) {
	id, err := f.mesh.AddPeer(ctx, address)
	if errors.Is(err, p2p.ErrOffline) {
		err = marked{err, rpc.ErrOffline}
	}
	if err != nil {
		return n, err
	}
	return p2p.NodeIDOf(id)
}

func (f meshFace) Join(ctx context.Context, link *weftv1.InviteLink, note string) (rpc.Joined, error) {
	res, err := f.mesh.Join(ctx, link, note)
	switch {
	case errors.Is(err, p2p.ErrOffline):
		err = marked{err, rpc.ErrOffline}
	case errors.Is(err, p2p.ErrLinkNeeded):
		err = marked{err, rpc.ErrLinkNeeded}
	}
	if err != nil {
		return rpc.Joined{}, err
	}
	return rpc.Joined{Team: res.Team, AlreadyMember: res.AlreadyMember, Asked: res.Asked}, nil
}

func (f meshFace) Asked() (out []rpc.Asked) {
	for _, a := range f.mesh.Asked() {
		out = append(out, rpc.Asked{Team: a.Team, Name: a.Name, Note: a.Note, Since: a.Since, Rejected: a.Rejected, Reason: a.Reason, Error: a.LastError})
	}
	return out
}

func (f meshFace) ForgetAsked(t board.TeamID) { f.mesh.ForgetAsked(t) }

func (f meshFace) Followers(b board.ID, at []board.Position) []rpc.Follower {
	nodes := f.mesh.Followers(b, at)
	out := make([]rpc.Follower, len(nodes))
	for i, n := range nodes {
		out[i] = rpc.Follower(n)
	}
	return out
}

func (f meshFace) InviteAddrs() []string { return f.mesh.InviteAddrs() }

func (f meshFace) SyncStatus(t board.TeamID) []*weftv1.BoardSync {
	var boards []*weftv1.BoardSync
	hidden := f.hidden(t)
	for _, s := range f.mesh.SyncStatus(t) {
		info, _ := f.store.Board(s.Board)
		w := &weftv1.BoardSync{
			BoardId: s.Board.String(), Behind: s.Behind, Pending: uint64(s.Pending), Entries: info.Entries,
			HistoryArriving: s.Arriving, Governance: s.Governance, Hidden: hidden[s.Board], UpToDate: s.UpToDate() || f.alone(t),
		}
		if info.Floored {
			w.HistoryStartsHere, w.FloorHlc = true, uint64(info.Start)
		}
		for _, n := range s.From {
			if id, err := p2p.PeerIDOf(n); err == nil {
				w.From = append(w.From, id.String())
			}
		}
		if s.Unavailable {
			w.Unavailable = s.Behind
		}
		boards = append(boards, w)
	}
	return boards
}

// hidden are the entries of each board that their devices' later ones prove, and that are not here.
func (f meshFace) hidden(t board.TeamID) map[board.ID][]*weftv1.HiddenEntries {
	out := map[board.ID][]*weftv1.HiddenEntries{}
	st, ok := f.store.Team(t)
	if !ok {
		return out
	}
	for _, h := range f.mesh.Hidden(t) {
		out[h.Board] = append(out[h.Board], &weftv1.HiddenEntries{
			UserId: h.User.String(), User: st.UserName(h.User), DeviceId: h.Device.String(), Missing: h.Missing, SinceMs: unixMilli(h.Since),
		})
	}
	return out
}

// alone says whether the team has no node but this one, which then has everything there is.
func (f meshFace) alone(t board.TeamID) bool {
	st, ok := f.store.Team(t)
	return ok && !slices.ContainsFunc(st.Nodes(), func(n board.NodeID) bool { return n != f.self })
}

func (f meshFace) LastHeard() (last time.Time) {
	for _, p := range f.mesh.Peers() {
		if len(p.Teams) > 0 && p.LastSeen.After(last) {
			last = p.LastSeen
		}
	}
	return last
}

// Replicated leaves this node itself out of both counts.
func (f meshFace) Replicated(b board.ID, p board.Position) (k, n int) {
	k, n = f.mesh.Replicated(b, p)
	team, ok := f.store.BoardTeam(b)
	if !ok {
		return k, n
	}
	if st, ok := f.store.Team(team); ok && st.IsNode(f.self) {
		k, n = max(k-1, 0), max(n-1, 0)
	}
	return k, n
}

func (f meshFace) WatchReplicated() (<-chan struct{}, func()) { return f.mesh.WatchReplicated() }
