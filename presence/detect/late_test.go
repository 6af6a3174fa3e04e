package detect

import (
	"testing"
	"time"
)

// Who has been late is slow to accuse others, and what was measured meanwhile says little of the way; both are over soon
// after it is on time again.
func TestADeathIsFoundInTimeSoonAfterAllWereLate(t *testing.T) {
	for _, c := range []struct {
		name  string
		n     int
		seeds int
		rest  time.Duration // from the last late loop to the kill
		bar   time.Duration
	}{
		{"2 nodes, at once", 2, 300, 0, 10 * time.Second},
		{"3 nodes, at once", 3, 300, 0, 10 * time.Second},
		{"6 nodes, at once", 6, 200, 0, 10 * time.Second},
		{"3 nodes, after 5 s", 3, 300, 5 * time.Second, 5 * time.Second},
		{"2 nodes, after 5 s", 2, 300, 5 * time.Second, 5 * time.Second},
		{"6 nodes, after 5 s", 6, 200, 5 * time.Second, 5 * time.Second},
		{"10 nodes, after 5 s", 10, 100, 5 * time.Second, 5 * time.Second},
		{"30 nodes, after 5 s", 30, 20, 5 * time.Second, 5 * time.Second},
		{"100 nodes, after 5 s", 100, 1, 5 * time.Second, 5 * time.Second},
		{"6 nodes, meanwhile", 6, 200, -8 * time.Second, 20 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var took []time.Duration
			for seed := range uint64(seeds(t, c.seeds)) {
				w := newWorld(t, seed, c.n, oneTeam)
				w.crowd(15*time.Second, 700*time.Millisecond)
				w.boot(3 * time.Second)
				w.run(7*time.Second + c.rest)
				if len(w.deaths) > 0 {
					t.Errorf("seed %d: while all were late: %v", seed, w.deaths)
				}
				victim, at := w.rnd.IntN(c.n), w.now
				w.kill(victim, false)
				w.run(40 * time.Second)
				for _, d := range w.deaths {
					if d.whom != victim {
						t.Fatalf("seed %d: %d held %d for dead, which runs", seed, d.by, d.whom)
					}
					took = append(took, d.at.Sub(at))
				}
				if len(w.deaths) != c.n-1 {
					t.Fatalf("seed %d: %d of %d neighbours hold it for dead", seed, len(w.deaths), c.n-1)
				}
			}
			p50, p99, most := percentile(took, .5), percentile(took, .99), took[len(took)-1]
			t.Logf("dead after: p50 %v, p99 %v, at most %v", p50, p99, most)
			if p99 > c.bar {
				t.Errorf("p99 is %v", p99)
			}
		})
	}
}
