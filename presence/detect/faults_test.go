package detect

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"weft/board"
)

// others checks that nobody but victim was ever held for anything but alive since from.
func (w *world) others(from time.Time, victims ...int) {
	w.t.Helper()
	hit := func(i int) bool {
		for _, v := range victims {
			if v == i {
				return true
			}
		}
		return false
	}
	for _, x := range w.nodes {
		for n, list := range x.seen {
			for _, h := range list {
				if h.State != Alive && !h.Since.Before(from) && !hit(w.index(n)) {
					w.t.Errorf("%d held %d for %s after %v", x.i, w.index(n), h.State, h.Since.Sub(from))
				}
			}
		}
	}
}

// A node that was stopped for a minute, or slept for hours, is right after a pulse and accuses nobody.
func TestAPausedNodeDisturbsNobody(t *testing.T) {
	for _, pause := range []time.Duration{2 * time.Second, 20 * time.Second, time.Minute, 5 * time.Hour} {
		count := seeds(t, 20)
		if pause > time.Hour { // most of it is nine nodes that go on as ever
			count = 2
		}
		for seed := range uint64(count) {
			w := newWorld(t, seed, 10, oneTeam)
			w.boot(3 * time.Second)
			victim, from := int(seed)%10, w.now
			w.pause(victim)
			w.run(min(pause, time.Minute))
			if pause > 6*time.Second {
				for _, x := range w.nodes {
					if x.i != victim && x.health[w.nodes[victim].id].State != Dead {
						t.Errorf("pause of %v, seed %d: %d holds it for %q", pause, seed, x.i, x.health[w.nodes[victim].id].State)
					}
				}
			}
			w.run(pause - min(pause, time.Minute))
			before := w.nodes[victim].d.own.Incarnation
			w.resume(victim)
			w.run(5 * time.Second)
			w.allAlive("after the pause")
			w.others(from, victim)
			if now := w.nodes[victim].d.own.Incarnation; pause > 6*time.Second && now == before {
				t.Errorf("pause of %v, seed %d: it didn't say that it is back", pause, seed)
			}
			if t.Failed() {
				t.Fatalf("pause of %v, seed %d", pause, seed)
			}
		}
	}
}

