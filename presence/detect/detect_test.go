package detect

import (
	"slices"
	"testing"
	"time"
)

// percentile of durations, which it sorts.
func percentile(d []time.Duration, p float64) time.Duration {
	slices.Sort(d)
	return d[min(len(d)-1, int(float64(len(d))*p))]
}

func seeds(t *testing.T, n int) int {
	if testing.Short() {
		return max(1, n/10)
	}
	return n
}

// tens are 10 teams of 10 for each of n nodes, at random.
func tens(n int, seed uint64) func(int) []int {
	w := newWorld(nil, seed, 0, nil)
	of := make([][]int, n)
	for k := range 10 {
		for i, x := range w.rnd.Perm(n) {
			of[x] = append(of[x], k*n/10+i/10)
		}
	}
	return func(i int) []int { return of[i] }
}

func TestKilledNodeIsDeadForAllNeighboursWithinFiveSeconds(t *testing.T) {
	for _, c := range []struct {
		name  string
		n     int
		seeds int
		reset bool
		teams func(seed uint64) func(int) []int
	}{
		{"2 nodes", 2, 1000, false, nil},
		{"3 nodes", 3, 600, false, nil},
		{"6 nodes", 6, 300, false, nil},
		{"10 nodes", 10, 100, false, nil},
		{"5 nodes, reset", 5, 200, true, nil},
		{"30 nodes", 30, 20, false, nil},
		{"30 nodes, reset", 30, 10, true, nil},
		{"100 nodes", 100, 3, false, nil},
		{"100 nodes in 10 teams of 10", 100, 3, false, func(s uint64) func(int) []int { return tens(100, s) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var took []time.Duration
			var frames int
			for seed := range uint64(seeds(t, c.seeds)) {
				teams := oneTeam
				if c.teams != nil {
					teams = c.teams(seed)
				}
				w := newWorld(t, seed, c.n, teams)
				w.boot(3 * time.Second)
				w.run(time.Duration(w.rnd.Int64N(int64(10 * time.Second))))
				w.allAlive("before")
				victim, at, before := w.rnd.IntN(c.n), w.now, w.sent["tell"]+w.sent["alive"]
				w.kill(victim, c.reset)
				w.run(12 * time.Second)
				frames = max(frames, w.sent["tell"]+w.sent["alive"]-before)
				neighbours := 0
				for _, d := range w.deaths {
					if d.whom != victim {
						t.Fatalf("seed %d: %d held %d for dead, which runs", seed, d.by, d.whom)
					}
					took = append(took, d.at.Sub(at))
				}
				for j := range c.n {
					if j != victim && w.conn(j, victim) != nil {
						neighbours++
					}
				}
				if len(w.deaths) != neighbours {
					t.Fatalf("seed %d: %d of %d neighbours hold it for dead", seed, len(w.deaths), neighbours)
				}
			}
			p50, p99, most := percentile(took, .5), percentile(took, .99), took[len(took)-1]
			t.Logf("dead after: p50 %v, p99 %v, at most %v; frames that tell of it: %d at most", p50, p99, most, frames)
			if p99 > 5*time.Second {
				t.Errorf("p99 is %v", p99)
			}
		})
	}
}

func TestLossKillsNobody(t *testing.T) {
	for _, c := range []struct {
		n, seeds int
		loss     float64
	}{{30, 1, .2}, {5, 3, .2}, {2, 10, .2}, {2, 10, .3}, {5, 3, .3}, {30, 1, .01}} {
		hours := time.Hour
		if testing.Short() {
			hours = 6 * time.Minute
		}
		for seed := range uint64(c.seeds) {
			w := newWorld(t, seed, c.n, oneTeam)
			w.rtt, w.loss = 50*time.Millisecond, c.loss
			w.boot(3 * time.Second)
			before := w.frames()
			w.run(hours)
			t.Logf("%d nodes, loss %.0f %%, seed %d: %d suspicions of one's own, %d dead, %.2f frames a second and node, %v", c.n, 100*c.loss, seed,
				w.counts["accused"], len(w.deaths), float64(w.frames()-before)/hours.Seconds()/float64(c.n), w.counts)
			if len(w.deaths) > 0 {
				t.Errorf("seed %d: %d nodes that run were held for dead", seed, len(w.deaths))
			}
		}
	}
}
