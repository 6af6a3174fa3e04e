package team

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// crowd is a team with n admissions over invites for 1,000 each, every user with a home of their own.
func crowd(t testing.TB, n int, presented bool) (*crew, []Identity) {
	c := newCrew(t)
	home, node := keyOf("home-of-ana"), nodeOf("home-of-ana")
	var invite *Object
	var people []Identity
	for i := range n {
		name := fmt.Sprint("link ", i/MaxQuota)
		if i%MaxQuota == 0 {
			invite = c.add(c.invite(Member, node, MaxQuota, 0, name))
		}
		id := Identity{User: board.UserID(seedOf(fmt.Sprint("user ", i)))}
		if presented {
			id = person(t, fmt.Sprint("p", i))
			c.add(c.must(NewPresent(c.id, id)))
		}
		people = append(people, id)
		c.add(admission(c, invite, name, id.User, home, uint64(i+1)))
	}
	return c, people
}

// admission is built without being read again: only its proof is looked at by an Evaluator.
func admission(c *crew, invite *Object, name string, u board.UserID, home board.Key, seq uint64) *Object {
	node := board.NodeID(home.Public())
	sig := board.NewKey(seedOf(name)).SignHash(board.SignInvite, inviteHash(c.id, u, board.Hash(u), node))
	nonce := c.nonce()
	op := &weftv1.Operation{Team: c.id[:], Author: node[:], Charter: c.id[:], Nonce: nonce[:], Kind: &weftv1.Operation_Admit{Admit: &weftv1.Admit{
		Invite: invite.Hash[:], User: u[:], UserCharter: u[:], InviteSignature: sig[:],
	}}}
	s, err := seal(home, board.SignOperation, op)
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := proto.Marshal(s)
	if err != nil {
		c.t.Fatal(err)
	}
	return &Object{
		Kind: board.KindOperation, Hash: hashOf(s.Object), Raw: s.Object, Body: body, Key: home.Public(), Op: op,
		Records: []board.Position{c.at(node, 1, seq)},
	}
}

// BenchmarkEvaluate10000: from scratch, all signatures of invites checked.
func BenchmarkEvaluate10000(b *testing.B) {
	c, _ := crowd(b, 10_000, false)
	for b.Loop() {
		ev := NewEvaluator(c.id)
		for _, o := range c.objects {
			c.feed(ev, o)
		}
		if n := len(ev.State().Invites()); n != 10 {
			b.Fatal(n)
		}
	}
}

// BenchmarkOneMore: an admission and the state after it, in a team of 10,000 operations.
func BenchmarkOneMore(b *testing.B) {
	c, _ := crowd(b, 9_500, false)
	c.ev.State()
	home := keyOf("home-of-ana")
	invite := c.objects[2+9*(MaxQuota+1)]
	seq := uint64(9_500)
	for b.Loop() {
		b.StopTimer()
		seq++
		o := admission(c, invite, "link 9", board.UserID(seedOf(fmt.Sprint("more ", seq))), home, seq)
		b.StartTimer()
		c.feed(c.ev, o)
		c.ev.State()
	}
}

func BenchmarkCheckEntry(b *testing.B) {
	c, people := crowd(b, 1000, true)
	st := c.ev.State()
	var headers []*board.Header
	for _, id := range people {
		headers = append(headers, c.header(id, board.GeneralID(c.id)))
	}
	for i := 0; b.Loop(); i++ {
		if v := st.CheckEntry(headers[i%len(headers)], nil); v.Status != Valid {
			b.Fatal(v)
		}
	}
}

