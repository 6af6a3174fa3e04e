package team

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// signedBody is the body of an entry that carries these bytes as an object.
func signedBody(t testing.TB, kind board.Kind, k board.Key, raw []byte) []byte {
	t.Helper()
	sig := k.Sign(labels[kind], raw)
	b, err := proto.Marshal(&weftv1.Signed{Object: raw, Key: public(k), Signature: sig[:]})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func encode(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func many(n, size int) (out [][]byte) {
	for i := range n {
		b := bytes.Repeat([]byte{byte(i), byte(i >> 8)}, size)
		out = append(out, b[:size])
	}
	return out
}

func TestCharterBounds(t *testing.T) {
	good := func() *weftv1.TeamCharter {
		return &weftv1.TeamCharter{Ver: 1, Rules: 1, Name: "crew", Owners: many(1, 32), Nonce: make([]byte, 16)}
	}
	later := func() *weftv1.TeamCharter {
		m := good()
		m.Ver, m.Team, m.Prev = 2, make([]byte, 32), make([]byte, 32)
		return m
	}
	cases := []struct {
		name   string
		change func(m *weftv1.TeamCharter)
		from   func() *weftv1.TeamCharter
		ok     bool
	}{
		{"as it should be", func(m *weftv1.TeamCharter) {}, good, true},
		{"16 owners", func(m *weftv1.TeamCharter) { m.Owners = many(16, 32) }, good, true},
		{"17 owners", func(m *weftv1.TeamCharter) { m.Owners = many(17, 32) }, good, false},
		{"no owner", func(m *weftv1.TeamCharter) { m.Owners = nil }, good, false},
		{"an owner twice", func(m *weftv1.TeamCharter) { m.Owners = append(m.Owners, m.Owners[0]) }, good, false},
		{"an owner of 31 bytes", func(m *weftv1.TeamCharter) { m.Owners = many(1, 31) }, good, false},
		{"64 admins", func(m *weftv1.TeamCharter) { m.Admins = many(65, 32)[1:] }, good, true},
		{"65 admins", func(m *weftv1.TeamCharter) { m.Admins = many(66, 32)[1:] }, good, false},
		{"an owner who is an admin", func(m *weftv1.TeamCharter) { m.Admins = m.Owners }, good, false},
		{"a name of 64 bytes", func(m *weftv1.TeamCharter) { m.Name = strings.Repeat("é", 32) }, good, true},
		{"a name of 65 bytes", func(m *weftv1.TeamCharter) { m.Name = strings.Repeat("a", 65) }, good, false},
		{"no name", func(m *weftv1.TeamCharter) { m.Name = "" }, good, false},
		{"a name with a newline", func(m *weftv1.TeamCharter) { m.Name = "a\nb" }, good, false},
		{"a name with a C1 control", func(m *weftv1.TeamCharter) { m.Name = "a\u009b31m" }, good, false},
		{"257 relays", func(m *weftv1.TeamCharter) { m.Relays = many(257, 32) }, good, false},
		{"no nonce", func(m *weftv1.TeamCharter) { m.Nonce = nil }, good, false},
		{"rules 0", func(m *weftv1.TeamCharter) { m.Rules = 0 }, good, false},
		{"version 0", func(m *weftv1.TeamCharter) { m.Ver = 0 }, good, false},
		{"a genesis with a parent", func(m *weftv1.TeamCharter) { m.Prev = make([]byte, 32) }, good, false},
		{"a genesis with cuts", func(m *weftv1.TeamCharter) { m.Cuts = []*weftv1.PowerCut{{User: make([]byte, 32)}} }, good, false},
		{"newer rules with a form unknown here", func(m *weftv1.TeamCharter) { m.Rules, m.Owners, m.Name = 2, nil, "" }, good, true},
		{"a child", func(m *weftv1.TeamCharter) {}, later, true},
		{"a child without a parent", func(m *weftv1.TeamCharter) { m.Prev = nil }, later, false},
		{"a child that closes the team", func(m *weftv1.TeamCharter) { m.Successor = make([]byte, 32) }, later, true},
		{"a cut to admin", func(m *weftv1.TeamCharter) {
			m.Cuts = []*weftv1.PowerCut{{User: make([]byte, 32), KeepAs: weftv1.Role_ROLE_ADMIN}}
		}, later, false},
	}
	for _, c := range cases {
		m := c.from()
		c.change(m)
		_, err := ParseObject(board.KindCharter, signedBody(t, board.KindCharter, keyOf("k"), encode(t, m)))
		if c.ok != (err == nil) || err != nil && !errors.Is(err, board.ErrMalformed) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestOperationBounds(t *testing.T) {
	pos := &weftv1.Position{Board: make([]byte, 16), Node: make([]byte, 32), Epoch: 1, Seq: 1, Hash: make([]byte, 32)}
	inv := func(f func(i *weftv1.Invite)) *weftv1.Operation {
		i := &weftv1.Invite{Key: make([]byte, 32), Role: weftv1.Role_ROLE_MEMBER, Admitter: make([]byte, 32), Quota: 1}
		f(i)
		return &weftv1.Operation{Kind: &weftv1.Operation_Invite{Invite: i}}
	}
	board_ := func(name string, role uint32) *weftv1.Operation {
		return &weftv1.Operation{Kind: &weftv1.Operation_Board{Board: &weftv1.CreateBoard{Name: name, WriteRole: role}}}
	}
	set := func(s *weftv1.SetRole) *weftv1.Operation {
		return &weftv1.Operation{Kind: &weftv1.Operation_Set{Set: s}}
	}
	cases := []struct {
		name string
		op   *weftv1.Operation
		ok   bool
	}{
		{"a board", board_("news", 0), true},
		{"a board for admins", board_("news", 5), true},
		{"a board for readers to write", board_("news", 2), false},
		{"a board without a name", board_("", 0), false},
		{"an invite", inv(func(i *weftv1.Invite) {}), true},
		{"an invite for nobody", inv(func(i *weftv1.Invite) { i.Quota = 0 }), false},
		{"an invite for 1000", inv(func(i *weftv1.Invite) { i.Quota = 1000 }), true},
		{"an invite for 1001", inv(func(i *weftv1.Invite) { i.Quota = 1001 }), false},
		{"an invite to admin", inv(func(i *weftv1.Invite) { i.Role = weftv1.Role_ROLE_ADMIN }), false},
		{"an invite to be banned", inv(func(i *weftv1.Invite) { i.Role = 0 }), false},
		{"an invite without a key", inv(func(i *weftv1.Invite) { i.Key = nil }), false},
		{"a set", set(&weftv1.SetRole{User: make([]byte, 32), Cut: &weftv1.Cut{Positions: []*weftv1.Position{pos}}}), true},
		{"a set to admin", set(&weftv1.SetRole{User: make([]byte, 32), Role: 5}), false},
		{"a set with a bad position", set(&weftv1.SetRole{User: make([]byte, 32), Cut: &weftv1.Cut{Positions: []*weftv1.Position{{}}}}), false},
		{"a set with 65 parents", set(&weftv1.SetRole{User: make([]byte, 32), Parents: many(65, 32)}), false},
		{"a kind of a later version", &weftv1.Operation{}, true},
		{"an admission signed by another key", &weftv1.Operation{Kind: &weftv1.Operation_Admit{Admit: &weftv1.Admit{
			Invite: make([]byte, 32), User: make([]byte, 32), UserCharter: make([]byte, 32), InviteSignature: make([]byte, 64),
		}}}, false},
		{"an empty present", &weftv1.Operation{Kind: &weftv1.Operation_Present{Present: &weftv1.Present{}}}, false},
		{"a floor without a position", &weftv1.Operation{Kind: &weftv1.Operation_Floor{Floor: &weftv1.Floor{}}}, false},
		{"a fork without records", &weftv1.Operation{Kind: &weftv1.Operation_Fork{Fork: &weftv1.ForkProof{}}}, false},
	}
	for _, c := range cases {
		c.op.Team, c.op.Author, c.op.Charter, c.op.Nonce = make([]byte, 32), make([]byte, 32), make([]byte, 32), make([]byte, 16)
		_, err := ParseObject(board.KindOperation, signedBody(t, board.KindOperation, keyOf("k"), encode(t, c.op)))
		if c.ok != (err == nil) || err != nil && !errors.Is(err, board.ErrMalformed) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestObjectSizes(t *testing.T) {
	pad := func(m proto.Message, to int) []byte {
		b := encode(t, m)
		n := to - len(b) - 2 // tag of two bytes
		n -= protowire.SizeVarint(uint64(n - 2))
		return protowire.AppendBytes(protowire.AppendTag(b, 1000, protowire.BytesType), make([]byte, n))
	}
	charter := &weftv1.TeamCharter{Ver: 1, Rules: 1, Name: "crew", Owners: many(1, 32), Nonce: make([]byte, 16)}
	op := &weftv1.Operation{Team: make([]byte, 32), Author: make([]byte, 32), Charter: make([]byte, 32), Nonce: make([]byte, 16)}
	for _, c := range []struct {
		kind board.Kind
		m    proto.Message
		max  int
	}{{board.KindCharter, charter, MaxCharter}, {board.KindOperation, op, MaxOperation}} {
		for _, over := range []int{0, 1} {
			raw := pad(c.m, c.max+over)
			body := signedBody(t, c.kind, keyOf("k"), raw)
			o, err := ParseObject(c.kind, body)
			if over == 0 && (err != nil || len(body) > board.MaxBody || !bytes.Equal(o.Raw, raw)) {
				t.Errorf("%v of %d bytes, body of %d: %v", c.kind, len(raw), len(body), err)
			}
			if over == 1 && !errors.Is(err, board.ErrTooLarge) {
				t.Errorf("%v of %d bytes: %v", c.kind, len(raw), err)
			}
		}
	}
}

func TestHostileProtobuf(t *testing.T) {
	charter := encode(t, &weftv1.TeamCharter{Ver: 1, Rules: 1, Name: "crew", Owners: many(1, 32), Nonce: make([]byte, 16)})
	var fields, group, empty []byte
	for range maxFields {
		fields = protowire.AppendVarint(protowire.AppendTag(fields, 99, protowire.VarintType), 0)
		empty = protowire.AppendBytes(protowire.AppendTag(empty, 10, protowire.BytesType), nil)
	}
	for range 5000 {
		group = protowire.AppendTag(group, 999, protowire.StartGroupType)
	}
	for name, extra := range map[string][]byte{
		"too many fields":                fields,
		"too many nested messages":       empty,
		"open groups":                    group,
		"a known field of another type":  protowire.AppendVarint(protowire.AppendTag(nil, 3, protowire.VarintType), 7),
		"a nested field of another type": protowire.AppendBytes(protowire.AppendTag(nil, 8, protowire.BytesType), []byte{0x10, 1, 0x18, 1}),
		"a field that ends too early":    {0x0a, 0x20, 1},
		"field number 0":                 {0, 0},
	} {
		_, err := ParseObject(board.KindCharter, signedBody(t, board.KindCharter, keyOf("k"), append(bytes.Clone(charter), extra...)))
		if !errors.Is(err, board.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOneKindOfObject: bytes that one kind accepts are no other kind, or a hash would name two things.
func TestOneKindOfObject(t *testing.T) {
	c := newCrew(t)
	b := c.must(NewBoard(c.ev.State(), c.owner, "x", c.nonce()))
	for _, o := range append(c.objects, b) {
		for _, kind := range []board.Kind{board.KindCharter, board.KindAck, board.KindOperation} {
			_, err := ParseObject(kind, signedBody(t, kind, keyOf("k"), o.Raw))
			if kind != o.Kind && err == nil {
				t.Errorf("a %v is a %v as well", o.Kind, kind)
			}
		}
	}
	least := encode(t, &weftv1.Operation{Team: make([]byte, 32), Author: make([]byte, 32), Charter: make([]byte, 32), Nonce: make([]byte, 16)})
	if len(least) <= MaxAck {
		t.Errorf("an operation may have %d bytes, as an ack may", len(least))
	}
}

func TestForgedObjects(t *testing.T) {
	c := newCrew(t)
	for _, o := range c.objects {
		for i := range o.Body {
			b := bytes.Clone(o.Body)
			b[i] ^= 1
			if p, err := ParseObject(o.Kind, b); err == nil && (p.Hash != o.Hash || p.Key != o.Key) {
				t.Fatalf("%v with byte %d flipped was accepted", o.Kind, i)
			}
		}
	}
	// A present whose inner signatures are not good is none, however well it is signed itself.
	id := person(t, "ben")
	id.Acceptances[0].Signature[5] ^= 1
	if _, err := NewPresent(c.id, id); !errors.Is(err, board.ErrBadSignature) {
		t.Error("a forged acceptance:", err)
	}
	id = person(t, "ben")
	id.Charters[0].Signature[5] ^= 1
	if _, err := NewPresent(c.id, id); !errors.Is(err, board.ErrBadSignature) {
		t.Error("a forged charter:", err)
	}
	id = person(t, "ben")
	id.Device = keyOf("someone else's")
	if _, err := NewPresent(c.id, id); !errors.Is(err, board.ErrMalformed) {
		t.Error("presented by a stranger's device:", err)
	}
	id = person(t, "ben")
	id.Acceptances = person(t, "cy").Acceptances
	if _, err := NewPresent(c.id, id); !errors.Is(err, board.ErrMalformed) {
		t.Error("someone else's home:", err)
	}
}

func TestEntryObject(t *testing.T) {
	c := newCrew(t)
	o := c.objects[1]
	node := keyOf("home-of-ana")
	entry := func(change func(h *board.Header)) *board.Entry {
		h := ObjectHeader(c.id, o)
		h.Device, h.DevSeq, h.HLC = board.DeviceID(node.Public()), 1, 1
		change(&h)
		e := board.NewEntry(h, o.Body)
		e.Sign(node)
		return e
	}
	if got, err := EntryObject(entry(func(h *board.Header) {})); err != nil || got.Hash != o.Hash {
		t.Fatal(err)
	}
	for name, change := range map[string]func(h *board.Header){
		"on another board":         func(h *board.Header) { h.Board = board.GeneralID(c.id) },
		"with an author":           func(h *board.Header) { h.Author = c.owner.User },
		"with a right":             func(h *board.Header) { h.Cred = o.Hash },
		"as another kind":          func(h *board.Header) { h.Kind = board.KindAck },
		"as a post":                func(h *board.Header) { h.Kind = board.KindPost },
		"under another message id": func(h *board.Header) { h.ClientMsgID = strings.Repeat("x", 32) },
	} {
		if _, err := EntryObject(entry(change)); err == nil {
			t.Error("accepted", name)
		}
	}
	gone := entry(func(h *board.Header) {})
	gone.BodyGone, gone.Body = true, nil
	if _, err := EntryObject(gone); err == nil {
		t.Error("accepted without its body")
	}
}
