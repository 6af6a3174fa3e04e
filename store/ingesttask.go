package store

import (
	"errors"
	"fmt"

	"weft/board"
)

// maxStrangers is how many logs of nodes that a team does not know are kept on its governance board: governance arrives
// before it says who may write it.
const maxStrangers = 64

// ingestTask is items from..to-1 of a run.
type ingestTask struct {
	in       *ingest
	from, to int
	size     int64
	queued   bool

	stored, duplicates int
	err                error
	done               chan struct{}
}

func (t *ingestTask) finish(err error) {
	t.err = err
	t.in.s.room.Release(t.size)
	if err != nil {
		t.stored = 0
	}
	close(t.done)
}

// plan is what prepare found that has to be written.
type plan struct {
	log      *logState  // nil: to be made
	loPrev   board.Link // of a new log
	forward  []int      // items above what is held, or over damaged records, in order
	backward []int      // items below what is held, in order
	skip     int        // items that are held
}

func (t *ingestTask) prepare(g *group) error {
	in := t.in
	b := g.m.boards[in.board]
	if b == nil {
		return fmt.Errorf("couldn't take records of board %s: %w", in.board, board.ErrPending)
	}
	p, err := t.plan(g, b)
	if err != nil {
		if errors.Is(err, board.ErrFork) {
			g.s.metrics.forks.Inc()
		}
		return err
	}
	t.duplicates = p.skip
	if len(p.forward)+len(p.backward) == 0 {
		return nil
	}
	for _, rows := range [][]int{p.forward, p.backward} {
		for _, i := range rows {
			if !in.verified[i] {
				return errAgain
			}
		}
	}
	if err := t.write(g, b, p); err != nil {
		return errors.Join(errAbort, err)
	}
	t.stored = len(p.forward) + len(p.backward)
	return nil
}

func (t *ingestTask) seq(i int) uint64 { return t.in.r.First + uint64(i) }

// prev is the link of the i-th item.
func (t *ingestTask) prev(i int) board.Link {
	if i == 0 {
		return t.in.r.Prev
	}
	return board.Link{Epoch: t.in.r.Epoch, Seq: t.seq(i) - 1, Hash: t.in.hashes[i-1]}
}

// plan decides what of the part is new, and whether it links to what is held.
func (t *ingestTask) plan(g *group, b *boardState) (p plan, err error) {
	in := t.in
	l := g.find(b, in.r.Origin)
	if l == nil {
		return t.planNew(g, b)
	}
	p.log = l
	d := g.delta(l)
	proven, err := t.proven(g, d)
	if err != nil {
		return p, err
	}
	var open []int // over damaged records, and not proven by what is held above
	for i := t.from; i < t.to; i++ {
		switch seq := t.seq(i); {
		case seq <= l.floor && (seq < d.st.Lo || seq > d.st.Hi): // pruned
			p.skip++
		case seq < d.st.Lo:
			p.backward = append(p.backward, i)
		case seq > d.st.Hi || inRows(d.damaged, seq):
			p.forward = append(p.forward, i)
			if seq > proven {
				open = append(open, i)
			}
		default:
			p.skip++
		}
	}
	if err := t.compareHeld(g, d, proven); err != nil {
		return p, err
	}
	if len(open) > 0 {
		if err := t.linksUp(g, d, open); err != nil {
			return p, err
		}
	}
	if n := len(p.backward); n > 0 {
		last := p.backward[n-1]
		if t.seq(last) != d.st.Lo-1 {
			return p, fmt.Errorf("couldn't take records up to %d: %d is the first one held: %w", t.seq(last), d.st.Lo, board.ErrGap)
		}
		if in.hashes[last] != d.st.LoPrev.Hash {
			return p, t.fork(last)
		}
	}
	return p, nil
}

// proven is the highest seq of the run whose hash is known here without reading a chain, and is the run's: the records
// of the run up to it are those that were held, or should be. 0: there is none.
func (t *ingestTask) proven(g *group, d *logDelta) (uint64, error) {
	in := t.in
	if len(d.damaged) == 0 {
		return 0, nil
	}
	at := func(seq uint64) (board.Hash, bool) {
		if seq == d.st.Hi {
			return d.st.HiHash, true
		}
		for _, c := range d.children {
			if st := g.stretch(c); st.Lo == 1 && st.LoPrev.Seq == seq {
				return st.LoPrev.Hash, true
			}
		}
		if seq%board.HeadEvery != 0 || inRows(d.damaged, seq) {
			return board.Hash{}, false
		}
		r, err := g.load(pos{d.log.num, seq})
		return r.hash, err == nil && !r.hash.IsZero()
	}
	for i := len(in.hashes) - 1; i >= 0; i-- {
		seq := t.seq(i)
		if seq < d.st.Lo || seq > d.st.Hi {
			continue
		}
		if h, known := at(seq); known {
			if h != in.hashes[i] {
				return 0, t.fork(i)
			}
			return seq, nil
		}
	}
	return 0, nil
}

func inRows(rs []rows, seq uint64) bool {
	for _, r := range rs {
		if r.from <= seq && seq <= r.to {
			return true
		}
	}
	return false
}

// fork is the answer to two contents under one seq. What is held is kept.
func (t *ingestTask) fork(i int) error {
	return fmt.Errorf("couldn't take record %d of node %s: another one is held: %w", t.seq(i), t.in.r.Node, board.ErrFork)
}

