package p2p

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/quic-go/quic-go"

	"weft/board"
)

// PeerInfo describes a peer, for people.
type PeerInfo struct {
	ID        peer.ID
	Addrs     []string // in use where connected, else known
	Connected bool
	Since     time.Time // of the oldest connection
	Inbound   bool
	Teams     []board.TeamID // that both are in
	Synced    bool           // both streams are open
	RTT       time.Duration  // smoothed; zero: not known
	LastSeen  time.Time      // zero: never since this start
	LastError string         // why the last dial failed
	NextDial  time.Time
	Static    bool

	Health      string    // alive, suspected, dead, left; empty: not known, or no node of a shared team
	HealthSince time.Time // by this node's clock
	SuspectedBy []board.NodeID
	Incarnation uint64 // of its run that Health is about
}

// BoardSync answers "am I synced?" for one board.
type BoardSync struct {
	board.BoardStatus
	Peers     int       // connected nodes of the team
	LastHeard time.Time // when a node of the team was last heard; zero: never since this start
	Damaged   uint64    // records that can't be read here; they are among Behind
	Suspected bool      // it is being looked at how much is damaged
}

// UpToDate says whether nothing is known to be missing and somebody is there who would know.
func (b BoardSync) UpToDate() bool {
	return b.Behind == 0 && !b.Arriving && b.Pending == 0 && b.Damaged == 0 && !b.Suspected && b.Peers > 0
}

// Addrs are the addresses that this node listens on, each with /p2p/ and its id.
func (m *Mesh) Addrs() []string {
	addrs, err := m.host.Network().InterfaceListenAddresses()
	if err != nil || len(addrs) == 0 {
		addrs = m.host.Addrs()
	}
	slices.SortFunc(addrs, func(a, b ma.Multiaddr) int { return strings.Compare(a.String(), b.String()) })
	return m.withID(addrs)
}

// InviteAddrs are the addresses for an invite link: those that another machine can reach first, loopback last.
func (m *Mesh) InviteAddrs() []string {
	seen := map[string]bool{}
	var all []ma.Multiaddr
	listening, _ := m.host.Network().InterfaceListenAddresses()
	for _, a := range append(m.host.Addrs(), listening...) {
		if !seen[a.String()] {
			seen[a.String()] = true
			all = append(all, a)
		}
	}
	slices.SortStableFunc(all, func(a, b ma.Multiaddr) int { return reach(b) - reach(a) })
	return m.withID(all)
}

// reach orders addresses by who can use them.
func reach(a ma.Multiaddr) int {
	switch {
	case manet.IsPublicAddr(a):
		return 3
	case manet.IsIPLoopback(a):
		return 0
	case manet.IsIP6LinkLocal(a):
		return 1
	}
	return 2
}

func (m *Mesh) withID(addrs []ma.Multiaddr) []string {
	out := make([]string, 0, len(addrs))
	for _, a := range addrs {
		out = append(out, a.String()+"/p2p/"+m.host.ID().String())
	}
	return out
}

// SyncStatus says for each board of a team, governance first, how far this node is.
func (m *Mesh) SyncStatus(t board.TeamID) []BoardSync {
	var all []board.BoardStatus
	if !m.loop.do(m.ctx, func() { all = m.loop.rep.Status(t) }) {
		return nil
	}
	peers, last := m.peers.ofTeam(t)
	out := make([]BoardSync, len(all))
	for i, s := range all {
		out[i] = BoardSync{BoardStatus: s, Peers: peers, LastHeard: last, Suspected: m.o.Store.Suspects()}
		out[i].countDamage(m.o.Store.DamagedIn(s.Board))
	}
	return out
}

// countDamage sets right how much is missing: what is held above damaged records is told to nobody until they are back.
func (b *BoardSync) countDamage(damaged, above uint64) {
	b.Damaged = damaged
	if damaged == 0 {
		return
	}
	if b.Behind == 0 { // nobody says that they have it
		b.Unavailable = true
	}
	b.Behind = max(b.Behind-min(b.Behind, above), damaged)
}

