package board

import (
	"slices"
	"time"
)

// transfer is a Want that a peer is answering. A log has at most two at a time: one for what is newer, one for older history.
type transfer struct {
	id       uint64
	stream   *stream
	log      *replLog
	toward   Point
	probe    *forkSearch // not nil: what comes is only compared
	backward bool
	big      bool
	claimed  bool // the peer's vector says that it holds what is asked for

	credit   int  // bytes that the peer may still send
	owed     int  // bytes of credit to give back
	thirsty  bool // in room.thirsty
	queued   int  // bytes that are here and not stored
	pieces   int  // runs that are here and not stored
	bytes    int  // received
	useful   int  // records stored
	progress time.Time
	waitFrom time.Time
	waited   time.Duration // time in which it was the peer's turn
	nudged   bool
	status   AnswerStatus
	done     bool // the peer has said all
	ended    bool
}

// start opens a transfer.
func (r *Replica) start(l *replLog, o *offer) {
	r.dropPieces(l, func(p *piece) bool { return p.transfer != nil && p.transfer.ended })
	s := o.stream
	s.lastID++
	t := &transfer{
		id: s.lastID, stream: s, log: l, toward: o.want.toward, backward: o.want.backward, big: o.want.big, claimed: o.want.claimed,
		progress: r.now, waitFrom: r.now,
	}
	m := r.roomOf(s.governance)
	m.promise(t, min(r.cfg.Window, m.free()))
	t.owed = r.cfg.Window - t.credit // comes when something of it is stored
	s.transfers.put(t.id, t)
	l.transfers[side(t.backward)], l.waiting = t, false
	r.at(r.now.Add(r.cfg.Watchdog / 2))
	w := Want{
		Peer: s.peer.id, Governance: s.governance, ID: t.id, Team: l.board.team.id, Board: l.board.id, Node: l.node,
		Toward: t.toward, Credit: t.credit, Backward: t.backward,
	}
	if !t.backward { // backward goes on below what is held: toward says where
		w.Have = l.board.holding.Have(l.node)
	}
	r.do(w)
}

// reached says whether a transfer's purpose is fulfilled, whoever brought the records.
func (l *replLog) reached(t *transfer) bool {
	h, o := &l.board.holding, Origin{l.node, t.toward.Epoch}
	if !h.Holds(o, t.toward.Seq) {
		return false
	}
	_, open := h.Base(o)
	return !t.backward || !open
}

// answered takes in a part of a transfer.
func (r *Replica) answered(e Answered) {
	s := r.stream(e.Peer, e.Governance)
	if s == nil {
		r.count("answer_ignored", 1)
		return
	}
	s.moved, s.stalled = r.now, false
	size := 0
	if e.Run != nil {
		size = e.Run.Size()
	}
	t := s.transfers.at(e.ID)
	if t == nil || t.done {
		r.unasked(s, e, size)
		return
	}
	if t.probe != nil {
		r.probed(t, e, size)
		return
	}
	if e.Run != nil && !r.received(t, e.Run, size) {
		return
	}
	if e.Done || e.Status != AnswerOK {
		t.done, t.status = true, e.Status
		m := r.roomOf(e.Governance)
		m.promise(t, -t.credit) // no more will come
		r.roomier(m)
		r.concluded(t)
	}
}

// unasked counts an answer to nothing: late where it was asked for once, else an offence.
func (r *Replica) unasked(s *stream, e Answered, size int) {
	if e.ID > 0 && e.ID <= s.lastID {
		r.count("late_answer", 1)
		if s.late -= size; s.late >= 0 || size == 0 {
			return
		}
		s.late = 0
	}
	r.blame(s.peer.id, "unsolicited", 25)
}

// received checks a run against what was asked for and takes it in. False: the transfer is over.
func (r *Replica) received(t *transfer, run *Run, size int) bool {
	n := t.stream.peer.id
	if run.Board != t.log.board.id || run.Node != t.log.node {
		r.cancel(t)
		r.blame(n, "answer_of_another_log", 25)
		return false
	}
	t.waited += r.now.Sub(t.waitFrom)
	t.waitFrom = r.now
	t.bytes += size
	m := r.roomOf(t.stream.governance)
	if m.promise(t, -size); t.credit < -overCredit {
		r.cancel(t)
		r.blame(n, "over_credit", 25)
		return false
	}
	t.queued += size
	m.here += size
	t.pieces++
	r.take(&piece{
		log: t.log, run: run, hashes: run.Hashes(), from: n, transfer: t, tail: t.backward,
		size: size, records: len(run.Items), since: r.now,
	})
	return !t.ended
}

