package sim_test

import (
	"fmt"
	"testing"
	"time"

	"weft/board"
	"weft/presence"
	"weft/presence/hub"
	"weft/sim"
	"weft/sim/check"
	"weft/team"
)

// person is how a node shows somebody in the world's team.
func person(w *sim.World, n *sim.Node, u board.UserID) (p presence.Person) {
	w.T.Helper()
	views, _, err := n.Hub().Snapshot(hub.SnapshotRequest{Viewer: n.User(), Teams: []board.TeamID{w.Team()}, People: []board.UserID{u}})
	if err != nil {
		w.T.Fatal(err)
	}
	for _, v := range views {
		for _, x := range v.People {
			p = x
		}
	}
	return p
}

// devices is how many of somebody's devices a node shows.
func devices(w *sim.World, n *sim.Node, u board.UserID) int { return len(person(w, n, u).Devices) }

// stays demands that nodes show somebody in one state, all the while.
func stays(w *sim.World, u board.UserID, state string, d time.Duration, nodes ...*sim.Node) {
	w.T.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); w.Pass(20 * time.Millisecond) {
		for _, n := range nodes {
			if got := n.Shows(u); got != state {
				w.T.Fatalf("%s shows her as %s, not %s, %v before the end", n.Name, got, state, time.Until(end))
			}
		}
	}
}

