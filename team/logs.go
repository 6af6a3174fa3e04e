package team

import (
	"slices"

	"weft/board"
)

// logs is the structure of the governance logs that are held: a forest, since each record names the one before it.
// Whether a record counts plays no part here. A record is linked once its chain is held down to the start of its log by
// well-formed links; until then it is as if it were not here.
type logs struct {
	governance board.ID
	records    map[board.Hash]*record
	waiting    map[board.Hash][]unlinked // by the hash of the record before
	nodes      map[board.NodeID]*nodeLog
	linked     []linked // since someone looked
}

// linked is a record that found its place, and its hash.
type linked struct {
	*record
	hash board.Hash
}

type unlinked struct {
	r    *record
	hash board.Hash // r's own
	prev board.Link
}

// nodeLog is a node's log.
type nodeLog struct {
	id     board.NodeID
	epochs []*epoch // ascending
}

type epoch struct {
	log *nodeLog
	board.Epoch
	records uint64    // linked
	seals   []*record // linked first records of later epochs that name a record of this one
}

// record is one link of a log.
type record struct {
	epoch   *epoch
	seq     uint64
	seg     *segment // nil: not linked
	depth   uint32
	known   bool // AddRecord told of it; else an object only named it
	grown   bool // another record continues its segment
	counted bool // it counts, as of generation gen of its node
	gen     uint32
	parent  *record // in the first record of an epoch what it seals
	carries *signed
}

// segment is a row of records each after the other. Segments form a tree; jump is an ancestor far enough away that any
// ancestor is found in O(log n) steps (skew-binary jump pointers, Myers 1983).
type segment struct {
	parent, jump *segment
	start        uint32 // depth of its first record
	height       uint32
}

func newLogs(t board.TeamID) *logs {
	return &logs{
		governance: board.GovernanceID(t), records: map[board.Hash]*record{}, waiting: map[board.Hash][]unlinked{}, nodes: map[board.NodeID]*nodeLog{},
	}
}

// at is the record with this position, whether or not it was told of.
func (l *logs) at(p board.Position) *record {
	r := l.records[p.Hash]
	if r == nil {
		r = &record{}
		l.records[p.Hash] = r
	}
	return r
}

// add tells of a record, and says whether it is new.
func (l *logs) add(p board.Position, prev board.Link) bool {
	r := l.at(p)
	if r.known {
		return false
	}
	r.known, r.epoch, r.seq = true, l.epoch(p.Node, p.Epoch), p.Seq
	if prev == (board.Link{}) {
		if p.Seq == 1 && p.Epoch.N > 0 {
			l.link(r, nil, p.Hash)
		}
		return true
	}
	if before := l.records[prev.Hash]; before != nil && before.seg != nil {
		if follows(r, prev, before) {
			l.link(r, before, p.Hash)
		}
		return true
	}
	l.waiting[prev.Hash] = append(l.waiting[prev.Hash], unlinked{r, p.Hash, prev})
	return true
}

func (l *logs) epoch(n board.NodeID, at board.Epoch) *epoch {
	log := l.nodes[n]
	if log == nil {
		log = &nodeLog{id: n}
		l.nodes[n] = log
	}
	i, held := slices.BinarySearchFunc(log.epochs, at, func(e *epoch, at board.Epoch) int { return e.Compare(at) })
	if !held {
		log.epochs = slices.Insert(log.epochs, i, &epoch{log: log, Epoch: at})
	}
	return log.epochs[i]
}

// follows says whether r may stand after before, which its link names as prev. An epoch's counter is greater than that
// of the epoch that it seals, so that a node can't put its own past in another order.
func follows(r *record, prev board.Link, before *record) bool {
	if before.epoch.log != r.epoch.log || before.epoch.Epoch != prev.Epoch || before.seq != prev.Seq {
		return false
	}
	if r.seq == 1 {
		return before.epoch.Epoch.N < r.epoch.Epoch.N
	}
	return before.epoch == r.epoch && before.seq+1 == r.seq
}

// link puts r, and all that waits for it, into the forest.
func (l *logs) link(r, before *record, hash board.Hash) {
	type row struct {
		r, before *record
		hash      board.Hash
	}
	todo := []row{{r, before, hash}}
	for len(todo) > 0 {
		t := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		l.attach(t.r, t.before)
		l.linked = append(l.linked, linked{t.r, t.hash})
		next := l.waiting[t.hash]
		delete(l.waiting, t.hash)
		for _, u := range next {
			if follows(u.r, u.prev, t.r) {
				todo = append(todo, row{u.r, t.r, u.hash})
			}
		}
	}
}

func (l *logs) attach(r, before *record) {
	switch {
	case before == nil:
		r.seg = &segment{}
		r.seg.jump = r.seg
	case before.grown:
		p := before.seg
		r.seg = &segment{parent: p, jump: p, start: before.depth + 1, height: p.height + 1}
		if p.height-p.jump.height == p.jump.height-p.jump.jump.height {
			r.seg.jump = p.jump.jump
		}
		r.depth = before.depth + 1
	default:
		before.grown = true
		r.seg, r.depth = before.seg, before.depth+1
	}
	r.parent = before
	r.epoch.records++
	if r.seq == 1 && before != nil {
		before.epoch.seals = append(before.epoch.seals, r)
	}
}

// below says whether linked record a is at or below linked record b.
func below(a, b *record) bool {
	if a.depth > b.depth {
		return false
	}
	s := b.seg
	for s.start > a.depth {
		if s.jump.start > a.depth {
			s = s.jump
		} else {
			s = s.parent
		}
	}
	return s == a.seg
}

// within says whether a linked record stands at or below one of the cut's positions. While nobody holds the record that a
// position names, its number stands for it (trust §2).
func (l *logs) within(r *record, c *Cut) bool {
	for _, p := range c.At(l.governance) {
		if p.Node != r.epoch.log.id {
			continue
		}
		if held := l.records[p.Hash]; held != nil && held.seg != nil {
			if below(r, held) {
				return true
			}
		} else if r.epoch.Epoch.N < p.Epoch.N || r.epoch.Epoch == p.Epoch && r.seq <= p.Seq {
			return true
		}
	}
	return false
}

// under says whether one of the records that carry an item stands at or below one of the cut's positions.
func (l *logs) under(s *signed, c *Cut) bool {
	for _, r := range s.at {
		if r.seg != nil && l.within(r, c) {
			return true
		}
	}
	return false
}
