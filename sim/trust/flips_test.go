package trust

import (
	"fmt"
	"slices"

	"weft/board"
	"weft/team"

	weftv1 "weft/api/weft/v1"
)

// disk plays a store: it takes an entry once its right is known, and judges it again only where a flip covers it, or
// where its log has grown (positions of cuts are found in logs). What is pending then is judged again once the state changed.
type disk struct {
	w       *world
	ev      *team.Evaluator
	old     *team.State
	seen    int                    // records that it was told of
	verdict map[board.Hash]Verdict // with the rule by which package team says that something is void
	later   map[board.Hash]bool    // on disk, and pending when they were judged again
	counts  map[board.Hash]bool    // records
}

func newDisk(w *world, ev *team.Evaluator) *disk {
	return &disk{w: w, ev: ev, old: ev.State(), verdict: map[board.Hash]Verdict{}, later: map[board.Hash]bool{}, counts: map[board.Hash]bool{}}
}

// advance to what these records mean, of which the last ones are new; missed are entries that the store shows otherwise.
func (d *disk) advance(all []*Held, is *State) (missed []string) {
	got := d.ev.State()
	flips := got.Flips(d.old)
	type log struct {
		board board.ID
		node  board.NodeID
	}
	grown := map[log]bool{}
	for _, h := range all[d.seen:] {
		grown[log{h.Record.Board, h.Record.Node}] = true
	}
	again := map[board.Hash]bool{}
	for _, h := range all {
		if _, on := d.verdict[h.Entry.ID]; !on || d.later[h.Entry.ID] && got != d.old || grown[log{h.Record.Board, h.Record.Node}] ||
			slices.ContainsFunc(flips, func(f team.Flip) bool { return covers(is, f, h, d.verdict[h.Entry.ID].Status) }) {
			again[h.Entry.ID] = true
		}
	}
	c := &comparison{d.w, is, got, map[*team.Cut]*weftv1.Cut{}, nil}
	for _, h := range all {
		if h.Record.Board == board.GovernanceID(d.w.team) {
			continue
		}
		_, on := d.counts[h.Hash]
		linked := is.e.held[h.Hash] != nil
		if linked && (!on || grown[log{h.Record.Board, h.Record.Node}] || slices.ContainsFunc(flips, func(f team.Flip) bool { return weighs(f, h) })) {
			d.counts[h.Hash] = is.Counting[h.Hash]
		}
		if linked && d.counts[h.Hash] != is.Counting[h.Hash] {
			missed = append(missed, fmt.Sprintf("%s counts on disk: %v (no flip covers it, of %d)", d.w.place[h.Hash], d.counts[h.Hash], len(flips)))
		}
		now, id := is.Entry(&h.Entry.Header, h.Entry.ID), h.Entry.ID
		if now.Status == Pending {
			if _, on := d.verdict[id]; on && again[id] {
				d.later[id] = true
			}
			continue
		}
		now.Rule = got.CheckEntry(&h.Entry.Header, c.under(item{hash: id})).Rule
		if again[id] {
			delete(d.later, id)
			d.verdict[id] = now
		}
		if was := d.verdict[id]; was != now && !slices.ContainsFunc(missed, func(s string) bool { return s[:len(d.w.nameOf(id[:]))] == d.w.nameOf(id[:]) }) {
			missed = append(missed, fmt.Sprintf("%s is %v on disk and ought to be %v (no flip covers it, of %d)", d.w.nameOf(id[:]), was, now, len(flips)))
		}
	}
	if is.Upgrade {
		missed = nil // nothing is judged then, and what was judged stays
	}
	d.old, d.seen = got, len(all)
	return missed
}

// weighs says whether a store would weigh a record again. What stands under a denial's cut may count, or not, because of a
// seal above it; so cuts are not looked at.
func weighs(f team.Flip, h *Held) bool {
	return (f.Node == h.Record.Node || f.Node == (board.NodeID{}) && f.User == (board.UserID{}) && f.Board == (board.ID{})) && (f.Board == (board.ID{}) || f.Board == h.Record.Board)
}

// covers says whether a store would judge the record's entry again for a flip.
func covers(is *State, f team.Flip, h *Held, was Status) bool {
	e := &h.Entry.Header
	switch {
	case f.User != (board.UserID{}) && f.User != e.Author, f.Node != (board.NodeID{}) && f.Node != h.Record.Node, f.Board != (board.ID{}) && f.Board != e.Board,
		!f.Cred.IsZero() && f.Cred != e.Cred, f.Revives && was == Valid:
		return false
	}
	for _, cut := range f.Above {
		if is.e.held[h.Hash] == nil || !is.e.within(h, cut.Proto()) { // what hangs nowhere is under nothing
			return true
		}
	}
	return len(f.Above) == 0
}
