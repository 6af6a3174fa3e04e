package p2p

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"weft/board"
	"weft/store"
)

// ingester carries out Ingest effects with a few workers, so that signatures are checked on all cores. Runs of one
// log in one board go one after the other, in order; small ones, which are live posts, before the bulk of a catch-up.
// What waits here is bounded by the credits that the Replica gives.
type ingester struct {
	m       *Mesh
	workers int
	wake    chan struct{} // one token for each turn that may be there to take
	posting func() bool   // whether somebody posts on this node

	mu struct {
		sync.Mutex
		queues map[ingestKey]*ingestQueue
		live   []*ingestQueue // have a small run first, and no worker
		bulk   []*ingestQueue // have a large run first, and no worker
		busy   int            // workers at a large run
	}
}

type ingestKey struct {
	board board.ID
	node  board.NodeID
}

type ingestQueue struct {
	key  ingestKey
	runs []board.Ingest
}

const (
	// liveRun: a run of at most so many records is taken for live.
	liveRun = 64
	// smallPart is how many records of a catch-up go into the store at a time then: a post waits for one such group.
	smallPart = 64
	// besidePosts is how many records of a catch-up a second go into the store then.
	besidePosts = 6000
)

func newIngester(m *Mesh) *ingester {
	// One more than there are cores, so that a live run needn't wait for the end of a large one.
	in := &ingester{m: m, workers: cores() + 1, posting: m.o.Store.Posting}
	in.wake = make(chan struct{}, in.workers)
	in.mu.queues = map[ingestKey]*ingestQueue{}
	return in
}

// cores is how many goroutines can be at work at once. GOMAXPROCS may be more: see daemon.SpreadThreads.
func cores() int { return min(runtime.NumCPU(), runtime.GOMAXPROCS(0)) }

// add queues a run. It never waits.
func (in *ingester) add(e board.Ingest) {
	in.mu.Lock()
	k := ingestKey{e.Run.Board, e.Run.Node}
	q := in.mu.queues[k]
	fresh := q == nil
	if fresh {
		q = &ingestQueue{key: k}
		in.mu.queues[k] = q
	}
	q.runs = append(q.runs, e)
	if fresh {
		in.ready(q)
	}
	in.mu.Unlock()
	in.nudge()
}

// ready puts a queue into the row it belongs to. Called with mu held.
func (in *ingester) ready(q *ingestQueue) {
	if len(q.runs[0].Run.Items) <= liveRun {
		in.mu.live = append(in.mu.live, q)
	} else {
		in.mu.bulk = append(in.mu.bulk, q)
	}
}

func (in *ingester) nudge() { nudge(in.wake) }

// take is the next run to ingest, or nothing. bulk says that done must give back a large run's place.
func (in *ingester) take() (q *ingestQueue, e board.Ingest, bulk bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case len(in.mu.live) > 0:
		q, in.mu.live = in.mu.live[0], in.mu.live[1:]
	case len(in.mu.bulk) > 0 && in.mu.busy < in.maxBulk():
		q, in.mu.bulk = in.mu.bulk[0], in.mu.bulk[1:]
		in.mu.busy++
		bulk = true
	default:
		return nil, e, false
	}
	return q, q.runs[0], bulk
}

// maxBulk is how many workers may be at large runs: all cores, or one beside somebody who posts here. Called with mu held.
func (in *ingester) maxBulk() int {
	if in.posting() {
		return 1
	}
	return in.workers - 1
}

// done puts the queue back if it has more.
func (in *ingester) done(q *ingestQueue, bulk bool) {
	in.mu.Lock()
	if bulk {
		in.mu.busy--
	}
	if q.runs = q.runs[1:]; len(q.runs) > 0 {
		in.ready(q)
	} else {
		delete(in.mu.queues, q.key)
	}
	in.mu.Unlock()
	in.nudge()
}

// work is one worker.
func (in *ingester) work(ctx context.Context) error {
	for {
		q, e, bulk := in.take()
		if q == nil {
			select {
			case <-in.wake:
				continue
			case <-ctx.Done():
				return nil
			}
		}
		in.nudge() // another worker may find something too
		in.ingest(ctx, e, bulk)
		in.done(q, bulk)
		if ctx.Err() != nil {
			return nil
		}
	}
}

// yield leaves the store and the cores to who posts here, after n records of a catch-up that took so long.
func (in *ingester) yield(ctx context.Context, n int, took time.Duration) {
	if !in.posting() {
		return
	}
	t := time.NewTimer(pause(n, took))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// pause is how long a catch-up waits beside posts after n records that took so long.
func pause(n int, took time.Duration) time.Duration {
	return max(time.Duration(n)*time.Second/besidePosts-took, took/4)
}

// parts cuts a large run while somebody posts here. What continues a log is cut at signed heads, since each part must
// end at one; what is older than all that is held is taken from its end.
func (in *ingester) parts(e board.Ingest) []*board.Run {
	if !in.posting() || e.Tail || len(e.Run.Items) <= smallPart {
		return []*board.Run{e.Run}
	}
	hashes := e.Run.Hashes()
	part := func(from, to int) *board.Run {
		p := *e.Run
		p.First, p.Items = e.Run.First+uint64(from), e.Run.Items[from:to]
		if from > 0 {
			p.Prev = board.Link{Epoch: p.Epoch, Seq: p.First - 1, Hash: hashes[from-1]}
		}
		return &p
	}
	var out []*board.Run
	n := len(e.Run.Items)
	if in.m.subs.held.covers(e.Run.Board, e.Run.Origin, e.Run.LastSeq()+1) { // what comes after it is held
		for to := n; to > 0; to -= smallPart {
			out = append(out, part(max(0, to-smallPart), to))
		}
		return out
	}
	from := 0
	for i, it := range e.Run.Items {
		if i+1 == n || i+1-from >= smallPart && len(it.HeadSig) > 0 {
			out = append(out, part(from, i+1))
			from = i + 1
		}
	}
	return out
}

// ingest hands a run to the store and tells the Replica what became of it.
func (in *ingester) ingest(ctx context.Context, e board.Ingest, bulk bool) {
	var res store.Result
	var err error
	for _, part := range in.parts(e) {
		start := time.Now()
		var r store.Result
		if r, err = in.m.o.Store.Ingest(ctx, e.Team, part, e.Tail); err != nil {
			break
		}
		res.Stored, res.Duplicates = res.Stored+r.Stored, res.Duplicates+r.Duplicates
		if bulk {
			in.yield(ctx, len(part.Items), time.Since(start))
		}
	}
	c := in.m.stats.ingested
	switch {
	case err == nil:
		c.WithLabelValues("stored").Add(float64(res.Stored))
		c.WithLabelValues("duplicate").Add(float64(res.Duplicates))
	case ctx.Err() != nil || errors.Is(err, store.ErrClosed):
		return
	default:
		c.WithLabelValues("refused").Add(float64(len(e.Run.Items)))
		in.m.log.Debug("a run was not stored", "board", e.Run.Board.String(), "node", e.Run.Node.String(), "first", e.Run.First, "records", len(e.Run.Items), "err", err)
	}
	in.m.step(board.Ingested{Token: e.Token, Err: err})
}
