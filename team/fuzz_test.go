package team

import (
	"bytes"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

var kinds = []board.Kind{board.KindCharter, board.KindAck, board.KindOperation, board.KindPost}

// FuzzParseObject: whatever comes, no panic; what is accepted is what was signed, and an Evaluator takes it.
func FuzzParseObject(f *testing.F) {
	c := newCrew(f)
	for _, o := range c.objects {
		f.Add(uint8(o.Kind), o.Body)
	}
	f.Fuzz(func(t *testing.T, kind uint8, body []byte) {
		o, err := ParseObject(board.Kind(kind), body)
		if err != nil {
			return
		}
		if o.Hash != hashOf(o.Raw) || !bytes.Equal(o.Body, body) {
			t.Fatal("not what came")
		}
		evaluate(t, c, o)
	})
}

// FuzzSignedObject gets past the outer signature: the bytes are those of the object.
func FuzzSignedObject(f *testing.F) {
	c := newCrew(f)
	inv := c.add(c.invite(Member, nodeOf("home-of-ana"), 2, 0, "link"))
	k := c.knock(inv, "link", person(f, "ben"))
	c.add(c.must(NewAdmit(keyOf("home-of-ana"), c.ev.State(), k, c.nonce())))
	for i, o := range c.objects {
		f.Add(uint8(i), o.Raw)
	}
	for _, x := range newOffice(f).ledger.lines { // sets, charters, acks
		f.Add(uint8(slices.Index(kinds, x.object.Kind)), x.object.Raw)
	}
	st, cut := c.ev.State(), NewCut([]board.Position{c.at(nodeOf("n"), 1, 1)})
	op := operation(st, c.owner, c.nonce())
	for _, k := range []*weftv1.Operation{
		{Kind: &weftv1.Operation_Node{Node: &weftv1.SetNode{Node: public(keyOf("n")), Cut: cut}}},
		{Kind: &weftv1.Operation_Uninvite{Uninvite: &weftv1.Uninvite{Invite: inv.Hash[:], Cut: cut}}},
		{Kind: &weftv1.Operation_Request{Request: &weftv1.JoinRequest{Note: "hello"}}},
		{Kind: &weftv1.Operation_Floor{Floor: &weftv1.Floor{Position: cut.Positions[0], Devices: []*weftv1.DeviceMark{{Device: public(keyOf("d"))}}}}},
		{Kind: &weftv1.Operation_Fork{Fork: aFork(c).Wire()}},
	} {
		k.Team, k.Author, k.Charter, k.Nonce = op.Team, op.Author, op.Charter, op.Nonce
		raw, err := proto.Marshal(k)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(2), raw)
	}
	key := keyOf("device of ana")
	f.Fuzz(func(t *testing.T, kind uint8, raw []byte) {
		at := kinds[int(kind)%3]
		sig := key.Sign(labels[at], raw)
		body, err := proto.Marshal(&weftv1.Signed{Object: raw, Key: public(key), Signature: sig[:]})
		if err != nil {
			t.Fatal(err)
		}
		o, err := ParseObject(at, body)
		if err != nil {
			return
		}
		if len(raw) > sizes[at] {
			t.Fatal("over its size")
		}
		evaluate(t, c, o)
	})
}

// evaluate adds o to a crew's objects, before and after them, which must mean the same.
func evaluate(t *testing.T, c *crew, o *Object) {
	first, last := NewEvaluator(c.id), NewEvaluator(c.id)
	add := func(ev *Evaluator, l ...*Object) {
		for _, o := range l {
			if _, err := ev.Add(o); err != nil {
				t.Fatal(err)
			}
		}
	}
	add(first, append([]*Object{o}, c.objects...)...)
	add(last, append(append([]*Object{}, c.objects...), o)...)
	for _, p := range c.objects {
		a, _ := first.State().Verdict(p.Hash)
		b, _ := last.State().Verdict(p.Hash)
		if a != b {
			t.Fatal("order matters", a, b)
		}
	}
	_ = Describe(o, nil)
	for _, ev := range []*Evaluator{first, last} {
		_, _ = ev.State().Log(), ev.State().Flips(nil)
	}
}

// aFork is a node's contradiction in general.
func aFork(c *crew) *board.Fork {
	l := newLedger(c.id)
	n, b := nodeOf("n"), board.GeneralID(c.id)
	x := l.write(n, line{entry: c.header(c.owner, b)})
	l.tips[logName{b, n}] = x.Prev
	h := c.header(c.owner, b)
	h.HLC++
	return proofOf(keyOf("n"), x, l.write(n, line{entry: h}))
}

// FuzzCut: what a cut says of a board is what its positions say, sorted and once each.
func FuzzCut(f *testing.F) {
	at := board.Position{Board: board.ID{1}, Node: board.NodeID{2}, Epoch: board.Epoch{N: 1}, Seq: 3}
	for _, l := range [][]board.Position{nil, {at}, {at, at, {Board: board.ID{9}, Node: board.NodeID{1}, Seq: 1}}} {
		b, err := proto.Marshal(NewCut(l))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m weftv1.Cut
		if proto.Unmarshal(b, &m) != nil {
			return
		}
		c := ParseCut(&m)
		if again := ParseCut(c.Proto()); !slices.Equal(c.at, again.at) {
			t.Fatal("another cut")
		}
		n := 0
		seen := map[board.ID]bool{}
		for _, p := range c.at {
			if !seen[p.Board] {
				seen[p.Board] = true
				n += len(c.At(p.Board))
			}
		}
		if n != len(c.at) || c.Empty() != (n == 0) || !slices.IsSortedFunc(c.at, comparePositions) {
			t.Fatal("positions are lost or out of order")
		}
	})
}
