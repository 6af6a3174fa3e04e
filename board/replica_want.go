package board

import (
	"slices"
	"time"
)

// heardHead is a leaf that somebody named outside of a vector.
type heardHead struct {
	leaf Leaf
	from NodeID
	at   time.Time
}

// avoidance of a peer for one log, after it failed there.
type avoidance struct {
	strikes int
	lies    int // strikes for claims without anything behind them
	until   time.Time
}

// Rates and sizes of transfers.
const (
	bigGap      = 1000    // records; so big a transfer leaves two places of a stream to small ones
	overCredit  = 1 << 20 // bytes that an answer may exceed its credit by: one frame
	slowAfter   = 10 * time.Second
	slowRate    = 1 << 10 // bytes a second (docs/limits.md)
	starveTimes = 6       // watchdog times that a transfer may wait while others on its stream move
	maxHeard    = 4       // heads kept of one log
	retryAtOnce = 64      // logs that wait for a place are looked at so many at a time, since there may be very many
	retryGap    = 20 * time.Millisecond
)

// headHeard notes a head that came by gossip.
func (r *Replica) headHeard(e HeadHeard) {
	t := r.teams.at(e.Team)
	if t == nil {
		return
	}
	b := t.boards.at(e.Position.Board)
	if b == nil || !b.accepts(e.Position.Node) {
		r.count("unknown_origin", 1)
		r.askGovernance(r.nearest(e.From, t), t)
		return
	}
	p := e.Position
	r.hearHead(r.log(b, p.Node), Leaf{Node: p.Node, Epoch: p.Epoch, Seq: p.Seq, Hash: p.Hash}, e.From)
}

// hearHead remembers a leaf that is not held and has it asked for if gossip does not bring it within the grace.
func (r *Replica) hearHead(l *replLog, f Leaf, from NodeID) {
	if l.board.holding.coversLeaf(f) || l.isRefused(f, from) {
		return
	}
	i := slices.IndexFunc(l.heard, func(x heardHead) bool { return x.leaf.Epoch == f.Epoch })
	switch {
	case i >= 0 && l.heard[i].leaf.Seq >= f.Seq:
		return
	case i >= 0:
		l.heard[i] = heardHead{f, from, r.now}
	default:
		if len(l.heard) == maxHeard {
			l.heard = l.heard[1:]
		}
		l.heard = append(l.heard, heardHead{f, from, r.now})
	}
	r.heat(l, r.now.Add(r.cfg.GapGrace))
}

// rememberClaims keeps what a peer that goes away said and did not deliver, so that Status goes on telling of it.
func (r *Replica) rememberClaims(v *view) {
	for id, x := range v.vectors.all() {
		b := v.team.boards.at(id)
		for _, f := range x {
			if b != nil && !b.holding.coversLeaf(f) {
				r.hearHead(r.log(b, f.Node), f, f.Node)
			}
		}
	}
}

// heat has a log looked at when the time comes, or earlier.
func (r *Replica) heat(l *replLog, when time.Time) {
	if l.gone {
		return
	}
	if !l.hot {
		l.hot, l.tryAt = true, when
		r.hot = append(r.hot, l)
	} else if when.Before(l.tryAt) {
		l.tryAt = when
	}
	r.at(l.tryAt)
}

// heatTeam has those logs of a team looked at that waited for governance.
func (r *Replica) heatTeam(t *replTeam) {
	for _, b := range t.boards.all() {
		for _, l := range b.logs.all() {
			if l.waiting {
				l.waiting = false
				r.heat(l, r.now)
			}
		}
	}
}

