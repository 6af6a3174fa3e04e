package team

import (
	"fmt"
	"runtime"
	"testing"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// grown is the team that the memory bar is about: people of whom some are admins, removed people, and nodes that were
// restarted over and over.
type grown struct {
	*crew
	ledger *ledger
	people []Identity
}

// grow makes a team of n people, each admitted, presented, with a home of their own; the first admins of them get power,
// the last removals are removed, and the nodes are restarted restarts times between all of that.
func grow(t failer, n, admins, removals, restarts int) *grown {
	g := &grown{crew: newCrew(t)}
	g.ledger = newLedger(g.id)
	home := nodeOf("home-of-ana")
	for _, o := range g.objects {
		g.write(home, o)
	}
	var invite *Object
	for i := range n - 1 {
		name := fmt.Sprint("link ", i/MaxQuota)
		if i%MaxQuota == 0 {
			invite = g.write(home, g.must(NewInvite(g.state(), g.owner, Member, home, MaxQuota, 0, g.nonce(), seedOf(name))))
		}
		id := person(t, fmt.Sprint("p", i))
		g.people = append(g.people, id)
		g.write(nodeOf("home-of-"+id.Name), g.must(NewPresent(g.id, id)))
		g.write(home, admission(g.crew, invite, name, id.User, keyOf("home-of-ana"), 0))
		if i%max(1, n/max(1, restarts)) == 0 {
			g.ledger.restart(home, len(g.ledger.lines))
		}
	}
	for i := range restarts - n {
		g.ledger.restart(nodeOf(fmt.Sprint("home-of-p", i%20)), len(g.ledger.lines))
	}
	for i := 0; i < admins; i += 5 {
		var add []board.UserID
		for _, p := range g.people[i:min(i+5, admins)] {
			add = append(add, p.User)
		}
		c := g.write(home, g.must(NewCharter(g.state(), g.owner, Change{AddAdmins: add}, nil, Removed, g.nonce())))
		g.write(home, g.must(NewAck(g.state(), g.owner, c.Hash)))
	}
	for i := range removals {
		u := g.people[n-2-i].User
		g.write(home, g.must(NewSet(g.state(), g.people[i%admins], u, Removed, g.cut(u), "no reason", g.nonce())))
	}
	return g
}

func (g *grown) state() *State { return g.ev.State() }

// write records o at a node, in a team whose evaluator may be thrown away.
func (g *grown) write(n board.NodeID, o *Object) *Object {
	g.t.Helper()
	if _, err := g.ledger.write(n, line{object: o}).feed(g.ev); err != nil {
		g.t.Fatal(err)
	}
	return o
}

func (g *grown) cut(u board.UserID) *weftv1.Cut {
	return g.ledger.cut(len(g.ledger.lines), g.ledger.of(u))
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestMemoryOfATeam: 1,000 people, 50 admins, 20 removals, 1,000 restarts: the evaluator and its snapshot together, without
// the objects that it was told of, stay within 4 MB.
func TestMemoryOfATeam(t *testing.T) {
	g := grow(t, 1000, 50, 20, 1000)
	if st := g.state(); len(st.Members()) != 980 || len(st.Outsiders()) != 20 || st.Role(g.people[3].User) != Admin || len(st.Nodes()) != 980 {
		t.Fatal(len(st.Members()), len(st.Outsiders()), len(st.Nodes()))
	}
	epochs := 0
	for _, n := range g.ev.logs.nodes {
		epochs += len(n.epochs)
	}
	before := heap()
	ev := g.reread(t)
	after := heap()
	t.Logf("%d records in %d epochs: %.2f MB", len(g.ledger.lines), epochs, float64(after-before)/1e6)
	if after-before > 4e6 {
		t.Errorf("%d bytes", after-before)
	}
	runtime.KeepAlive(ev)
	runtime.KeepAlive(g)
}

// reread is again with objects that nobody but the evaluator keeps.
func (g *grown) reread(t testing.TB) *Evaluator {
	ev := NewEvaluator(g.id)
	for _, x := range g.ledger.lines {
		kind := board.KindOperation
		if x.object.Charter != nil {
			kind = board.KindCharter
		} else if x.object.Ack != nil {
			kind = board.KindAck
		}
		o, err := ParseObject(kind, append([]byte(nil), x.object.Body...))
		if err != nil {
			t.Fatal(err)
		}
		y := *x
		y.object = o
		if _, err := y.feed(ev); err != nil {
			t.Fatal(err)
		}
	}
	ev.State()
	return ev
}

// BenchmarkMemory: bytes of the evaluated state of that team.
func BenchmarkMemory(b *testing.B) {
	g := grow(b, 1000, 50, 20, 1000)
	var size uint64
	for b.Loop() {
		before := heap()
		ev := g.reread(b)
		size = heap() - before
		runtime.KeepAlive(ev)
	}
	b.ReportMetric(float64(size), "state-bytes")
}
