package store

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"weft/board"
)

// task is something that the committer writes.
type task interface {
	// prepare writes into the group. An error refuses this task alone, and then nothing of it may have been written,
	// unless it wraps errAbort: then the group is thrown away and its tasks are tried one by one.
	prepare(g *group) error
	// finish tells who waits. With a nil error the group is on disk and applied.
	finish(err error)
}

// errAbort marks errors in the middle of writing.
var errAbort = errors.New("couldn't prepare the commit")

// submit hands a task to the committer. It waits while the queue is full.
func (s *Store) submit(done <-chan struct{}, t task) error {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return ErrClosed
	}
	row := s.queue.rowOf(t)
	select {
	case row <- t:
		return nil
	default:
	}
	select {
	case row <- t:
		return nil
	case <-done:
		return ErrBusy
	}
}

// commitLoop is the committer: the only goroutine that writes. It ends when the queue is closed and drained.
func (s *Store) commitLoop() {
	defer close(s.committed)
	for {
		again := s.pendingRejudge()
		t, open := s.queue.begin(!again)
		switch {
		case t != nil:
			s.gather()
			s.commitGroup(t)
			clear(s.tasks[:cap(s.tasks)])
		case !open:
			return
		default:
			s.commitGroup(nil)
		}
	}
}

const (
	slowCommit = 5 * time.Millisecond
	largeGroup = 64
)

// gather lets those go first whom the last commit woke, if it was slow and had many tasks: they are about to come again.
// Else, whenever a commit takes long, every other group would be of the one who came back first, while all the
// others wait for it: half of the posts in twice the time.
func (s *Store) gather() {
	if s.last.tasks < largeGroup || s.last.took < slowCommit {
		return
	}
	for range 4 {
		if len(s.queue.first) >= s.last.tasks/2 {
			return
		}
		runtime.Gosched()
	}
}

// commitGroup commits a task and those that wait in the queue, as far as they fit into one group; nil: none, only what is
// to be judged again.
func (s *Store) commitGroup(t task) {
	if why := s.failed.Load(); why != nil {
		if t != nil {
			t.finish(*why)
		} else {
			s.memory().forgetJudging()
		}
		return
	}
	s.beginGroup()
	g := s.newGroup()
	defer g.txn.Discard()
	s.tasks = s.tasks[:0]
	gentle, last := s.Posting(), t != nil && alone(t)
	for t != nil {
		switch err := t.prepare(g); {
		case errors.Is(err, errAbort):
			s.retryAlone(g, append(s.tasks, t))
			return
		case err != nil:
			t.finish(err)
		default:
			s.tasks = append(s.tasks, t)
		}
		if last || g.full() {
			break
		}
		if t = s.queue.more(gentle); t != nil && alone(t) {
			s.queue.putBack(t)
			break
		}
	}
	s.queue.filled()
	err := g.noteDamaged()
	if err == nil {
		g.beside = len(s.tasks) > 0
		err = g.judgeAgain()
	}
	if err == nil {
		err = g.finish()
	}
	if err != nil {
		s.retryAlone(g, s.tasks)
		return
	}
	s.write(g, s.tasks)
}

// beginGroup forgets the last group's scratch memory.
func (s *Store) beginGroup() {
	s.keys.reset()
	s.claimsMu.Lock()
	clear(s.writing)
	s.claimsMu.Unlock()
}

// alone says whether a task wants a group for itself.
func alone(t task) bool {
	switch t.(type) {
	case *userTask, *mendTask:
		return true
	}
	return false
}

// retryAlone throws a group away and tries its tasks one by one, so that only the one at fault fails.
func (s *Store) retryAlone(thrown *group, tasks []task) {
	thrown.txn.Discard()
	s.dropCaches()
	for _, t := range tasks {
		if why := s.failed.Load(); why != nil { // by the one before: there is no database any more
			t.finish(*why)
			continue
		}
		s.beginGroup()
		g := s.newGroup()
		err := t.prepare(g)
		if err == nil {
			err = g.finish()
		}
		if err != nil {
			g.txn.Discard()
			s.dropCaches()
			s.opts.Log.Error("couldn't write", "error", err)
			t.finish(err)
			continue
		}
		s.write(g, []task{t})
		g.txn.Discard()
	}
	if len(tasks) == 0 { // judging again failed: leave it for the next start
		s.memory().forgetJudging()
	}
}

