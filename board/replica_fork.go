package board

import (
	"slices"
)

// Two nodes that hold different contents under one seq find out by the hashes of what they name, far above the place where
// the contents part. To prove it they need both records there: so the seq is searched for, by asking the peer for one
// run after another, which the store compares with what it holds.

// Bounds of searches.
const (
	maxForkSearches = 4  // of one log: each is about another epoch
	maxForkProbes   = 48 // runs asked for in one search: twice what halving 2^24 records takes
)

// forkSearch looks for the first seq of an epoch under which a peer has another record.
type forkSearch struct {
	epoch     Epoch
	from      NodeID
	low, high uint64 // records up to low are the same; that at high is not
	step      uint64 // how far the next probe goes down from high; 0: halve
	probes    int
	over      bool
}

// suspectFork begins to search, once for each epoch.
func (r *Replica) suspectFork(l *replLog, e Epoch, from NodeID) {
	s, held := l.board.holding.Get(Origin{l.node, e})
	if !held || len(l.forks) == maxForkSearches || l.node == r.cfg.Self ||
		slices.ContainsFunc(l.forks, func(f *forkSearch) bool { return f.epoch == e }) {
		return
	}
	f := &forkSearch{epoch: e, from: from, low: s.Lo - 1, high: s.Hi, step: HeadEvery}
	l.forks = append(l.forks, f)
	r.probeFork(l, f)
}

// probeFork asks for the next run to compare.
func (r *Replica) probeFork(l *replLog, f *forkSearch) {
	s := r.stream(f.from, l.board.governance)
	if s == nil || s.views.at(l.board.team.id) == nil || s.transfers.len() >= r.cfg.PerPeer ||
		f.probes >= maxForkProbes || !r.roomOf(l.board.governance).fits() {
		l.forks = slices.DeleteFunc(l.forks, func(x *forkSearch) bool { return x == f }) // the next contradiction begins anew
		return
	}
	after := (f.low + f.high) / 2
	if f.step > 0 {
		after = max(f.low, f.high-min(f.step, f.high))
		f.step *= 4
	}
	f.probes++
	s.lastID++
	t := &transfer{
		id: s.lastID, stream: s, log: l, toward: Point{f.epoch, after + 1}, probe: f, progress: r.now, waitFrom: r.now,
	}
	m := r.roomOf(l.board.governance)
	m.promise(t, min(r.cfg.Window, m.free()))
	s.transfers.put(t.id, t)
	r.at(r.now.Add(r.cfg.Watchdog / 2))
	r.do(Want{
		Peer: s.peer.id, Governance: s.governance, ID: t.id, Team: l.board.team.id, Board: l.board.id, Node: l.node,
		Have: []Point{{f.epoch, after}}, Toward: t.toward, Credit: t.credit,
	})
}

// probed takes in what was asked for to be compared.
func (r *Replica) probed(t *transfer, e Answered, size int) {
	r.roomOf(t.stream.governance).promise(t, -size)
	t.progress = r.now
	if run := e.Run; run != nil {
		good := run.Board == t.log.board.id && run.Node == t.log.node && run.Epoch == t.probe.epoch && t.credit >= -overCredit
		t.useful++
		r.cancel(t)
		if !good {
			r.endSearch(t.log, t.probe)
			r.blame(t.stream.peer.id, "answer_of_another_log", 25)
			return
		}
		r.do(CompareFork{t.log.board.team.id, run, t.stream.peer.id})
		return
	}
	if e.Done || e.Status != AnswerOK {
		t.done = true
		r.endSearch(t.log, t.probe)
		r.endTransfer(t)
	}
}

// endSearch keeps a search from being begun again.
func (r *Replica) endSearch(l *replLog, f *forkSearch) { f.over = true }

// forkCompared goes on with a search.
func (r *Replica) forkCompared(e ForkCompared) {
	b := r.board(e.Team, e.Board)
	if b == nil {
		return
	}
	l := b.logs.at(e.Origin.Node)
	if l == nil {
		return
	}
	i := slices.IndexFunc(l.forks, func(f *forkSearch) bool { return f.epoch == e.Origin.Epoch && f.from == e.From && !f.over })
	if i < 0 {
		return
	}
	f := l.forks[i]
	if e.Differs > 0 && e.Differs < f.high {
		f.high = e.Differs
	}
	if e.Same > f.low && e.Same < f.high {
		f.low, f.step = e.Same, 0
	}
	switch {
	case e.Proven:
		r.count("fork_proven", 1)
		r.endSearch(l, f)
	case e.Failed, f.high <= f.low+1 && f.probes > 1 && e.Differs == f.high && e.Same == f.low:
		r.count("fork_unproven", 1)
		r.endSearch(l, f)
	default:
		r.probeFork(l, f)
	}
}
