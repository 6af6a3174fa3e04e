package board

// verdict is the named answer to a run.
type verdict int

const (
	ready     verdict = iota
	duplicate         // all of it is held
	gapBefore         // what comes before it is not held
	forked            // contradicts what is held
	broken            // no honest node sends it
	tooMany           // one leaf too many
)

// judge says what a piece is with respect to what is held: if ready, also which part of it is new.
func (l *replLog) judge(p *piece) (run *Run, last Hash, v verdict) {
	h, run := &l.board.holding, p.run
	end := p.hashes[len(p.hashes)-1]
	s, held := h.Get(run.Origin)
	floors := h.Floors(l.node)
	switch {
	case Pruned(floors, Point{run.Epoch, run.LastSeq()}):
		return nil, end, duplicate
	case held && run.First >= s.Lo && run.LastSeq() <= s.Hi:
		if run.LastSeq() == s.Hi && end != s.HiHash {
			return nil, end, forked
		}
		return nil, end, duplicate
	case held && run.First >= s.Lo && run.First <= s.Hi+1:
		return l.judgeForward(p, s)
	case held && run.First < s.Lo && run.LastSeq()+1 >= s.Lo:
		return p.upTo(s.LoPrev)
	case held:
		return nil, end, gapBefore
	}
	if below, ok := l.childOf(run); ok {
		return p.upTo(below)
	}
	if run.First == 1 || Pruned(floors, Point{run.Prev.Epoch, run.Prev.Seq}) {
		return l.judgeFirst(p)
	}
	if p.tail && len(h.Stretches(l.node)) == 0 {
		return run, end, ready
	}
	return nil, end, gapBefore
}

// judgeForward is about a run that goes on after stretch s, or begins within it.
func (l *replLog) judgeForward(p *piece, s Stretch) (*Run, Hash, verdict) {
	run, end := p.run, p.hashes[len(p.hashes)-1]
	before := run.Prev.Hash
	if k := s.Hi + 1 - run.First; k > 0 {
		before = p.hashes[k-1]
	}
	switch {
	case before != s.HiHash:
		return nil, end, forked
	case !p.signed():
		return nil, end, p.unsigned()
	}
	return p.part(s.Hi+1, run.LastSeq()), end, ready
}

// judgeFirst is about a run that begins an epoch.
func (l *replLog) judgeFirst(p *piece) (*Run, Hash, verdict) {
	h, run, end := &l.board.holding, p.run, p.hashes[len(p.hashes)-1]
	switch {
	case !p.signed():
		return nil, end, p.unsigned()
	case run.Prev == Link{}, Pruned(h.Floors(l.node), Point{run.Prev.Epoch, run.Prev.Seq}):
	case p.tail && len(h.Stretches(l.node)) == 0:
		return run, end, ready
	default:
		parent, ok := h.Get(Origin{l.node, run.Prev.Epoch})
		if !ok || run.Prev.Seq > parent.Hi || run.Prev.Seq < parent.Lo {
			return nil, end, gapBefore
		}
		if run.Prev.Seq == parent.Hi && run.Prev.Hash != parent.HiHash {
			return nil, end, forked
		}
	}
	if !h.Admits(l.node, run.Prev) {
		return nil, end, tooMany
	}
	return run, end, ready
}

// signed says whether the piece's last record carries a head signature.
func (p *piece) signed() bool { return len(p.run.Items[len(p.run.Items)-1].HeadSig) > 0 }

// unsigned is the verdict on a piece that would need a signature: a part of older history does not when it is sent, but
// what it was to join may be held in another way by now.
func (p *piece) unsigned() verdict {
	if p.transfer != nil && p.transfer.backward {
		return gapBefore
	}
	return broken
}

// childOf is the link of a held epoch to a record of run that is missing below it (backward catch-up).
func (l *replLog) childOf(run *Run) (Link, bool) {
	for _, s := range l.board.holding.Stretches(l.node) {
		if s.Lo == 1 && s.LoPrev.Epoch == run.Epoch && run.First <= s.LoPrev.Seq && s.LoPrev.Seq <= run.LastSeq() {
			return s.LoPrev, true
		}
	}
	return Link{}, false
}

// upTo is the part of a piece that ends with the record that a link names.
func (p *piece) upTo(l Link) (*Run, Hash, verdict) {
	if l.Epoch != p.run.Epoch || l.Seq < p.run.First || p.hashes[l.Seq-p.run.First] != l.Hash {
		return nil, l.Hash, forked
	}
	return p.part(p.run.First, l.Seq), l.Hash, ready
}

// part is the records first..last of a piece's run.
func (p *piece) part(first, last uint64) *Run {
	if first == p.run.First && last == p.run.LastSeq() {
		return p.run
	}
	cut := *p.run
	i, j := first-p.run.First, last+1-p.run.First
	if i > 0 {
		cut.First, cut.Prev = first, Link{cut.Epoch, first - 1, p.hashes[i-1]}
	}
	cut.Items = p.run.Items[i:j:j]
	return &cut
}
