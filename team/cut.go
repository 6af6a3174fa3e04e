package team

import (
	"bytes"
	"cmp"
	"slices"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// Cut says what a remover had accepted: positions of nodes' logs, a few for each board. Immutable, safe for concurrent
// reading. Cuts are told apart by their pointers: an Evaluator reads each one once.
type Cut struct {
	at []board.Position // by board, then by node, epoch, seq and hash
}

// ParseCut reads a cut. It copies what it needs of m, which may be nil: then nothing is under the cut. Positions with
// ids of a wrong length, which no parsed object has, are left out.
func ParseCut(m *weftv1.Cut) *Cut {
	c := &Cut{}
	if n := len(m.GetPositions()); n > 0 {
		c.at = make([]board.Position, 0, n)
	}
	for _, p := range m.GetPositions() {
		if q, ok := positionOf(p); ok {
			c.at = append(c.at, q)
		}
	}
	slices.SortFunc(c.at, comparePositions)
	c.at = slices.Compact(c.at)
	return c
}

// NewCut is the wire form of a cut.
func NewCut(at []board.Position) *weftv1.Cut {
	m := &weftv1.Cut{}
	for _, p := range at {
		m.Positions = append(m.Positions, wirePosition(p))
	}
	return m
}

func wirePosition(p board.Position) *weftv1.Position {
	return &weftv1.Position{Board: p.Board[:], Node: p.Node[:], Epoch: p.Epoch.N, EpochRandom: p.Epoch.R, Seq: p.Seq, Hash: p.Hash[:]}
}

func positionOf(p *weftv1.Position) (q board.Position, ok bool) {
	if len(p.GetBoard()) != 16 || len(p.GetNode()) != 32 || len(p.GetHash()) != 32 {
		return q, false
	}
	return board.Position{
		Board: board.ID(p.Board), Node: board.NodeID(p.Node), Epoch: board.Epoch{N: p.Epoch, R: p.EpochRandom}, Seq: p.Seq, Hash: board.Hash(p.Hash),
	}, true
}

func comparePositions(a, b board.Position) int {
	return cmp.Or(bytes.Compare(a.Board[:], b.Board[:]), bytes.Compare(a.Node[:], b.Node[:]), a.Epoch.Compare(b.Epoch),
		cmp.Compare(a.Seq, b.Seq), bytes.Compare(a.Hash[:], b.Hash[:]))
}

// At are the cut's positions in board b, by node, epoch and seq. The slice must not be changed.
func (c *Cut) At(b board.ID) []board.Position {
	if c == nil {
		return nil
	}
	from, _ := slices.BinarySearchFunc(c.at, b, func(p board.Position, b board.ID) int { return bytes.Compare(p.Board[:], b[:]) })
	to := from
	for to < len(c.at) && c.at[to].Board == b {
		to++
	}
	return c.at[from:to]
}

// Empty says that nothing is under the cut.
func (c *Cut) Empty() bool { return c == nil || len(c.at) == 0 }

// Proto is the cut's wire form.
func (c *Cut) Proto() *weftv1.Cut {
	if c == nil {
		return nil
	}
	return NewCut(c.at)
}
