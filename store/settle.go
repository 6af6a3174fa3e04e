package store

import (
	"errors"
	"slices"

	"weft/board"
)

// judged is what decides whether a record's entry shows.
type judged struct {
	pos
	d      *logDelta
	order  board.OrderKey
	header board.Header
	valid  bool // the entry counts by the team's rules and its order
	counts bool // the record counts: no seal stands below it, and its node is not at fault
}

// judge reads a record of a post. ok is false where it is damaged.
func (g *group) judge(p pos) (j judged, ok bool, err error) {
	log := g.logNumbered(p.log)
	if log == nil {
		return j, false, nil
	}
	r, err := g.load(p)
	if errors.Is(err, errDecode) {
		g.s.damaged(log, p.seq)
		return j, false, nil
	}
	if err != nil {
		return j, false, err
	}
	d := g.delta(log)
	return judged{p, d, r.entry.Order(), r.entry.Header, r.void == "", log.counts(d.limit, p.seq)}, true, nil
}

// extend adds a record to a post and settles what shows.
func (g *group) extend(b *boardState, key postKey, before postList, p pos) error {
	after := postList{shown: before.shown, recs: append(slices.Clip(before.recs), p)}
	return g.settle(b, key, before, after.recs, p)
}

// settle decides anew which entry of a post shows and which record stands for it, and writes what changes: the post's
// list, display order, bits, other records, change log, orphans. added is the record that is new, or zero.
//
// Of a post's valid entries with a counting record the one with the lowest order key shows (trust §7).
func (g *group) settle(b *boardState, key postKey, before postList, recs []pos, added pos) error {
	var js []judged
	for _, p := range recs {
		j, ok, err := g.judge(p)
		if err != nil {
			return err
		}
		if !ok {
			j.pos = p
		}
		js = append(js, j)
	}
	if added.seq != 0 {
		if err := g.indexAdded(js); err != nil {
			return err
		}
	}
	var oldRep judged
	if before.shown >= 0 {
		if oldRep = js[before.shown]; oldRep.d == nil { // damaged: what shows is settled when it is mended
			list := postList{shown: before.shown, recs: recs}
			return g.put(appendPostKey(make([]byte, 0, 33), key), list.append(nil))
		}
	}
	if err := g.listVoids(b, js); err != nil {
		return err
	}
	js = trimPost(js)
	rep := chooseShown(js, oldRep.pos)
	g.noteOrphans(js, rep >= 0, before.shown >= 0, added)
	if err := g.moveShown(b, oldRep, js, rep); err != nil {
		return err
	}
	list := postList{shown: rep}
	for _, j := range js {
		list.recs = append(list.recs, j.pos)
	}
	return g.put(appendPostKey(make([]byte, 0, 37), key), list.append(nil))
}

// indexAdded writes the index of the last record's entry, unless an earlier record of it has it.
func (g *group) indexAdded(js []judged) error {
	last := js[len(js)-1]
	for _, j := range js[:len(js)-1] {
		if j.d != nil && j.order.ID == last.order.ID {
			return nil
		}
	}
	return g.writeEntryIndex(last.order.ID, last.pos)
}

// trimPost bounds the records of one post: those that could show stay, then those with the lowest order.
func trimPost(js []judged) []judged {
	if len(js) <= maxPostRecords {
		return js
	}
	rank := func(j judged) int {
		switch {
		case j.valid && j.counts:
			return 0
		case j.valid:
			return 1
		}
		return 2
	}
	byRank := slices.Clone(js)
	slices.SortStableFunc(byRank, func(x, y judged) int {
		if d := rank(x) - rank(y); d != 0 {
			return d
		}
		return x.order.Compare(y.order)
	})
	drop := byRank[len(byRank)-1].pos
	return slices.DeleteFunc(slices.Clone(js), func(j judged) bool { return j.pos == drop })
}

// chooseShown is the index of the record that stands for the entry that shows, or -1. The one that did stays if it can.
func chooseShown(js []judged, old pos) int {
	best := -1
	for i, j := range js {
		if !j.valid || !j.counts || j.d == nil {
			continue
		}
		if best < 0 || j.order.Compare(js[best].order) < 0 || j.order == js[best].order && j.pos == old {
			best = i
		}
	}
	return best
}

// moveShown carries out the difference between what showed and what shows.
func (g *group) moveShown(b *boardState, old judged, js []judged, rep int) error {
	var now judged
	var others []byte
	if rep >= 0 {
		now = js[rep]
		for _, j := range js {
			if j.pos != now.pos && j.order.ID == now.order.ID {
				others = appendPosition(others, j.pos)
			}
		}
	}
	if old.d != nil {
		if err := g.dropMulti(old); err != nil {
			return err
		}
	}
	if old.d != nil && (now.d == nil || old.pos != now.pos) {
		old.d.shown--
		g.setBit(old.d, old.seq, false)
	}
	if old.d != nil && (now.d == nil || old.order != now.order) {
		g.lost[b] = true
		if err := g.remove(appendDisplayKey(make([]byte, 0, displayKeySize), b.id, old.order)); err != nil {
			return err
		}
		if !b.governance && !g.silent {
			g.changeHidden(old.pos)
		}
	}
	if now.d != nil {
		if err := g.showJudged(b, old, now); err != nil {
			return err
		}
	}
	if len(others) > 0 {
		g.flips = true
		now.d.multi++
		return g.put(appendMultiKey(make([]byte, 0, 17), now.pos), others)
	}
	return nil
}

func (g *group) showJudged(b *boardState, old, now judged) error {
	switch {
	case old.d == nil || old.order != now.order:
		return g.show(now.d, now.pos, now.order, &now.header, nil)
	case old.pos != now.pos: // the same entry, another record
		now.d.shown++
		if now.header.Kind.Counts() {
			g.setBit(now.d, now.seq, true)
		}
		return g.put(appendDisplayKey(make([]byte, 0, displayKeySize), b.id, now.order), appendPosition(nil, now.pos))
	}
	return nil
}

// dropMulti takes away the list of other records at old, if there is one.
func (g *group) dropMulti(old judged) error {
	if old.d.multi == 0 {
		return nil
	}
	k := appendMultiKey(make([]byte, 0, 13), old.pos)
	c, err := g.get(k)
	if err != nil && !errors.Is(err, errDecode) {
		return err
	}
	if c == nil && err == nil {
		return nil
	}
	g.flips = true
	old.d.multi--
	return g.remove(k)
}

// noteOrphans tells replication of records that do not count while no other record of their entry does, and of those
// that need no help any more.
func (g *group) noteOrphans(js []judged, shows, showed bool, added pos) {
	for _, j := range js {
		if j.d == nil || !j.valid || j.counts {
			continue
		}
		switch {
		case !shows && (showed || g.revived || j.pos == added):
			g.orphaned[j.d.log] = append(g.orphaned[j.d.log], j.seq)
		case shows && !showed:
			g.restored[j.d.log] = append(g.restored[j.d.log], j.seq)
		}
	}
}
