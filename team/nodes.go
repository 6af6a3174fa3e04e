package team

import "weft/board"

// Denial says whether node n is denied: then one of its records counts only at or below a position of every one of cuts.
// A node that is denied only for a fork has no cuts: Forks says what of its logs does not count.
func (s *State) Denial(n board.NodeID) (cuts []*Cut, denied bool) { return nil, false }

// Forks are proven contradictions of node n in board b: records of a point's epoch at or above it, and all whose chain
// passes one of these, never count. In order of epoch, the lowest of each.
func (s *State) Forks(b board.ID, n board.NodeID) []board.Point { return nil }

// Fork is a proven contradiction: two contents of one (board, node, epoch, seq).
type Fork struct {
	Node  board.NodeID
	Board board.ID
	Epoch board.Epoch
	Seq   uint64
	Op    board.Hash // the operation that proves it
}

// ForkProofs are all counting proofs, by node, board, epoch, seq and operation.
func (s *State) ForkProofs() []Fork { return nil }

// Origins are all nodes whose logs are part of the team's boards, in order of key: those of Nodes; relays of earlier
// charters; every home that ever accepted someone who has or had a role, removed people's too; denied nodes.
func (s *State) Origins() []board.NodeID { return s.nodes }

// NodeProof are the objects that show why node n is not of the team (any more): what denies it, or what became of the
// people whose home it was.
func (s *State) NodeProof(n board.NodeID) []board.Hash { return nil }

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

// Floors are the counting floors of a board, by node, epoch and seq.
func (s *State) Floors(b board.ID) []Floor { return nil }
