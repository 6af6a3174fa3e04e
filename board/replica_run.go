package board

import (
	"slices"
	"time"
)

// replLog is one node's log in one board, as far as replication is busy with it.
type replLog struct {
	board *replBoard
	node  NodeID
	gone  bool // the team was left

	// Runs that are here and not stored yet.
	pieces      []*piece
	out         *batch // with the store
	pending     bool   // the store lacks a right; or has trouble of its own
	pausedUntil time.Time
	pauses      int       // in a row
	retried     time.Time // when governance last had it tried again

	// What is missing.
	transfers   [2]*transfer // toward newer records, and backward
	postponed   []Epoch      // epochs that hang on history which is not here yet
	heard       []heardHead
	avoid       map[NodeID]*avoidance
	unavailable map[NodeID]bool // peers that were asked in vain since they last spoke of this log
	forks       []*forkSearch
	oldest      bool        // its first record was lost: what is behind it may be here, so it is fetched in order
	refused     []heardHead // what peers named or sent that contradicts what is held: forks
	hot         bool        // in Replica.hot
	tryAt       time.Time   // while hot
	blocked     bool        // in Replica.blocked
	waiting     bool        // for governance to be in step
}

// piece is a run on its way into the store.
type piece struct {
	log      *replLog
	run      *Run
	hashes   []Hash // of run's records
	from     NodeID
	transfer *transfer // nil: pushed
	tail     bool
	size     int // of the run as it came
	records  int
	since    time.Time
}

func (r *Replica) log(b *replBoard, n NodeID) *replLog {
	l := b.logs.at(n)
	if l == nil {
		l = &replLog{board: b, node: n, avoid: map[NodeID]*avoidance{}, unavailable: map[NodeID]bool{}}
		b.logs.put(n, l)
	}
	return l
}

// raise notes that a stretch is held. What is held of an origin only grows here (Lost lowers it).
func (r *Replica) raise(b *replBoard, n NodeID, s Stretch) {
	old, held := b.holding.Get(Origin{n, s.Epoch})
	switch {
	case !held:
		old = s
	case s.Lo >= old.Lo && s.Hi <= old.Hi:
		return
	case s.Lo > old.Hi+1 || s.Hi+1 < old.Lo:
		r.count("held_apart", 1) // the owner skipped an event: take the newer part
		if s.Hi > old.Hi {
			old = s
		}
	default:
		if s.Hi > old.Hi {
			old.Hi, old.HiHash = s.Hi, s.HiHash
		}
		if s.Lo < old.Lo {
			old.Lo, old.LoPrev = s.Lo, s.LoPrev
		}
	}
	b.holding.Set(n, old)
	r.changed(b, n)
}

func (r *Replica) lost(e Lost) {
	b := r.board(e.Team, e.Board)
	if b == nil {
		return
	}
	l := r.log(b, e.Node)
	switch old, held := b.holding.Get(Origin{e.Node, e.Stretch.Epoch}); {
	case held && e.Stretch.Hi >= old.Hi && e.Stretch.Lo <= old.Lo:
		r.raise(b, e.Node, e.Stretch) // some of what was lost is back
		return
	case !held && e.Stretch.Hi == 0 && l.oldest:
		return
	}
	r.count("lost", 1)
	b.holding.Set(e.Node, e.Stretch)
	l.oldest = l.oldest || e.Stretch.Hi == 0
	l.refused = nil
	r.beginAnew(l)
	r.changed(b, e.Node)
	r.heat(l, r.now)
}

// beginAnew drops what is under way for a log of which less is held than was thought: it would not join what is held, and
// nobody is to blame for that.
func (r *Replica) beginAnew(l *replLog) {
	if l.out != nil {
		l.out.stale = true
	}
	for _, t := range l.transfers {
		if t != nil {
			t.useful++ // no judgement
			r.cancel(t)
		}
	}
	r.dropPieces(l, func(p *piece) bool { return p.transfer != nil })
	clear(l.avoid)
	clear(l.unavailable)
	l.postponed = nil
}

// floored notes up to where a log is pruned.
func (r *Replica) floored(e Floored) {
	b := r.board(e.Team, e.Board)
	if b == nil || slices.Equal(b.holding.Floors(e.Node), e.Floors) {
		return
	}
	b.holding.SetFloors(e.Node, slices.Clone(e.Floors))
	r.changed(b, e.Node)
	r.heat(r.log(b, e.Node), r.now)
}