// TestCheckEntryAllocatesNothing: it runs for every entry that comes.
func TestCheckEntryAllocatesNothing(t *testing.T) {
	c, people := crowd(t, 50, true)
	st := c.ev.State()
	h := c.header(people[7], board.GeneralID(c.id))
	if n := testing.AllocsPerRun(100, func() {
		if st.CheckEntry(h, nil).Status != Valid {
			t.Error("not valid")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestOneMoreCopiesLittle: a snapshot after one more admission shares nearly all of the one before.
func TestOneMoreCopiesLittle(t *testing.T) {
	c, _ := crowd(t, 2000, false)
	before := c.ev.State()
	o := admission(c, c.objects[2], "link 0", board.UserID(seedOf("one more")), keyOf("home-of-ana"), 2001)
	c.add(o)
	after := c.ev.State()
	if v, _ := after.Verdict(o.Hash); v.Rule != "quota" {
		t.Fatal(v)
	}
	shared := 0
	for i := range after.objects {
		if after.objects[i] == before.objects[i] {
			shared++
		}
	}
	if shared < 240 {
		t.Errorf("only %d of 256 parts are as before", shared)
	}
}

// BenchmarkEvaluateMixed10000: from scratch, roles of 1,000 people set ten times over, each change naming the one before.
func BenchmarkEvaluateMixed10000(b *testing.B) {
	g := settled(b, 10_000)
	for b.Loop() {
		ev := NewEvaluator(g.id)
		feedAll(b, ev, g.ledger.lines)
		if n := len(ev.State().Members()) + len(ev.State().Outsiders()); n != 1001 {
			b.Fatal(n)
		}
	}
}

// BenchmarkParse10000: reading the same objects, which checks the signature of each by itself.
func BenchmarkParse10000(b *testing.B) {
	g := settled(b, 10_000)
	for b.Loop() {
		for _, x := range g.ledger.lines {
			if _, err := ParseObject(x.object.Kind, x.object.Body); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkOneMoreSet: a role changed, and the state after it, in a team with 10,000 operations.
func BenchmarkOneMoreSet(b *testing.B) {
	g := settled(b, 10_000)
	ev := NewEvaluator(g.id)
	feedAll(b, ev, g.ledger.lines)
	st, n := ev.State(), 0
	for b.Loop() {
		b.StopTimer()
		n++
		u := board.UserID(seedOf(fmt.Sprint("user ", (n-1)%1000)))
		role := []Role{Member, Removed}[(n-1)/1000%2]
		o := g.must(NewSet(st, g.owner, u, role, &weftv1.Cut{}, fmt.Sprint(n), g.nonce()))
		x := g.ledger.write(nodeOf("home-of-ana"), line{object: o})
		b.StartTimer()
		if _, err := x.feed(ev); err != nil {
			b.Fatal(err)
		}
		st = ev.State()
	}
}

// BenchmarkCharter: one more charter with its ack, and the state after it, in the same team.
func BenchmarkCharter(b *testing.B) {
	g := settled(b, 10_000)
	ev := NewEvaluator(g.id)
	feedAll(b, ev, g.ledger.lines)
	n := 0
	for b.Loop() {
		b.StopTimer()
		n++
		c := g.must(NewCharter(ev.State(), g.owner, Change{Name: fmt.Sprint("crew ", n)}, nil, Removed, g.nonce()))
		a, err := build(board.KindAck, g.owner.Device, &weftv1.Ack{Charter: c.Hash[:], User: g.owner.User[:]})
		x, y := g.ledger.write(nodeOf("home-of-ana"), line{object: c}), g.ledger.write(nodeOf("home-of-ana"), line{object: g.must(a, err)})
		b.StartTimer()
		for _, l := range []*line{x, y} {
			if _, err := l.feed(ev); err != nil {
				b.Fatal(err)
			}
		}
		ev.State()
	}
}

// settled is a team in which the roles of 1,000 people were set n times in all.
func settled(t failer, n int) *grown {
	g := &grown{crew: newCrew(t)}
	g.ledger = newLedger(g.id)
	home := nodeOf("home-of-ana")
	for _, o := range g.objects {
		g.ledger.write(home, line{object: o})
	}
	st := g.ev.State()
	last := map[board.UserID]board.Hash{}
	for i := range n {
		u := board.UserID(seedOf(fmt.Sprint("user ", i%1000)))
		set := &weftv1.SetRole{User: u[:], Role: weftv1.Role([]Role{Member, Removed, Member, Muted}[i/1000%4])}
		if h, ok := last[u]; ok {
			set.Parents = [][]byte{h[:]}
		}
		o := g.must(newSet(st, g.owner, set, g.nonce()))
		last[u] = o.Hash
		g.ledger.write(home, line{object: o})
	}
	return g
}
