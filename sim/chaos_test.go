package sim_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"weft/board"
	"weft/sim"
)

var (
	firstSeed = flag.Uint64("first-seed", 100, "first seed of TestTenNodesInTrouble")
	seeds     = flag.Uint64("seeds", seedsWanted(), "how many seeds TestTenNodesInTrouble runs")
)

// seedsWanted is a hundredth of WEFT_SIM_SEEDS, which counts the far shorter runs of pure parts; 1 where it isn't set.
func seedsWanted() uint64 {
	n, _ := strconv.ParseUint(os.Getenv("WEFT_SIM_SEEDS"), 10, 32)
	return max(n/100, 1)
}

// TestTenNodesInTrouble lets a seed choose what goes wrong, one thing after the other, while everybody talks.
func TestTenNodesInTrouble(t *testing.T) {
	for seed := *firstSeed; seed < *firstSeed+*seeds; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { trouble(t, seed) })
	}
}

func trouble(t *testing.T, seed uint64) {
	inBubble(t, seed, func(w *sim.World) {
		n := w.Crew(10, sim.NodeOptions{})
		c := &chaos{World: w, r: rand.New(rand.NewPCG(seed, 1)), nodes: n, boards: []board.ID{w.General(), w.Board("second")}}
		c.Settle(time.Minute)
		for range 12 {
			c.step()
			c.talk()
		}
		c.repair()
		c.T.Logf("settled in %v; %+v", w.Settle(5*time.Minute), w.Check.Report())
	})
}

// chaos chooses faults.
type chaos struct {
	*sim.World
	r       *rand.Rand
	nodes   []*sim.Node
	boards  []board.ID
	backups map[*sim.Node]sim.Backup
}

func (c *chaos) some() *sim.Node { return c.nodes[c.r.IntN(len(c.nodes))] }

func (c *chaos) step() {
	c.T.Helper()
	victim := c.some()
	what := ""
	switch c.r.IntN(8) {
	case 0, 1:
		at := 1 + c.r.IntN(len(c.nodes)-1)
		c.Net.Partition(sim.Hosts(c.nodes[:at]...), sim.Hosts(c.nodes[at:]...))
		what = fmt.Sprint("partition at ", at)
	case 2:
		c.Net.Heal()
		what = "heal"
	case 3:
		loss := c.r.Float64() * 0.25
		c.Net.SetDefault(sim.Link{Latency: 30 * time.Millisecond, Jitter: 20 * time.Millisecond, Loss: loss})
		what = fmt.Sprintf("loss of %.0f %%", 100*loss)
	case 4:
		if victim.Running() {
			victim.Crash()
			what = "crash of " + victim.Name
		}
	case 5:
		if !victim.Running() {
			victim.Restart()
			what = "start of " + victim.Name
		}
	case 6:
		c.Net.Cut(victim.Host, c.some().Host)
		what = "one-way cut from " + victim.Name
	case 7:
		what = c.rollBack(victim)
	}
	c.T.Log(what)
	c.Pass(time.Duration(c.r.IntN(40)) * time.Second)
}

// rollBack takes a backup of a node, or brings it back to the one that was taken.
func (c *chaos) rollBack(n *sim.Node) string {
	if !n.Running() {
		return ""
	}
	if c.backups == nil {
		c.backups = map[*sim.Node]sim.Backup{}
	}
	if b, ok := c.backups[n]; ok {
		delete(c.backups, n)
		n.Restore(b)
		return "rollback of " + n.Name
	}
	c.backups[n] = n.Backup()
	return "backup of " + n.Name
}

func (c *chaos) talk() {
	for _, n := range c.nodes {
		if !n.Running() {
			continue
		}
		b := c.boards[c.r.IntN(len(c.boards))]
		n.Post(b, 1+c.r.IntN(4))
		if c.r.IntN(4) == 0 {
			n.MarkRead(b)
		}
	}
	c.Pass(time.Second)
}

func (c *chaos) repair() {
	c.Net.Heal()
	c.Net.SetDefault(sim.DefaultLink)
	for _, n := range c.nodes {
		if !n.Running() {
			n.Restart()
		}
	}
}