// plans looks at each log that may need something now.
func (r *Replica) plans() {
	hot := r.hot
	r.hot = nil
	for _, l := range hot {
		if r.now.Before(l.tryAt) {
			r.hot = append(r.hot, l)
			r.at(l.tryAt)
			continue
		}
		l.hot = false
		r.plan(l)
	}
	if r.freed {
		r.freed, r.retry = false, len(r.blocked)
	}
	n := min(r.retry, retryAtOnce, len(r.blocked))
	again := slices.Clone(r.blocked[:n])
	r.blocked = append(r.blocked[:0], r.blocked[n:]...)
	for _, l := range again {
		l.blocked = false
		r.plan(l)
	}
	if r.retry -= n; r.retry > 0 && len(r.blocked) > 0 {
		r.at(r.now.Add(retryGap))
	}
}

// offer is a peer that could be asked for something.
type offer struct {
	stream *stream
	want   need
	rank   [3]int // less is better: strikes, transfers, chance
}

// need is what is missing of a log, as far as one leaf tells.
type need struct {
	toward   Point
	backward bool
	big      bool
	claimed  bool
}

// plan asks the best peers for what is missing of a log, or notes when to look again. Newer records and older history
// are asked for side by side.
func (r *Replica) plan(l *replLog) {
	if l.pending || l.gone {
		return // looked at again when that is over
	}
	var again time.Time
	blocked := false
	for _, backward := range []bool{false, true} {
		if l.transfers[side(backward)] != nil {
			continue
		}
		o := r.bestOffer(l, backward, &again)
		switch {
		case o == nil:
		case o.stream == nil:
			blocked = true
		case !r.roomOf(l.board.governance).fits():
			r.roomOf(l.board.governance).refused, blocked = true, true
		default:
			r.start(l, o)
		}
	}
	switch {
	case blocked:
		if !l.blocked {
			l.blocked = true
			r.blocked = append(r.blocked, l)
		}
	case !again.IsZero():
		r.heat(l, again)
	}
}

// bestOffer is the peer to ask; without a stream if all that could be asked are busy; nil if none can be. again becomes
// the time when a peer may be asked once more that failed lately.
func (r *Replica) bestOffer(l *replLog, backward bool, again *time.Time) (best *offer) {
	later := func(t time.Time) {
		if again.IsZero() || t.Before(*again) {
			*again = t
		}
	}
	for id, v := range r.views(l.board.team, l.board.governance) {
		s := v.stream
		n, missing := r.missing(l, id, v, backward)
		if !missing {
			continue
		}
		a := l.avoid[id]
		switch {
		case a != nil && r.now.Before(a.until):
			later(a.until)
		case r.now.Before(v.refused):
			later(v.refused)
		case !l.board.governance && !r.inStep(id, l.board.team):
			l.waiting = true
		case s.transfers.len() >= r.cfg.PerPeer, n.big && s.transfers.len() >= max(1, r.cfg.PerPeer-2):
			if best == nil {
				best = &offer{}
			}
		default:
			o := &offer{s, n, [3]int{0, s.transfers.len(), r.rnd.IntN(1 << 20)}}
			if a != nil {
				o.rank[0] = a.strikes
			}
			if s.stalled {
				o.rank[0] += 100 // only if there is nobody else
			}
			if best == nil || best.stream == nil || slices.Compare(o.rank[:], best.rank[:]) < 0 {
				best = o
			}
		}
	}
	return best
}

// missing is what a peer could deliver of a log: by its vector, or by a head that it sent or is the author of.
func (r *Replica) missing(l *replLog, peer NodeID, v *view, backward bool) (need, bool) {
	leaves := v.vectors.at(l.board.id).Node(l.node)
	tried := 0 // after a failure another leaf has its turn: a peer may well name one that hangs on what nobody holds any more
	if a := l.avoid[peer]; a != nil {
		tried = a.strikes
	}
	for i := range leaves {
		f := leaves[len(leaves)-1-(i+tried)%len(leaves)]
		if n, ok := r.needs(l, f, peer, backward); ok {
			n.claimed = true
			return n, true
		}
	}
	for _, x := range l.heard {
		if x.from == peer || l.node == peer {
			if n, ok := r.needs(l, x.leaf, x.from, backward); ok {
				return n, true
			}
		}
	}
	return need{}, false
}

