package team

import (
	"slices"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// evidence gathers the objects that show something to somebody who trusts nobody, each after what it builds on.
type evidence struct {
	s    *State
	out  []board.Hash
	seen map[board.Hash]bool
	met  map[board.UserID]bool
}

func (p *evidence) add(h board.Hash) bool {
	if p.seen == nil {
		p.seen, p.met = map[board.Hash]bool{}, map[board.UserID]bool{}
	}
	if p.seen[h] {
		return false
	}
	p.seen[h] = true
	p.out = append(p.out, h)
	return true
}

// charters that count, with the acks by which they do and the people who agreed.
func (p *evidence) charters() {
	for i, c := range p.s.chain {
		p.add(c.hash)
		for _, u := range slices.Concat(c.says.(*charterSays).owners, c.says.(*charterSays).admins) {
			p.person(u)
		}
		ch := p.s.choices[i]
		if ch == nil || i+1 >= len(p.s.chain) {
			continue
		}
		for _, u := range slices.Concat(c.says.(*charterSays).owners, c.says.(*charterSays).admins) {
			for _, a := range ch.acked[u] {
				if a.charter == p.s.chain[i+1].hash {
					p.add(a.ack.hash)
				}
			}
		}
	}
}

// person adds the presents of somebody.
func (p *evidence) person(u board.UserID) {
	if p.met[u] {
		return
	}
	for _, f := range p.s.presentsOf(u) {
		p.add(f.hash)
	}
	p.met[u] = true
}

// operation adds one, with who did it and what it builds on.
func (p *evidence) operation(f *fact) {
	switch k := f.says.(type) {
	case *admitSays:
		if inv, ok := p.s.objects.get(k.invite); ok {
			p.operation(inv.fact)
		}
	case *charterSays:
		return // all of those that count are there
	case *weftv1.Invite, *setSays, *nodeSays:
		p.person(f.author)
	}
	p.add(f.hash)
}

// about adds what u's role follows from.
func (p *evidence) about(u board.UserID) {
	p.person(u)
	if m, ok := p.s.people.get(u); ok {
		for _, x := range m.register {
			p.operation(x.fact)
		}
	}
}

// Proof are the governance objects that show u's present role: charters, acks, operations, presents, in an order in which
// they can be read.
func (s *State) Proof(u board.UserID) []board.Hash {
	p := evidence{s: s}
	p.charters()
	p.about(u)
	return p.out
}

// presentsOf are those of a person, by version of the newest charter and hash.
func (s *State) presentsOf(u board.UserID) (out []*fact) {
	if m, ok := s.people.get(u); ok {
		return m.presents
	}
	return nil
}