// compareHeld compares the last item that is held with what is held: the chain below is then equal too. Where damage
// hides the hash it stays open: the item is not taken anyway.
func (t *ingestTask) compareHeld(g *group, d *logDelta, proven uint64) error {
	for i := t.to - 1; i >= t.from && t.seq(i) > proven; i-- {
		seq := t.seq(i)
		if seq > d.st.Hi || seq < d.st.Lo || inRows(d.damaged, seq) {
			continue
		}
		h, err := g.hashAt(d, seq)
		if err != nil {
			return ignoreDamage(err)
		}
		if h != t.in.hashes[i] {
			return t.fork(i)
		}
		return nil
	}
	return nil
}

// linksUp checks that items which go on from what is held link to it, and are covered by a signed head or by a hash that
// is held already.
func (t *ingestTask) linksUp(g *group, d *logDelta, rows []int) error {
	first, last := rows[0], rows[len(rows)-1]
	switch before := t.seq(first) - 1; {
	case before+1 == d.st.Lo:
		if t.prev(first) != d.st.LoPrev {
			return t.fork(first)
		}
	case before > d.st.Hi || inRows(d.damaged, before):
		return fmt.Errorf("couldn't take records from %d on: the ones before are not held: %w", before+1, board.ErrGap)
	default:
		h, err := g.hashAt(d, before)
		if err != nil {
			return ignoreAsGap(err)
		}
		if h != t.prev(first).Hash {
			return t.fork(first)
		}
	}
	if t.in.hashFixed(g, d, t.seq(last), t.in.hashes[last]) {
		return nil
	}
	return t.in.headed()
}

// ignoreAsGap: where the record before is damaged, it has to come first.
func ignoreAsGap(err error) error {
	if errors.Is(err, errDecode) {
		return fmt.Errorf("couldn't take records: the one before them is damaged here: %w", board.ErrGap)
	}
	return err
}

// hashFixed says whether the hash of seq is what a held record of a later epoch, or the store itself, says it must be.
func (in *ingest) hashFixed(g *group, d *logDelta, seq uint64, h board.Hash) bool {
	if seq == d.st.Hi && h == d.st.HiHash {
		return true
	}
	for _, c := range d.children {
		if st := g.stretch(c); st.Lo == 1 && st.LoPrev.Seq == seq && st.LoPrev.Hash == h {
			return true
		}
	}
	return false
}

// headed says whether the run ends in a signed head.
func (in *ingest) headed() error {
	if in.headsFit[len(in.headsFit)-1] {
		return nil
	}
	return fmt.Errorf("couldn't take records: the last one carries no signed head: %w", board.ErrMalformed)
}

// planNew decides about an origin of which nothing is held.
func (t *ingestTask) planNew(g *group, b *boardState) (p plan, err error) {
	in := t.in
	floors := b.full.Floors(in.r.Node)
	floor := board.FloorOf(floors, in.r.Epoch)
	if t.seq(t.to-1) <= floor {
		p.skip = t.to - t.from
		return p, nil
	}
	from := t.from
	if t.seq(from) <= floor {
		from += int(floor - t.seq(from) + 1)
		p.skip = from - t.from
	}
	for i := from; i < t.to; i++ {
		p.forward = append(p.forward, i)
	}
	prev, last := t.prev(from), t.to-1
	p.loPrev = prev
	logs := g.logsOf(b, in.r.Node)
	for _, l := range logs { // (d) across a seal
		if st := g.stretch(l); st.Lo == 1 && st.LoPrev.Epoch == in.r.Epoch && st.LoPrev.Seq == t.seq(last) {
			if st.LoPrev.Hash != in.hashes[last] {
				return p, t.fork(last)
			}
			p.forward, p.backward = nil, p.forward
			return p, nil
		}
	}
	if in.governance && len(logs) == 0 && !in.state.IsNode(in.r.Node) && b.team.strangers >= maxStrangers {
		return p, fmt.Errorf("couldn't take records of node %s: too many nodes that the team does not know: %w", in.r.Node, board.ErrUnknownOrigin)
	}
	if !b.admits(in.r.Node, prev) {
		return p, fmt.Errorf("couldn't take a further branch of node %s: %w", in.r.Node, board.ErrTooLarge)
	}
	if err := in.headed(); err != nil {
		return p, err
	}
	if t.seq(from) == 1 && prev == (board.Link{}) || board.Pruned(floors, board.Point{Epoch: prev.Epoch, Seq: prev.Seq}) {
		return p, nil
	}
	if t.seq(from) == 1 {
		if held, err := t.sealHeld(g, b, prev); held || err != nil {
			return p, err
		}
	}
	if in.tail && len(logs) == 0 {
		return p, nil
	}
	return p, fmt.Errorf("couldn't take records from %d on: what they follow is not held: %w", t.seq(from), board.ErrGap)
}

// sealHeld says whether the record that a first record seals is held.
func (t *ingestTask) sealHeld(g *group, b *boardState, prev board.Link) (bool, error) {
	l := g.find(b, board.Origin{Node: t.in.r.Node, Epoch: prev.Epoch})
	if l == nil {
		return false, nil
	}
	d := g.delta(l)
	if prev.Seq < d.st.Lo || prev.Seq > d.st.Hi || inRows(d.damaged, prev.Seq) {
		return false, nil
	}
	h, err := g.hashAt(d, prev.Seq)
	if err != nil {
		return false, ignoreAsGap(err)
	}
	if h != prev.Hash {
		return false, t.fork(t.from)
	}
	return true, nil
}
