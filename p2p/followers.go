package p2p

import (
	"time"

	"weft/board"
)

// Follower is how far one node of a team follows a change.
type Follower struct {
	Node      board.NodeID
	Has       bool // it holds all of it, by its own word
	Connected bool // a stream to it is open
	LastHeard time.Time
}

// Followers says for each node of a board's team, this one included, whether it holds what stands at all of these
// positions of the board, and when it was last heard; those of nodes that aren't connected hold what they said last. Used
// with positions on the governance board it says who follows a change of the team.
func (m *Mesh) Followers(b board.ID, ps []board.Position) []Follower {
	t, ok := m.o.Store.BoardTeam(b)
	if !ok {
		return nil
	}
	st, ok := m.o.Store.Team(t)
	h := m.o.Store.Holding(b)
	if !ok || h == nil {
		return nil
	}
	nodes := st.Nodes()
	vectors := make(map[board.NodeID]board.Vector, len(nodes))
	m.loop.do(m.ctx, func() {
		for _, n := range nodes {
			if v, ok := m.loop.rep.PeerVector(n, t, b); ok {
				vectors[n] = v
			} else if v, ok := m.loop.said[sentKey{n, t}]; ok && b == board.GovernanceID(t) {
				vectors[n] = v
			}
		}
	})
	out := make([]Follower, 0, len(nodes))
	for _, n := range nodes {
		f := Follower{Node: n, Has: true}
		if n == m.self {
			f.Connected, f.LastHeard = true, m.o.Now()
			for _, p := range ps {
				f.Has = f.Has && h.Holds(p.Origin(), p.Seq)
			}
		} else {
			f.Connected, f.LastHeard = m.peers.heard(n)
			v, said := vectors[n]
			for _, p := range ps {
				f.Has = f.Has && said && h.Includes(v, p.Node, board.Point{Epoch: p.Epoch, Seq: p.Seq})
			}
		}
		out = append(out, f)
	}
	return out
}

// heard says whether a stream to a node is open, and when it was last heard.
func (p *peering) heard(n board.NodeID) (connected bool, last time.Time) {
	id, err := PeerIDOf(n)
	if err != nil {
		return false, last
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.mu.targets[id]
	if t == nil {
		return false, last
	}
	return t.link[0] != nil || t.link[1] != nil, p.lastSeen(id)
}

// remember keeps what the node at the end of a governance stream that is gone has said of governance. It is bounded by
// the teams' nodes.
func (l *loop) remember(k *link) {
	if !k.governance {
		return
	}
	for _, t := range l.m.who.view.Load().shared[k.node] {
		if v, ok := l.rep.PeerVector(k.node, t, board.GovernanceID(t)); ok {
			l.said[sentKey{k.node, t}] = v
		}
	}
}