// Half of a mesh is cut off, all hold the others for dead, and it heals; with a bound of messages.
func TestHalfAMeshIsCutOffAndHeals(t *testing.T) {
	for _, c := range []struct{ n, seeds int }{{5, 20}, {30, 2}, {100, 1}} {
		for seed := range uint64(seeds(t, c.seeds)) {
			w := newWorld(t, seed, c.n, oneTeam)
			w.boot(3 * time.Second)
			w.run(10 * time.Second)
			half := w.rnd.Perm(c.n)[:c.n/2]
			count := func() [4]int {
				return [4]int{w.sent["tell"], w.sent["alive"], w.sent["ask"], w.sent["probe"]}
			}
			c0, from := count(), w.now
			w.cut(half...)
			w.run(20 * time.Second)
			slowest := time.Duration(0)
			for _, d := range w.deaths {
				slowest = max(slowest, d.at.Sub(from))
			}
			if got, want := len(w.deaths), 2*(c.n/2)*(c.n-c.n/2); got != want {
				t.Errorf("%d nodes, seed %d: %d deaths instead of %d", c.n, seed, got, want)
			}
			c1 := count()
			w.run(60 * time.Second)
			c2 := count()
			w.heal()
			w.run(20 * time.Second)
			w.allAlive("healed")
			c3 := count()
			per := func(a, b [4]int) (out [4]float64) {
				for i := range a {
					out[i] = float64(b[i]-a[i]) / float64(c.n)
				}
				return out
			}
			t.Logf("%d nodes: all dead after %v; a node sent of tell, alive, ask, probe: cut %.1f, parted for 60 s %.1f, healed %.1f", c.n, slowest, per(c0, c1), per(c1, c2), per(c2, c3))
			for _, x := range [][4]float64{per(c0, c1), per(c2, c3)} {
				if most := float64(4*c.n + 20); x[0]+x[1] > most {
					t.Errorf("%d nodes, seed %d: %.0f frames of a node tell of it, %.0f at most", c.n, seed, x[0]+x[1], most)
				}
			}
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

// All are started again within a minute, by goodbye or by force.
func TestAllRestartWithinAMinute(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(w *world, i int)
	}{
		{"goodbye", func(w *world, i int) { w.nodes[i].leave() }},
		{"kill", func(w *world, i int) { w.kill(i, true) }},
		{"silent kill", func(w *world, i int) { w.kill(i, false) }},
	} {
		for seed := range uint64(seeds(t, 10)) {
			w := newWorld(t, seed, 30, oneTeam)
			w.boot(3 * time.Second)
			before := w.frames()
			for i := range w.nodes {
				w.after(time.Duration(w.rnd.Int64N(int64(time.Minute))), func() {
					c.end(w, i)
					w.after(time.Second+time.Duration(w.rnd.Int64N(int64(3*time.Second))), w.nodes[i].boot)
				})
			}
			w.run(75 * time.Second)
			w.allAlive(c.name)
			each := float64(w.frames()-before) / 30
			if seed == 0 {
				t.Logf("%s: %.0f frames of each node, %d deaths", c.name, each, len(w.deaths))
			}
			if each > 30*20+75*8 {
				t.Errorf("%s, seed %d: %.0f frames of each node", c.name, seed, each)
			}
			if t.Failed() {
				t.FailNow()
			}
		}
	}
}

// leave ends a node in order.
func (x *node) leave() {
	x.step(Leaving{})
	x.w.after(50*time.Millisecond, func() { x.w.kill(x.i, true) })
}

func TestAGoodbyeIsNoDeath(t *testing.T) {
	for seed := range uint64(seeds(t, 100)) {
		w := newWorld(t, seed, 10, oneTeam)
		w.boot(3 * time.Second)
		from := w.now
		w.nodes[3].leave()
		w.run(10 * time.Millisecond)
		for _, x := range w.nodes {
			if h := x.health[w.nodes[3].id]; x.i != 3 && h.State != Left {
				t.Fatalf("seed %d: %d holds it for %q", seed, x.i, h.State)
			}
		}
		w.run(30 * time.Second)
		if len(w.deaths) > 0 || w.counts["accused"] > 0 {
			t.Fatalf("seed %d: %v", seed, w.counts)
		}
		w.others(from, 3)
		w.nodes[3].boot()
		w.run(3 * time.Second)
		w.allAlive("back")
	}
}

// A node whose own loop is always late holds nobody for dead, and nobody holds it for dead.
func TestASlowNodeBlamesNobody(t *testing.T) {
	for seed := range uint64(seeds(t, 20)) {
		w := newWorld(t, seed, 10, oneTeam)
		w.nodes[4].slow = 700 * time.Millisecond
		w.boot(3 * time.Second)
		w.run(5 * time.Minute)
		if len(w.deaths) > 0 {
			t.Fatalf("seed %d: %v %v", seed, w.deaths, w.counts)
		}
	}
}

// Two that can't reach each other hold each other for alive by what others say.
func TestOneBrokenLinkIsNoDeath(t *testing.T) {
	for seed := range uint64(seeds(t, 20)) {
		w := newWorld(t, seed, 8, oneTeam)
		w.boot(3 * time.Second)
		w.conn(2, 5).cut = true
		w.giveUp(2, 5)
		w.run(10 * time.Minute)
		if len(w.deaths) > 0 {
			t.Fatalf("seed %d: %v", seed, w.deaths)
		}
		for _, x := range [][2]int{{2, 5}, {5, 2}} {
			if h := w.nodes[x[0]].health[w.nodes[x[1]].id]; h.State != Alive {
				t.Errorf("seed %d: %d holds %d for %q", seed, x[0], x[1], h.State)
			}
		}
		at := w.now
		w.kill(5, false)
		w.run(15 * time.Second)
		for _, d := range w.deaths {
			if d.by == 2 && d.at.Sub(at) > 8*time.Second {
				t.Errorf("seed %d: dead after %v for who couldn't reach it", seed, d.at.Sub(at))
			}
		}
		if len(w.deaths) != 7 {
			t.Fatalf("seed %d: %d deaths", seed, len(w.deaths))
		}
	}
}

// A member that accuses everybody all the time, forges incarnations and replays words kills nobody and costs little.
func TestALiarKillsNobody(t *testing.T) {
	for seed := range uint64(seeds(t, 20)) {
		w := newWorld(t, seed, 10, oneTeam)
		w.boot(3 * time.Second)
		w.run(10 * time.Second)
		liar := w.nodes[0]
		quiet := w.frames()
		w.run(time.Minute)
		quiet = w.frames() - quiet
		before := w.frames() - w.sent["lie"]
		words := map[board.NodeID][]Word{}
		end := w.now.Add(time.Minute)
		var lie func()
		lie = func() {
			for _, to := range w.nodes[1:] {
				var list []Suspicion
				for _, about := range w.nodes[1:] {
					own := about.d.Own()
					own.Signed = signed
					if old := words[own.Node]; len(old) == 0 || old[len(old)-1].Incarnation < own.Incarnation {
						words[own.Node] = append(old, own)
					}
					s := Suspicion{Node: about.id, Boot: own.Boot, Incarnation: own.Incarnation, Dead: w.rnd.IntN(2) == 0}
					if w.rnd.IntN(4) == 0 {
						s.Incarnation = w.rnd.Uint64()
					}
					list = append(list, s)
				}
				old := words[w.nodes[1+w.rnd.IntN(9)].id]
				evs := []Event{Told{liar.id, list}, Said{liar.id, old[w.rnd.IntN(len(old))]}, Answered{liar.id, w.rnd.Uint64N(1000), true, false, nil}}
				if w.rnd.IntN(20) == 0 {
					evs = append(evs, AskedFor{liar.id, w.nodes[w.rnd.IntN(10)].id, 2, nil})
				}
				w.send(liar.i, to.i, "lie", evs...)
			}
			if w.now.Before(end) {
				w.after(100*time.Millisecond, lie)
			}
		}
		lie()
		w.run(time.Minute)
		if len(w.deaths) > 0 {
			t.Fatalf("seed %d: %v", seed, w.deaths)
		}
		cost := w.frames() - w.sent["lie"] - before - quiet
		if seed == 0 {
			t.Logf("frames in a minute: %d without it, %d more because of it; %v", quiet, cost, w.counts)
		}
		if cost > 60*10*5 {
			t.Errorf("seed %d: it cost %d frames in a minute", seed, cost)
		}
		w.run(20 * time.Second)
		w.allAlive("after the lies")
		// And who lies that a dead node runs doesn't keep it alive.
		at := w.now
		w.kill(7, false)
		for range 100 {
			for _, to := range w.nodes[1:] {
				if old := words[w.nodes[7].id]; to.i != 7 {
					w.send(0, to.i, "lie", Said{liar.id, old[w.rnd.IntN(len(old))]}, Answered{liar.id, w.rnd.Uint64N(5000), false, false, nil})
				}
			}
			w.run(100 * time.Millisecond)
		}
		for _, x := range w.nodes[1:] {
			if h := x.health[w.nodes[7].id]; x.up && h.State != Dead {
				t.Errorf("seed %d: %v after its death %d holds it for %q", seed, w.now.Sub(at), x.i, h.State)
			}
		}
	}
}

// Who says of a dead node that it runs isn't believed, also where there is nobody else to ask.
func TestAFalseWitnessIsNotBelieved(t *testing.T) {
	for seed := range uint64(seeds(t, 20)) {
		w := newWorld(t, seed, 3, oneTeam)
		w.nodes[0].lies = true
		w.boot(3 * time.Second)
		w.run(10 * time.Second)
		at := w.now
		w.kill(2, false)
		w.run(6 * time.Second)
		i := slices.IndexFunc(w.deaths, func(d death) bool { return d.by == 1 && d.whom == 2 })
		if i < 0 {
			t.Fatalf("seed %d: %v after its death it is alive for who asks a liar", seed, w.now.Sub(at))
		}
	}
}

// What can't be honest is harmless, and takes no memory.
func TestRubbishIsHarmless(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	d := New(Config{Self: board.NodeID{1}, Boot: [16]byte{1}, BootMs: 5, Rand: rnd})
	teams := map[board.NodeID][]board.TeamID{}
	id := func() board.NodeID { return board.NodeID{byte(rnd.IntN(14))} }
	for i := range 10 {
		teams[board.NodeID{byte(i)}] = []board.TeamID{{byte(i % 3)}, {9}}
	}
	now := time.Unix(0, 0)
	d.Step(now, Neighbours{teams})
	for i := range 200_000 {
		now = now.Add(time.Duration(rnd.Int64N(int64(20 * time.Millisecond))))
		if rnd.IntN(1000) == 0 {
			now = now.Add(time.Duration(rnd.Int64N(int64(time.Minute))))
		}
		w := Word{Node: id(), Boot: [16]byte{byte(rnd.IntN(3))}, BootMs: rnd.Uint64N(9), Incarnation: rnd.Uint64N(20), Goodbye: rnd.IntN(50) == 0, Signed: signed}
		evs := []Event{
			Connected{id()}, Disconnected{id()}, Heard{id(), time.Duration(rnd.Int64N(int64(time.Second)))}, Relayed{id()}, Probed{id(), rnd.Uint64(), nil},
			AskedFor{id(), id(), rnd.Uint64(), nil}, Answered{id(), rnd.Uint64N(d.last + 2), rnd.IntN(2) == 0, false, nil}, Said{id(), w}, Tick{},
			Told{id(), []Suspicion{{id(), w.Boot, w.Incarnation, false}, {id(), w.Boot, rnd.Uint64(), true}}}, HeardSome{{id(), 0}},
		}
		if i%5000 == 0 {
			evs = []Event{Neighbours{teams}}
		}
		for _, e := range d.Step(now, evs[rnd.IntN(len(evs))]) {
			if p, ok := e.(Probe); ok && d.peers[p.Node] == nil {
				t.Fatal("a probe to a stranger")
			}
		}
		if d.Wake().After(now.Add(idleWake)) {
			t.Fatalf("it sleeps until %v from now", d.Wake().Sub(now))
		}
		for _, p := range d.order {
			if len(p.helps) > helpsAtOnce || len(p.by) > maxBy || len(p.ids) > keptIDs {
				t.Fatalf("%d that wait, %d accusers, %d ids", len(p.helps), len(p.by), len(p.ids))
			}
		}
		if len(d.asked) > keptIDs*len(d.order) || len(d.out) > len(d.order) || len(d.deck) > len(d.order) {
			t.Fatalf("%d probes, %d parcels", len(d.asked), len(d.out))
		}
	}
}

// Whatever happens, all is right when it is over, and a death is found then as ever.
func TestAllIsRightAfterAnything(t *testing.T) {
	for seed := range uint64(seeds(t, 1000)) {
		w := newWorld(t, seed, 5, func(i int) []int { return []int{i % 2, 2, 3 + i%3}[:1+int(seed)%3] })
		if seed%3 > 0 { // also meshes whose teams overlap only in part
			w = newWorld(t, seed, 5, oneTeam)
		}
		w.rtt = []time.Duration{time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond}[seed%3]
		w.boot(3 * time.Second)
		for range 12 {
			x := w.nodes[w.rnd.IntN(5)]
			switch w.rnd.IntN(7) {
			case 0:
				if x.up {
					w.kill(x.i, w.rnd.IntN(2) == 0)
				}
			case 1:
				if !x.up {
					x.boot()
				}
			case 2:
				if x.up && !x.paused {
					w.pause(x.i)
				}
			case 3:
				if x.up && x.paused {
					w.resume(x.i)
				}
			case 4:
				w.cut(x.i, w.rnd.IntN(5))
			case 5:
				w.heal()
			case 6:
				w.loss = float64(w.rnd.IntN(4)) / 10
			}
			w.run(time.Duration(w.rnd.Int64N(int64(10 * time.Second))))
		}
		w.loss = 0
		w.heal()
		for _, x := range w.nodes {
			switch {
			case !x.up:
				x.boot()
			case x.paused:
				w.resume(x.i)
			}
		}
		w.run(45 * time.Second)
		w.allAlive("at the end")
		w.deaths = nil
		victim := w.rnd.IntN(5)
		w.kill(victim, false)
		w.run(2 * time.Minute)
		want := 0
		for j := range 5 {
			if w.conn(victim, j) != nil {
				want++
			}
		}
		if len(w.deaths) != want {
			t.Errorf("%d of %d hold it for dead", len(w.deaths), want)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestTheSameHappensAgain(t *testing.T) {
	run := func() (out string) {
		w := newWorld(t, 7, 8, oneTeam)
		w.loss = .2
		w.trace = func(s string) { out += s + "\n" }
		w.boot(3 * time.Second)
		w.cut(1, 2, 3)
		w.run(20 * time.Second)
		w.heal()
		w.run(20 * time.Second)
		return out
	}
	if a, b := run(), run(); a != b || len(a) == 0 {
		t.Errorf("two runs of one seed differ:\n%s\n%s", a, b)
	}
}