// changed follows up a change of what is held of a log.
func (r *Replica) changed(b *replBoard, n NodeID) {
	r.noteChange(b, n)
	if b.governance {
		r.heatTeam(b.team)
	}
	l := b.logs.at(n)
	if l == nil {
		return
	}
	l.heard = slices.DeleteFunc(l.heard, func(x heardHead) bool { return b.holding.coversLeaf(x.leaf) })
	r.feed(l)
	for _, t := range l.transfers {
		if t != nil && !t.done && t.pieces == 0 && l.reached(t) {
			r.cancel(t)
		}
	}
	if len(l.postponed) > 0 && !l.open() {
		l.postponed = nil
		r.heat(l, r.now)
	}
}

// pushed takes in a run that came by gossip.
func (r *Replica) pushed(e Pushed) {
	t := r.teams.at(e.Team)
	n := len(e.Run.Items)
	if t == nil {
		r.count("push_ignored", n)
		return
	}
	if p := r.peers.at(e.From); p != nil && r.now.Before(p.banned) {
		r.count("push_ignored", n)
		return
	}
	b := t.boards.at(e.Run.Board)
	if b == nil || !b.accepts(e.Run.Node) {
		r.count("unknown_origin", n)
		r.askGovernance(r.nearest(e.From, t), t)
		return
	}
	p := &piece{log: r.log(b, e.Run.Node), run: e.Run, hashes: e.Run.Hashes(), from: e.From, size: e.Run.Size(), records: n, since: r.now}
	from := r.peer(e.From)
	if from.held > 0 && from.held+n > r.cfg.HoldRecords || t.heldBytes+p.size > r.cfg.HoldBytes || r.pushBytes+p.size > r.cfg.HoldTotal {
		r.count("hold_full", n)
		r.release(from)
		r.hearHead(p.log, p.head(), e.From)
		return
	}
	from.held += n
	t.heldBytes += p.size
	r.pushBytes += p.size
	_, _, v := p.log.judge(p)
	r.take(p)
	if v == gapBefore {
		r.count("gap", n)
		r.hearHead(p.log, p.head(), e.From)
	}
}

// nearest is n if a governance stream to it is open, else some peer of the team with one.
func (r *Replica) nearest(n NodeID, t *replTeam) NodeID {
	if _, v := r.viewOf(n, true, t.id); v != nil {
		return n
	}
	for id := range r.views(t, true) {
		return id
	}
	return n
}

// head is where the piece's run ends.
func (p *piece) head() Leaf {
	return Leaf{Node: p.run.Node, Epoch: p.run.Epoch, Seq: p.run.LastSeq(), Hash: p.hashes[len(p.hashes)-1]}
}

// take adds a piece to its log and hands over what can go to the store.
func (r *Replica) take(p *piece) {
	ahead := 0
	for _, it := range p.run.Items {
		if Ahead(it.Entry.Header.HLC, r.now) {
			ahead++
		}
	}
	if ahead > 0 {
		r.count("future", ahead) // stored all the same, but it moves no clock
	}
	p.log.pieces = append(p.log.pieces, p)
	r.feed(p.log)
}

// feed hands the store the next piece of a log that it can take, and sorts out those that it never will.
func (r *Replica) feed(l *replLog) {
	if l.out != nil || l.gone || r.now.Before(l.pausedUntil) {
		return
	}
	for i := 0; i < len(l.pieces); {
		p := l.pieces[i]
		run, last, v := l.judge(p)
		if v == gapBefore {
			i++
			continue
		}
		l.pieces = slices.Delete(l.pieces, i, i+1)
		if v == ready {
			r.hand(l.gather(p, run, last))
			return
		}
		r.discard(p, v)
	}
	for _, t := range l.transfers {
		if t != nil && t.pieces > 0 {
			r.answeredApart(l, t)
		}
	}
}

// batch is what the store is given at once: pieces of one log and peer that adjoin, since a commit for each would cost
// more than all the rest.
type batch struct {
	pieces []*piece // in the order of their coming
	run    *Run     // what is new of them
	last   Hash     // of run's last record
	tail   bool
	stale  bool // less is held by now than when it was handed over
}

// maxBatch is about how many bytes of pieces are gathered.
const maxBatch = 1 << 20

// gather joins to a piece those that wait behind it, or before it where history comes newest first.
func (l *replLog) gather(p *piece, run *Run, last Hash) *batch {
	b := &batch{pieces: []*piece{p}, run: run, last: last, tail: p.tail && len(l.board.holding.Stretches(l.node)) == 0}
	runs, items, size := []*Run{run}, len(run.Items), p.size
	first, end := run, last // the ends of what is gathered
	s, held := l.board.holding.Get(run.Origin)
	older := p.tail && !(held && run.First > s.Hi)
	for i := 0; i < len(l.pieces); {
		x := l.pieces[i]
		fits := x.transfer == p.transfer && x.from == p.from && x.run.Epoch == run.Epoch && size+x.size <= maxBatch && items+x.records <= MaxRunItems
		after := fits && !older && x.run.First == runs[len(runs)-1].LastSeq()+1 && x.run.Prev.Hash == end && x.signed()
		before := fits && older && x.run.LastSeq()+1 == first.First && x.hashes[len(x.hashes)-1] == first.Prev.Hash
		switch {
		case after:
			runs, end = append(runs, x.run), x.hashes[len(x.hashes)-1]
		case before:
			runs, first = slices.Insert(runs, 0, x.run), x.run
		default:
			i++
			continue
		}
		items, size = items+x.records, size+x.size
		b.pieces, l.pieces = append(b.pieces, x), slices.Delete(l.pieces, i, i+1)
	}
	if len(runs) > 1 {
		b.run, b.last = join(runs, items), end
	}
	return b
}