// needs says whether and how a leaf that a peer named is to be asked for, oldest first or backward.
func (r *Replica) needs(l *replLog, f Leaf, from NodeID, backward bool) (need, bool) {
	h := &l.board.holding
	if h.coversLeaf(f) || l.isRefused(f, from) {
		return need{}, false
	}
	s, held := h.Get(Origin{f.Node, f.Epoch})
	if held && f.Seq == s.Hi && f.Hash != s.HiHash {
		r.count("fork", 1)
		l.refuse(f, from, r.now)
		r.suspectFork(l, f.Epoch, from)
		return need{}, false
	}
	n := need{toward: Point{f.Epoch, f.Seq}, backward: backward}
	nothing := len(h.Stretches(l.node)) == 0
	if backward {
		if nothing {
			n.big = true
			return n, r.newestFirst(l, f)
		}
		b, open := l.openBase(f)
		n.toward, n.big = Point{b.LoPrev.Epoch, b.LoPrev.Seq}, true
		return n, open && !l.begun(b) && (f.Base == (Point{}) || !n.toward.before(f.Base))
	}
	later := !held && slices.Contains(l.postponed, f.Epoch)
	if b, open := l.openBase(f); open && l.begun(b) && (later || held && f.Seq <= s.Hi) {
		n.toward = Point{b.LoPrev.Epoch, b.LoPrev.Seq}
		return n, true
	}
	switch {
	case held:
		n.big = f.Seq-min(f.Seq, s.Hi) > bigGap
		return n, f.Seq > s.Hi
	case nothing:
		n.big = f.Seq > bigGap
		return n, !r.newestFirst(l, f)
	}
	n.big = f.Seq > bigGap
	return n, !later
}

// newestFirst says whether a log of which nothing is held is to be fetched newest first: where it is long, or of
// unknown length because it has earlier epochs, or where the peer has not all of it. Governance is read from its start.
func (r *Replica) newestFirst(l *replLog, f Leaf) bool {
	return !l.board.governance && !l.oldest && (f.Seq > r.cfg.NewestFirst || f.Epoch.N > 1 || f.Base != Point{})
}

// begun says whether a part of the epoch below b is held: then the rest is filled from that part on, oldest first,
// since an epoch is held as one stretch.
func (l *replLog) begun(b Stretch) bool {
	s, held := l.board.holding.Get(Origin{l.node, b.LoPrev.Epoch})
	return held && b.Lo == 1 && s.Hi < b.LoPrev.Seq
}

// openBase is where the held part of the chain below a leaf begins, if not at the start of the log; of the newest
// such chain, where nothing of the leaf's epoch is held.
func (l *replLog) openBase(f Leaf) (Stretch, bool) {
	h := &l.board.holding
	if _, held := h.Get(Origin{f.Node, f.Epoch}); held {
		return h.Base(Origin{f.Node, f.Epoch})
	}
	leaves := h.Leaves(l.node)
	for i := len(leaves) - 1; i >= 0; i-- {
		if b, open := h.Base(Origin{l.node, leaves[i].Epoch}); open {
			return b, true
		}
	}
	return Stretch{}, false
}

// before orders points by epoch, then seq.
func (p Point) before(q Point) bool {
	if c := p.Epoch.Compare(q.Epoch); c != 0 {
		return c < 0
	}
	return p.Seq < q.Seq
}

// inStep says whether everything that a peer holds of a team's governance is held here too.
func (r *Replica) inStep(n NodeID, t *replTeam) bool {
	_, g := r.viewOf(n, true, t.id)
	if g == nil || !g.known {
		return false
	}
	if of := [2]int{t.governance.version + 1, g.version + 1}; g.stepOf != of {
		g.stepOf, g.inStep = of, true
		for _, f := range g.vectors.at(t.governance.id) {
			l := r.log(t.governance, f.Node)
			_, newer := r.needs(l, f, n, false)
			_, older := r.needs(l, f, n, true)
			if newer || older {
				g.inStep = false
				break
			}
		}
	}
	return g.inStep
}
