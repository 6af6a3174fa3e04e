package p2p

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

// A node's own beats come over its stream without what the stream has told, and are held as they were signed.
func TestOwnBeatsComeShortAndAreHeldWhole(t *testing.T) {
	a, b := newNode(t, "ada", withPeople), newNode(t, "bob", withPeople)
	crew := a.found("crew")
	a.letIn(crew, b)
	linkUpAll(t, a, b)
	sent := func() uint64 { return a.mesh.traffic.out[trafficPresence].Load() }
	before, x := sent(), a.beatOf(crew, 1)
	signed, err := a.mesh.voices.signBeat(x)
	if err != nil {
		t.Fatal(err)
	}
	a.mesh.SendBeat(crew, x)
	eventually(t, "the beat is there", func() bool { return b.heard().count(a.mesh.self, crew) == 1 }, a, b)
	b.heard().locked(func() {
		got := b.heard().raw[wholeKey{a.mesh.self, crew}][0]
		if !proto.Equal(got, signed) || !board.Verify(a.mesh.self, board.SignPresence, got.Object, got.Signature) {
			t.Errorf("held is %v", got)
		}
	})
	if whole, took := proto.Size(signed), int(sent()-before); took > whole-80 {
		t.Errorf("a beat of %d bytes took %d on the wire", whole, took)
	}
}

func TestAShortBeatIsOfItsStreamOnly(t *testing.T) {
	a := newNode(t, "ada", withPeople)
	crew := a.found("crew")
	signed, err := a.mesh.voices.signBeat(a.beatOf(crew, 1))
	if err != nil {
		t.Fatal(err)
	}
	short := a.mesh.voices.short(signed)
	if len(short.Key) != 0 || bytes.Contains(short.Object, a.mesh.self[:]) {
		t.Fatalf("not short: %v", short)
	}
	for name, e := range map[string]*ear{
		"its own":    {node: a.mesh.self, boot: a.mesh.boot},
		"another":    {node: board.NodeID{1}, boot: a.mesh.boot},
		"its former": {node: a.mesh.self, boot: [16]byte{1}},
	} {
		got := e.long(short)
		if good := board.Verify(board.NodeID(got.Key), board.SignPresence, got.Object, got.Signature); good != (name == "its own") {
			t.Errorf("on the stream of %s: %v", name, good)
		}
	}
	for _, odd := range []*weftv1.Signed{nil, {}, {Object: []byte("x")}, signed} { // long ones, and what is refused as malformed
		if got := (&ear{}).long(odd); got != odd {
			t.Errorf("%v became %v", odd, got)
		}
	}
	other := proto.Clone(signed).(*weftv1.Signed)
	other.Object[teamField+3]++
	if got := a.mesh.voices.short(other); got != other {
		t.Error("another node's beat was made short")
	}
}
