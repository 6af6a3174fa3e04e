package sim_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"weft/presence"
	"weft/presence/hub"
	"weft/sim"
	"weft/sim/check"
	"weft/team"
)

var meshNodes = flag.Int("presence-nodes", meshWanted(), "how many nodes TestALargeMesh has")

// meshWanted is for runs of hours, which set WEFT_SIM_SEEDS (make soak), as large as a mesh gets.
func meshWanted() int {
	if os.Getenv("WEFT_SIM_SEEDS") != "" {
		return 100
	}
	return 12
}

// meshOf are nodes of one team that have found each other, whose people are there and are judged by I8.
func meshOf(w *sim.World, count int) []*sim.Node {
	w.T.Helper()
	w.JudgePresence()
	for i := range count {
		w.Start(fmt.Sprint("n", i), sim.NodeOptions{})
	}
	n := w.Nodes()
	w.Found(n[0])
	w.Gather(w.Team(), n[0], n[1:]...)
	took := allRight(w, 15*time.Second)
	w.Pass(time.Minute) // what follows joins is over
	w.T.Logf("%d nodes showed everybody after %v", count, took)
	return n
}

// allRight waits until each node that runs shows the users of those that run as online, and of the others as offline.
func allRight(w *sim.World, limit time.Duration) time.Duration {
	w.T.Helper()
	start := time.Now()
	for {
		wrong := firstWrong(w)
		if wrong == "" {
			return time.Since(start)
		}
		if time.Since(start) > limit {
			w.T.Fatalf("not within %v: %s", limit, wrong)
		}
		w.Pass(50 * time.Millisecond)
	}
}

func firstWrong(w *sim.World) string {
	for _, n := range w.Nodes() {
		for _, of := range w.Nodes() {
			if !n.Running() {
				break
			}
			want := "offline"
			if of.Running() {
				want = "online"
			}
			if got := n.Shows(of.User()); got != want {
				return fmt.Sprintf("%s shows the user of %s as %s, not %s", n.Name, of.Name, got, want)
			}
		}
	}
	return ""
}

// accuracy is I8's sum up to now.
func accuracy(w *sim.World) (a check.Accuracy) {
	w.Judged(func(now time.Time, p *check.Presence) { a = p.Report(now) })
	return a
}

// judged demands that in the end everybody is shown as they are, and says how right it was on the way.
func judged(w *sim.World) {
	w.T.Helper()
	w.Judged(func(now time.Time, p *check.Presence) { p.Settle() })
	a := accuracy(w)
	w.T.Logf("false offline %.1f s in all, %.1f s while it was new to the watcher (%d times, at most %.1f s); stale online %.1f s in all (at most %.1f s); %d changes at %d watched people",
		a.FalseOffline.Seconds(), a.Finding.Seconds(), a.FalseOfflines, a.LongestOffline.Seconds(), a.StaleOnline.Seconds(), a.LongestStale.Seconds(), a.Changes, a.Sights)
	w.Judge()
}

// wire is what presence and failure detection have put into streams, in messages, over all nodes that run.
func wire(w *sim.World) (sum uint64) {
	for _, n := range w.Nodes() {
		if !n.Running() {
			continue
		}
		for _, k := range n.Mesh().Traffic() {
			if k.Kind == "pulse" || k.Kind == "presence" || k.Kind == "probe" {
				sum += k.SentMessages
			}
		}
	}
	return sum
}

func TestGoodbyeAndCrashAreSeen(t *testing.T) {
	inBubble(t, 71, func(w *sim.World) {
		n := meshOf(w, 5)
		n[3].Stop()
		w.Pass(10 * time.Second)
		if a := accuracy(w); a.StaleOnline == 0 || a.LongestStale > 300*time.Millisecond {
			t.Errorf("after a clean stop somebody was shown as there for %v, %v in all", a.LongestStale, a.StaleOnline)
		}
		n[3].Restart()
		t.Logf("back after a stop: %v", allRight(w, 15*time.Second))
		w.Pass(time.Minute)
		n[4].Crash()
		w.Pass(10 * time.Second)
		if a := accuracy(w); a.LongestStale <= 300*time.Millisecond || a.LongestStale > 5*time.Second {
			t.Errorf("after a crash somebody was shown as there for %v", a.LongestStale)
		}
		n[4].Restart()
		t.Logf("back after a crash: %v", allRight(w, 15*time.Second))
		for range 3 { // and is gone and back before anybody has noticed
			n[2].Crash()
			n[2].Restart()
			w.Pass(time.Second)
		}
		t.Logf("back after crashes: %v", allRight(w, 15*time.Second))
		w.Pass(3 * time.Minute) // no lease of before ends anything
		if wrong := firstWrong(w); wrong != "" {
			t.Error(wrong)
		}
		judged(w)
	})
}

