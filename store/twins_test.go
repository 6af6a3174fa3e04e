package store

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"testing"

	"weft/board"
)

// sign makes an entry of f's device as another program of the same person could.
func (f *fixture) sign(text string, epoch, seq uint64, prev board.Hash) *board.Entry {
	f.t.Helper()
	st, _ := f.s.Team(f.team)
	cred, _ := st.Cred(f.who.id.User)
	h := board.Header{
		Team: f.team, Board: f.board, Author: f.who.id.User, Device: f.who.id.Device.Public(), DevEpoch: epoch, DevSeq: seq, DevPrev: prev,
		Cred: cred, ClientMsgID: fmt.Sprint(text, seq), HLC: board.HLCAt(f.clock.now()), Kind: board.KindPost, BodyLen: uint32(len(text)), BodyHash: sha256.Sum256([]byte(text)),
	}
	e := &board.Entry{Header: h, Body: []byte(text)}
	e.Raw = h.Append(nil)
	e.ID = sha256.Sum256(e.Raw)
	sig := f.who.id.Device.SignHash(board.SignEntry, e.ID)
	e.Signature = sig[:]
	return e
}

// records is a log of a node with these entries.
func (f *fixture) records(node board.Key, epoch board.Epoch, entries ...*board.Entry) *board.Run {
	r := &board.Run{Board: f.board, Origin: board.Origin{Node: board.NodeID(node.Public()), Epoch: epoch}, First: 1}
	for _, e := range entries {
		r.Items = append(r.Items, board.Item{Entry: e, Received: e.Header.HLC})
	}
	hashes := r.Hashes()
	for i := range r.Items {
		sig := board.SignHead(node, board.Position{Board: f.board, Node: r.Node, Epoch: epoch, Seq: uint64(i + 1), Hash: hashes[i]})
		r.Items[i].HeadSig = sig[:]
	}
	return r
}

// TestTwoEntriesUnderOneNumberAreFlagged: whatever the order and the cuts in which a device's two stories come, over
// restarts too, exactly the entries that contradict each other are flagged, and all are shown.
func TestTwoEntriesUnderOneNumberAreFlagged(t *testing.T) {
	ctx := context.Background()
	f := newTeamNode(t, 1, nil)
	g := f.join(2)
	var one, two []*board.Entry // the same up to number 5
	var prev, prevTwo board.Hash
	for seq := range uint64(12) {
		e := f.sign("one story", 77, seq+1, prev)
		prev = e.ID
		one = append(one, e)
		if seq < 5 {
			prevTwo = e.ID
			continue
		}
		if seq < 9 {
			e = f.sign("another story", 77, seq+1, prevTwo)
			prevTwo = e.ID
			two = append(two, e)
		}
	}
	for seed := range uint64(40) {
		h := f.joinEmpty(byte(10 + seed))
		rnd := rand.New(rand.NewPCG(seed, 1))
		first, second := one, two
		if seed%2 == 1 {
			first, second = two, one
		}
		give := func(node *fixture, es []*board.Entry) { // in pieces, some of them newest first
			for n := uint64(1); len(es) > 0; n++ {
				k := 1 + rnd.IntN(len(es))
				part := es[:k]
				if rnd.IntN(2) == 0 {
					part = es[len(es)-k:]
					es = es[:len(es)-k]
				} else {
					es = es[k:]
				}
				var random [8]byte
				copy(random[:], fmt.Sprint(seed, len(es)))
				run := f.records(node.who.node, board.Epoch{N: 1000*(seed+1) + n, R: uint64(rnd.Uint32())}, part...)
				if _, err := h.s.Ingest(ctx, f.team, run, false); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if rnd.IntN(4) == 0 {
					h.reopen()
				}
			}
		}
		give(f, first)
		give(g, second)
		h.reopen()
		for _, e := range append(append([]*board.Entry(nil), one...), two...) {
			other, flagged := h.s.Twin(e.ID)
			want := e.Header.DevSeq >= 6 && e.Header.DevSeq <= 9
			if flagged != want || flagged && other.IsZero() {
				t.Errorf("seed %d: %q number %d: flagged %v (%v), want %v", seed, e.Body, e.Header.DevSeq, flagged, other, want)
			}
		}
		if n := len(h.texts()); n != len(one)+len(two) {
			t.Errorf("seed %d: %d entries are shown", seed, n)
		}
		h.close()
	}
}

// TestTheSameEntryTwiceIsNoTwin: an entry that is recorded again, and an ordinary conversation, are not flagged.
func TestTheSameEntryTwiceIsNoTwin(t *testing.T) {
	ctx := context.Background()
	f := newTeamNode(t, 1, nil)
	g := f.join(2)
	var es []*board.Entry
	var prev board.Hash
	for seq := range uint64(20) {
		e := f.sign("a story", 5, seq+1, prev)
		prev = e.ID
		es = append(es, e)
	}
	for i, node := range []*fixture{f, g, f} {
		if _, err := g.s.Ingest(ctx, f.team, f.records(node.who.node, board.Epoch{N: 900 + uint64(i), R: 1}, es...), false); err != nil {
			t.Fatal(err)
		}
		g.reopen()
	}
	for range 50 {
		g.post("and more")
	}
	if n := g.s.twins.count(); n != 0 {
		t.Errorf("%d entries are flagged", n)
	}
}
