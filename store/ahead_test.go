package store

import (
	"context"
	"errors"
	"testing"

	"weft/board"
)

// TestSignaturesCheckedAheadAreNotCheckedAgain breaks a signature before and after it was checked.
func TestSignaturesCheckedAheadAreNotCheckedAgain(t *testing.T) {
	a := newTeamNode(t, 1, nil)
	b := a.join(2)
	for range 300 {
		a.post("x")
	}
	l := a.post("last").Position
	ctx := context.Background()
	run := func() *board.Run {
		r, err := a.s.Run(ctx, a.board, l.Origin(), 1, l.Seq, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	bad := run()
	bad.Items[200].Entry.Signature[0] ^= 1
	bad.CheckSignatures(func() {})
	if _, err := b.s.Ingest(ctx, a.team, bad, false); !errors.Is(err, board.ErrBadSignature) {
		t.Fatalf("a bad signature: %v", err)
	}
	good := run()
	good.CheckSignatures(func() {})
	good.Items[200].Entry.Signature[0] ^= 1
	if res, err := b.s.Ingest(ctx, a.team, good, false); err != nil || res.Stored != len(good.Items) {
		t.Fatalf("checked ahead: %+v, %v", res, err)
	}
}