func TestHalfOfThePeopleAreCutOff(t *testing.T) {
	inBubble(t, 72, func(w *sim.World) {
		n := meshOf(w, 10)
		before, packets := wire(w), w.Net.Counts().Sent
		w.Net.Partition(sim.Hosts(n[:5]...), sim.Hosts(n[5:]...))
		w.Pass(10 * time.Second)
		for _, x := range []*sim.Node{n[0], n[9]} {
			for i, of := range n {
				want := "online"
				if (i < 5) != (x == n[0]) {
					want = "offline"
				}
				if got := x.Shows(of.User()); got != want {
					t.Errorf("%s shows the user of %s as %s while they are cut off, not %s", x.Name, of.Name, got, want)
				}
			}
		}
		w.Pass(50 * time.Second)
		w.Net.Heal()
		took := allRight(w, 30*time.Second)
		w.Pass(2*time.Minute - took)
		messages, sent := wire(w)-before, w.Net.Counts().Sent-packets
		t.Logf("right %v after it was healed; %d messages and %d packets in 3 minutes", took, messages, sent)
		if most := uint64(10 * 180 * 8); messages > most {
			t.Errorf("%d messages, %d are eight a second at each node", messages, most)
		}
		if most := 10 * 180 * 25; sent > most {
			t.Errorf("%d packets, %d are twenty-five a second at each node", sent, most)
		}
		judged(w)
	})
}

func TestAllNodesStartAgain(t *testing.T) {
	inBubble(t, 73, func(w *sim.World) {
		n := meshOf(w, 10)
		for i, x := range n {
			if i%2 == 0 {
				x.Crash()
			}
			x.Restart()
			w.Pass(5 * time.Second)
		}
		t.Logf("right after %v", allRight(w, 15*time.Second))
		w.Pass(3 * time.Minute)
		if wrong := firstWrong(w); wrong != "" {
			t.Error(wrong)
		}
		judged(w)
	})
}

// A mesh of a size that -presence-nodes says: whoever is killed is gone for all, a fifth of all packets is lost for a
// while, and nobody who is there is shown as gone by that.
func TestALargeMesh(t *testing.T) {
	inBubble(t, 74, func(w *sim.World) {
		n := meshOf(w, *meshNodes)
		n[1].Crash()
		w.Pass(10 * time.Second)
		if a := accuracy(w); a.LongestStale > 5*time.Second {
			t.Errorf("after a crash somebody was shown as there for %v", a.LongestStale)
		}
		n[1].Restart()
		t.Logf("back after %v", allRight(w, 30*time.Second))
		w.Pass(time.Minute)
		before := accuracy(w)
		w.Net.SetDefault(sim.Link{Latency: 25 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: 0.2})
		w.Pass(10 * time.Minute)
		if a := accuracy(w); a.FalseOfflines != before.FalseOfflines {
			t.Errorf("%d times somebody who was there was shown as offline, for %v", a.FalseOfflines-before.FalseOfflines, a.FalseOffline-before.FalseOffline)
		}
		judged(w)
	})
}

func TestFlapsAreDamped(t *testing.T) {
	inBubble(t, 75, func(w *sim.World) {
		n := meshOf(w, 3)
		ann := n[1].Enrol(w.Team(), n[0], 1)[0]
		until(w, "all know her", time.Minute, func() bool { return n[1].Shows(ann.User) == "offline" && n[2].Shows(ann.User) == "offline" })
		said := func() (sum uint64) {
			for _, k := range n[1].Mesh().Traffic() {
				if k.Kind == "presence" {
					sum += k.SentMessages
				}
			}
			return sum
		}
		before, words := accuracy(w), said()
		for i := range 100 {
			s := n[1].Attach(ann)
			w.Pass(300 * time.Millisecond)
			n[1].Detach(ann, s, i%2 == 0)
			w.Pass(300 * time.Millisecond)
		}
		flaps := accuracy(w).Changes - before.Changes
		if most := len(n) * 7; flaps < len(n) || flaps > most {
			t.Errorf("%d changes were shown at %d nodes within a minute, at most %d are right", flaps, len(n), most)
		}
		if words = said() - words; words > 2*20 { // of a hundred flaps a state in ten seconds, and when she was active last
			t.Errorf("her node said %d things to two others", words)
		}
		s := n[1].Attach(ann)
		took := until(w, "she is online", 15*time.Second, func() bool { return n[0].Shows(ann.User) == "online" && n[2].Shows(ann.User) == "online" })
		t.Logf("%d changes at %d nodes, %d messages; right %v after the end", flaps, len(n), words, took)
		w.Pass(20 * time.Second)
		n[1].Detach(ann, s, false)
		until(w, "she is missed at once", time.Second, func() bool { return n[0].Shows(ann.User) == "reconnecting" })
		w.Pass(29 * time.Second)
		if got := n[2].Shows(ann.User); got != "reconnecting" {
			t.Errorf("within the grace she is %s", got)
		}
		until(w, "the grace ends", 2*time.Second, func() bool { return n[0].Shows(ann.User) == "offline" && n[2].Shows(ann.User) == "offline" })
		judged(w)
	})
}

