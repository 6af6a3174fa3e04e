package presence

import (
	"bytes"
	"slices"

	"weft/board"
)

// held is what one home has said of a person.
type held struct {
	book   *book
	says   packed
	number uint64 // of the beat that said it
	home   bool   // the team knows the node as a home of this person; else it is held, since digests cover it, and not shown
}

// row is a person in a team. What is shown of them is made of what is held, unless damping holds it back (pending).
type row struct {
	user    board.UserID
	one     held   // of most people there is one
	more    []held // by node; one is the first of all of them
	since   int64  // of what is shown
	active  int64  // last active, as shown
	stateAt int64  // when the state was last changed by sessions, for damping
	otherAt int64  // when anything else was
	sets    int64  // allowance of changes that the person sets
	queued  int64  // when Tick looks at it again; 0: not
	pending *pending
	state   State // shown
	member  bool
}

// pending is a change that is held back.
type pending struct {
	shown Person // until then
	cause Cause
}

func (r *row) each(f func(*held)) {
	if r.one.book == nil {
		return
	}
	f(&r.one)
	for i := range r.more {
		f(&r.more[i])
	}
}

// of is what book says of the person, or nil.
func (r *row) of(b *book) *held {
	if r.one.book == b {
		return &r.one
	}
	for i := range r.more {
		if r.more[i].book == b {
			return &r.more[i]
		}
	}
	return nil
}

func (r *row) put(h held) {
	if x := r.of(h.book); x != nil {
		*x = h
		return
	}
	if r.one.book == nil {
		r.one = h
		return
	}
	all := append([]held{r.one, h}, r.more...)
	slices.SortFunc(all, func(a, b held) int { return bytes.Compare(a.book.node.id[:], b.book.node.id[:]) })
	r.one, r.more = all[0], slices.Clip(all[1:])
}

func (r *row) remove(b *book) {
	if r.one.book == b {
		r.one = held{}
		if len(r.more) > 0 {
			r.one, r.more = r.more[0], r.more[1:]
		}
	} else {
		r.more = slices.DeleteFunc(r.more, func(h held) bool { return h.book == b })
	}
	if len(r.more) == 0 {
		r.more = nil
	}
}

// counts says whether a home's word about the person is to be shown.
func (r *row) counts(h *held) bool { return r.member && h.home && h.book.fresh && h.book.node.lives() }

// shown is how the person is shown now.
func (r *row) shown() Person {
	if r.pending != nil {
		return r.pending.shown
	}
	p, _, _ := r.fold()
	p.State, p.Since, p.LastActive = r.state, r.since, r.active
	return p
}

// fold makes one person of what their homes say. since is from when on a home says what is shown; 0: none does.
func (r *row) fold() (p Person, since, active int64) {
	p.User = r.user
	availability := Online
	var set board.HLC
	var said [4]Report // of the homes that count; of most people there are fewer
	counting := said[:0]
	r.each(func(h *held) {
		x := h.says.unpack(r.user)
		if h.home { // a dead node's last word about when somebody was active is still the best there is
			active = max(active, x.LastActive)
		}
		if r.counts(h) {
			counting = append(counting, x)
			p.State = max(p.State, x.best())
			for _, d := range x.Devices {
				p.Devices = append(p.Devices, PersonDevice{d, h.book.node.id})
			}
		}
	})
	for i := range counting {
		if x := &counting[i]; len(x.Devices) > 0 && x.SetAt >= set {
			set, availability, p.Status, p.Until = x.SetAt, x.Availability, x.Status, x.Until
		}
	}
	p.State = available(p.State, availability)
	for i := range counting {
		switch x := &counting[i]; {
		case x.state() != p.State:
		case p.State == Offline: // since the last of them left
			since = max(since, x.Since)
		case since == 0 || x.Since < since:
			since = x.Since
		}
	}
	return p, since, active
}

// best of the devices of a report.
func (r *Report) best() (s State) {
	for _, d := range r.Devices {
		s = max(s, d.State)
	}
	return s
}

// available is what a person who is there as best is shown as, by what they said. Nobody is busy who isn't there.
func available(best, said State) State {
	if (best == Online || best == Away) && said != Online {
		return said
	}
	return best
}

// same says whether two pictures of a person differ in nothing that anybody sees.
func same(a, b *Person) bool {
	return a.State == b.State && a.LastActive == b.LastActive && a.Since == b.Since && a.Until == b.Until && a.Status == b.Status &&
		slices.EqualFunc(a.Devices, b.Devices, func(x, y PersonDevice) bool {
			return x.Node == y.Node && x.ID == y.ID && x.State == y.State && x.PayloadAt == y.PayloadAt && bytes.Equal(x.Payload, y.Payload)
		})
}
