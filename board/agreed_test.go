package board

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Digests are compared with a random peer every half minute, unless peers have said that they agree.
func TestWhoAgreesIsNotAsked(t *testing.T) {
	me, peer, team := NodeID{1}, NodeID{2}, TeamID{3}
	compared := func(agreeing bool) (n int) {
		r := NewReplica(ReplicaConfig{Self: me}, rand.New(rand.NewPCG(1, 2)))
		now := time.Unix(1e9, 0)
		step := func(ev Event) {
			for _, e := range r.Step(now, ev) {
				if _, ok := e.(SendDigest); ok {
					n++
				}
			}
		}
		step(TeamChanged{Team: team, Nodes: []NodeID{me, peer}, Boards: []ID{{4}}})
		for _, governance := range []bool{true, false} {
			step(PeerUp{Peer: peer, Governance: governance})
			step(PeerVector{Peer: peer, Governance: governance, Team: team, Whole: true})
		}
		n = 0
		began := now
		for pulse := now; now.Sub(began) < 10*time.Minute; {
			if agreeing && !now.Before(pulse) {
				step(Agreed{Peer: peer, Teams: []TeamID{team, {9}}})
				pulse = now.Add(75 * time.Second)
			}
			now = now.Add(time.Second)
			step(Tick{})
		}
		return n
	}
	if got := compared(false); got < 2*10*60/45 || got > 2*10*60/20 {
		t.Errorf("compared %d times in ten minutes", got)
	}
	if got := compared(true); got != 0 {
		t.Errorf("compared %d times though the peer agrees", got)
	}
}

func TestPeerDigestIsWhatThePeerSaid(t *testing.T) {
	me, peer, team := NodeID{1}, NodeID{2}, TeamID{3}
	r := NewReplica(ReplicaConfig{Self: me}, rand.New(rand.NewPCG(1, 2)))
	now := time.Unix(1e9, 0)
	r.Step(now, TeamChanged{Team: team, Nodes: []NodeID{me, peer}, Boards: []ID{{4}}})
	if _, known := r.PeerDigest(peer, team); known {
		t.Error("it has said nothing")
	}
	for _, governance := range []bool{true, false} {
		r.Step(now, PeerUp{Peer: peer, Governance: governance})
		if _, known := r.PeerDigest(peer, team); known {
			t.Error("it has not said all")
		}
		r.Step(now, PeerVector{Peer: peer, Governance: governance, Team: team, Whole: true})
	}
	if d, known := r.PeerDigest(peer, team); !known || d != r.Digest(team) {
		t.Errorf("both hold nothing: %v %v", d, known)
	}
	l := Leaf{Node: peer, Epoch: Epoch{1, 2}, Seq: 1, Hash: Hash{5}}
	r.Step(now, PeerVector{Peer: peer, Team: team, Boards: []BoardVector{{ID{4}, Vector{l}}}})
	if d, _ := r.PeerDigest(peer, team); d == r.Digest(team) || d.IsZero() {
		t.Errorf("the peer holds more: %v", d)
	}
}
