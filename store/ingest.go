package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"weft/board"
	"weft/team"
)

// Ingest takes records of other nodes' logs (or of this node's own, which it lost). It accepts
//
//	(a) what goes on from what is held of the origin: the hashes must link, and the last record carries its signed head;
//	(b) seq 1 of an epoch that seals a held record, or that seals nothing;
//	(c) with tail, the newest part of the log of a node of whose log in this board nothing is held;
//	(d) what ends just below what is held: the chain already fixes its last hash, so no signed head is needed.
//
// What is held already is compared and counted. Nothing is stored unless all is accepted, except where the run is
// larger than a commit: then a first part may be. Errors wrap board.ErrGap, ErrFork, ErrMalformed, ErrTooLarge,
// ErrBadSignature, ErrUnknownOrigin, ErrPending, ErrUnknownTeam, ErrLimit, ErrStorageFull, ErrClosed or ErrOutcomeUnknown. Safe
// for concurrent use; runs of one origin must come one after the other.
func (s *Store) Ingest(ctx context.Context, t board.TeamID, r *board.Run, tail bool) (Result, error) {
	if err := s.writable(); err != nil {
		return Result{}, err
	}
	if err := r.Check(); err != nil {
		return Result{}, err
	}
	in, err := s.newIngest(t, r, tail)
	if err != nil {
		return Result{}, err
	}
	if err := in.verify(); err != nil {
		return Result{}, err
	}
	return in.run(ctx)
}

// ingest is one call of Ingest.
type ingest struct {
	s          *Store
	team       *teamState
	board      board.ID
	governance bool
	r          *board.Run
	hashes     []board.Hash
	tail       bool
	state      *team.State
	voids      []string       // by item: why its entry does not count
	objects    []*team.Object // of a governance board
	cuts       []bool         // by item: whether a cut decides if its entry counts
	ask        func(*team.Cut) bool
	asked      bool
	verified   []bool // entries' signatures
	headsFit   []bool // head signatures
}

// newIngest looks at everything that needs no signature.
func (s *Store) newIngest(t board.TeamID, r *board.Run, tail bool) (*ingest, error) {
	ts, ok := s.memory().team(t)
	if !ok {
		return nil, fmt.Errorf("couldn't take records: %w: %w", ErrUnknownTeam, board.ErrNotFound)
	}
	in := &ingest{s: s, team: ts, board: r.Board, r: r, tail: tail, state: ts.state.Load(), governance: r.Board == board.GovernanceID(t)}
	n := len(r.Items)
	in.verified, in.headsFit, in.cuts, in.voids = make([]bool, n), make([]bool, n), make([]bool, n), make([]string, n)
	in.ask = func(*team.Cut) bool { in.asked = true; return true } // the committer will look
	for _, it := range r.Items {
		if it.Entry.Header.Team != t {
			return nil, fmt.Errorf("couldn't take records: entry of another team: %w", board.ErrMalformed)
		}
	}
	if in.governance {
		in.objects = make([]*team.Object, n)
	} else if !isOrigin(in.state, r.Node) {
		return nil, fmt.Errorf("couldn't take records of node %s: %w", r.Node, board.ErrUnknownOrigin)
	} else if err := s.teamFull(ts); err != nil {
		return nil, fmt.Errorf("couldn't take records: %w", err)
	} else if _, ok := s.memory().board(r.Board); !ok {
		return nil, fmt.Errorf("couldn't take records of board %s: it is not known yet: %w", r.Board, board.ErrPending)
	}
	in.hashes = r.Hashes()
	return in, nil
}

// verify checks the rights and signatures of what is not held yet.
func (in *ingest) verify() error {
	need := in.missing()
	var entries, heads []int
	for i := range in.r.Items {
		if !need(in.r.First + uint64(i)) {
			continue
		}
		if err := in.judge(i); err != nil {
			return err
		}
		entries = append(entries, i)
	}
	if len(entries) == 0 {
		return in.verifyRepeated()
	}
	for i, it := range in.r.Items {
		if len(it.HeadSig) > 0 {
			heads = append(heads, i)
		}
	}
	return in.verifySignatures(entries, heads)
}

