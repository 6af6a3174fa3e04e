package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"
	"google.golang.org/protobuf/proto"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// Bounds of the proofs kept: of one epoch one is enough, unless a later one shows that the contents part earlier.
const (
	maxForks       = 256
	maxForksOfNode = 16
)

// ForkSearch says how far it is known where a node's contents of one epoch part: records up to Same are those held here,
// those from Differs on are others (0: none is known to be).
type ForkSearch struct {
	Same, Differs uint64
	Proven        bool // a proof is kept: see Forks
}

// FindFork compares a run of another node, which carries its signed head at the end, with what is held of its origin. Where
// they part within the run, the proof is kept. Errors wrap board.ErrMalformed, ErrBadSignature, ErrNotFound, ErrNotHeld or
// those of writing.
func (s *Store) FindFork(ctx context.Context, t board.TeamID, r *board.Run) (ForkSearch, error) {
	if err := r.Check(); err != nil {
		return ForkSearch{}, err
	}
	l, err := s.findLog(r.Board, r.Origin)
	if err != nil {
		return ForkSearch{}, err
	}
	if l.board.team.id != t {
		return ForkSearch{}, fmt.Errorf("couldn't compare records: their board is another team's: %w", board.ErrMalformed)
	}
	f := forkFinder{s: s, l: l, r: r, hashes: r.Hashes()}
	if !f.signed(len(r.Items) - 1) {
		s.metrics.badSignature.Inc()
		return ForkSearch{}, fmt.Errorf("couldn't compare records of node %s: %w", r.Node, board.ErrBadSignature)
	}
	found, proof, err := f.find()
	if err != nil || proof == nil || r.Node == s.nodeID {
		return found, err
	}
	found.Proven = true
	return found, s.keepFork(ctx, proof)
}

// forkFinder compares one run with what is held.
type forkFinder struct {
	s      *Store
	l      *logState
	r      *board.Run
	hashes []board.Hash
	ours   []board.Record
	sigs   [][]byte
}

func (f *forkFinder) signed(i int) bool {
	at := board.Position{Board: f.r.Board, Node: f.r.Node, Epoch: f.r.Epoch, Seq: f.r.First + uint64(i), Hash: f.hashes[i]}
	return len(f.r.Items[i].HeadSig) == 64 && board.VerifyHead(at, f.r.Items[i].HeadSig)
}

func (f *forkFinder) find() (out ForkSearch, proof *board.Fork, err error) {
	st, _ := f.l.stretchOf()
	if f.r.First > st.Hi+1 || f.r.LastSeq() < st.Lo || f.r.First < st.Lo {
		return out, nil, fmt.Errorf("couldn't compare records %d to %d with %d to %d: %w", f.r.First, f.r.LastSeq(), st.Lo, st.Hi, board.ErrNotHeld)
	}
	err = f.s.view(func(_ *memory, txn *badger.Txn) error {
		before := &board.Run{Origin: f.r.Origin, First: f.r.First}
		if err := f.s.linkBefore(txn, f.l, st, before); err != nil {
			return err
		}
		if before.Prev.Hash != f.r.Prev.Hash && f.r.First > 1 {
			out.Differs = f.r.First - 1
			return nil
		}
		return f.read(txn, before.Prev, min(st.Hi, f.r.LastSeq()+board.MaxForkRest))
	})
	if err != nil || out.Differs > 0 {
		return out, nil, err
	}
	for i := range f.hashes {
		if i == len(f.ours) || f.ours[i].Hash() != f.hashes[i] {
			out.Same = f.r.First + uint64(i) - 1
			if i < len(f.ours) {
				out.Differs = out.Same + 1
				proof = f.proof(i)
			}
			return out, proof, nil
		}
	}
	out.Same = f.r.LastSeq()
	return out, nil, nil
}

// read reads what is held from the run's first record on.
func (f *forkFinder) read(txn *badger.Txn, prev board.Link, last uint64) error {
	head, headSig := f.l.head()
	bad, err := eachRecord(txn, f.l.num, f.r.First, last, func(seq uint64, r stored) bool {
		rec := board.Record{Board: f.l.board.id, Origin: f.l.origin, Seq: seq, Prev: prev, Entry: r.entry.ID, Received: r.received}
		prev = board.Link{Epoch: f.l.origin.Epoch, Seq: seq, Hash: rec.Hash()}
		sig := r.headSig
		if seq == head {
			sig = headSig
		}
		f.ours, f.sigs = append(f.ours, rec), append(f.sigs, sig)
		return true
	})
	if errors.Is(err, errDecode) {
		return f.s.damagedRun(f.l, bad, err)
	}
	return err
}

