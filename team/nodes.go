package team

import (
	"slices"

	"weft/board"
)

// Denial says whether node n is denied: then one of its records counts only at or below a position of every one of cuts.
// A node that is denied only for a fork has no cuts: Forks says what of its logs does not count.
func (s *State) Denial(n board.NodeID) (cuts []*Cut, denied bool) {
	if f := s.fates[n]; f != nil {
		return f.cuts, f.denied
	}
	return nil, false
}

// Forks are proven contradictions of node n in board b: records of a point's epoch at or above it, and all whose chain
// passes one of these, never count. In order of epoch, the lowest of each.
func (s *State) Forks(b board.ID, n board.NodeID) []board.Point {
	if f := s.fates[n]; f != nil {
		return points(f.forks, b)
	}
	return nil
}

// Fork is a proven contradiction: two contents of one (board, node, epoch, seq).
type Fork struct {
	Node  board.NodeID
	Board board.ID
	Epoch board.Epoch
	Seq   uint64
	Op    board.Hash // the operation that proves it
}

// ForkProofs are all counting proofs, by board, node, epoch, seq and operation.
func (s *State) ForkProofs() []Fork {
	var l []*fact
	for _, f := range s.fates {
		l = append(l, f.forks...)
	}
	slices.SortFunc(l, compareForks)
	out := make([]Fork, len(l))
	for i, f := range l {
		out[i] = f.says.(*forkSays).Fork
	}
	return out
}

// Origins are all nodes whose logs are part of the team's boards, in order of key: those of Nodes; relays of earlier
// charters; every home that ever accepted someone who has or had a role, removed people's too; denied nodes. The slice
// must not be changed.
func (s *State) Origins() []board.NodeID { return s.origins }

// NodeProof are the objects that show why node n is not of the team (any more): what denies it, or what became of the
// people whose home it was; in an order in which they can be read.
func (s *State) NodeProof(n board.NodeID) []board.Hash {
	p := evidence{s: s}
	p.charters()
	if f := s.fates[n]; f != nil && f.denied {
		for _, x := range f.register {
			p.operation(x)
		}
		return p.out
	}
	s.people.all(func(u board.UserID, m *member) {
		if m.role == None && len(m.register) == 0 {
			return
		}
		for _, o := range s.presentsOf(u) {
			if slices.Contains(o.says.(*presentSays).accepted, n) {
				p.about(u)
				return
			}
		}
	})
	return p.out
}

func (s *State) nodeHeads(n board.NodeID) []board.Hash {
	if f := s.fates[n]; f != nil {
		return f.heads
	}
	return nil
}

// Floor says below which position a log is pruned.
type Floor struct {
	Position board.Position
	Devices  []DeviceFloor
	Op       board.Hash
}

// DeviceFloor is a device's last number below a floor.
type DeviceFloor struct {
	Device   board.DeviceID
	DevEpoch uint64
	DevSeq   uint64
}

// Floors are the counting floors of a board, the highest of each epoch of a log, by node and epoch.
func (s *State) Floors(b board.ID) []Floor {
	var all []Floor
	for _, f := range s.floors {
		if k := f.says.(*Floor); k.Position.Board == b {
			all = append(all, *k)
		}
	}
	slices.SortFunc(all, compareFloors)
	var out []Floor
	for i, f := range all {
		if i+1 == len(all) || all[i+1].Position.Origin() != f.Position.Origin() {
			out = append(out, f)
		}
	}
	return out
}
