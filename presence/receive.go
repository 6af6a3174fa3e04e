package presence

import (
	"errors"
	"fmt"
	"time"

	"weft/board"
)

// ErrStale is a beat of which a newer one is here.
var ErrStale = errors.New("a newer beat is here")

// maxStrangers is how many people a node may speak of in a team of whom the team does not know that it is their home. Governance
// that is on its way explains some.
const maxStrangers = 256

// Receive takes a beat whose signature is its node's. An error says that it was of no use.
func (t *Table) Receive(now time.Time, b *Beat) ([]Effect, error) {
	t.begin(now)
	rm := t.rooms[b.Team]
	if rm == nil || !rm.team.IsNode(b.Node) {
		return nil, fmt.Errorf("couldn't take a beat: its node isn't one of the team: %w", board.ErrNotMember)
	}
	if b.Node == t.cfg.Self {
		return nil, fmt.Errorf("couldn't take a beat: it is this node's own: %w", ErrStale)
	}
	n := t.node(b.Node)
	if b.Boot != n.boot {
		if n.isOld(b.Boot) || b.SentHLC <= n.sent && n.boot != [16]byte{} {
			t.stats.Stale++
			return nil, fmt.Errorf("couldn't take a beat: it is from an earlier start: %w", ErrStale)
		}
		t.reboot(n, b.Boot)
	}
	n.sent = max(n.sent, b.SentHLC)
	bk := rm.book(n)
	if !t.take(rm, bk, b) {
		return t.end(), ErrStale // a reboot may have changed something
	}
	t.stats.Applied++
	if b.Number >= bk.top {
		bk.top, bk.digest = b.Number, b.Digest
	}
	t.judge(bk)
	if len(b.People) > 0 && bk.sound() {
		bk.reborn = 0
	}
	return t.end(), nil
}

// take applies a beat.
func (t *Table) take(rm *room, bk *book, b *Beat) bool {
	if !b.Whole {
		applied, room := bk.has(b.Number)
		if applied {
			t.stats.Duplicates++
			return false
		}
		if room { // else what is missing is so much that only the whole helps
			t.apply(rm, bk, b)
			bk.note(b.Number)
		}
		return true
	}
	w := &bk.whole
	if b.Number < bk.number || b.Number < w.number {
		t.stats.Stale++
		return false
	}
	if w.number != b.Number || w.pages != b.Pages {
		*w = assembly{number: b.Number, pages: b.Pages}
	}
	t.apply(rm, bk, b)
	w.got[b.Page/64] |= 1 << (b.Page % 64)
	for i := range w.pages {
		if w.got[i/64]&(1<<(i%64)) == 0 {
			return true
		}
	}
	w.pages = 0 // the next page begins another one
	for _, r := range rm.sorted(func(r *row) bool { h := r.of(bk); return h != nil && h.number < b.Number }) {
		t.say(rm, bk, r, "", 0, CauseSession)
	}
	bk.reach(b.Number)
	return true
}

// apply takes what a beat says of people, unless something later is held.
func (t *Table) apply(rm *room, bk *book, b *Beat) {
	for i := range b.People {
		x := &b.People[i]
		home := rm.isHome(bk.node.id, x.User)
		r := rm.rows[x.User]
		if !home {
			t.stats.Strangers++
			if bk.strangers >= maxStrangers && (r == nil || r.of(bk) == nil) {
				continue
			}
		}
		if r == nil {
			r = rm.row(x.User)
		}
		h := r.of(bk)
		if h != nil && h.number > b.Number {
			continue
		}
		says := x.pack()
		if x.gone() {
			says = ""
		}
		cause := CauseSession
		if h != nil && says != "" && h.says.present() && says.present() && h.says.set() != says.set() {
			cause = CauseSet
		}
		if t.now < bk.reborn { // who was shown as gone with the earlier start isn't held back now
			cause = CauseNodeBack
		}
		t.say(rm, bk, r, says, b.Number, cause)
	}
}

// say takes what a node says of one person and shows what follows from it.
func (t *Table) say(rm *room, bk *book, r *row, says packed, number uint64, cause Cause) {
	if r.pending != nil && r.pending.cause > cause && r.pending.cause < CauseNodeLeft {
		cause = r.pending.cause
	}
	before := r.shown()
	bk.say(r, says, number, rm.isHome(bk.node.id, r.user))
	t.show(rm, r, before, cause)
	rm.prune(r)
}

// judge looks whether a book misses something, after it took in something.
func (t *Table) judge(bk *book) {
	switch {
	case bk.sound():
		bk.ask.due, bk.ask.tries = 0, 0
		t.freshen([]*book{bk})
	case bk.number < bk.top:
		t.stats.Gaps++
		t.ask(bk, t.now+gapPatience.Milliseconds())
	default:
		t.stats.Mismatches++
		t.ask(bk, t.now)
	}
}

// ask asks for the whole at the given time, if it is still missing something then, and no more often than askEvery.
func (t *Table) ask(bk *book, at int64) {
	if bk.ask.due != 0 {
		return
	}
	if bk.ask.tries > 0 {
		at = max(at, bk.ask.last+askEvery(bk.ask.tries-1))
	}
	bk.ask.due = at
	t.dues.note(at, bk)
}

func (t *Table) askDue(bk *book) {
	if bk.ask.due == 0 || bk.ask.due > t.now {
		return
	}
	bk.ask.due = 0
	if bk.sound() || !bk.node.lives() || t.rooms[bk.team.id] != bk.team {
		return // whoever comes back compares digests first
	}
	bk.ask.last = t.now
	bk.ask.tries++
	t.stats.Asks++
	t.out = append(t.out, Ask{bk.node.id, bk.team.id})
	t.ask(bk, t.now)
}
