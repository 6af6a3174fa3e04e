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
			g.s.noteFork(in, t.to-1)
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
	hi := d.st.Hi
	if len(d.damaged) > 0 {
		hi = d.damaged[0].from - 1
	}
	for i := t.from; i < t.to; i++ {
		switch seq := t.seq(i); {
		case seq < d.st.Lo:
			p.backward = append(p.backward, i)
		case seq > d.st.Hi || inRows(d.damaged, seq):
			p.forward = append(p.forward, i)
		default:
			p.skip++
		}
	}
	if err := t.compareHeld(g, d, &p); err != nil {
		return p, err
	}
	if n := len(p.forward); n > 0 {
		first := p.forward[0]
		if t.seq(first) > hi+1 {
			return p, fmt.Errorf("couldn't take records from %d on: %d is the last one held: %w", t.seq(first), hi, board.ErrGap)
		}
		if err := t.linksUp(g, d, p.forward); err != nil {
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

// compareHeld compares the last item that is held with what is held: the chain below is then equal too.
func (t *ingestTask) compareHeld(g *group, d *logDelta, p *plan) error {
	if p.skip == 0 {
		return nil
	}
	for i := t.to - 1; i >= t.from; i-- {
		seq := t.seq(i)
		if seq > d.st.Hi || seq < d.st.Lo || inRows(d.damaged, seq) {
			continue
		}
		h, err := g.hashAt(d, seq)
		if errors.Is(err, errDecode) {
			return errAgain // noted as damaged: it is taken from this run
		}
		if err != nil {
			return err
		}
		if h != t.in.hashes[i] {
			return t.fork(i)
		}
		return nil
	}
	return nil
}

// linksUp checks that what goes on from what is held links to it and is covered by a signed head, or by a hash that is
// held already.
func (t *ingestTask) linksUp(g *group, d *logDelta, rows []int) error {
	in, first, last := t.in, rows[0], rows[len(rows)-1]
	if t.seq(first) > d.st.Lo {
		h, err := g.hashAt(d, t.seq(first)-1)
		if err != nil {
			return ignoreAsGap(err)
		}
		if h != t.prev(first).Hash {
			return t.fork(first)
		}
	} else if t.prev(first) != d.st.LoPrev {
		return t.fork(first)
	}
	if t.seq(last) <= d.st.Hi { // over damaged records: the chain above them fixes the hash if it is known
		if h, err := g.hashAt(d, t.seq(last)); err == nil && h != in.hashes[last] {
			return t.fork(last)
		}
	}
	if in.hashFixed(g, d, t.seq(last), in.hashes[last]) {
		return nil
	}
	return in.headed()
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
	for i := t.from; i < t.to; i++ {
		p.forward = append(p.forward, i)
	}
	prev, last := t.prev(t.from), t.to-1
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
	if t.seq(t.from) == 1 && prev == (board.Link{}) {
		return p, nil
	}
	if t.seq(t.from) == 1 {
		if held, err := t.sealHeld(g, b, prev); held || err != nil {
			return p, err
		}
	}
	if in.tail && len(logs) == 0 {
		return p, nil
	}
	return p, fmt.Errorf("couldn't take records from %d on: what they follow is not held: %w", t.seq(t.from), board.ErrGap)
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
