package sim_test

import (
	"testing"
	"testing/synctest"
	"time"

	"weft/sim"
)

// inBubble runs a scenario in virtual time.
func inBubble(t *testing.T, seed uint64, scenario func(w *sim.World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { scenario(sim.NewWorld(t, seed)) })
}

func TestThreeNodesShowTheSame(t *testing.T) {
	inBubble(t, 1, func(w *sim.World) {
		w.Crew(3, sim.NodeOptions{})
		w.Everybody(w.General(), 20)
		took := w.Settle(30 * time.Second)
		if r := w.Check.Report(); r.Acked != 60 || r.Visible != 60 {
			t.Fatalf("report %+v", r)
		}
		if took > 5*time.Second {
			t.Errorf("a healthy network took %v to settle", took)
		}
	})
}

func TestPartitionHeals(t *testing.T) {
	inBubble(t, 2, func(w *sim.World) {
		n := w.Crew(3, sim.NodeOptions{})
		board := w.Board("second")
		w.Settle(time.Minute)
		w.Net.Partition(sim.Hosts(n[0]), sim.Hosts(n[1], n[2]))
		for range 4 {
			w.Everybody(w.General(), 10)
			w.Everybody(board, 5)
			w.Pass(30 * time.Second) // connections die and are redialled in vain
		}
		for _, node := range n {
			node.Observe() // short, but in order and without doubles
		}
		w.Judge()
		w.Net.Heal()
		t.Logf("healed in %v", w.Settle(2*time.Minute))
	})
}

// One direction of a link dies: packets of a reach b, those of b don't reach a.
func TestOneWayCutIsGoneAround(t *testing.T) {
	inBubble(t, 3, func(w *sim.World) {
		n := w.Crew(3, sim.NodeOptions{})
		w.Everybody(w.General(), 5)
		w.Net.Cut(n[1].Host, n[0].Host)
		w.Pass(time.Minute)
		w.Everybody(w.General(), 10)
		t.Logf("around the cut in %v", w.Settle(2*time.Minute))
	})
}

func TestLossyLinks(t *testing.T) {
	inBubble(t, 4, func(w *sim.World) {
		w.Crew(3, sim.NodeOptions{})
		w.Net.SetDefault(sim.Link{Latency: 50 * time.Millisecond, Jitter: 30 * time.Millisecond, Loss: 0.2, Duplicate: 0.05})
		for range 5 {
			w.Everybody(w.General(), 20)
			w.Pass(5 * time.Second)
		}
		t.Logf("settled in %v; packets %+v", w.Settle(3*time.Minute), w.Net.Counts())
	})
}

func TestRestartsAndCrashes(t *testing.T) {
	inBubble(t, 5, func(w *sim.World) {
		n := w.Crew(3, sim.NodeOptions{})
		for round := range 6 {
			w.Everybody(w.General(), 5)
			victim := n[round%3]
			if round%2 == 0 {
				victim.Crash()
				w.Everybody(w.General(), 5)
				w.Pass(10 * time.Second)
			}
			victim.Restart()
			victim.Post(w.General(), 3) // at once: a new epoch that seals the one before
			w.Pass(5 * time.Second)
		}
		t.Logf("settled in %v", w.Settle(2*time.Minute))
	})
}

// Someone joins late, over a thin line, and still gets the whole history, while others go on talking.
func TestLateJoinerOverASlowLink(t *testing.T) {
	inBubble(t, 6, func(w *sim.World) {
		n := w.Crew(2, sim.NodeOptions{})
		for range 4 {
			n[0].PostTogether(w.General(), 400)
			n[1].PostTogether(w.General(), 100)
		}
		w.Settle(time.Minute)
		late := w.Start("late", sim.NodeOptions{Bandwidth: 512_000})
		w.Net.SetDefault(sim.Link{Latency: 300 * time.Millisecond, Loss: 0.02})
		w.Join(late)
		w.Everybody(w.General(), 10)
		t.Logf("2,000 entries over 512 kbit/s with 600 ms: %v", w.Settle(5*time.Minute))
	})
}

func TestClocksAnHourWrong(t *testing.T) {
	inBubble(t, 7, func(w *sim.World) {
		n := w.Crew(1, sim.NodeOptions{})
		for name, skew := range map[string]time.Duration{"fast": time.Hour, "slow": -time.Hour} {
			w.Join(w.Start(name, sim.NodeOptions{Skew: skew}))
		}
		for range 3 {
			w.Everybody(w.General(), 10)
			w.Pass(3 * time.Second)
		}
		n[0].MarkRead(w.General())
		w.Everybody(w.General(), 5)
		t.Logf("settled in %v", w.Settle(2*time.Minute))
	})
}

// The folder of a minute ago is brought back: the node has forgotten what it had said, others have not.
func TestRollback(t *testing.T) {
	for _, told := range []bool{true, false} {
		name := "others have seen what was lost"
		if !told {
			name = "nobody has seen what was lost"
		}
		t.Run(name, func(t *testing.T) {
			inBubble(t, 8, func(w *sim.World) {
				n := w.Crew(3, sim.NodeOptions{})
				w.Everybody(w.General(), 10)
				w.Settle(time.Minute)
				b := n[1].Backup()
				w.Pass(time.Minute)
				if !told {
					w.Net.Partition(sim.Hosts(n[0], n[2]), sim.Hosts(n[1]))
				}
				n[1].Post(w.General(), 10)
				w.Pass(10 * time.Second)
				w.Net.Heal()
				n[1].Restore(b)
				n[1].Post(w.General(), 5) // must not take the seqs of what was lost
				w.Everybody(w.General(), 5)
				t.Logf("settled in %v", w.Settle(3*time.Minute))
			})
		})
	}
}

// The rolled-back node writes before it hears of anybody: its log branches, and both branches are kept everywhere.
func TestRollbackWhileCutOff(t *testing.T) {
	inBubble(t, 9, func(w *sim.World) {
		n := w.Crew(3, sim.NodeOptions{})
		w.Everybody(w.General(), 10)
		w.Settle(time.Minute)
		b := n[1].Backup()
		n[1].Post(w.General(), 10)
		w.Settle(time.Minute)
		w.Net.Partition(sim.Hosts(n[0], n[2]), sim.Hosts(n[1]))
		n[1].Restore(b)
		n[1].Post(w.General(), 7)
		w.Everybody(w.General(), 5)
		w.Pass(20 * time.Second)
		w.Net.Heal()
		t.Logf("settled in %v", w.Settle(5*time.Minute))
	})
}

// A folder is cloned and both machines write under one node key, one after the other and at the same time.
func TestClone(t *testing.T) {
	inBubble(t, 10, func(w *sim.World) {
		n := w.Crew(3, sim.NodeOptions{})
		w.Everybody(w.General(), 10)
		w.Settle(time.Minute)
		b := n[1].Backup()
		n[1].Post(w.General(), 5)
		n[1].Stop()
		clone := n[1].Clone(b, "b2")
		clone.Post(w.General(), 5)
		w.Everybody(w.General(), 5)
		w.Pass(10 * time.Second)
		clone.Stop()
		n[1].Restart()
		w.Everybody(w.General(), 5)
		t.Logf("settled in %v", w.Settle(5*time.Minute))
		clone.Restart()
		w.Everybody(w.General(), 5)
		w.Pass(30 * time.Second)
		n[1].Stop() // what it wrote beside its clone may still be known to it alone
		t.Logf("settled in %v", w.Settle(5*time.Minute))
		clone.Stop()
		n[1].Restart()
		t.Logf("settled in %v", w.Settle(5*time.Minute))
	})
}
