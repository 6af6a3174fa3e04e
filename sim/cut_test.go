package sim_test

import (
	"testing"
	"time"

	"weft/p2p"
	"weft/sim"
)

// A connection that is cut for a while, with something to say on both sides, is good again within three seconds: nobody
// waits for the transport to notice, nor for long pauses between its attempts.
func TestWhatWasSaidDuringACutIsThereSoonAfterIt(t *testing.T) {
	for i, cut := range []time.Duration{2, 5, 9, 15, 28, 45, 100} {
		t.Run((cut * time.Second).String(), func(t *testing.T) {
			inBubble(t, 40+uint64(i), func(w *sim.World) {
				n := w.Crew(2, sim.NodeOptions{})
				w.Everybody(w.General(), 5)
				w.Settle(time.Minute)
				w.Pass(time.Minute) // the streams fall silent
				w.Net.Partition(sim.Hosts(n[0]), sim.Hosts(n[1]))
				w.Everybody(w.General(), 5)
				w.Pass(cut * time.Second)
				w.Net.Heal()
				if took := w.Settle(2 * time.Minute); took > 3*time.Second {
					t.Errorf("it took %v", took)
				} else {
					t.Logf("it took %v", took)
				}
			})
		})
	}
}

// A peer that is connected and says nothing is shown with the time when it was heard last. Who looks, or has something
// to say, finds out within seconds that it is gone.
func TestASilentPeerIsNoticed(t *testing.T) {
	for _, posts := range []bool{true, false} {
		inBubble(t, 50, func(w *sim.World) {
			n := w.Crew(2, sim.NodeOptions{})
			w.Everybody(w.General(), 5)
			w.Settle(time.Minute)
			peer := func() p2p.PeerInfo { return n[0].Mesh().Peers()[0] }
			w.Pass(time.Minute)
			before := peer()
			w.Net.Partition(sim.Hosts(n[0]), sim.Hosts(n[1]))
			w.Pass(2 * sim.DefaultLink.Latency) // what was on its way arrives
			cut := n[0].Now()
			if posts {
				n[0].Post(w.General(), 1)
				w.Pass(6 * time.Second)
			} else {
				w.Pass(time.Second)
				if now := peer(); !now.Connected || now.LastSeen.After(cut) || now.LastSeen.Before(before.LastSeen) {
					t.Fatalf("cut at %v, shown: connected %v, last seen %v", cut, now.Connected, now.LastSeen)
				}
				for range 8 { // the look itself makes the node ask, once a peer was silent for a while
					peer()
					w.Pass(time.Second)
				}
			}
			if now := peer(); now.Connected || now.LastSeen.After(cut) || now.LastSeen.Before(before.LastSeen) {
				t.Errorf("cut at %v, shown: connected %v, last seen %v", cut, now.Connected, now.LastSeen)
			}
			if heard := n[0].Mesh().SyncStatus(w.Team())[0].LastHeard; heard.After(cut) || heard.IsZero() {
				t.Errorf("cut at %v, last heard %v", cut, heard)
			}
			w.Net.Heal()
			w.Settle(time.Minute)
		})
	}
}
