package rpctest

import (
	"context"
	"slices"
	"sync"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/rpc"
)

// Mesh is a mesh that a test plays. Safe for concurrent use.
type Mesh struct {
	mu struct {
		sync.Mutex
		copies  func(b board.ID, p board.Position) (k, n int)
		join    func(context.Context, *weftv1.InviteLink) (rpc.Joined, error)
		follow  func(b board.ID, at []board.Position) []rpc.Follower
		asked   []rpc.Asked
		addPeer func(context.Context, string) (board.NodeID, error)
		heard   time.Time
		peers   []*weftv1.Peer
		status  []*weftv1.BoardSync
		traffic rpc.Traffic
		watch   map[chan struct{}]bool
	}
}

// NewMesh is a mesh without any other node.
func NewMesh() *Mesh {
	m := &Mesh{}
	m.mu.watch = map[chan struct{}]bool{}
	m.mu.copies = func(board.ID, board.Position) (int, int) { return 0, 0 }
	return m
}

// SetCopies says how far records have spread, and nudges.
func (m *Mesh) SetCopies(f func(b board.ID, p board.Position) (k, n int)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.copies = f
	for c := range m.mu.watch {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// SetJoin answers Join.
func (m *Mesh) SetJoin(f func(context.Context, *weftv1.InviteLink) (rpc.Joined, error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.join = f
}

// SetFollowers answers Followers, and nudges.
func (m *Mesh) SetFollowers(f func(b board.ID, at []board.Position) []rpc.Follower) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.follow = f
	for c := range m.mu.watch {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// SetAsked answers Asked.
func (m *Mesh) SetAsked(asked ...rpc.Asked) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.asked = asked
}

// SetAddPeer answers AddPeer.
func (m *Mesh) SetAddPeer(f func(context.Context, string) (board.NodeID, error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.addPeer = f
}

// SetStatus answers ListPeers, SyncStatus and LastHeard.
func (m *Mesh) SetStatus(peers []*weftv1.Peer, status []*weftv1.BoardSync, heard time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.peers, m.mu.status, m.mu.heard = peers, status, heard
}

// SetTraffic answers Traffic.
func (m *Mesh) SetTraffic(t rpc.Traffic) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.traffic = t
}

// Traffic is what SetTraffic set.
func (m *Mesh) Traffic() rpc.Traffic {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.traffic
}

// Watchers is how many WatchReplicated are open.
func (m *Mesh) Watchers() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.mu.watch)
}

func (m *Mesh) ListPeers() []*weftv1.Peer {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.peers
}

func (m *Mesh) AddPeer(ctx context.Context, address string) (board.NodeID, error) {
	m.mu.Lock()
	f := m.mu.addPeer
	m.mu.Unlock()
	if f == nil {
		return board.NodeID{}, rpc.ErrOffline
	}
	return f(ctx, address)
}

func (m *Mesh) Join(ctx context.Context, l *weftv1.InviteLink, _ string) (rpc.Joined, error) {
	m.mu.Lock()
	f := m.mu.join
	m.mu.Unlock()
	if f == nil {
		return rpc.Joined{}, rpc.ErrOffline
	}
	return f(ctx, l)
}

// Asked are what SetAsked set.
func (m *Mesh) Asked() []rpc.Asked {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.mu.asked)
}

// ForgetAsked takes one of them out.
func (m *Mesh) ForgetAsked(t board.TeamID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.asked = slices.DeleteFunc(slices.Clone(m.mu.asked), func(a rpc.Asked) bool { return a.Team == t })
}

// Followers is what SetFollowers says; nobody follows otherwise.
func (m *Mesh) Followers(b board.ID, at []board.Position) []rpc.Follower {
	m.mu.Lock()
	f := m.mu.follow
	m.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(b, at)
}

func (m *Mesh) InviteAddrs() []string { return []string{"/ip4/192.0.2.1/udp/4001/quic-v1"} }

func (m *Mesh) SyncStatus(board.TeamID) []*weftv1.BoardSync {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.status
}

func (m *Mesh) LastHeard() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.heard
}

func (m *Mesh) Replicated(b board.ID, p board.Position) (k, n int) {
	m.mu.Lock()
	f := m.mu.copies
	m.mu.Unlock()
	return f(b, p)
}

func (m *Mesh) WatchReplicated() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.watch[c] = true
	return c, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.mu.watch, c)
	}
}