// missing says which seqs are not held; the store can only come to hold more of them before the records are written,
// or find that some are damaged, and then the call begins again.
func (in *ingest) missing() func(seq uint64) bool {
	b, ok := in.s.memory().board(in.board)
	if !ok {
		return func(uint64) bool { return true }
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.logOf(in.r.Origin)
	if l == nil {
		return func(uint64) bool { return true }
	}
	st, damaged := l.st, l.damaged
	return func(seq uint64) bool {
		for _, d := range damaged {
			if d.from <= seq && seq <= d.to {
				return true
			}
		}
		return seq < st.Lo || seq > st.Hi
	}
}

// judge asks the team's rules about one entry.
func (in *ingest) judge(i int) error {
	e := in.r.Items[i].Entry
	if in.governance {
		o, err := team.EntryObject(e)
		if err != nil {
			in.voids[i] = err.Error()
		}
		in.objects[i] = o
		return nil
	}
	if e.Header.Kind.Governance() {
		in.voids[i] = "its kind belongs on the governance board"
		return nil
	}
	in.asked = false
	v := in.state.CheckEntry(&e.Header, in.ask)
	in.cuts[i] = in.asked
	switch v.Status {
	case team.Pending:
		in.s.metrics.pending.Inc()
		return fmt.Errorf("couldn't take entry %s: %s: %w", e.ID, v.Reason, board.ErrPending)
	case team.Void:
		in.voids[i] = voidText(v)
	}
	return nil
}

// verifyRepeated checks the last head of records that are all held: if they turn out to differ, it is the proof.
func (in *ingest) verifyRepeated() error {
	last := len(in.r.Items) - 1
	if len(in.r.Items[last].HeadSig) == 0 {
		return nil
	}
	in.headsFit[last] = in.verifyHead(last)
	return nil
}

func (in *ingest) position(i int) board.Position {
	return board.Position{Board: in.board, Node: in.r.Node, Epoch: in.r.Epoch, Seq: in.r.First + uint64(i), Hash: in.hashes[i]}
}

func (in *ingest) verifyHead(i int) bool {
	return board.VerifyHead(in.position(i), in.r.Items[i].HeadSig)
}

// verifyBatch is how many signatures are checked together; beside posts fewer, so that a post waits little for a core.
const (
	verifyBatch      = 64
	verifyBatchSmall = 16
)

// postingFor: after a post of this node's own, records of others are checked gently for so long.
const postingFor = 500 * time.Millisecond

// Posting says whether somebody posts on this node: a catch-up then leaves cores and commits to them.
func (s *Store) Posting() bool {
	at := s.posted.Load()
	return at != 0 && time.Since(s.opened)-time.Duration(at) < postingFor
}

// notePost is told of each post of this node's own.
func (s *Store) notePost() { s.posted.Store(int64(time.Since(s.opened))) }

// verifySignatures checks heads one by one, from the last (one rotten signature costs its sender little), then the entries in
// batches on all cores, or on one beside posts.
func (in *ingest) verifySignatures(entries, heads []int) error {
	for k := len(heads) - 1; k >= 0; k-- {
		if !in.verifyHead(heads[k]) {
			in.s.metrics.badSignature.Inc()
			return fmt.Errorf("couldn't take records: signature of head %d of node %s: %w", in.r.First+uint64(heads[k]), in.r.Node, board.ErrBadSignature)
		}
		in.headsFit[heads[k]] = true
	}
	entries = slices.DeleteFunc(entries, func(i int) bool {
		in.verified[i] = in.r.Items[i].Checked()
		return in.verified[i]
	})
	var bad atomic.Int64
	bad.Store(-1)
	var next atomic.Int64
	size, workers := verifyBatch, min(cores(), (len(entries)+verifyBatch-1)/verifyBatch)
	gentle := in.s.Posting()
	if gentle {
		size, workers = verifyBatchSmall, 1
	}
	work := func() {
		for {
			from := int(next.Add(int64(size))) - size
			if from >= len(entries) || bad.Load() >= 0 {
				return
			}
			var batch board.Batch
			row := entries[from:min(from+size, len(entries))]
			for _, i := range row {
				e := in.r.Items[i].Entry
				batch.Add(e.Header.Device, board.SignEntry, e.ID, e.Signature)
			}
			if b := batch.Verify(); len(b) > 0 {
				bad.Store(int64(row[b[0]]))
				return
			}
			if gentle {
				runtime.Gosched()
			}
		}
	}
	var wg sync.WaitGroup
	for range workers - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
	if i := bad.Load(); i >= 0 {
		in.s.metrics.badSignature.Inc()
		return fmt.Errorf("couldn't take records: signature of entry %s: %w", in.r.Items[i].Entry.ID, board.ErrBadSignature)
	}
	for _, i := range entries {
		in.verified[i] = true
	}
	return nil
}

// errAgain: what is held changed between verification and commit, so that more has to be verified.
var errAgain = errors.New("held records changed")

// run hands the records to the committer, in parts that fit into a commit, and waits for all.
func (in *ingest) run(ctx context.Context) (Result, error) {
	var parts []*ingestTask
	backward := in.backward()
	for from := 0; from < len(in.r.Items); {
		to, size := from, 0
		for to < len(in.r.Items) && to-from < 1000 && (to == from || size < maxTaskBytes) {
			it := in.r.Items[to]
			size += len(it.Entry.Raw) + len(it.Entry.Body) + 512
			to++
		}
		parts = append(parts, &ingestTask{in: in, from: from, to: to, size: int64(size), done: make(chan struct{})})
		from = to
	}
	var res Result
	var first error
	queued := 0
	for k := range parts {
		t := parts[k]
		if backward {
			t = parts[len(parts)-1-k]
		}
		if first = in.s.room.Acquire(ctx, t.size); first != nil {
			first = fmt.Errorf("couldn't queue records: %w", first)
			break
		}
		if first = in.s.submit(ctx.Done(), t); first != nil {
			in.s.room.Release(t.size)
			break
		}
		t.queued = true
		queued++
	}
	for _, t := range parts {
		if !t.queued {
			continue
		}
		<-t.done
		res.Stored += t.stored
		res.Duplicates += t.duplicates
		if t.err != nil && (first == nil || errors.Is(first, board.ErrGap)) {
			first = t.err
		}
	}
	if errors.Is(first, errAgain) {
		return in.s.Ingest(ctx, in.team.id, in.r, in.tail)
	}
	if errors.Is(first, board.ErrFork) && in.headsFit[len(in.headsFit)-1] {
		if _, err := in.s.FindFork(ctx, in.team.id, in.r); err != nil {
			in.s.opts.Log.Debug("no proof of a fork", "error", err)
		}
	}
	in.s.metrics.duplicates.Add(float64(res.Duplicates))
	return res, first
}

// backward says whether the run ends where what is held begins, so that its last part must go first.
func (in *ingest) backward() bool {
	b, ok := in.s.memory().board(in.board)
	if !ok {
		return false
	}
	last := board.Point{Epoch: in.r.Epoch, Seq: in.r.LastSeq()}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.byNode[in.r.Node] {
		if (board.Point{Epoch: l.st.LoPrev.Epoch, Seq: l.st.LoPrev.Seq}) == last {
			return true
		}
	}
	return false
}