// proof is made of the i-th record of the run and the one held in its place; nil where a signed head is missing.
func (f *forkFinder) proof(i int) *board.Fork {
	p := &board.Fork{A: board.ForkSide{Record: f.ours[i]}}
	if !f.close(&p.A, i) {
		return nil
	}
	prev := f.r.Prev.Hash
	if i > 0 {
		prev = f.hashes[i-1]
	}
	p.B.Record = f.r.Record(i, prev)
	for j := i; ; j++ {
		if j == len(f.r.Items) || j-i > board.MaxForkRest {
			return nil
		}
		if it := f.r.Items[j]; j > i {
			p.B.Rest = append(p.B.Rest, board.RestItem{Entry: it.Entry.ID, Received: it.Received})
		}
		if f.signed(j) {
			copy(p.B.Sig[:], f.r.Items[j].HeadSig)
			break
		}
	}
	if p.Check() != nil {
		return nil
	}
	return p
}

// close goes on from what is held at i to the next signed head.
func (f *forkFinder) close(to *board.ForkSide, i int) bool {
	for j := i; j < len(f.ours) && j-i <= board.MaxForkRest; j++ {
		if j > i {
			to.Rest = append(to.Rest, board.RestItem{Entry: f.ours[j].Entry, Received: f.ours[j].Received})
		}
		if len(f.sigs[j]) == 64 {
			copy(to.Sig[:], f.sigs[j])
			return true
		}
	}
	return false
}

// forkKey: board 16, node 32, epoch 16, seq 8.
func forkKey(f *board.Fork) []byte {
	at := f.A.Record.Position()
	k := append([]byte{tFork}, at.Board[:]...)
	k = append(k, at.Node[:]...)
	return appendPointKey(k, f.Seq())
}

// keepFork keeps a proof, unless one is kept that shows as much.
func (s *Store) keepFork(ctx context.Context, f *board.Fork) error {
	s.forksMu.Lock()
	keep := s.forksWanted(f)
	s.forksMu.Unlock()
	if !keep {
		return nil
	}
	t := &forkTask{s: s, fork: f, done: make(chan error, 1)}
	if err := s.do(ctx, t, t.done); err != nil {
		return fmt.Errorf("couldn't keep fork proof: %w", err)
	}
	return nil
}

// forksWanted says whether a proof is worth its place; the caller holds forksMu.
func (s *Store) forksWanted(f *board.Fork) bool {
	ofNode := 0
	for _, x := range s.forks {
		if x.A.Record.Node != f.A.Record.Node {
			continue
		}
		ofNode++
		if x.A.Record.Board == f.A.Record.Board && x.A.Record.Epoch == f.A.Record.Epoch && x.A.Record.Seq <= f.A.Record.Seq {
			return false
		}
	}
	return len(s.forks) < maxForks && ofNode < maxForksOfNode
}

// forkTask writes a proof.
type forkTask struct {
	s    *Store
	fork *board.Fork
	done chan error
}

func (t *forkTask) prepare(g *group) error {
	c, err := proto.Marshal(t.fork.Wire())
	if err == nil {
		err = g.put(forkKey(t.fork), c)
	}
	if err != nil {
		return errors.Join(errAbort, err)
	}
	g.published = append(g.published, func() {
		t.s.forksMu.Lock()
		t.s.forks = append(t.s.forks, t.fork)
		t.s.forksMu.Unlock()
		t.s.opts.Log.Warn("a node signed two records under one number", "node", t.fork.A.Record.Node.String()[:16],
			"board", t.fork.A.Record.Board.String()[:8], "seq", t.fork.A.Record.Seq)
	})
	return nil
}

func (t *forkTask) finish(err error) { t.done <- err }

// Fork is a proof that is kept.
type Fork struct {
	Team  board.TeamID
	Proof *board.Fork
}

// Forks are the proofs kept that nodes signed two contents under one number. Who finds one that State.ForkProofs does not
// know records it with team.NewFork. A new one nudges who has subscribed.
func (s *Store) Forks() (out []Fork) {
	s.forksMu.Lock()
	all := slices.Clone(s.forks)
	s.forksMu.Unlock()
	for _, f := range all {
		if t, ok := s.BoardTeam(f.A.Record.Board); ok {
			out = append(out, Fork{t, f})
		}
	}
	return out
}

func (ld *loader) fork(_, c []byte) error {
	var m weftv1.ForkProof
	if proto.Unmarshal(c, &m) != nil {
		return errDecode
	}
	f, err := board.ParseFork(&m)
	if err != nil {
		return errDecode
	}
	ld.forks = append(ld.forks, f)
	return nil
}
