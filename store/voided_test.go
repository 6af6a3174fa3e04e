package store

import (
	"context"
	"errors"
	"testing"

	"weft/board"
)

// TestAVoidEntryIsNotCounted: an entry that is void as it comes is recorded, and neither shown nor counted.
func TestAVoidEntryIsNotCounted(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	before, _ := f.s.Board(f.board)
	now := board.HLCAt(f.clock.now())
	first := f.signed("m1", "first", 1, nil, now)
	f.take(first)
	late := f.signed("m2", "stamped before the one it follows", 2, first, now-1)
	if _, err := f.s.AppendSigned(context.Background(), late); !errors.Is(err, board.ErrOutOfOrder) {
		t.Fatalf("got %v", err)
	}
	check := func(when string) {
		t.Helper()
		if b, _ := f.s.Board(f.board); b.Entries != before.Entries+1 || b.Records != before.Records+2 {
			t.Errorf("%s: %d entries in %d records; before there were %d in %d", when, b.Entries, b.Records, before.Entries, before.Records)
		}
		if got := f.texts(); len(got) != 1 || got[0] != "first" {
			t.Errorf("%s: shows %q", when, got)
		}
	}
	check("at once")
	f.reopen()
	check("after a start")
}
