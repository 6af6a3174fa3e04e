package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"weft/board"
)

// forkedRun is what g's node could sign as well: its records first..last, but with another entry at first.
func forkedRun(t *testing.T, g *fixture, o board.Origin, first, last uint64) *board.Run {
	t.Helper()
	r, err := g.s.Run(context.Background(), g.board, o, first, last, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	fork := *r
	fork.Items = append([]board.Item(nil), r.Items[:last-first+1]...)
	fork.Items[0].Received++
	for i := range fork.Items {
		fork.Items[i].HeadSig = nil
	}
	n := len(fork.Items) - 1
	sig := board.SignHead(g.who.node, board.Position{Board: g.board, Node: o.Node, Epoch: o.Epoch, Seq: fork.LastSeq(), Hash: fork.Hashes()[n]})
	fork.Items[n].HeadSig = sig[:]
	return &fork
}

func TestTheProofOfAForkOutlastsARestart(t *testing.T) {
	ctx := context.Background()
	f := newTeamNode(t, 1, nil)
	g := f.join(2)
	var at board.Position
	for i := range 150 {
		at = g.post(fmt.Sprint(i)).Position
	}
	o := at.Origin()
	whole, err := g.s.Run(ctx, g.board, o, 1, 150, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.s.Ingest(ctx, f.team, whole, false); err != nil {
		t.Fatal(err)
	}
	fork := forkedRun(t, g, o, 100, 110)
	if _, err := f.s.Ingest(ctx, f.team, fork, false); !errors.Is(err, board.ErrFork) {
		t.Fatalf("a fork was taken: %v", err)
	}
	check := func(when string) {
		t.Helper()
		forks := f.s.Forks()
		if len(forks) != 1 {
			t.Fatalf("%s: %d proofs", when, len(forks))
		}
		p := forks[0]
		if !p.Proves() || p.Team != f.team || p.Held.Record.Seq != 100 || p.Second.Record.Hash() != fork.Hashes()[0] {
			t.Fatalf("%s: %+v", when, p)
		}
		back, err := parseFork(p.append(nil))
		if err != nil || !back.Proves() || !bytes.Equal(back.append(nil), p.append(nil)) {
			t.Fatalf("%s: a proof reads back as %+v: %v", when, back, err)
		}
	}
	check("at once")
	for range 3 { // of one log one proof is enough
		if _, err := f.s.Ingest(ctx, f.team, fork, false); !errors.Is(err, board.ErrFork) {
			t.Fatal(err)
		}
	}
	if err := f.s.SetKV(ctx, "x", nil); err != nil { // the committer has been there
		t.Fatal(err)
	}
	f.reopen()
	check("after a restart")
	f.close()
	if err := os.Truncate(filepath.Join(f.dir, "MANIFEST"), 6); err != nil {
		t.Fatal(err)
	}
	f.open()
	check("after the store was mended")
	unsigned := forkedRun(t, g, o, 120, 125)
	unsigned.Items[5].HeadSig = make([]byte, 64)
	if _, err := f.s.Ingest(ctx, f.team, unsigned, false); !errors.Is(err, board.ErrFork) && !errors.Is(err, board.ErrBadSignature) {
		t.Fatal(err)
	}
	check("after a rival that nobody signed")
}
