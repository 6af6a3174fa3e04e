package board

import (
	"errors"
	"slices"
	"time"
)

// ingested follows up what the store said of a batch.
func (r *Replica) ingested(e Ingested) {
	b := r.outs[e.Token]
	if b == nil {
		return
	}
	delete(r.outs, e.Token)
	p := b.pieces[0] // all are of one log, one transfer and one peer
	l := p.log
	l.out = nil
	if l.gone {
		r.settleAll(b)
		return
	}
	switch err := e.Err; {
	case err == nil:
		r.stored(b)
	case errors.Is(err, ErrPending), errors.Is(err, ErrUnknownOrigin):
		r.count("pending", len(b.run.Items))
		r.pause(b, r.cfg.PendingEvery)
		r.askGovernance(r.nearest(p.from, l.board.team), l.board.team)
	case errors.Is(err, ErrFork):
		for _, p := range b.pieces {
			r.discard(p, forked)
		}
	case errors.Is(err, ErrGap):
		r.count("store_gap", 1)
		r.settleAll(b)
		if t := p.transfer; t != nil && !t.ended {
			r.strike(l, t.stream.peer.id)
			r.cancel(t)
		}
	case errors.Is(err, ErrMalformed), errors.Is(err, ErrBadSignature), errors.Is(err, ErrTooLarge):
		r.rubbish(b)
	default:
		r.count("store_failed", 1)
		r.pause(b, storePause)
	}
	r.feed(l)
}

func (r *Replica) settleAll(b *batch) {
	for _, p := range b.pieces {
		r.settle(p)
	}
}

func (r *Replica) stored(b *batch) {
	p, run := b.pieces[0], b.run
	l := p.log
	if t := p.transfer; t != nil {
		t.useful += len(run.Items)
		t.progress, t.nudged = r.now, false
		delete(l.avoid, t.stream.peer.id)
	}
	l.pauses = 0
	r.settleAll(b)
	if b.stale { // it may stand above what was lost: the store says what is held
		r.heat(l, r.now)
		return
	}
	r.raise(l.board, l.node, Stretch{run.Epoch, run.First, run.LastSeq(), b.last, run.Prev})
	if !l.board.holding.Counting(run.Origin, run.LastSeq()) {
		r.count("beyond_seal", len(run.Items))
	}
}

// pause puts a batch's pieces back and leaves their log alone for a while, longer each time. Meanwhile its transfer gets no credit.
func (r *Replica) pause(b *batch, d time.Duration) {
	l := b.pieces[0].log
	if m := r.roomOf(l.board.governance); b.pieces[0].transfer != nil && m.here > m.limit/2 {
		r.letGo(b) // so that what waits leaves room for other logs
	} else {
		l.pieces = append(b.pieces, l.pieces...)
	}
	l.pending, l.pausedUntil = true, r.now.Add(d<<min(l.pauses, 4))
	l.pauses++
	r.paused = append(r.paused, l)
	r.at(l.pausedUntil)
}

// letGo drops what came of a log by transfers: it is asked for again when the log goes on.
func (r *Replica) letGo(b *batch) {
	l := b.pieces[0].log
	r.count("pause_dropped", len(b.run.Items))
	r.settleAll(b)
	for _, t := range l.transfers {
		if t != nil {
			r.cancel(t)
		}
	}
	r.dropPieces(l, func(p *piece) bool { return p.transfer != nil })
}

// rubbish leaves the peer that sent what cannot be right: at once where it answered with it, since it should have
// checked it before it stored it.
func (r *Replica) rubbish(b *batch) {
	p := b.pieces[0]
	weight := 1.0
	if p.transfer != nil {
		weight = banScore
		p.transfer.useful++ // judged here
		r.strike(p.log, p.from)
	}
	r.settleAll(b)
	r.blame(p.from, "rubbish", weight)
}

// resumePaused tries again what waited for the store.
func (r *Replica) resumePaused() {
	paused := r.paused
	r.paused = nil
	for _, l := range paused {
		switch {
		case l.gone || !l.pending:
		case r.isDue(l.pausedUntil):
			l.pending = false
			r.feed(l)
			r.heat(l, r.now)
		default:
			r.paused = append(r.paused, l)
			r.at(l.pausedUntil)
		}
	}
}

// sweep drops what has waited for too long.
func (r *Replica) sweep() {
	if r.isDue(r.sweepAt) {
		for _, t := range r.teams.all() {
			for _, b := range t.boards.all() {
				for _, l := range b.logs.all() {
					r.sweepLog(l)
				}
			}
		}
		r.sweepAt = time.Time{}
	}
	if r.sweepAt.IsZero() && len(r.teams.keys) > 0 {
		r.sweepAt = r.now.Add(heldFor / 4)
	}
	if !r.sweepAt.IsZero() {
		r.at(r.sweepAt)
	}
}

func (r *Replica) sweepLog(l *replLog) {
	r.dropPieces(l, func(p *piece) bool {
		old := p.transfer == nil && !l.pending && r.now.Sub(p.since) > heldFor
		if old {
			r.count("hold_expired", p.records)
		}
		return old
	})
	old := func(x heardHead) bool { return r.now.Sub(x.at) > heardFor }
	l.heard, l.refused = slices.DeleteFunc(l.heard, old), slices.DeleteFunc(l.refused, old)
	for n, a := range l.avoid {
		if r.now.Sub(a.until) > maxAvoid {
			delete(l.avoid, n)
		}
	}
}
