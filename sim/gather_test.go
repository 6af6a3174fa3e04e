package sim_test

import (
	"testing"
	"time"

	"weft/sim"
)

// A world that is made while its nodes sleep is one mesh as soon as they wake, without anybody telling them of each other.
func TestAWorldMadeAsleepIsAMeshWhenItWakes(t *testing.T) {
	inBubble(t, 57, func(w *sim.World) {
		var n []*sim.Node
		for _, name := range []string{"a", "b", "c", "d"} {
			n = append(n, w.Start(name, sim.NodeOptions{Asleep: true}))
		}
		crew := w.FoundTeam(n[0], "crew")
		ann := n[2].Enrol(crew, n[0], 1)[0]
		w.Gather(crew, n[0], n[1:]...)
		w.Pass(time.Minute)
		if sent := w.Net.Counts().Sent; sent != 0 {
			t.Fatalf("%d packets were sent by nodes that sleep", sent)
		}
		for _, x := range n {
			x.Wake()
		}
		w.Pass(30 * time.Second)
		for _, x := range n {
			st, ok := x.Store().Team(crew)
			if !ok || len(st.Nodes()) != len(n) || !st.CanRead(ann.User) {
				t.Errorf("%s holds another team", x.Name)
			}
			linked := 0
			for _, p := range x.Mesh().Peers() {
				if p.Connected && p.Synced {
					linked++
				}
			}
			if linked != len(n)-1 {
				t.Errorf("%s is in step with %d others", x.Name, linked)
			}
		}
	})
}

// A node with a small packet has said nothing: only what carries data counts as more.
func TestAcknowledgementsAndKeepAlivesAreCountedApart(t *testing.T) {
	inBubble(t, 58, func(w *sim.World) {
		n := w.Crew(2, sim.NodeOptions{})
		w.Pass(time.Minute)
		before, bytes := w.Net.Counts(), w.Net.Bytes(sim.Hosts(n...), sim.Hosts(n...))
		w.Pass(2 * time.Minute)
		after := w.Net.Counts()
		all, bare := int(w.Net.Bytes(sim.Hosts(n...), sim.Hosts(n...))-bytes), after.Bare-before.Bare
		if bare == 0 || bare*3 > all*2 {
			t.Errorf("of %d bytes %d were acknowledgements and keep-alives", all, bare)
		}
	})
}
