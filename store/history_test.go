package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"weft/board"
)

// TestRolledBackFolderSignsNoSeqTwice puts an old copy of a folder back, and lets the node find what it lost at a peer.
func TestRolledBackFolderSignsNoSeqTwice(t *testing.T) {
	ctx := context.Background()
	f := newTeamNode(t, 1, nil)
	g := f.join(2)
	f.post("one")
	f.close()
	backup := copyFolder(t, f.dir)
	f.open()
	f.post("two")
	f.post("three")
	g.pull(f)
	f.close()
	f.dir = backup
	f.open()
	f.post("four") // before any peer could be asked: the branch with two and three is beyond the seal
	f.pull(g)
	g.pull(f)
	heads := seen(t, f, g)
	if len(heads) == 0 {
		t.Fatal("nothing seen")
	}
	for _, s := range []*fixture{f, g} { // whoever holds the orphans records them again, once
		s.settleOrphans()
	}
	f.pull(g)
	g.pull(f)
	want := []string{"four", "one", "three", "two"}
	for _, s := range []*fixture{f, g} {
		got := s.texts()
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("reads %q", got)
		}
	}
	ha, _, _ := f.s.Hash(ctx, f.board)
	hb, _, _ := g.s.Hash(ctx, f.board)
	if ha != hb {
		t.Fatal("the boards differ")
	}
	if n, _ := g.s.Unread(g.who.id.User, f.board); n != 4 {
		t.Fatalf("%d unread", n)
	}
}

// settleOrphans records again what needs it.
func (f *fixture) settleOrphans() {
	f.t.Helper()
	ctx := context.Background()
	for f.s.pendingWork() {
		if err := f.s.SetKV(ctx, "x", nil); err != nil {
			f.t.Fatal(err)
		}
	}
	orphans, err := f.s.Orphans(ctx, f.board)
	if err != nil {
		f.t.Fatal(err)
	}
	for o, seqs := range orphans {
		if err := f.s.ReRecord(ctx, f.team, f.board, o, seqs); err != nil {
			f.t.Fatal(err)
		}
	}
}

// seen checks that no (node, epoch, seq) carries two contents in any of these stores, and returns all heads.
func seen(t *testing.T, stores ...*fixture) map[string]board.Hash {
	t.Helper()
	ctx := context.Background()
	all := map[string]board.Hash{}
	for _, f := range stores {
		for _, info := range f.s.Boards(f.team) {
			h := f.s.Holding(info.ID)
			for _, n := range h.Nodes() {
				for _, st := range h.Stretches(n) {
					r, err := f.s.RunBack(ctx, info.ID, board.Origin{Node: n, Epoch: st.Epoch}, st.Hi, 1<<20)
					if err != nil {
						t.Fatal(err)
					}
					for i, hash := range r.Hashes() {
						k := fmt.Sprint(info.ID, n, st.Epoch, r.First+uint64(i))
						if o, ok := all[k]; ok && o != hash {
							t.Fatalf("two contents under %s", k)
						}
						all[k] = hash
					}
				}
			}
		}
	}
	return all
}

// TestClonesBothGoOn runs two copies of one folder.
func TestClonesBothGoOn(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	g := f.join(2)
	f.post("one")
	f.close()
	clone := *f
	clone.dir = copyFolder(t, f.dir)
	f.open()
	clone.open()
	defer clone.close()
	f.post("by the original")
	clone.post("by the clone")
	g.pull(f)
	g.pull(&clone)
	seen(t, f, &clone, g)
	if got := g.texts(); len(got) != 3 {
		t.Fatalf("reads %q", got)
	}
	f.pull(g)
	if got := f.texts(); len(got) != 3 {
		t.Fatalf("original reads %q", got)
	}
	f.reopen()
	f.post("after")
	g.pull(f)
	if got := g.texts(); len(got) != 4 {
		t.Fatalf("reads %q", got)
	}
}

// TestLostTailComesBackBeforeTheFirstAppend has the hook fetch what the store lost.
func TestLostTailComesBackBeforeTheFirstAppend(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	g := f.join(2)
	f.post("one")
	f.close()
	backup := copyFolder(t, f.dir)
	f.open()
	f.post("two")
	g.pull(f)
	f.close()
	f.dir = backup
	f.open()
	if f.s.Status().Short != "" {
		t.Fatal("the witness went back with the folder")
	}
	asked := 0
	f.s.SetFirstAppendHook(func(ctx context.Context, b board.ID) { asked++; f.pullBoard(g, b) })
	r := f.post("three")
	f.post("four")
	if asked != 1 {
		t.Fatalf("asked %d times", asked)
	}
	h := f.s.Holding(f.board)
	st, _ := h.Get(r.Position.Origin())
	if !h.Counting(board.Origin{Node: r.Position.Node, Epoch: st.LoPrev.Epoch}, st.LoPrev.Seq) || len(h.Leaves(r.Position.Node)) != 1 {
		t.Fatalf("the log branched: %+v", h.Leaves(r.Position.Node))
	}
	if got := f.texts(); !slices.Equal(got, []string{"one", "two", "three", "four"}) {
		t.Fatalf("reads %q", got)
	}
}

