package main

import (
	"strings"
	"testing"
	"time"
)

// TestPresenceWhenTheCableIsPulled has two machines and a cable between them. When it is pulled, both show the other's user
// as offline without a word from their transports, and when it is back, as online.
func TestPresenceWhenTheCableIsPulled(t *testing.T) { inNamespaces(t, pulledCable) }

func pulledCable(t *testing.T) {
	far, err := cable("10.77.0.1", "10.77.0.2")
	if err != nil {
		t.Fatalf("couldn't join two network namespaces: %v", err)
	}
	defer far.Close()
	a, b := bothEnds(t, int(far.Fd()), []string{"--listen", "/ip4/10.77.0.1/udp/0/quic-v1", "--listen", "/ip4/10.77.0.1/tcp/0"}, nil)
	a.weft(t, "team", "create", "crew")
	b.weft(t, "join", strings.TrimSpace(a.weft(t, "team", "invite", "crew")))
	seen := func(ada, ben string) time.Duration {
		t.Helper()
		began := time.Now()
		eventually(t, a, "Ben +"+ben, "presence", "crew")
		eventually(t, b, "Ada +"+ada, "presence", "crew")
		return time.Since(began).Round(time.Millisecond)
	}
	seen("online", "online")
	for range 2 {
		if err := address("near", "10.77.0.1", false); err != nil {
			t.Fatal(err)
		}
		t.Logf("cut off: seen within %s", seen("offline", "offline"))
		for _, p := range []*process{a, b} {
			if peers := p.weft(t, "peers"); !strings.Contains(peers, "dead since") {
				t.Errorf("of a peer that can't be reached it says\n%s", peers)
			}
		}
		if err := address("near", "10.77.0.1", true); err != nil {
			t.Fatal(err)
		}
		t.Logf("together again: seen within %s", seen("online", "online"))
	}
}
