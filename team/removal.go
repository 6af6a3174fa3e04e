package team

import "weft/board"

// Removal says who took somebody's role away.
type Removal struct {
	Role   Role         // Removed or Banned
	By     board.UserID // who did it: the person itself who left; zero: the owners, by a charter
	Left   bool         // the person left
	Reason string       // in the words of who did it
	Object board.Hash   // the operation or charter
	Proof  []board.Hash // objects that show it to somebody who trusts nobody, in an order in which they can be read
}

// Removal of u; false for someone who was not removed.
func (s *State) Removal(u board.UserID) (Removal, bool) { return Removal{}, false }

// Proof are the governance objects that show u's present role: charters, acks, operations, presents, in an order in which
// they can be read.
func (s *State) Proof(u board.UserID) []board.Hash { return nil }

// Register are the counting operations (and charters) on a user: heads are those that no other one replaces.
func (s *State) Register(u board.UserID) (heads, all []board.Hash) {
	if m, ok := s.people.get(u); ok {
		for _, c := range m.creds {
			heads = append(heads, c.hash)
		}
	}
	return heads, heads
}

// Outsiders are people who were removed or banned, by name and id.
func (s *State) Outsiders() []Person { return nil }