// write commits a prepared group, applies it and tells who waits.
func (s *Store) write(g *group, tasks []task) {
	if g.flips {
		s.flips.Lock()
	}
	start := time.Now()
	err := s.fault("commit")
	if err == nil {
		err = s.commitAt(g.txn, g.apply)
	}
	if g.flips {
		s.flips.Unlock()
	}
	if err != nil {
		s.outcomeUnknown(err, tasks)
		return
	}
	took := time.Since(start)
	s.last.tasks, s.last.took = max(len(tasks), s.last.tasks/2), took
	s.metrics.commit(g, took)
	s.groups.Add(1)
	s.nudgeDisk(g.bytes)
	s.notify(g.events()) // first: who loses the team with this is known to be out when it is answered
	for _, t := range tasks {
		t.finish(nil)
	}
}

// apply makes the committed changes visible in memory.
func (g *group) apply() {
	m := g.m
	if g.newLogs > 0 {
		m.mu.Lock()
		m.logs = append(m.logs, make([]*logState, g.newLogs)...)
		for _, d := range g.logs {
			if d.fresh {
				m.logs[d.log.num] = d.log
			}
		}
		m.mu.Unlock()
	}
	g.forgetPruned()
	for b := range g.touched {
		b.mu.Lock()
	}
	for _, d := range g.logs {
		d.apply()
	}
	for _, md := range g.marks {
		mk := md.board.markOf(md.user)
		mk.vector, mk.known = md.vector, false
	}
	for b, e := range g.newShown {
		b.shown(e)
	}
	for b := range g.lost {
		b.last, b.lastOK = nil, false
	}
	g.applySigners()
	for b := range g.touched {
		for _, mk := range b.marks {
			mk.known = false
		}
		b.commits++
		b.wake()
		b.mu.Unlock()
	}
	for _, f := range g.published {
		f()
	}
}

// apply copies the group's view of the log; the caller holds board.mu.
func (d *logDelta) apply() {
	l, b := d.log, d.log.board
	if d.fresh {
		if b.byNode == nil {
			b.byNode = map[board.NodeID][]*logState{}
		}
		b.byNode[l.origin.Node] = append(b.byNode[l.origin.Node], l)
		b.logs = append(b.logs, l)
	}
	if !b.governance {
		grown := int64(d.st.Hi-d.st.Lo) - int64(l.st.Hi-l.st.Lo)
		if d.fresh {
			grown++
		}
		b.team.records.Add(grown)
	}
	l.st, l.headSeq, l.headSig, l.shown, l.multi, l.limit = d.st, d.headSeq, d.headSig, d.shown, d.multi, d.limit
	l.unheaded = d.unheaded
	l.children = d.children
	for _, e := range d.edits {
		l.bits.grown(chunkOf(e.seq)).set(e.seq, e.on)
	}
	if d.gone {
		b.forget(l)
		return
	}
	if d.lower {
		l.dropBelow(chunkOf(d.st.Lo))
	}
	l.bits.grown(chunkOf(d.st.Hi))
	for _, e := range d.own {
		if l.own == nil {
			l.own = map[board.UserID]*bitset{}
		}
		if l.own[e.user] == nil {
			l.own[e.user] = &bitset{}
		}
		l.own[e.user].grown(chunkOf(e.seq)).set(e.seq, true)
	}
	if d.mended {
		l.damaged = d.damaged
	}
	l.intact = d.intact
	if d.grown || d.mended {
		b.claim(l)
	}
}

// outcomeUnknown answers a commit that failed: nobody knows what is on disk. The tasks fail, the database is opened
// again and everything in memory is read from it; own logs go on in a new epoch.
func (s *Store) outcomeUnknown(err error, tasks []task) {
	s.metrics.unknown.Inc()
	s.opts.Log.Error("commit failed: opening the store again", "error", err)
	lost, rerr := s.reopen()
	if rerr != nil {
		why := fmt.Errorf("couldn't open the store again after a failed commit (%v): restart weft; %w", rerr, ErrOutcomeUnknown)
		s.failed.Store(&why)
		s.opts.Log.Error("store refuses everything", "error", rerr)
	}
	for _, t := range tasks {
		t.finish(fmt.Errorf("couldn't commit: %w: %w", err, ErrOutcomeUnknown))
	}
	s.notify(lost)
}

// dropCaches forgets what a group that was thrown away may have changed in memory.
func (s *Store) dropCaches() {
	s.memory().devices = map[deviceKey]*device{}
	s.rebuildEvaluators()
	for _, b := range s.memory().boards {
		if b.run != nil && b.logOf(b.run.origin) == nil {
			b.run = nil
		}
	}
}

// fault lets tests fail at a point.
func (s *Store) fault(point string) error {
	if s.opts.fault == nil {
		return nil
	}
	return s.opts.fault(point)
}
