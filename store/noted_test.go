package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"weft/board"
)

// inGroup calls f with a group that is then thrown away.
func (f *fixture) inGroup(do func(g *group) error) {
	f.t.Helper()
	f.s.probe(func(*memory) {
		g := f.s.newGroup()
		err := do(g)
		g.txn.Discard()
		f.s.dropCaches()
		if err != nil {
			f.t.Error(err)
		}
	})
}

// TestALimitThatMovesTwiceInOneGroup: what the first move made doubtful is judged again too.
func TestALimitThatMovesTwiceInOneGroup(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	f.fill(10)
	l := f.ownLog()
	f.inGroup(func(g *group) error {
		g.delta(l)
		if err := errors.Join(g.setLimit(l, 7), g.setLimit(l, 4)); err != nil {
			return err
		}
		if got := g.rejudges.of(l); !slices.Equal(got, []rows{{5, 10}}) {
			t.Errorf("%v is judged again", got)
		}
		return nil
	})
}

// TestNothingStaysNotedOfALogThatIsGone: its rows were to be judged again, and its last record is pruned.
func TestNothingStaysNotedOfALogThatIsGone(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	g := f.join(2)
	g.post("x")
	f.pull(g)
	l := f.logOf(g)
	f.inGroup(func(g *group) error {
		g.review(l, rows{1, 1})
		g.rejudges.add(l, rows{1, 1})
		l.board.mu.Lock()
		l.floor = 1
		l.board.mu.Unlock()
		left := prunePerGroup
		if _, err := g.pruneLog(l, &left); err != nil {
			return err
		}
		if !g.delta(l).gone {
			t.Error("the log is not gone")
		}
		if err := g.finish(); err != nil {
			return err
		}
		for _, table := range []byte{tRejudge, tReview, tLater} {
			if c, err := g.get(logKey(table, l.num)); c != nil || err != nil {
				t.Errorf("table %c has %x of it (%v)", table, c, err)
			}
		}
		return nil
	})
}

// failing is a task that spoils its group.
type failing struct{ done chan error }

func (failing) prepare(*group) error { return errAbort }
func (t failing) finish(err error)   { t.done <- err }

// TestAStoreThatCannotBeOpenedAgainRefusesTheRestOfAGroup: a group is thrown away, the first of its tasks fails in the
// commit, and the database can't be opened again: the next one has none to write to.
func TestAStoreThatCannotBeOpenedAgainRefusesTheRestOfAGroup(t *testing.T) {
	dying := false
	var f *fixture
	f = newTeamNode(t, 1, func(o *Options) {
		o.fault = func(point string) error {
			if dying && point == "commit" {
				manifest := filepath.Join(f.dir, "MANIFEST")
				return errors.Join(os.Rename(manifest, manifest+".gone"), os.Mkdir(manifest, 0o700), errors.New("the disk says no"))
			}
			return nil
		}
	})
	held, goOn := make(chan struct{}), make(chan struct{})
	f.s.queue.first <- probeTask{func() { close(held); <-goOn }}
	<-held
	dying = true
	put := &settingTask{"k", []byte("v"), make(chan error, 1)}
	spoils, last := failing{make(chan error, 1)}, &settingTask{"l", []byte("v"), make(chan error, 1)}
	for _, task := range []task{put, spoils, last} {
		f.s.queue.first <- task
	}
	close(goOn)
	if err := <-put.done; !errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("the one whose commit failed: %v", err)
	}
	for _, done := range []chan error{spoils.done, last.done} {
		if err := <-done; !errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("one after it: %v", err)
		}
	}
	if _, err := f.s.Append(context.Background(), []Draft{f.draft("x", "x")}); !errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("a post: %v", err)
	}
}

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
