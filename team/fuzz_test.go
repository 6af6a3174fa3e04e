package team

import (
	"bytes"
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
}
