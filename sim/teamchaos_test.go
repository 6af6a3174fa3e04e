package sim_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"weft/board"
	"weft/sim"
	"weft/team"
)

// TestTeamsInTrouble lets a seed choose who does what to whom, in halves of a team that don't hear of each other, while
// everybody talks: in the end all members' nodes say the same of everybody, hold the same for void, show the same and
// count the same; and who lost the team knows it.
func TestTeamsInTrouble(t *testing.T) {
	for seed := *firstSeed; seed < *firstSeed+max(*seeds, 3); seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { governed(t, seed) })
	}
}

func governed(t *testing.T, seed uint64) {
	inBubble(t, seed, func(w *sim.World) {
		n := crewOf(w, 6, 2)
		w.Lenient = true
		g := &governing{chaos{World: w, r: rand.New(rand.NewPCG(seed, 2)), nodes: n, boards: []board.ID{w.General()}}}
		for _, x := range n {
			w.Check.MayVanish(x.User().String(), w.Check.Now()) // anybody may be cut off
		}
		for range 4 {
			at := 1 + g.r.IntN(len(n)-1)
			order := g.r.Perm(len(n))
			var halves [2][]*sim.Node
			for i, k := range order {
				half := 0
				if i >= at {
					half = 1
				}
				halves[half] = append(halves[half], n[k])
			}
			w.Net.Partition(sim.Hosts(halves[0]...), sim.Hosts(halves[1]...))
			for range 3 {
				g.act()
				g.speak()
				w.Pass(time.Duration(g.r.IntN(10)) * time.Second)
			}
			w.Net.Heal()
			w.Pass(time.Duration(g.r.IntN(40)) * time.Second)
		}
		for range 3 { // charters that the halves agreed to apart from each other
			for _, x := range n {
				if x.InTeam() {
					x.Acknowledge()
				}
			}
			w.Pass(5 * time.Second)
		}
		took := w.Settle(5 * time.Minute)
		if same, differ := w.SameVoids(); !same {
			t.Errorf("what is void differs:%s", differ)
		}
		in := 0
		for _, x := range n {
			if x.InTeam() {
				in++
			}
		}
		t.Logf("settled in %v; %d of %d nodes are left; %+v", took, in, len(n), w.Check.Report())
	})
}

// governing is chaos among people.
type governing struct{ chaos }

// act has some people with power do something to somebody.
func (g *governing) act() {
	g.T.Helper()
	for _, x := range g.nodes {
		if !x.InTeam() {
			continue
		}
		x.Acknowledge()
		if r := x.State().Role(x.User()); r != team.None && r < team.Admin || g.r.IntN(2) == 0 {
			continue
		}
		who := g.nodes[1+g.r.IntN(len(g.nodes)-1)] // never the founder: somebody has to be left
		if who == x {
			continue
		}
		st := x.State()
		switch k := g.r.IntN(10); {
		case k < 5:
			x.SetRole(who, []team.Role{team.Banned, team.Removed, team.Reader, team.Muted, team.Member}[k], "")
		case k == 5:
			x.SetRole(who, team.Member, "")
		case k == 6:
			x.Deny(who)
		case k == 7:
			if _, denied := st.Denial(who.Key()); denied {
				x.Allow(who)
			}
		case k == 8:
			x.Charter(team.Change{AddAdmins: users(who)})
		case k == 9:
			x.Charter(team.Change{RemoveAdmins: users(who)})
		}
	}
}

// speak has everybody post who may.
func (g *governing) speak() {
	g.T.Helper()
	for _, x := range g.nodes {
		if x.InTeam() && x.State().CanWrite(x.User(), g.General()) {
			x.Post(g.General(), 1+g.r.IntN(3))
			if g.r.IntN(3) == 0 {
				x.MarkRead(g.General())
			}
		}
	}
}
