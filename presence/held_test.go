package presence

import (
	"testing"
	"time"

	"weft/board"
)

// A change of one of this node's people that waits before anybody is told is counted, once, at the home.
func TestWhatAHomeHoldsBackIsCounted(t *testing.T) {
	w := newWorld("n")
	table, user := w.tables["n"], board.UserID(testID("ann"))
	table.SetTeam(w.now, testID("crew"), &crew{Nodes: []board.NodeID{testID("n")}, Where: map[board.UserID][]board.NodeID{user: {testID("n")}}})
	tick := func(d time.Duration) {
		w.now = w.now.Add(d)
		table.Tick(w.now)
	}
	table.Attach(w.now, 1, user, DeviceID{1})
	tick(time.Second)
	if held := table.Stats().Held; held != 0 {
		t.Errorf("%d changes were held back", held)
	}
	for id := uint64(1); id < 5; id++ { // it flaps, and ends as something new
		table.Detach(w.now, id, false)
		tick(100 * time.Millisecond)
		table.Attach(w.now, id+1, user, DeviceID{1})
		tick(100 * time.Millisecond)
	}
	table.Detach(w.now, 5, false)
	tick(100 * time.Millisecond)
	if held := table.Stats().Held; held != 5 {
		t.Errorf("%d changes are counted as held back, of 5", held)
	}
	tick(time.Minute)
	if p, _ := table.Person(testID("crew"), user); p.State != Offline || table.Stats().Held > 6 {
		t.Errorf("in the end %s, %d held back", p.State, table.Stats().Held)
	}
}