// Replicated says how many nodes of the board's team are known to hold what stands at p, this one included, and how many
// nodes the team has. Nodes that aren't connected count as last heard only while they are connected.
func (m *Mesh) Replicated(b board.ID, p board.Position) (k, n int) {
	t, ok := m.o.Store.BoardTeam(b)
	if !ok {
		return 0, 0
	}
	st, ok := m.o.Store.Team(t)
	if !ok {
		return 0, 0
	}
	h := m.o.Store.Holding(b)
	if h == nil {
		return 0, 0
	}
	nodes := st.Nodes()
	vectors := make([]board.Vector, 0, len(nodes))
	m.loop.do(m.ctx, func() {
		for _, node := range nodes {
			if v, ok := m.loop.rep.PeerVector(node, t, b); ok && node != m.self {
				vectors = append(vectors, v)
			}
		}
	})
	if h.Holds(p.Origin(), p.Seq) && slices.Contains(nodes, m.self) {
		k++
	}
	for _, v := range vectors {
		if h.Includes(v, p.Node, board.Point{Epoch: p.Epoch, Seq: p.Seq}) {
			k++
		}
	}
	return k, len(nodes)
}

// WatchReplicated returns a channel of capacity one that is nudged whenever Replicated may have changed, and a function
// that ends the watch.
func (m *Mesh) WatchReplicated() (<-chan struct{}, func()) { return m.subs.replicated.watch() }

// Peers lists the nodes of this node's teams and those that its owner named, connected ones first.
func (m *Mesh) Peers() []PeerInfo { return m.peers.list() }

// connInfo fills in what is known of p's connections.
func (m *Mesh) connInfo(i *PeerInfo) {
	var addrs []ma.Multiaddr
	for _, c := range m.host.Network().ConnsToPeer(i.ID) {
		i.Connected = true
		addrs = append(addrs, c.RemoteMultiaddr())
		var q *quic.Conn
		if c.As(&q) {
			i.RTT = q.ConnectionStats().SmoothedRTT
		}
		if at := c.Stat().Opened; i.Since.IsZero() || at.Before(i.Since) {
			i.Since = at
			i.Inbound = c.Stat().Direction == network.DirInbound
		}
	}
	if i.RTT == 0 { // over TCP
		i.RTT = m.host.Peerstore().LatencyEWMA(i.ID)
	}
	if !i.Connected {
		addrs = m.host.Peerstore().Addrs(i.ID)
	}
	i.Addrs = addrTexts(addrs)
}

// ownLog asks teammates for this node's own log in a board before the first append after a start, so that a restored
// backup seals where the others know its log to end. The store calls it; it returns at once if there is nobody to ask,
// and within 2 s in any case.
func (m *Mesh) ownLog(ctx context.Context, b board.ID) {
	t, ok := m.o.Store.BoardTeam(b)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	changed, stop := m.peers.links.watch()
	defer stop()
	heard, stop2 := m.subs.replicated.watch()
	defer stop2()
	for {
		answered, waiting := false, false
		if !m.loop.do(ctx, func() { answered, waiting = m.loop.knowsOwnLog(t, b) }) || answered {
			return
		}
		if !waiting && !m.peers.mayCome(t) {
			return // nobody is there, and nobody who is known has been sought yet in vain
		}
		select {
		case <-changed:
		case <-heard:
		case <-ctx.Done():
			return
		}
	}
}

// knowsOwnLog says whether some connected node has said what it holds of b and all it holds of this node's own log is
// here; and whether somebody is there who may yet say.
func (l *loop) knowsOwnLog(t board.TeamID, b board.ID) (answered, waiting bool) {
	governance := b == board.GovernanceID(t)
	st, ok := l.m.o.Store.Team(t)
	h := l.m.o.Store.Holding(b)
	if !ok || h == nil {
		return true, false
	}
	for _, n := range st.Nodes() {
		if n == l.m.self || l.links[linkKey{n, governance}] == nil {
			continue
		}
		waiting = true
		if v, ok := l.rep.PeerVector(n, t, b); ok && h.Covers(v.Node(l.m.self)) {
			answered = true
		}
	}
	return answered, waiting
}
