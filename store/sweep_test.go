package store

import (
	"context"
	"fmt"
	"testing"

	"weft/board"
	"weft/team"
)

// TestManyLogsBecomeASweep: a node that began more epochs than one commit can note rows of is denied all the same, and let
// in again, over a crash.
func TestManyLogsBecomeASweep(t *testing.T) {
	ctx := context.Background()
	f := newTeamNode(t, 1, nil)
	g := f.joinEmpty(2)
	const n = maxMarks + 40
	f.epochsOf(g, n)
	allow := func(allowed bool) {
		f.allow(g, allowed)
		f.reopen()
		f.settle()
	}
	allow(false)
	if got := f.texts(); len(got) != 0 || f.unread() != 0 {
		t.Fatalf("%d entries of the denied node show", len(got))
	}
	allow(true)
	if got := f.texts(); len(got) != n || f.unread() != n {
		t.Fatalf("%d entries show after it was let in again", len(got))
	}
	f.set(g.who.id.User, team.Removed) // all was accepted
	f.settle()
	if got := f.texts(); len(got) != n {
		t.Fatalf("%d entries show after the removal", len(got))
	}
	c, err := f.s.Check(ctx, nil)
	if err != nil || c.Damaged > 0 {
		t.Fatalf("%+v %v", c, err)
	}
}

// epochsOf has f take one post from each of so many epochs of g's node.
func (f *fixture) epochsOf(g *fixture, n int) {
	f.t.Helper()
	cred, _ := f.state().Cred(g.who.id.User)
	var prev board.Link
	for i := range uint64(n) {
		text := fmt.Sprint(i)
		e := board.NewEntry(board.Header{
			Team: f.team, Board: f.board, Author: g.who.id.User, Device: board.DeviceID(g.who.id.Device.Public()), DevEpoch: i + 1, DevSeq: 1,
			Cred: cred, ClientMsgID: text, HLC: board.HLCAt(f.clock.now()), Kind: board.KindPost,
		}, []byte(text))
		e.Sign(g.who.id.Device)
		r := &board.Run{Board: f.board, Origin: board.Origin{Node: board.NodeID(g.who.node.Public()), Epoch: board.Epoch{N: i + 1, R: 7}}, First: 1, Prev: prev,
			Items: []board.Item{{Entry: e, Received: 5}}}
		rec := r.Record(0, prev.Hash)
		sig := board.SignHead(g.who.node, rec.Position())
		r.Items[0].HeadSig = sig[:]
		if _, err := f.s.Ingest(context.Background(), f.team, r, false); err != nil {
			f.t.Fatal(err)
		}
		prev = board.Link{Epoch: r.Epoch, Seq: 1, Hash: rec.Position().Hash}
	}
}
