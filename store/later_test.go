package store

import (
	"slices"
	"testing"

	"weft/board"
	"weft/team"
)

// TestWhatWasPendingWhenJudgedAgainIsJudgedOnceItIsNot: an entry is on disk, valid; when it is judged again what decides
// about it is not there; then it is void, by a change of which no flip says so, since flips are about what was not pending.
func TestWhatWasPendingWhenJudgedAgainIsJudgedOnceItIsNot(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	early := f.state()
	g := f.join(2)
	cut, err := f.s.CutUser(f.team, g.who.id.User) // of nothing that is posted
	if err != nil {
		t.Fatal(err)
	}
	g.post("x")
	f.pull(g)
	removal, err := team.NewSet(f.state(), f.who.id, g.who.id.User, team.Removed, cut, "", [16]byte{3})
	if err != nil {
		t.Fatal(err)
	}
	judgeBy := func() (l *logState) { // the state before anybody joined
		done := make(chan struct{})
		f.s.queue <- probeTask{func() {
			m := f.s.memory()
			m.teams[f.team].state.Store(early)
			l = m.boards[f.board].byNode[board.NodeID(g.who.node.Public())][0]
			m.review[l] = []rows{{l.st.Lo, l.st.Hi}}
			close(done)
		}}
		<-done
		f.settle()
		return l
	}
	judgeBy()
	f.reopen()
	if n := len(f.s.memory().later); n != 1 {
		t.Fatalf("rows of %d logs are noted after a start", n)
	}
	l := judgeBy()
	if got := f.texts(); !slices.Equal(got, []string{"x"}) || !slices.Equal(f.s.memory().later[l], []rows{{1, 1}}) {
		t.Fatalf("pending, it stays as it was: %q shows, %v is noted", got, f.s.memory().later[l])
	}
	f.object(removal)
	f.settle()
	if got := f.texts(); len(got) != 0 || f.unread() != 0 || len(f.s.memory().later) != 0 {
		t.Fatalf("void, %q shows, %v is noted", got, f.s.memory().later[l])
	}
}

func TestRowsAreJoinedWhereTheLeastIsBetween(t *testing.T) {
	rs := fewer([]rows{{1, 1}, {5, 6}, {8, 8}, {20, 20}}, 2)
	if !slices.Equal(rs, []rows{{1, 8}, {20, 20}}) {
		t.Fatal(rs)
	}
}
