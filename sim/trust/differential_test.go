package trust

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"weft/team"
)

var oneSeed = flag.String("seed", "", "look at this history only, and show it")

// histories is how many random histories are looked at: WEFT_HISTORIES, or as many as a run of all tests has time for.
func histories(t *testing.T) (first, n uint64) {
	t.Helper()
	first, n = 1, 2000
	if testing.Short() {
		n = 200
	}
	for name, to := range map[string]*uint64{"WEFT_HISTORIES": &n, "WEFT_FIRST_SEED": &first} {
		if s := os.Getenv(name); s != "" {
			v, err := strconv.ParseUint(s, 10, 63)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			*to = v
		}
	}
	return first, n
}

// looks are the ways in which a history is given to the evaluator; each ends in the words of a difference, or none.
func look(w *world, seed uint64) (diffs []string, seen coverage) {
	rnd := rand.New(rand.NewPCG(seed, 1<<63))
	all := w.union()
	want := Evaluate(w.team, all)
	seen = w.outcomes(want)

	// In the order of the logs, and a snapshot after each record; at some of them the plain evaluation of as much.
	bitByBit := team.NewEvaluator(w.team)
	store := newDisk(w, bitByBit)
	for i, h := range all {
		feed(bitByBit, h)
		got := bitByBit.State()
		if rnd.IntN(12) == 0 {
			part := Evaluate(w.team, all[:i+1])
			if d := w.compare(part, got); len(d) > 0 {
				return prefix(fmt.Sprintf("bit by bit, after %d of %d records", i+1, len(all)), d), seen
			}
			if d := store.advance(all[:i+1], part); len(d) > 0 {
				return prefix(fmt.Sprintf("what a store shows, after %d of %d records", i+1, len(all)), d), seen
			}
		}
	}
	if d := w.compare(want, bitByBit.State()); len(d) > 0 {
		return prefix("in the order of the logs", d), seen
	}
	if d := store.advance(all, want); len(d) > 0 {
		return prefix("what a store shows in the end", d), seen
	}
	// In any order, twice and thrice, and a snapshot now and then.
	mixed := team.NewEvaluator(w.team)
	shuffled := append(slices.Clone(all), all...)
	rnd.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for i, h := range shuffled {
		feed(mixed, h)
		if seed%2 == 1 {
			mixed.State() // so that each record finds everything before it judged
		}
		if rnd.IntN(30) == 0 {
			got := mixed.State()
			if d := w.compare(Evaluate(w.team, shuffled[:i+1]), got); len(d) > 0 {
				return prefix(fmt.Sprintf("in any order, after %d", i+1), d), seen
			}
		}
	}
	if d := w.compare(want, mixed.State()); len(d) > 0 {
		return prefix("in any order, with duplicates", d), seen
	}
	// What one of the nodes holds: a set of its own.
	r := w.replicas[rnd.IntN(len(w.replicas))]
	part := w.ordered(r)
	rnd.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
	one := team.NewEvaluator(w.team)
	for _, h := range part {
		feed(one, h)
	}
	if d := w.compare(Evaluate(w.team, part), one.State()); len(d) > 0 {
		return prefix("as "+r.name+" holds it", d), seen
	}
	return nil, seen
}

func prefix(how string, diffs []string) (out []string) {
	for _, d := range diffs[:min(len(diffs), 12)] {
		out = append(out, how+": "+d)
	}
	return out
}

// smallest leaves out of a failing history each step without which it still fails. A difference may show in some orders
// only: several are tried.
func smallest(seed uint64) (*world, []string) {
	skip := map[int]bool{}
	try := func() (*world, []string) {
		for n := range uint64(6) {
			w := history(seed, skip)
			if d, _ := look(w, seed+n<<32); len(d) > 0 {
				return w, d
			}
		}
		return nil, nil
	}
	w, diffs := try()
	for chunk := 16; chunk > 0; chunk /= 2 {
		for i := 0; i < 90; i += chunk {
			var left []int
			for j := i; j < i+chunk; j++ {
				if !skip[j] {
					skip[j] = true
					left = append(left, j)
				}
			}
			if v, d := try(); v != nil {
				w, diffs = v, d
				continue
			}
			for _, j := range left {
				delete(skip, j)
			}
		}
	}
	return w, diffs
}

// Package team and the plain evaluation give one answer to each random history: charters, people's devices, roles, rights
// to write, who may receive, each object and entry, which records count, quotas.
func TestBothEvaluationsAgree(t *testing.T) {
	first, n := histories(t)
	if *oneSeed != "" {
		seed, err := strconv.ParseUint(*oneSeed, 10, 63)
		if err != nil {
			t.Fatal(err)
		}
		first, n = seed, 1
	}
	var (
		mu     sync.Mutex
		wait   sync.WaitGroup
		failed []uint64
		sum    = coverage{}
		next   = first
	)
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			mine := coverage{}
			for {
				mu.Lock()
				seed := next
				next++
				done := seed >= first+n || len(failed) > 0
				mu.Unlock()
				if done {
					break
				}
				diffs, seen := look(history(seed, nil), seed)
				mine.add(seen)
				if len(diffs) > 0 {
					mu.Lock()
					failed = append(failed, seed)
					mu.Unlock()
				}
			}
			mu.Lock()
			sum.add(mine)
			mu.Unlock()
		})
	}
	wait.Wait()
	if len(failed) > 0 {
		seed := slices.Min(failed)
		w := history(seed, nil)
		diffs, _ := look(w, seed)
		if os.Getenv("WEFT_AS_FOUND") == "" {
			w, diffs = smallest(seed)
		}
		t.Fatalf("seed %d: the evaluations differ (again: go test ./sim/trust -run %s -seed %d)\n%s\n\n%s", seed, t.Name(), seed, strings.Join(diffs, "\n"), strings.Join(w.story, "\n"))
	}
	if *oneSeed != "" {
		t.Log(strings.Join(history(first, nil).story, "\n"))
		return
	}
	t.Logf("%d histories from seed %d\n%s", n, first, sum)
	if n >= 2000 {
		sum.complete(t, n)
	}
}
