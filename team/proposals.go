package team

import (
	"fmt"
	"slices"

	"weft/board"
)

// Proposal is a charter that may follow the one that counts, once enough owners agree.
type Proposal struct {
	Charter board.Hash
	By      board.UserID   // whose device made it, if that is an owner or admin
	Owners  []board.UserID // who agreed, in their order
	Admins  []board.UserID
	Missing []board.UserID // owners who have not agreed
	Words   []string       // what it would change
	Valid   bool           // enough owners agree, yet it does not count: it needs newer rules
}

// Proposals are the charters that may follow the one that counts, by hash: well-formed ones to which at least one owner or
// admin agreed.
func (s *State) Proposals() (out []Proposal) {
	if len(s.chain) == 0 || s.choices[len(s.chain)-1] == nil {
		return nil
	}
	head := s.chain[len(s.chain)-1].says.(*charterSays)
	for _, o := range s.choices[len(s.chain)-1].offers {
		if !o.follows || len(o.agreed) == 0 {
			continue
		}
		c := o.says.(*charterSays)
		p := Proposal{Charter: o.hash, By: s.holderOf(c.by, head), Words: s.difference(head, c), Valid: o.valid}
		for _, u := range head.owners {
			if o.agreed[u] {
				p.Owners = append(p.Owners, u)
			} else {
				p.Missing = append(p.Missing, u)
			}
		}
		for _, u := range head.admins {
			if o.agreed[u] {
				p.Admins = append(p.Admins, u)
			}
		}
		out = append(out, p)
	}
	return out
}

// holderOf is who of a charter's people has a device; zero: none of them.
func (s *State) holderOf(key [32]byte, c *charterSays) board.UserID {
	for _, u := range slices.Concat(c.owners, c.admins) {
		if m, ok := s.people.get(u); ok && m.signs(key) {
			return u
		}
	}
	return board.UserID{}
}

// WantsAck are charters that id's device should agree to without asking anyone: those that count and whose parent gives
// id's user a say, where no device of the user has agreed to one in the same place yet (trust §5).
func (s *State) WantsAck(id Identity) (out []board.Hash) {
	m, ok := s.people.get(id.User)
	if !ok || s.UpgradeNeeded() || !m.signs(id.Device.Public()) {
		return nil
	}
	for i := 1; i < len(s.chain); i++ {
		if stintAt(m.stints, i-1) != nil && len(s.choices[i-1].acked[id.User]) == 0 {
			out = append(out, s.chain[i].hash)
		}
	}
	return out
}

// mayAck says whether id may agree to a charter.
func (s *State) mayAck(id Identity, charter board.Hash, to string) error {
	m, ok := s.people.get(id.User)
	if !ok {
		return fmt.Errorf("couldn't %s: %w", to, board.ErrNotMember)
	}
	for i, ch := range s.choices {
		if ch == nil {
			continue
		}
		for _, o := range ch.offers {
			if o.hash != charter {
				continue
			}
			if stintAt(m.stints, i) == nil {
				return fmt.Errorf("couldn't %s: you have no say in it: %w", to, ErrNoPower)
			}
			for _, a := range ch.acked[id.User] {
				if a.charter == charter && o.agreed[id.User] {
					return fmt.Errorf("couldn't %s: you have agreed already: %w", to, ErrUnchanged)
				} else if a.charter != charter {
					return fmt.Errorf("couldn't %s: %w", to, ErrAcked)
				}
			}
			if !o.follows {
				return fmt.Errorf("couldn't %s: it is malformed and can never count: %w", to, ErrBadRequest)
			}
			return maySign(s, id, to)
		}
	}
	return fmt.Errorf("couldn't %s: no such proposal: %w", to, board.ErrNotFound)
}

// Chain is the team's charters that count, from its genesis on. Where the last one needs newer rules than this version
// has, all else is as of the one before.
func (s *State) Chain() []board.Hash {
	var out []board.Hash
	for _, c := range s.chain {
		out = append(out, c.hash)
	}
	if s.upgrade != nil {
		out = append(out, s.upgrade.hash)
	}
	return out
}

// head is the charter that counts, under which new operations act.
func (s *State) head() board.Hash {
	if len(s.chain) == 0 {
		return board.Hash(s.id)
	}
	return s.chain[len(s.chain)-1].hash
}