// Somebody has two devices at two nodes: the best of both is shown, and the end of one of the nodes makes nobody blink.
func TestWhoLivesAtTwoNodes(t *testing.T) {
	inBubble(t, 79, func(w *sim.World) {
		n := meshOf(w, 4)
		a, b := n[1], n[2]
		others := []*sim.Node{n[0], n[3]}
		at := w.EnrolWith(w.Team(), n[0], a, b)
		ann := at[0].User
		all := func(state string, nodes ...*sim.Node) func() bool {
			return func() bool {
				for _, x := range nodes {
					if x.Shows(ann) != state {
						return false
					}
				}
				return true
			}
		}
		there := func(there bool) {
			w.Judged(func(now time.Time, p *check.Presence) { p.There(now, ann.String(), there) })
		}
		attach := func(x *sim.Node, id team.Identity) *hub.Session {
			s, err := x.Hub().Attach(id.User, id.Device.Public(), "sim")
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		idle := func(s *hub.Session, idle bool) {
			if err := s.Report(idle, 10*time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		until(w, "all know her", time.Minute, all("offline", n...))
		there(true)
		one := attach(a, at[0])
		until(w, "she is there", time.Second, all("online", n...))
		w.Pass(20 * time.Second)
		idle(one, true)
		until(w, "her only device is idle", time.Second, all("away", n...))
		w.Pass(20 * time.Second)
		two := attach(b, at[1])
		until(w, "the better of her devices is shown", time.Second, all("online", n...))
		for _, x := range n {
			if got := devices(w, x, ann); got != 2 {
				t.Errorf("%s shows %d devices", x.Name, got)
			}
		}
		w.Pass(20 * time.Second)
		idle(one, false)
		w.Pass(20 * time.Second)
		idle(two, true)
		stays(w, ann, "online", 20*time.Second, n...)

		idle(two, false)
		w.Pass(20 * time.Second)
		changes := accuracy(w)
		a.Crash() // and with it the device that was active all along
		stays(w, ann, "online", 30*time.Second, b, n[0], n[3])
		for _, x := range []*sim.Node{b, n[0], n[3]} {
			if got := devices(w, x, ann); got != 1 {
				t.Errorf("after a node's death %s shows %d devices", x.Name, got)
			}
		}
		if a := accuracy(w); a.FalseOfflines != changes.FalseOfflines {
			t.Errorf("%d times somebody who was there was shown as offline", a.FalseOfflines-changes.FalseOfflines)
		}
		a.Restart()
		until(w, "all are back", 15*time.Second, all("online", n...))
		stays(w, ann, "online", 3*time.Minute, n...)
		one = attach(a, at[0])
		w.Pass(20 * time.Second)

		b.Stop()
		stays(w, ann, "online", 20*time.Second, a, n[0], n[3])
		there(false)
		one.Close(true) // the last of them
		until(w, "she is gone", time.Second, all("offline", a, n[0], n[3]))
		b.Restart()
		until(w, "all are back", 15*time.Second, all("offline", n...))
		stays(w, ann, "offline", time.Minute, n...)

		there(true)
		attach(a, at[0])
		attach(b, at[1])
		until(w, "she is there", 15*time.Second, all("online", n...))
		w.Pass(20 * time.Second)
		a.Crash()
		b.Crash()
		there(false)
		took := until(w, "both nodes are dead", 5*time.Second, all("offline", others...))
		t.Log("both nodes dead: offline after", took)
		a.Restart()
		b.Restart()
		until(w, "the nodes are back, she isn't", 15*time.Second, func() bool { return firstWrong(w) == "" })
		stays(w, ann, "offline", time.Minute, n...)
		judged(w)
	})
}

// What is set at one home of a person holds at the other, and there outlasts the first.
func TestWhatIsSetAtOneHomeHoldsAtTheOther(t *testing.T) {
	inBubble(t, 80, func(w *sim.World) {
		n := meshOf(w, 4)
		at := w.EnrolWith(w.Team(), n[0], n[1], n[2])
		ann := at[0].User
		until(w, "all know her", time.Minute, func() bool {
			return n[1].Shows(ann) == "offline" && n[2].Shows(ann) == "offline" && n[3].Shows(ann) == "offline"
		})
		w.Pass(30 * time.Second) // her homes have met
		shown := func(x *sim.Node, state, status string) func() bool {
			return func() bool { p := person(w, x, ann); return fmt.Sprint(p.State) == state && p.Status == status }
		}
		w.Judged(func(now time.Time, p *check.Presence) { p.There(now, ann.String(), true) })
		if _, err := n[2].Hub().Attach(ann, at[1].Device.Public(), "sim"); err != nil {
			t.Fatal(err)
		}
		if _, err := n[1].Hub().Set(ann, nil, presence.Setting{Availability: presence.Busy, Status: "at sea"}, false); err != nil {
			t.Fatal(err)
		}
		until(w, "what was set elsewhere is shown", 2*time.Second, shown(n[3], "busy", "at sea"))
		n[1].Crash()
		n[2].Restart() // her session is gone with it
		w.Judged(func(now time.Time, p *check.Presence) { p.There(now, ann.String(), false) })
		until(w, "she is gone", 40*time.Second, shown(n[3], "offline", ""))
		w.Judged(func(now time.Time, p *check.Presence) { p.There(now, ann.String(), true) })
		if _, err := n[2].Hub().Attach(ann, at[1].Device.Public(), "sim"); err != nil {
			t.Fatal(err)
		}
		until(w, "it still holds", 15*time.Second, shown(n[3], "busy", "at sea"))
		if _, err := n[2].Hub().Set(ann, nil, presence.Setting{Invisible: true}, false); err != nil {
			t.Fatal(err)
		}
		w.Judged(func(now time.Time, p *check.Presence) { p.There(now, ann.String(), false) })
		// Like a goodbye, from which it must not differ: at most one change in ten seconds.
		until(w, "she hides", 11*time.Second, shown(n[3], "offline", ""))
		n[1].Restart() // its own word is older than what was set while it was down
		until(w, "the node is back", 15*time.Second, func() bool { return firstWrong(w) == "" })
		w.Pass(30 * time.Second)
		if _, err := n[1].Hub().Attach(ann, at[0].Device.Public(), "sim"); err != nil {
			t.Fatal(err)
		}
		stays(w, ann, "offline", time.Minute, n[0], n[3])
		judged(w)
	})
}
