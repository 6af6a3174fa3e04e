package store

import (
	"context"
	"slices"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
	"weft/team"
)

// TestWhatWasPendingWhenJudgedAgainIsJudgedOnceItIsNot: an entry is on disk, valid; when it is judged again what decides
// about it is not there; then it is void, by a change of which no flip says so, since flips are about what was not pending.
func TestWhatWasPendingWhenJudgedAgainIsJudgedOnceItIsNot(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	early := f.state()
	g := f.join(2)
	removal := f.removal(g)
	g.post("x")
	f.pull(g)
	f.judgeAgain(early) // before anybody joined
	f.reopen()
	if n := len(f.s.memory().later); n != 1 {
		t.Fatalf("rows of %d logs are noted after a start", n)
	}
	f.judgeAgain(early)
	l := f.logOf(g)
	if got := f.texts(); !slices.Equal(got, []string{"x"}) || !slices.Equal(f.s.memory().later[l], []rows{{1, 1}}) {
		t.Fatalf("pending, it stays as it was: %q shows, %v is noted", got, f.s.memory().later[l])
	}
	f.object(removal)
	f.settle()
	if got := f.texts(); len(got) != 0 || f.unread() != 0 || len(f.s.memory().later) != 0 {
		t.Fatalf("void, %q shows, %v is noted", got, f.s.memory().later[l])
	}
}

// takeAs ingests a run that was looked at by the state of now, and has the committer find another one.
func (f *fixture) takeAs(r *board.Run, st *team.State) {
	f.t.Helper()
	in, err := f.s.newIngest(f.team, r, false)
	if err == nil {
		err = in.verify()
	}
	if err != nil {
		f.t.Fatal(err)
	}
	f.s.probe(func(m *memory) { m.teams[f.team].state.Store(st) })
	if _, err := in.run(context.Background()); err != nil {
		f.t.Fatal(err)
	}
}

// TestWhatIsPendingAsItIsWrittenIsJudgedOnceItIsNot: an entry was valid when it came, and when it is written what decides
// about it is not there.
func TestWhatIsPendingAsItIsWrittenIsJudgedOnceItIsNot(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	early := f.state()
	g := f.join(2)
	removal := f.removal(g)
	at := g.post("x").Position
	r, err := g.s.Run(context.Background(), f.board, at.Origin(), 1, 1, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	f.takeAs(r, early)
	l := f.logOf(g)
	if got := f.texts(); !slices.Equal(got, []string{"x"}) || !slices.Equal(f.s.memory().later[l], []rows{{1, 1}}) {
		t.Fatalf("it is as it was when it came: %q shows, %v is noted", got, f.s.memory().later[l])
	}
	f.object(removal)
	f.settle()
	if got := f.texts(); len(got) != 0 || len(f.s.memory().later) != 0 {
		t.Fatalf("void, %q shows, %v is noted", got, f.s.memory().later[l])
	}
}

// TestWhatIsPrunedIsPendingNoMore: of a log with pending rows first a part goes, then all.
func TestWhatIsPrunedIsPendingNoMore(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	early := f.state()
	g := f.join(2)
	var at board.Position
	for range 3 {
		at = g.post("x").Position
	}
	f.pull(g)
	prune := func(upTo uint64, st *team.State) {
		f.s.probe(func(m *memory) {
			m.teams[f.team].state.Store(st)
			b := m.boards[f.board]
			l := b.byNode[at.Node][0]
			m.review[l] = []rows{{l.st.Lo, l.st.Hi}}
			b.mu.Lock()
			l.floor = upTo
			b.mu.Unlock()
			if upTo > 0 {
				m.pruning[l] = struct{}{}
			}
		})
		f.settle()
	}
	now := f.state()
	l := f.s.memory().boards[f.board].byNode[at.Node][0]
	prune(0, early)
	if got := f.s.memory().later[l]; !slices.Equal(got, []rows{{1, 3}}) {
		t.Fatalf("%v is noted", got)
	}
	prune(2, early)
	prune(2, now) // a verdict of what is left
	if got := f.s.memory().later; len(got) != 0 || l.st.Lo != 3 {
		t.Fatalf("%v is noted, the log begins at %d", got, l.st.Lo)
	}
	prune(0, early)
	if got := f.s.memory().later[l]; !slices.Equal(got, []rows{{3, 3}}) {
		t.Fatalf("%v is noted", got)
	}
	prune(3, early)
	if got := f.s.memory().later; len(got) != 0 {
		t.Fatalf("%v is noted of a log that is gone", got)
	}
	err := f.s.view(func(_ *memory, txn *badger.Txn) error {
		c, err := get(txn, logKey(tLater, l.num))
		if c != nil {
			t.Errorf("%x is on disk of a log that is gone", c)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPendingRowsOfManyLogsBecomeASweep: more logs than one commit notes rows of.
func TestPendingRowsOfManyLogsBecomeASweep(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	early := f.state()
	g := f.joinEmpty(2)
	removal := f.removal(g)
	f.epochsOf(g, maxMarks+40)
	f.judgeAgain(early)
	if n := len(f.s.memory().later); n != maxMarks+40 {
		t.Fatalf("rows of %d logs are noted", n)
	}
	f.object(removal)
	f.settle()
	if n := len(f.texts()); n != 0 || len(f.s.memory().later) != 0 {
		t.Fatalf("%d void entries show, rows of %d logs are noted", n, len(f.s.memory().later))
	}
}

func TestRowsAreJoinedWhereTheLeastIsBetween(t *testing.T) {
	rs := fewer([]rows{{1, 1}, {5, 6}, {8, 8}, {20, 20}}, 2)
	if !slices.Equal(rs, []rows{{1, 8}, {20, 20}}) {
		t.Fatal(rs)
	}
}
