package hub

import (
	"errors"
	"testing"
	"testing/synctest"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// Of a team that was disbanded nobody is shown any more, and nothing is said.
func TestADisbandedTeamHasNoPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, ids := governed(t)
		st := e.State()
		h, err := New(Options{Self: nodeOf("ann")})
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = h.Run(t.Context()) }()
		c := link(h)[0]
		teams := map[board.TeamID]*team.State{st.ID(): st}
		h.SetTeams(teams)
		attach(t, h, ids["ann"])
		pass(15e9)
		w, err := h.Watch(WatchFilter{Viewer: ids["ann"].User})
		if err != nil {
			t.Fatal(err)
		}
		if b, err := w.Next(t.Context()); err != nil || len(b.Snapshot) != 1 {
			t.Fatalf("%+v %v", b, err)
		}
		charter, err := team.NewCharter(st, ids["ann"], team.Change{Close: true}, map[board.UserID]*weftv1.Cut{}, team.Member, [16]byte{9})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Add(charter); err != nil {
			t.Fatal(err)
		}
		ack, err := team.NewAck(e.State(), ids["ann"], charter.Hash)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Add(ack); err != nil {
			t.Fatal(err)
		}
		if _, closed := e.State().Closed(); !closed {
			t.Fatal("the team isn't disbanded")
		}
		h.SetTeams(map[board.TeamID]*team.State{st.ID(): e.State()})
		if b, err := w.Next(t.Context()); err != nil || len(b.Gone) != 1 {
			t.Errorf("a watcher is told %+v, %v", b, err)
		}
		if _, _, err := h.Snapshot(SnapshotRequest{Viewer: ids["ann"].User, Teams: []board.TeamID{st.ID()}}); !errors.Is(err, ErrUnknownTeam) {
			t.Errorf("a snapshot: %v", err)
		}
		said := c.beats
		attach(t, h, ids["ann"]).Close(true)
		pass(30e9)
		if c.beats != said {
			t.Errorf("%d beats were sent", c.beats-said)
		}
	})
}
