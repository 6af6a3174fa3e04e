package store

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"weft/board"
)

// TestWhatIsDamagedIsCountedUntilItIsBack: records count while they are awaited, whatever was found before.
func TestWhatIsDamagedIsCountedUntilItIsBack(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	g := f.join(2)
	var at board.Position
	for range 9 {
		at = f.post("x").Position
	}
	g.pull(f)
	l := f.ownLog()
	f.spoil(pos{l.num, 3})
	f.spoil(pos{l.num, 7})
	if _, err := f.s.Check(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	f.settle()
	if st := f.s.Status(); st.Damaged != 2 || st.Mended {
		t.Fatalf("two records are damaged: %+v", st)
	}
	r, err := g.s.Run(context.Background(), f.board, at.Origin(), 1, at.Seq, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	f.ingest([]*board.Run{r})
	if st := f.s.Status(); st.Damaged != 0 {
		t.Fatalf("all are back: %+v", st)
	}
}

// TestAMendedStoreHasNothingDamaged: the database was damaged, no record is.
func TestAMendedStoreHasNothingDamaged(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	f.fill(10)
	f.close()
	if err := os.Truncate(filepath.Join(f.dir, "MANIFEST"), 6); err != nil {
		t.Fatal(err)
	}
	f.open()
	if st := f.s.Status(); st.Damaged != 0 || !st.Mended {
		t.Fatalf("%+v", st)
	}
	f.reopen()
	if st := f.s.Status(); st.Damaged != 0 || st.Mended {
		t.Fatalf("after the next start: %+v", st)
	}
}
