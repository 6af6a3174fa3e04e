package p2p

import (
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"weft/board"
)

// absent makes a node dial n peers at an address where packets arrive and nobody answers, so that each dial lasts as long as
// one may.
func (n *testNode) absent(count int) {
	n.t.Helper()
	silent, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { silent.Close() })
	addr := ma.StringCast("/ip4/127.0.0.1/udp/" + portText(silent.LocalAddr().(*net.UDPAddr).Port) + "/quic-v1")
	for range count {
		id, err := PeerIDOf(board.NodeID(randomKey().Public()))
		if err != nil {
			n.t.Fatal(err)
		}
		n.mesh.peers.want(peer.AddrInfo{ID: id, Addrs: []ma.Multiaddr{addr}})
	}
}

func (p *peering) dialsUnderWay() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.dialing
}

// TestAbsentPeersAreDialledAFewAtATime has a node of which 200 teammates are off: it holds no more goroutines than for eight of
// them, and still finds the one that was there a moment ago at once.
func TestAbsentPeersAreDialledAFewAtATime(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	a.letIn(id, b)
	synced := func() bool {
		return slices.ContainsFunc(a.mesh.Peers(), func(p PeerInfo) bool { return p.ID == b.mesh.ID() && p.Synced })
	}
	eventually(t, "they are linked", synced, a, b)
	before := runtime.NumGoroutine()
	a.absent(200)
	eventually(t, "all places are taken", func() bool { return a.mesh.peers.dialsUnderWay() == dialsAtOnce }, a)
	// Of one dial: its own goroutine, the swarm's three, and those of a QUIC connection.
	const each = 16
	most, rounds := 0, 0
	failed := func() bool {
		most = max(most, runtime.NumGoroutine())
		rounds++
		if d := a.mesh.peers.dialsUnderWay(); d > dialsAtOnce {
			t.Fatalf("%d dials at once", d)
		}
		return a.counters()["dials_total/failed"] > dialsAtOnce
	}
	eventually(t, "the next ones have their turn", failed, a)
	if bound := before + 16 + dialsAtOnce*each; most > bound {
		t.Errorf("%d goroutines while 200 peers are absent, %d before: more than %d for each of %d dials", most, before, each, dialsAtOnce)
	}
	t.Logf("%d goroutines before, at most %d in %d looks", before, most, rounds)
	old := a.mesh.host.Network().ConnsToPeer(b.mesh.ID())
	for _, c := range old {
		c.Close()
	}
	eventually(t, "the one that is there is found again", func() bool {
		now := a.mesh.host.Network().ConnsToPeer(b.mesh.ID())
		return len(now) > 0 && !slices.ContainsFunc(now, func(c network.Conn) bool { return slices.Contains(old, c) }) && synced()
	}, a, b)
}

// TestRedialsBackOff: each failure doubles the wait, up to half a minute, and no two nodes wait alike.
func TestRedialsBackOff(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for n := range 200 {
		seen := map[time.Duration]bool{}
		for range 100 {
			d := backoff(n, rnd)
			seen[d] = true
			if d > maxRedial || n < 5 && d > 2*firstRedial<<n || d < firstRedial/2 || n >= 7 && d < maxRedial/2 {
				t.Fatalf("%s after %d failures", d, n)
			}
		}
		if len(seen) < 50 {
			t.Fatalf("after %d failures all wait %v", n, seen)
		}
	}
}
