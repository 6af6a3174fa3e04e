package p2p

import (
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"

	"weft/board"
)

// Former teammates: nodes of a team that this node is out of. They aren't sought, but one of them that comes is heard.

// isFormer says whether all that this node has with n are teams that it is out of.
func (r *roster) isFormer(n board.NodeID) bool {
	v := r.view.Load()
	return v.former[n] && len(v.shared[n]) == 0 && !r.trusted(n)
}

func (r *roster) trusted(n board.NodeID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.mu.trusted[n]) > 0
}

// trusted says whether a link named t for a team that this node is on the way into.
func (t *target) trusted(r *roster) bool { return r.trusted(t.node) }

// listen makes targets of former teammates, and returns them. Called with mu held.
func (p *peering) listen(v *view, isNode map[peer.ID]bool) map[peer.ID]bool {
	out := map[peer.ID]bool{}
	for n := range v.former {
		id, err := PeerIDOf(n)
		if err != nil || isNode[id] || n == p.m.self {
			continue
		}
		out[id] = true
		if p.mu.targets[id] == nil {
			p.mu.targets[id] = &target{id: id, node: n}
		}
	}
	return out
}

const toldPrefix = "told/"

func (r *roster) loadTold() {
	r.m.kv.scan(toldPrefix, func(key string, _ []byte) {
		if t, err := board.ParseTeamID(strings.TrimPrefix(key, toldPrefix)); err == nil {
			r.mu.told[t] = true
		}
	})
}

func (r *roster) isTold(t board.TeamID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.told[t]
}

// tell notes whether a teammate has said that this node is out of a team; it lasts over a restart.
func (r *roster) tell(t board.TeamID, told bool) {
	r.mu.Lock()
	was := r.mu.told[t]
	if told {
		r.mu.told[t] = true
	} else {
		delete(r.mu.told, t)
	}
	r.mu.Unlock()
	switch {
	case told && !was:
		r.m.kv.set(toldPrefix+t.String(), []byte{1})
	case !told && was:
		r.m.kv.delete(toldPrefix + t.String())
	}
}