// concluded ends a transfer of which all has come and been stored, and judges its outcome.
func (r *Replica) concluded(t *transfer) {
	if !t.done || t.pieces > 0 || t.ended {
		return
	}
	n, l := t.stream.peer.id, t.log
	switch t.status {
	case AnswerOK:
		if t.useful == 0 && !l.reached(t) {
			r.strike(l, n)
			if t.claimed {
				l.avoid[n].lies++
				r.blame(n, "empty_answer", 5)
			}
		}
	case AnswerNotMember:
		if v := t.stream.views.at(l.board.team.id); v != nil {
			v.refused = r.now.Add(askEvery)
		}
		r.count("answer_not_member", 1)
	case AnswerBusy:
		l.avoidanceOf(n).until = r.now.Add(r.jitter(time.Second))
		r.count("answer_busy", 1)
	default:
		r.count("answer_not_held", 1)
		r.strike(l, n)
	}
	r.endTransfer(t)
}

// strike notes that a peer failed for a log: it is left alone there for a while, longer each time.
func (r *Replica) strike(l *replLog, n NodeID) {
	a := l.avoidanceOf(n)
	a.strikes++
	a.until = r.now.Add(min(maxAvoid, 5*time.Second<<min(a.strikes-1, 10)))
	l.unavailable[n] = true
}

func (l *replLog) avoidanceOf(n NodeID) *avoidance {
	a := l.avoid[n]
	if a == nil {
		a = &avoidance{}
		l.avoid[n] = a
	}
	return a
}

// cancel ends a transfer from this side.
func (r *Replica) cancel(t *transfer) {
	if t.ended {
		return
	}
	if !t.done {
		r.do(SendCancel{t.stream.peer.id, t.stream.governance, t.id})
		t.stream.late += max(t.credit, 0) + overCredit
	}
	r.endTransfer(t)
}

// endTransfer frees a transfer's place. What it has brought is still stored.
func (r *Replica) endTransfer(t *transfer) {
	if t.ended {
		return
	}
	t.ended = true
	if t.probe != nil && t.useful == 0 { // nothing came: the next contradiction begins anew
		t.log.forks = slices.DeleteFunc(t.log.forks, func(f *forkSearch) bool { return f == t.probe && !f.over })
	}
	m := r.roomOf(t.stream.governance)
	m.promise(t, -t.credit)
	t.stream.transfers.drop(t.id)
	if d := side(t.backward); t.log.transfers[d] == t {
		t.log.transfers[d] = nil
	}
	r.freed = true
	r.heat(t.log, r.now)
	r.roomier(m)
}

// watch ends transfers of a peer that make no progress.
func (r *Replica) watch(p *peer) {
	for _, s := range p.streams {
		if s == nil {
			continue
		}
		for _, t := range s.transfers.all() {
			r.watchTransfer(s, t)
		}
	}
	r.release(p)
}

func (r *Replica) watchTransfer(s *stream, t *transfer) {
	if t.done || t.queued > 0 || t.thirsty && t.credit <= 0 {
		r.at(r.now.Add(r.cfg.Watchdog / 2)) // it is this node's turn, not the peer's
		return
	}
	since := t.progress
	dead := since.Add(r.cfg.Watchdog)
	if s.moved.After(since) {
		dead = earlier(s.moved.Add(r.cfg.Watchdog), since.Add(starveTimes*r.cfg.Watchdog))
	}
	waited := t.waited + r.now.Sub(t.waitFrom)
	slow := waited > slowAfter && t.bytes > 0 && float64(t.bytes) < slowRate*waited.Seconds() && s.transfers.len() == 1
	switch {
	case r.isDue(dead), slow:
		r.count("watchdog", 1)
		r.strike(t.log, s.peer.id)
		r.cancel(t)
		s.stalled = s.stalled || r.now.Sub(s.moved) >= r.cfg.Watchdog
		r.blame(s.peer.id, "no_progress", 0.2) // a bad network is no offence
		return
	case !t.nudged && r.isDue(since.Add(r.cfg.Watchdog/2)):
		// Should the two ends ever disagree about credit, this sets it right again.
		t.nudged = true
		if m := r.roomOf(s.governance); m.fits() {
			n := min(r.cfg.Window, m.free())
			r.do(SendCredit{s.peer.id, s.governance, t.id, n})
			m.promise(t, n)
		}
	}
	if !t.nudged {
		dead = earlier(dead, since.Add(r.cfg.Watchdog/2))
	}
	r.at(dead)
}
