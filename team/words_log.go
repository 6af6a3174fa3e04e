package team

import "weft/board"

// Event is a governance object as people read it in the team's log. When it was first heard of is the store's to know.
type Event struct {
	Object  board.Hash
	Kind    board.Kind
	Author  board.UserID // zero: a node, or a charter, which nobody signs alone
	Node    board.NodeID // of admissions, floors and forks: who made them
	Words   string
	Verdict Verdict
}

// Log is every governance object of the team, by hash.
func (s *State) Log() []Event { return nil }

// Dropped is what u did under a charter that lost to another one, so that it does not count: it can be done again.
func (s *State) Dropped(u board.UserID) []Event { return nil }

// Reasoning is one step of the answer to why somebody has a role.
type Reasoning struct {
	Object  board.Hash
	Kind    board.Kind
	Words   string
	Verdict Verdict
}

// Why explains u's present role: the objects that it follows from, and those that do not count, with the reason.
func (s *State) Why(u board.UserID) []Reasoning { return nil }
