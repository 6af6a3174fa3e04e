package store

import (
	"context"
	"slices"
	"testing"

	"weft/board"
)

func TestAppendIsReadBackInOrderAndOnOtherNodes(t *testing.T) {
	ctx := context.Background()
	f := newTeamNode(t, 1, nil)
	var want []string
	for _, s := range []string{"one", "two", "three"} {
		r := f.post(s)
		want = append(want, s)
		if r.Position.Seq != uint64(len(want)) {
			t.Fatalf("seq %d for post %d", r.Position.Seq, len(want))
		}
	}
	if got := f.texts(); !slices.Equal(got, want) {
		t.Fatalf("read %q", got)
	}
	g := f.join(2)
	if got := g.texts(); !slices.Equal(got, want) {
		t.Fatalf("other node reads %q", got)
	}
	g.post("four")
	f.pull(g)
	want = append(want, "four")
	if got := f.texts(); !slices.Equal(got, want) {
		t.Fatalf("read %q", got)
	}
	ha, na, _ := f.s.Hash(ctx, f.board)
	hb, nb, _ := g.s.Hash(ctx, f.board)
	if ha != hb || na != 4 || nb != 4 {
		t.Fatalf("hashes %v %v over %d and %d", ha, hb, na, nb)
	}
	if n, _ := f.s.Unread(f.who.id.User, f.board); n != 1 {
		t.Fatalf("%d unread at the founder, 1 is another's", n)
	}
	if n, _ := g.s.Unread(g.who.id.User, f.board); n != 3 {
		t.Fatalf("%d unread at the new member", n)
	}
	f.reopen()
	if got := f.texts(); !slices.Equal(got, want) {
		t.Fatalf("after reopening: %q", got)
	}
	if n, _ := f.s.Unread(f.who.id.User, f.board); n != 1 {
		t.Fatalf("%d unread after reopening", n)
	}
	r := f.post("five")
	if r.Position.Seq != 1 {
		t.Fatalf("no new epoch after reopening: seq %d", r.Position.Seq)
	}
	g.pull(f)
	if got := g.texts(); !slices.Equal(got, append(want, "five")) {
		t.Fatalf("other node reads %q", got)
	}
	if n, err := g.s.MarkAll(ctx, g.who.id.User, f.board); n != 0 || err != nil {
		t.Fatalf("%d unread after marking all: %v", n, err)
	}
	c, err := g.s.Check(ctx, nil)
	if err != nil || c.Damaged != 0 {
		t.Fatalf("check: %+v %v", c, err)
	}
}

func TestChangesTellWhatHappened(t *testing.T) {
	ctx := context.Background()
	f := newTeamNode(t, 1, nil)
	f.post("one")
	all, c, err := f.s.Changes(ctx, Cursor{}, 100, Filter{})
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	last := all[len(all)-1]
	if last.Kind != EntryShown || string(last.Shown.Entry.Body) != "one" || last.Board != f.board {
		t.Fatalf("%+v", last)
	}
	f.post("two")
	more, c2, err := f.s.Changes(ctx, c, 100, Filter{})
	if err != nil || len(more) != 1 || string(more[0].Shown.Entry.Body) != "two" {
		t.Fatalf("%+v %v", more, err)
	}
	if back, err := ParseCursor(c2.String()); err != nil || back != c2 {
		t.Fatalf("cursor: %v %v", back, err)
	}
	if h := f.s.Holding(f.board); !h.Includes(board.Vector{{Node: more[0].Position.Node, Epoch: more[0].Position.Epoch, Seq: 2}}, more[0].Position.Node, board.Point{Epoch: more[0].Position.Epoch, Seq: more[0].Position.Seq}) {
		t.Fatal("position")
	}
}
