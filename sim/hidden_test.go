package sim_test

import (
	"testing"
	"time"

	"weft/board"
	"weft/sim"
)

// A node that keeps a part of a person's posts back can't be told from one that hasn't heard of them, but that something
// is missing shows.
func TestWhatIsKeptBackShows(t *testing.T) {
	inBubble(t, 50, func(w *sim.World) {
		n := crewOf(w, 3, 0)
		elsewhere, first := n[2].Sign(w.General(), 1, board.Hash{}, "said at a node that is cut off")
		w.Net.Partition(sim.Hosts(n[0], n[1]), sim.Hosts(n[2]))
		w.Pass(time.Minute)
		n[2].Take(elsewhere)
		later, _ := n[2].Sign(w.General(), 2, first, "said at another one")
		n[0].Take(later)
		w.Pass(5 * time.Minute)
		for _, x := range n[:2] {
			got := x.Mesh().Hidden(w.Team())
			if len(got) != 1 || got[0].Missing != 1 || got[0].User != n[2].User() || got[0].Board != w.General() {
				t.Errorf("at %s: %+v", x.Name, got)
			}
		}
		w.Net.Heal()
		w.Settle(3 * time.Minute)
		w.Pass(time.Minute)
		for _, x := range n {
			if got := x.Mesh().Hidden(w.Team()); len(got) != 0 {
				t.Errorf("afterwards at %s: %+v", x.Name, got)
			}
		}
	})
}
