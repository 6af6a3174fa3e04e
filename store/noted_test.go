package store

import (
	"errors"
	"slices"
	"testing"
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
