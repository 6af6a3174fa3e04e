package store

import (
	"slices"

	"weft/board"
	"weft/team"
)

// A floor says up to where a node's log in a board is pruned (trust §3). From the commit on that makes it count, what
// stands at or below it is not read, shown or counted here any more; the rows themselves go in the commits after it.

// FloorsOf are the counting floors of a board by node: up to where its log is pruned.
func FloorsOf(st *team.State, b board.ID) map[board.NodeID][]board.Point {
	out := map[board.NodeID][]board.Point{}
	for _, f := range st.Floors(b) {
		n := f.Position.Node
		out[n] = append(out[n], board.Point{Epoch: f.Position.Epoch, Seq: f.Position.Seq})
	}
	return out
}

// moveFloors follows up a new state's floors.
func (g *group) moveFloors(list []*boardState, st *team.State) {
	for _, b := range list {
		moved := map[board.NodeID][]board.Point{}
		for n, fs := range FloorsOf(st, b.id) {
			if !slices.Equal(fs, b.full.Floors(n)) {
				moved[n] = fs
			}
		}
		if len(moved) == 0 {
			continue
		}
		g.item(FloorMoved)
		g.changes = append(g.changes, b.id[:]...)
		g.published = append(g.published, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			for n, fs := range moved {
				b.setFloors(n, fs)
			}
			b.last, b.lastOK = nil, false
			for _, mk := range b.marks {
				mk.known = false
			}
			b.commits++
			g.m.notePrunes(b)
		})
	}
}

// setFloors is called with b.mu held.
func (b *boardState) setFloors(n board.NodeID, fs []board.Point) {
	b.holding.SetFloors(n, fs)
	b.full.SetFloors(n, fs)
	for _, l := range b.byNode[n] {
		l.floor = board.FloorOf(fs, l.origin.Epoch)
	}
}

// notePrunes notes which logs have rows to be pruned; the committer's.
func (m *memory) notePrunes(b *boardState) {
	for _, l := range b.logs {
		if l.floor >= l.st.Lo {
			m.pruning[l] = struct{}{}
		}
	}
}

// loadFloors sets all floors at Open.
func (m *memory) loadFloors() {
	for _, b := range m.boards {
		if b.team == nil || b.governance {
			continue
		}
		for n, fs := range FloorsOf(b.team.state.Load(), b.id) {
			b.setFloors(n, fs)
		}
		m.notePrunes(b)
	}
}

// pruned says whether a record stands at or below a floor; the caller holds board.mu.
func (l *logState) pruned(seq uint64) bool { return seq <= l.floor || seq < l.st.Lo }

// isPruned is pruned for callers that do not hold board.mu.
func (l *logState) isPruned(seq uint64) bool {
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	return l.pruned(seq)
}