// join makes one run of adjoining ones.
func join(runs []*Run, items int) *Run {
	r := *runs[0]
	r.Items = make([]Item, 0, items)
	for _, x := range runs {
		r.Items = append(r.Items, x.Items...)
	}
	return &r
}

// hand gives a batch to the store.
func (r *Replica) hand(b *batch) {
	l := b.pieces[0].log
	r.token++
	r.outs[r.token], l.out = b, b
	r.do(Ingest{r.token, l.board.team.id, b.run, b.tail, b.pieces[0].from})
}

// answeredApart ends a transfer whose answer does not join what is held. Where older history is still missing here, it
// may well hang on that, and its peer is not to blame.
func (r *Replica) answeredApart(l *replLog, t *transfer) {
	n := t.stream.peer.id
	open := l.open() && !t.backward
	if open && !slices.Contains(l.postponed, t.toward.Epoch) && len(l.postponed) < MaxLeaves {
		l.postponed = append(l.postponed, t.toward.Epoch)
	}
	t.useful++ // so that it is not judged a second time
	r.dropPieces(l, func(p *piece) bool { return p.transfer == t })
	r.cancel(t)
	if !open {
		r.strike(l, n)
	}
	if !l.open() {
		r.blame(n, "answer_gap", 5)
	}
}

// open says whether a chain of the log is held only down to some record in its middle.
func (l *replLog) open() bool {
	return slices.ContainsFunc(l.board.holding.Leaves(l.node), func(f Leaf) bool { return f.Base != Point{} })
}

// discard answers a piece that will not be stored.
func (r *Replica) discard(p *piece, v verdict) {
	l := p.log
	switch v {
	case duplicate:
		r.count("duplicate", p.records)
	case forked:
		r.count("fork", 1)
		l.refuse(p.head(), p.from, r.now)
		r.suspectFork(l, p.run.Epoch, p.from)
	case tooMany:
		r.count("too_many_leaves", 1)
		l.refuse(p.head(), p.from, r.now)
	case broken:
		r.blame(p.from, "no_head", 25)
	}
	r.settle(p)
	if t := p.transfer; t != nil && !t.ended && v != duplicate {
		r.cancel(t)
	}
}

// refuse remembers a leaf that is not wanted from a peer, so that it is not asked for again and again. What other peers
// say counts for itself: claims are not signed.
func (l *replLog) refuse(f Leaf, from NodeID, now time.Time) {
	if len(l.refused) >= MaxLeaves {
		l.refused = l.refused[1:]
	}
	l.refused = append(l.refused, heardHead{f, from, now})
}

// isRefused says whether a leaf named by a peer stands in the same epoch as one refused from it, at or above it.
func (l *replLog) isRefused(f Leaf, from NodeID) bool {
	return slices.ContainsFunc(l.refused, func(x heardHead) bool {
		return x.from == from && x.leaf.Epoch == f.Epoch && x.leaf.Seq <= f.Seq
	})
}

// settle takes a piece off the books, once it is stored or dropped.
func (r *Replica) settle(p *piece) {
	if t := p.transfer; t != nil {
		m := r.roomOf(t.stream.governance)
		m.here -= p.size
		t.pieces--
		t.queued -= p.size
		t.waitFrom = r.now
		t.progress = earlier(r.now, t.progress.Add(r.now.Sub(p.since))) // it was not the peer's turn
		r.topUp(t, p.size)
		r.concluded(t)
		r.roomier(m)
		return
	}
	p.log.board.team.heldBytes -= p.size
	r.pushBytes -= p.size
	if from := r.peers.at(p.from); from != nil {
		from.held -= p.records
		r.release(from)
	}
}

// dropPieces drops pieces of a log, not the one with the store.
func (r *Replica) dropPieces(l *replLog, which func(*piece) bool) {
	var drop []*piece
	l.pieces = slices.DeleteFunc(l.pieces, func(p *piece) bool {
		if which(p) {
			drop = append(drop, p)
			return true
		}
		return false
	})
	for _, p := range drop {
		r.settle(p)
	}
}
