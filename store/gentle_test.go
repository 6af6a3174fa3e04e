package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"weft/board"
)

// Beside posts of this node's own, signatures of others are checked in small batches by one worker: all of them still.
func TestSignaturesAreCheckedBesidePostsToo(t *testing.T) {
	ctx := context.Background()
	f := newTeamNode(t, 1, nil)
	g := f.join(2)
	const n = 3*verifyBatchSmall + 5
	var first Receipt
	for i := range n {
		if r := g.post("theirs"); i == 0 {
			first = r
		}
	}
	o := board.Origin{Node: first.Position.Node, Epoch: first.Position.Epoch}
	run, err := g.s.Run(ctx, f.board, o, 1, n, 1<<20)
	if err != nil || len(run.Items) != n {
		t.Fatal(len(run.Items), err)
	}
	for _, at := range []int{0, verifyBatchSmall, 2*verifyBatchSmall + 3, n - 1} {
		forged := *run
		forged.Items = slices.Clone(run.Items)
		e := *run.Items[at].Entry
		e.Signature = slices.Clone(e.Signature)
		e.Signature[7] ^= 1
		forged.Items[at].Entry = &e
		start := time.Now()
		f.post("mine")
		if !f.s.Posting() && time.Since(start) < postingFor {
			t.Fatal("nobody posts")
		}
		f.s.posted.Store(int64(time.Since(f.s.opened) + time.Hour)) // however long the commit took
		if _, err := f.s.Ingest(ctx, f.team, &forged, false); !errors.Is(err, board.ErrBadSignature) || !strings.Contains(err.Error(), e.ID.String()) {
			t.Fatalf("the forged signature of record %d: %v", at+1, err)
		}
	}
	f.post("mine")
	if r, err := f.s.Ingest(ctx, f.team, run, false); err != nil || r.Stored != n {
		t.Fatal(r, err)
	}
}
