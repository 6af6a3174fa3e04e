package team

import (
	"weft/board"
)

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
func (s *State) Removal(u board.UserID) (Removal, bool) {
	m, ok := s.people.get(u)
	if !ok || m.role != Removed && m.role != Banned {
		return Removal{}, false
	}
	r := newRegister(u, m.register)
	for _, i := range r.heads() {
		x := r.entries[i]
		if x.role != m.role {
			continue
		}
		out := Removal{Role: m.role, Object: x.hash, Proof: s.Proof(u)}
		if k, ok := x.says.(*setSays); ok {
			out.By, out.Left, out.Reason = x.author, x.author == u, k.reason
		}
		return out, true
	}
	return Removal{}, false
}

// Register are the counting operations (and charters) on a user, by hash: heads are those that no other one replaces.
func (s *State) Register(u board.UserID) (heads, all []board.Hash) {
	m, ok := s.people.get(u)
	if !ok || len(m.register) == 0 {
		return nil, nil
	}
	r := newRegister(u, m.register)
	for i, x := range r.entries {
		all = append(all, x.hash)
		if !r.graph.replaced(i) {
			heads = append(heads, x.hash)
		}
	}
	return heads, all
}

// limitsOf are the counting operations that took rights from a user, whether or not something replaces them.
func (s *State) limitsOf(u board.UserID) (out []board.Hash) {
	if m, ok := s.people.get(u); ok {
		for _, x := range m.register {
			if x.role < Member {
				out = append(out, x.hash)
			}
		}
	}
	return out
}
