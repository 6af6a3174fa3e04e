package sim_test

import (
	"fmt"
	"testing"
	"time"

	"weft/presence/hub"
	"weft/sim"
)

// storm is what went over the network in a stretch of time.
type storm struct {
	packets int // in all
	peak    int // within a second
	words   uint64
}

func (s storm) String() string {
	return fmt.Sprintf("%d packets, at most %d in a second, %d messages of presence", s.packets, s.peak, s.words)
}

// rage lets time pass and looks at the network each second.
func rage(w *sim.World, d time.Duration) (s storm) {
	words := wire(w)
	for end := time.Now().Add(d); time.Now().Before(end); {
		before := w.Net.Counts().Sent
		w.Pass(time.Second)
		n := w.Net.Counts().Sent - before
		s.packets, s.peak = s.packets+n, max(s.peak, n)
	}
	s.words = wire(w) - words
	return s
}

// 10,000 sessions of 500 people at one node are lost at once, as when the programs' network breaks, and are back at once.
func TestTenThousandSessionsAreLostAndBack(t *testing.T) {
	inBubble(t, 81, func(w *sim.World) {
		const people, each = 500, 20
		n := meshOf(w, 4)
		crowd := n[1].Enrol(w.Team(), n[0], people)
		online := func(x *sim.Node) int {
			views, _, err := x.Hub().Snapshot(hub.SnapshotRequest{Viewer: x.User()})
			if err != nil || len(views) != 1 {
				t.Fatal(err, len(views))
			}
			return views[0].Counts.Online
		}
		everywhere := func(want int) func() bool {
			return func() bool {
				for _, x := range n {
					if online(x) != want {
						return false
					}
				}
				return true
			}
		}
		var sessions []*hub.Session
		come := func() {
			sessions = sessions[:0]
			for _, p := range crowd {
				for range each {
					sessions = append(sessions, n[1].Attach(p))
				}
			}
		}
		vanish := func() {
			for i, s := range sessions {
				n[1].Detach(crowd[i/each], s, false)
			}
		}
		until(w, "all know the crowd", time.Minute, func() bool {
			for _, x := range n {
				if x.Shows(crowd[people-1].User) != "offline" {
					return false
				}
			}
			return true
		})
		w.Pass(time.Minute)
		calm := rage(w, 30*time.Second)
		come()
		until(w, "all have come", 2*time.Second, everywhere(people+len(n)))
		w.Pass(30 * time.Second)

		before := wire(w)
		vanish()
		w.Pass(2 * time.Second)
		come()
		until(w, "all are back", 12*time.Second, everywhere(people+len(n)))
		back := wire(w) - before
		after := rage(w, 30*time.Second)

		vanish()
		w.Pass(time.Second)
		gone := rage(w, 31*time.Second)
		until(w, "the grace is over", 2*time.Second, everywhere(len(n)))
		t.Logf("calm: %v; lost and back: %d messages, then %v; lost for good: %v", calm, back, after, gone)
		// A change of 500 people is a few messages to each node, however many sessions they had.
		if most := calm.words + 60; back > most || gone.words > most || after.words > most {
			t.Errorf("%d messages when all were lost and back, %d after that, %d when all were lost; %d in calm", back, after.words, gone.words, calm.words)
		}
		w.Judge() // of a team so large watchers are shown counts: nothing to sum up
	})
}

// Every node is killed or stopped within a minute, in an order that takes half of the mesh at a time: what they say to each
// other stays bounded, they don't come all in one second, and within seconds everybody is shown as they are.
func TestAllNodesStartAgainWithinAMinute(t *testing.T) {
	inBubble(t, 82, func(w *sim.World) {
		n := meshOf(w, 10)
		calm := rage(w, 30*time.Second)
		half := func(from int) (s storm) {
			for i := from; i < len(n); i += 2 {
				if i%4 < 2 {
					n[i].Crash()
				} else {
					n[i].Stop()
				}
			}
			w.Pass(15 * time.Second)
			for i := from; i < len(n); i += 2 {
				n[i].Restart()
			}
			return rage(w, 15*time.Second)
		}
		first, second := half(0), half(1)
		took := allRight(w, 5*time.Second)
		late := rage(w, time.Minute)
		t.Logf("calm: %v; half restarted: %v; the other half: %v; right %v after that; the minute after: %v", calm, first, second, took, late)
		for _, s := range []storm{first, second} {
			// Handshakes, streams and what each says to each: 45 pairs.
			if most := calm.peak + 45*60; s.peak > most {
				t.Errorf("%d packets in a second, at most %d are right", s.peak, most)
			}
			if most := calm.packets + 45*150; s.packets > most {
				t.Errorf("%d packets in 15 s, at most %d are right", s.packets, most)
			}
		}
		if late.packets > 4*calm.packets {
			t.Errorf("it goes on: %v in a minute, in 30 s of calm %v", late, calm)
		}
		w.Pass(3 * time.Minute) // no lease of before ends anything
		if wrong := firstWrong(w); wrong != "" {
			t.Error(wrong)
		}
		judged(w)
	})
}

// Half of the mesh is cut off for long enough to be forgotten, and healed: the halves find each other in good time, and
// not all in the same moment.
func TestHalvesThatMeetAgainDoNotFlood(t *testing.T) {
	inBubble(t, 83, func(w *sim.World) {
		n := meshOf(w, 20)
		calm := rage(w, 30*time.Second)
		w.Net.Partition(sim.Hosts(n[:10]...), sim.Hosts(n[10:]...))
		w.Pass(15 * time.Second)
		apart := rage(w, 5*time.Minute)
		w.Net.Heal()
		heal := rage(w, 30*time.Second)
		took := allRight(w, 5*time.Second)
		late := rage(w, time.Minute)
		t.Logf("calm, 30 s: %v; apart, 5 min: %v; healed, 30 s: %v; right after %v more; the minute after: %v", calm, apart, heal, took, late)
		if most := calm.peak + 100*60; heal.peak > most {
			t.Errorf("%d packets in a second of healing, at most %d are right", heal.peak, most)
		}
		if most := calm.packets + 100*150; heal.packets > most {
			t.Errorf("%d packets in 30 s of healing, at most %d are right", heal.packets, most)
		}
		if most := 20 * 300 * 25; apart.packets > most { // dials of ten who are away
			t.Errorf("%d packets in five minutes apart, at most %d are right", apart.packets, most)
		}
		if late.packets > 4*calm.packets {
			t.Errorf("it goes on: %v in a minute, in 30 s of calm %v", late, calm)
		}
		judged(w)
	})
}
