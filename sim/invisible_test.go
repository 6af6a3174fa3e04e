package sim_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"weft/p2p"
	"weft/presence"
	"weft/sim"
)

// spoken is what a node puts into its streams and topics, message by message and byte by byte, in stretches of two seconds: first
// what says something, then what only shows that the node lives, whose times are left to chance.
type spoken struct {
	words []string
	signs [2]uint64 // messages and bytes
}

// listenTo samples a node.
func listenTo(w *sim.World, n *sim.Node, d time.Duration, s *spoken) {
	kinds := func() (now map[string]p2p.Traffic) {
		now = map[string]p2p.Traffic{}
		for _, k := range n.Mesh().Traffic() {
			now[k.Kind] = k
		}
		return now
	}
	last := kinds()
	for end := time.Now().Add(d); time.Now().Before(end); {
		w.Pass(2 * time.Second)
		now, line := kinds(), ""
		for _, k := range []string{"presence", "beat", "push", "live"} {
			if messages := now[k].SentMessages - last[k].SentMessages; messages > 0 {
				line += fmt.Sprintf("%s: %d bytes in %d ", k, now[k].Sent-last[k].Sent, messages)
			}
		}
		last = now
		s.words = append(s.words, line)
	}
	s.signs = [2]uint64{}
	for _, k := range []string{"probe", "pulse"} {
		s.signs[0], s.signs[1] = s.signs[0]+last[k].SentMessages, s.signs[1]+last[k].Sent
	}
}

// Of two people one leaves and one hides, and then does this and that: what their nodes say to the others, also to one
// that comes back and asks for everything, is the same message for message and byte for byte.
func TestWhoHidesIsToldFromWhoLeavesByNoByte(t *testing.T) {
	record := func(hides bool) (s spoken) {
		inBubble(t, 84, func(w *sim.World) {
			n := meshOf(w, 3)
			ann := n[1].Enrol(w.Team(), n[0], 1)[0]
			until(w, "all know her", time.Minute, func() bool {
				return n[0].Shows(ann.User) == "offline" && n[1].Shows(ann.User) == "offline" && n[2].Shows(ann.User) == "offline"
			})
			session := n[1].Attach(ann)
			w.Pass(time.Minute)
			if n[2].Shows(ann.User) != "online" {
				t.Fatal("she isn't there")
			}
			set := func(x presence.Setting) {
				if _, err := n[1].Hub().Set(ann.User, nil, x, false); err != nil {
					t.Fatal(err)
				}
			}
			if hides {
				set(presence.Setting{Invisible: true, Status: "a secret"})
			} else {
				n[1].Detach(ann, session, true)
			}
			listenTo(w, n[1], time.Minute, &s)
			if hides {
				if err := session.Report(true, time.Minute); err != nil {
					t.Fatal(err)
				}
				if err := session.SetPayload([]byte("48.1 11.6")); err != nil {
					t.Fatal(err)
				}
				set(presence.Setting{Availability: presence.Busy, Invisible: true, Status: "another secret"})
			}
			listenTo(w, n[1], time.Minute, &s)
			if hides {
				n[1].Detach(ann, session, true)
			}
			listenTo(w, n[1], time.Minute, &s)
			n[2].Restart()
			listenTo(w, n[1], 20*time.Second, &s)
			if got := n[2].Shows(ann.User); got != "offline" {
				t.Errorf("a node that has come back shows her as %s", got)
			}
		})
		return s
	}
	left, hidden := record(false), record(true)
	for i := range left.words {
		if left.words[i] != hidden.words[i] {
			t.Errorf("after %d s is said of who left %q, of who hides %q", 2*i, left.words[i], hidden.words[i])
		}
	}
	if said := slices.DeleteFunc(slices.Clone(left.words), func(s string) bool { return s == "" }); len(said) < 2 {
		t.Errorf("nothing was said: %q", said)
	}
	for i, what := range []string{"messages", "bytes"} {
		if a, b := left.signs[i], hidden.signs[i]; max(a, b)*4 > min(a, b)*5 {
			t.Errorf("probes and pulses: %d %s and %d", a, what, b)
		}
	}
}