func TestWhoIsInvisibleIsOfflineForOthers(t *testing.T) {
	inBubble(t, 76, func(w *sim.World) {
		n := meshOf(w, 3)
		set := func(invisible bool) {
			if _, err := n[1].Hub().Set(n[1].User(), nil, presence.Setting{Invisible: invisible}, false); err != nil {
				t.Fatal(err)
			}
			w.Judged(func(now time.Time, p *check.Presence) { p.There(now, n[1].User().String(), !invisible) })
		}
		shown := func(x *sim.Node, want string) func() bool {
			return func() bool { return x.Shows(n[1].User()) == want }
		}
		w.Pass(10 * time.Second)
		set(true)
		until(w, "she is offline", time.Second, shown(n[0], "offline"))
		until(w, "she is offline", time.Second, shown(n[2], "offline"))
		n[2].Restart() // and asks for everything
		until(w, "the others see each other", 15*time.Second, func() bool {
			return n[2].Shows(n[0].User()) == "online" && n[0].Shows(n[2].User()) == "online" && n[1].Shows(n[2].User()) == "online" && n[1].Shows(n[0].User()) == "online"
		})
		w.Pass(5 * time.Minute)
		for _, x := range n {
			if got := x.Shows(n[1].User()); got != "offline" {
				t.Errorf("%s shows who is invisible as %s", x.Name, got)
			}
		}
		set(false)
		until(w, "she is online", time.Second, shown(n[0], "online"))
		until(w, "she is online", time.Second, shown(n[2], "online"))
		judged(w)
	})
}

// Packets come twice and overtake each other, some never come, and links break, while people come, go and fall idle.
func TestPresenceIsRightAfterDisorder(t *testing.T) {
	inBubble(t, 77, func(w *sim.World) {
		n := meshOf(w, 4)
		var people []team.Identity
		for _, x := range n {
			people = append(people, x.Enrol(w.Team(), n[0], 2)...)
		}
		at := func(i int) *sim.Node { return n[i/2] }
		until(w, "all know them", time.Minute, func() bool { return n[3].Shows(people[0].User) == "offline" && n[1].Shows(people[7].User) == "offline" })
		w.Net.SetDefault(sim.Link{Latency: 20 * time.Millisecond, Jitter: 300 * time.Millisecond, Duplicate: 0.3, Loss: 0.05})
		for round := range 20 {
			for i, p := range people {
				s := at(i).Attach(p)
				switch (round + i) % 3 {
				case 0:
					if err := s.Report(true, time.Minute); err != nil {
						t.Fatal(err)
					}
				case 1:
					at(i).Detach(p, s, round%2 == 0)
				}
				w.Pass(700 * time.Millisecond)
				if (round+i)%3 != 1 && round < 19 {
					at(i).Detach(p, s, true)
				}
			}
			if round%5 == 1 {
				w.Net.Cut(n[round%4].Host, n[(round+1)%4].Host)
			}
			if round%5 == 3 {
				w.Net.Heal()
			}
		}
		w.Net.SetDefault(sim.DefaultLink)
		w.Pass(45 * time.Second) // the grace of the last round
		for _, x := range n {
			for i, p := range people {
				want := [...]string{"away", "offline", "online"}[(19+i)%3]
				if got := x.Shows(p.User); got != want {
					t.Errorf("%s shows %s of %s as %s, not %s", x.Name, p.Name, at(i).Name, got, want)
				}
			}
		}
		judged(w)
	})
}

// Who is removed is nobody at the others, and their node hears nothing more of who is there.
func TestWhoIsRemovedHearsOfNobody(t *testing.T) {
	inBubble(t, 78, func(w *sim.World) {
		n := meshOf(w, 4)
		gone := n[3]
		n[0].SetRole(gone, team.Removed, "")
		w.Judged(func(now time.Time, p *check.Presence) { p.There(now, gone.User().String(), false) })
		until(w, "the others show them no more", 2*time.Second, func() bool {
			for _, x := range n[:3] {
				if x.Shows(gone.User()) != "nobody" {
					return false
				}
			}
			return true
		})
		w.Pass(5 * time.Second)
		heard := func() (sum uint64) {
			for _, k := range gone.Mesh().Traffic() {
				if k.Kind == "pulse" || k.Kind == "presence" || k.Kind == "probe" || k.Kind == "beat" {
					sum += k.ReceivedMessages
				}
			}
			return sum
		}
		others := sim.Hosts(n[1:3]...) // n[0] was named to it by hand: it knocks there on and on, and is turned away
		before, bytes := heard(), w.Net.Bytes(others, sim.Hosts(gone))
		ann := n[1].Enrol(w.Team(), n[0], 1)[0]
		for range 5 {
			s := n[1].Attach(ann)
			w.Pass(20 * time.Second)
			n[1].Detach(ann, s, true)
			w.Pass(20 * time.Second)
		}
		n[2].Restart()
		w.Pass(time.Minute)
		if got := heard() - before; got != 0 {
			t.Errorf("who is removed heard %d messages", got)
		}
		if got := w.Net.Bytes(others, sim.Hosts(gone)) - bytes; got != 0 {
			t.Errorf("who is removed was sent %d bytes", got)
		}
		views, _, err := gone.Hub().Snapshot(hub.SnapshotRequest{Viewer: gone.User()})
		if err != nil || len(views) != 0 {
			t.Errorf("their node shows %v (%v)", views, err)
		}
		judged(w)
	})
}
