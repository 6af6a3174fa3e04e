package team

import "weft/board"

// Flip is something by which entries that are on disk may have become void, or valid.
type Flip struct {
	User  board.UserID // whose entries; zero: any author's
	Node  board.NodeID // not zero: records of this node's logs, whoever wrote the entries
	Board board.ID     // not zero: only in it
	Above []*Cut       // what stands under all of these can't have changed; none: everything may have
}

// Flips are what changed for entries on disk since old, an earlier snapshot of the same Evaluator (or nil). An entry that
// none of them covers has the verdict that it had, if it was not pending.
func (s *State) Flips(old *State) []Flip {
	if s == old {
		return nil
	}
	return []Flip{{}}
}