func TestFailedCommitIsAnUnknownOutcome(t *testing.T) {
	for _, point := range []string{"commit", "committed"} {
		t.Run(point, func(t *testing.T) {
			fail := false
			f := newTeamNode(t, 1, func(o *Options) {
				o.fault = func(p string) error {
					if fail && p == point {
						fail = false
						return errors.New("the disk says no")
					}
					return nil
				}
			})
			before := f.post("before")
			fail = true
			_, err := f.s.Append(context.Background(), []Draft{f.draft("in between", "retry")})
			if !errors.Is(err, ErrOutcomeUnknown) {
				t.Fatalf("append: %v", err)
			}
			rs, err := f.s.Append(context.Background(), []Draft{f.draft("in between", "retry")})
			if err != nil {
				t.Fatal(err)
			}
			if rs[0].Duplicate != (point == "committed") {
				t.Fatalf("%+v", rs[0])
			}
			after := f.post("after")
			if after.Position.Epoch.N <= before.Position.Epoch.N {
				t.Fatal("no new epoch")
			}
			if got := f.texts(); !slices.Equal(got, []string{"before", "in between", "after"}) {
				t.Fatalf("reads %q", got)
			}
			seen(t, f)
			c, err := f.s.Check(context.Background(), nil)
			if err != nil || c.Damaged > 0 {
				t.Fatalf("%+v %v", c, err)
			}
		})
	}
}

// TestIngestRefusesWithAReason: two contents under one seq, gaps, bad signatures, strangers.
func TestIngestRefusesWithAReason(t *testing.T) {
	ctx := context.Background()
	f := newTeamNode(t, 1, nil)
	g := f.join(2)
	for i := range 5 {
		g.post(fmt.Sprint(i))
	}
	o := g.s.Holding(g.board).Vector()[0]
	for _, l := range g.s.Vector(g.board) {
		if l.Node == board.NodeID(g.who.node.Public()) {
			o = l
		}
	}
	origin := board.Origin{Node: o.Node, Epoch: o.Epoch}
	run := func(first, last uint64) *board.Run {
		r, err := g.s.Run(ctx, g.board, origin, first, last, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	refuse := func(name string, r *board.Run, tail bool, want error) {
		t.Helper()
		if _, err := f.s.Ingest(ctx, f.team, r, tail); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	refuse("gap", run(2, 3), false, board.ErrGap)
	r := run(1, 2)
	bad := *r.Items[0].Entry
	bad.Signature = slices.Clone(bad.Signature)
	bad.Signature[3] ^= 1
	forged := *r
	forged.Items = slices.Clone(r.Items)
	forged.Items[0].Entry = &bad
	refuse("entry signature", &forged, false, board.ErrBadSignature)
	forged.Items = slices.Clone(r.Items)
	forged.Items[1].HeadSig = make([]byte, 64)
	refuse("head signature", &forged, false, board.ErrBadSignature)
	forged.Items[1].HeadSig = nil
	refuse("no head", &forged, false, board.ErrMalformed)
	stranger := *r
	stranger.Node[0]++
	refuse("stranger", &stranger, false, board.ErrUnknownOrigin)
	if n := len(f.texts()); n != 0 {
		t.Fatalf("%d entries show", n)
	}
	if res, err := f.s.Ingest(ctx, f.team, run(1, 3), false); err != nil || res.Stored != 3 {
		t.Fatalf("%+v %v", res, err)
	}
	if res, err := f.s.Ingest(ctx, f.team, run(2, 5), false); err != nil || res.Stored != 2 || res.Duplicates != 2 {
		t.Fatalf("%+v %v", res, err)
	}
	// the node signs another second record
	fork := *run(2, 2)
	fork.Items = []board.Item{{Entry: run(4, 4).Items[0].Entry, Received: 7}}
	sig := board.SignHead(g.who.node, board.Position{Board: f.board, Node: o.Node, Epoch: o.Epoch, Seq: 2, Hash: fork.Hashes()[0]})
	fork.Items[0].HeadSig = sig[:]
	refuse("fork", &fork, false, board.ErrFork)
	f.reopen()
	if fs := f.s.Forks(); len(fs) != 1 || fs[0].Proof.Check() != nil || fs[0].Proof.Seq() != (board.Point{Epoch: o.Epoch, Seq: 2}) {
		t.Errorf("the fork's proof was not kept: %v", fs)
	}
	if got := f.texts(); !slices.Equal(got, []string{"0", "1", "2", "3", "4"}) {
		t.Fatalf("reads %q", got)
	}
}
