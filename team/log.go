package team

import (
	"fmt"
	"slices"

	"weft/board"
)

// Event is a governance object as people read it in the team's log. When it was first heard of is the store's to know.
type Event struct {
	Object  board.Hash
	Kind    board.Kind
	Author  board.UserID // zero: a node, or a charter, which nobody signs alone
	Node    board.NodeID // of admissions and of floors by their node: who made them; of a fork: who contradicts itself
	About   board.UserID // whom it is about, if that is somebody else
	Words   string
	Verdict Verdict
}

// Log is every governance object of the team, by hash.
func (s *State) Log() (out []Event) {
	s.objects.all(func(_ board.Hash, o *outcome) { out = append(out, s.event(o)) })
	slices.SortFunc(out, func(a, b Event) int { return compareHashes(a.Object, b.Object) })
	return out
}

func (s *State) event(o *outcome) Event {
	ev := Event{Object: o.hash, Kind: o.act.kind(), Author: o.author, Words: s.tell(o), Verdict: o.found.verdict()}
	switch k := o.says.(type) {
	case *admitSays:
		ev.Author, ev.Node, ev.About = board.UserID{}, o.author, k.user
	case *Floor:
		if k.Position.Node == board.NodeID(o.author) {
			ev.Author, ev.Node = board.UserID{}, o.author
		}
	case *forkSays:
		ev.Author, ev.Node = board.UserID{}, k.Node
	case *setSays:
		if k.user != board.UserID(o.author) {
			ev.About = k.user
		}
	}
	return ev
}

// Dropped is what u did under a charter that lost to another one, so that it does not count, and charters by u's devices
// that lost: it can be done again. By hash.
func (s *State) Dropped(u board.UserID) (out []Event) {
	m, _ := s.people.get(u)
	s.objects.all(func(_ board.Hash, o *outcome) {
		switch c, isCharter := o.says.(*charterSays); {
		case isCharter && o.found.rule == charterOpen && s.passed(c) && m != nil && m.signs(c.by):
		case o.found.rule == charterLost && board.UserID(o.author) == u && s.lost(o.charter):
		default:
			return
		}
		out = append(out, s.event(o))
	})
	slices.SortFunc(out, func(a, b Event) int { return compareHashes(a.Object, b.Object) })
	return out
}

// passed says whether another charter stands in the place that c wants.
func (s *State) passed(c *charterSays) bool { return c.ver <= uint64(len(s.chain)) }

// lost says whether a charter is not on the chain and can no longer be, unless people agree to another one than they did.
func (s *State) lost(h board.Hash) bool {
	o, ok := s.objects.get(h)
	if !ok {
		return false
	}
	c, ok := o.says.(*charterSays)
	return ok && s.passed(c)
}

// Reasoning is one step of the answer to why somebody has a role.
type Reasoning struct {
	Object  board.Hash
	Kind    board.Kind
	Author  board.UserID // as of an Event
	Words   string
	Verdict Verdict
}

// Why explains u's present role: the objects that it follows from, and those about u that do not count or were replaced,
// with the reason.
func (s *State) Why(u board.UserID) (out []Reasoning) {
	m, ok := s.people.get(u)
	if !ok {
		return nil
	}
	say := speaker{s.UserName}
	for i, t := range m.stints {
		out = append(out, s.whyPower(say, u, t, i == len(m.stints)-1)...)
	}
	r := newRegister(u, m.register)
	for _, i := range r.graph.sorted() {
		x := r.entries[i]
		does := s.event(&outcome{x.fact, finding{rule: counts}})
		words := does.Words
		if k, ok := x.says.(*charterSays); ok {
			words = fmt.Sprintf("version %d of the charter left %s as %s", k.ver, say.who(u), x.role)
		}
		switch {
		case m.role == Owner || m.role == Admin:
			words += "; the charter that gives the role now stands above that"
		case r.graph.replaced(i):
			words += "; replaced by what came after"
		case x.role != m.role:
			words += fmt.Sprintf("; the more restrictive role, %s, holds", m.role)
		}
		out = append(out, Reasoning{x.hash, x.act.kind(), does.Author, words, does.Verdict})
	}
	return append(out, s.whyNot(u)...)
}

// whyPower explains a stint of power.
func (s *State) whyPower(say speaker, u board.UserID, t stint, last bool) (out []Reasoning) {
	yes := finding{rule: counts}.verdict()
	for _, turn := range t.roles {
		c := s.chain[turn.from]
		words := fmt.Sprintf("version %d of the charter made %s %s", turn.from+1, say.who(u), turn.role)
		if turn.from == 0 {
			words = fmt.Sprintf("the team was founded with %s as %s", say.who(u), turn.role)
		}
		out = append(out, Reasoning{c.hash, board.KindCharter, board.UserID{}, words, yes})
		if turn.from > 0 {
			for _, by := range s.agreed(turn.from) {
				out[len(out)-1].Words += by
			}
		}
	}
	if t.to >= 0 {
		c := s.chain[t.to]
		words := fmt.Sprintf("version %d of the charter took that power away", t.to+1)
		if !last {
			words += " for a while"
		}
		out = append(out, Reasoning{c.hash, board.KindCharter, board.UserID{}, words, yes})
	}
	return out
}

// agreed says who agreed to the charter at index i of the chain.
func (s *State) agreed(i int) []string {
	ch := s.choices[i-1]
	if ch == nil {
		return nil
	}
	var names []string
	p := s.chain[i-1].says.(*charterSays)
	for _, o := range ch.offers {
		for _, u := range slices.Concat(p.owners, p.admins) {
			if o.hash == s.chain[i].hash && o.agreed[u] {
				names = append(names, speaker{s.UserName}.who(u))
			}
		}
	}
	if names == nil {
		return nil
	}
	return []string{"; " + list(names) + " agreed"}
}

// whyNot lists what is about u and does not count.
func (s *State) whyNot(u board.UserID) (out []Reasoning) {
	s.objects.all(func(_ board.Hash, o *outcome) {
		if o.found.status() == Valid {
			return
		}
		switch k := o.says.(type) {
		case *setSays:
			if k.user != u {
				return
			}
		case *admitSays:
			if k.user != u {
				return
			}
		default:
			return
		}
		does := s.event(o)
		out = append(out, Reasoning{o.hash, does.Kind, does.Author, does.Words + "; that does not count: " + does.Verdict.Reason, does.Verdict})
	})
	slices.SortFunc(out, func(a, b Reasoning) int { return compareHashes(a.Object, b.Object) })
	return out
}

// nameOf is how people see a user in messages.
func (s *State) nameOf(u board.UserID) string { return speaker{s.UserName}.who(u) }
