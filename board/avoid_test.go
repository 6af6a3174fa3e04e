package board

import (
	"math/rand/v2"
	"testing"
	"time"
)

// A peer claims records and answers by turns with nothing and with BUSY: it is not believed for ever.
func TestALiarThatIsBusyNowAndThenIsNotBelieved(t *testing.T) {
	me, peer, team, b := NodeID{1}, NodeID{2}, TeamID{3}, ID{4}
	r := NewReplica(ReplicaConfig{Self: me}, rand.New(rand.NewPCG(1, 2)))
	now := time.Unix(1e9, 0)
	answers := 0
	var step func(ev Event)
	step = func(ev Event) {
		for _, e := range r.Step(now, ev) {
			if w, ok := e.(Want); ok {
				a := Answered{Peer: peer, ID: w.ID, Done: true}
				if answers++; answers%2 == 0 {
					a.Status = AnswerBusy
				}
				step(a)
			}
		}
	}
	step(TeamChanged{Team: team, Nodes: []NodeID{me, peer}, Boards: []ID{b}})
	for _, governance := range []bool{true, false} {
		step(PeerUp{Peer: peer, Governance: governance})
		ev := PeerVector{Peer: peer, Governance: governance, Team: team, Whole: true}
		if !governance {
			ev.Boards = []BoardVector{{b, Vector{{Node: peer, Epoch: Epoch{1, 7}, Seq: 1000, Hash: Hash{5}}}}}
		}
		step(ev)
	}
	behind := func() (n uint64) {
		for _, st := range r.Status(team) {
			n += st.Behind
		}
		return n
	}
	if behind() == 0 {
		t.Fatal("nothing is missing at first")
	}
	for range 200 {
		now = now.Add(time.Second)
		step(Tick{})
	}
	if answers < 2*disbelief || behind() != 0 {
		t.Errorf("after %d answers it is still believed that %d records are missing", answers, behind())
	}
}
