package p2p

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"weft/board"
)

func TestJoinPostRead(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	general := board.GeneralID(id)
	a.post(id, general, 10)
	a.letIn(id, b)
	if got := b.entries(general); got != 10 {
		t.Fatalf("bob sees %d of 10 entries when join returns", got)
	}
	b.post(id, general, 5)
	eventually(t, "ada has bob's posts", func() bool { return a.entries(general) == 15 }, a, b)
	last := a.post(id, general, 5)
	eventually(t, "both hold the same", func() bool { return b.entries(general) == 20 && same(id, a, b) }, a, b)
	eventually(t, "ada knows that bob has her last post", func() bool {
		k, n := a.mesh.Replicated(general, last.Position)
		return k == 2 && n == 2
	}, a, b)
	for _, n := range []*testNode{a, b} {
		eventually(t, n.name+" knows how far its peer is", func() bool {
			p := n.mesh.Peers()
			return len(p) == 1 && p[0].RTT > 0 && len(p[0].Teams) == 1
		}, a, b)
		if n.counters()["topic_messages_total/accepted"] == 0 {
			t.Errorf("%s heard none of the posts on the topic:%s", n.name, n.describe())
		}
	}
}

// Over TCP nobody but the two ends themselves can say how far they are from each other.
func TestBothEndsKnowTheirRoundTripOverTCP(t *testing.T) {
	onlyTCP := func(n *testNode) { n.listen = []string{"/ip4/127.0.0.1/tcp/0"} }
	a, b := newNode(t, "ada", onlyTCP), newNode(t, "bob", onlyTCP)
	id := a.found("crew")
	a.letIn(id, b)
	for _, n := range []*testNode{a, b} {
		eventually(t, n.name+" knows how far its peer is", func() bool {
			p := n.mesh.Peers()
			return len(p) == 1 && p[0].RTT > 0
		}, a, b)
	}
}

func TestThreeNodesConverge(t *testing.T) {
	a, b, c := newNode(t, "ada"), newNode(t, "bob"), newNode(t, "cyd")
	id := a.found("crew")
	general := board.GeneralID(id)
	a.letIn(id, b, c)
	eventually(t, "bob and cyd find each other", func() bool {
		for _, p := range b.mesh.Peers() {
			if p.ID == c.mesh.ID() && p.Synced {
				return true
			}
		}
		return false
	}, a, b, c)
	for _, n := range []*testNode{a, b, c} {
		n.post(id, general, 40)
	}
	eventually(t, "all hold the same", func() bool {
		return a.entries(general) == 120 && b.entries(general) == 120 && c.entries(general) == 120 && same(id, a, b, c)
	}, a, b, c)
}

func TestRestartAndCatchUp(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	general := board.GeneralID(id)
	a.letIn(id, b)
	for i := range 3 {
		b.stop()
		a.post(id, general, 200)
		b.start()
		b.post(id, general, 3)
		want := uint64(203 * (i + 1))
		eventually(t, "both have everything after a restart", func() bool {
			return a.entries(general) == want && b.entries(general) == want && same(id, a, b)
		}, a, b)
	}
}

func TestClosedMeshLeavesNothingBehind(t *testing.T) {
	running := goleak.IgnoreCurrent()
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	a.letIn(id, b)
	start := time.Now()
	a.stop()
	b.stop()
	if took := time.Since(start); took > 10*time.Second {
		t.Fatalf("stopping took %s", took)
	}
	goleak.VerifyNone(t, running)
}
