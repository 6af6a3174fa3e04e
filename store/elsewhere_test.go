package store

import (
	"context"
	"slices"
	"testing"

	"weft/board"
)

// signed is an entry that f's user signs on a device which knows no node: seq and prev number the device's entries.
func (f *fixture) signed(id, text string, seq uint64, prev *board.Entry, hlc board.HLC) *board.Entry {
	f.t.Helper()
	st, _ := f.s.Team(f.team)
	cred, _ := st.Cred(f.who.id.User)
	h := board.Header{
		Team: f.team, Board: f.board, Author: f.who.id.User, Device: f.who.id.Device.Public(), DevEpoch: 7, DevSeq: seq,
		Cred: cred, ClientMsgID: id, HLC: hlc, Kind: board.KindPost,
	}
	if prev != nil {
		h.DevPrev = prev.ID
	}
	e := board.NewEntry(h, []byte(text))
	e.Sign(f.who.id.Device)
	return e
}

func (f *fixture) take(e *board.Entry) Receipt {
	f.t.Helper()
	r, err := f.s.AppendSigned(context.Background(), e)
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

// Two nodes know nothing of each other when one post is offered to both: the same bytes, and the same client_msg_id in
// another signed entry. Each is one entry, for whoever holds both logs, in whatever order they came.
func TestARetryAtAnotherNodeMakesOneEntry(t *testing.T) {
	ctx := context.Background()
	f := newTeamNode(t, 1, nil)
	g, h, k := f.join(2), f.join(3), f.join(4)
	g.pull(f) // who has joined meanwhile
	h.pull(f)
	now := board.HLCAt(f.clock.now())
	same := f.signed("m1", "the same bytes", 1, nil, now)
	first := f.signed("m2", "said first", 2, same, now+1)
	again := f.signed("m2", "said again", 3, same, now+2)
	for _, n := range []*fixture{f, g} {
		if n.take(same); n.take(same).Duplicate != true {
			t.Error("a retry at the same node is no duplicate")
		}
	}
	f.take(again)
	g.take(first)
	want := []string{"the same bytes", "said first"}
	h.pullBoard(f, f.board)
	h.pullBoard(g, f.board)
	k.pullBoard(g, f.board)
	k.pullBoard(f, f.board)
	f.pullBoard(g, f.board)
	g.pullBoard(f, f.board)
	for i, n := range []*fixture{f, g, h, k} {
		if got := n.texts(); !slices.Equal(got, want) {
			t.Errorf("node %d shows %q", i, got)
		}
	}
	for _, n := range []*fixture{h, k} {
		if c, err := n.s.Unread(n.who.id.User, f.board); c != 2 || err != nil {
			t.Errorf("%d unread, %v", c, err)
		}
	}
	if r := g.take(again); !r.Duplicate || r.Entry != first.ID {
		t.Errorf("offered again where both are known: %+v", r)
	}
	hash, n, _ := f.s.Hash(ctx, f.board)
	for i, o := range []*fixture{g, h, k} {
		if other, m, _ := o.s.Hash(ctx, f.board); other != hash || m != n {
			t.Errorf("node %d has another board", i+1)
		}
	}
}

// An entry that comes after a later one of its device is shown in its place, counts as unread, and is called late.
func TestAnEntryThatWasOvertakenIsCalledLate(t *testing.T) {
	ctx := context.Background()
	f := newTeamNode(t, 1, nil)
	g, h := f.join(2), f.join(3)
	g.pull(f)
	now := board.HLCAt(f.clock.now())
	first := f.signed("m1", "first", 1, nil, now)
	second := f.signed("m2", "second", 2, first, now+1)
	f.take(first)
	g.take(first)
	g.take(second)
	third := f.signed("m3", "third, which only f has", 3, second, now+2)
	fourth := f.signed("m4", "fourth", 4, third, now+3)
	g.take(fourth)
	f.take(third)
	cursor := h.s.Cursor()
	h.pullBoard(g, f.board)
	h.pullBoard(f, f.board)
	changes, _, err := h.s.Changes(ctx, cursor, 100, Filter{User: h.who.id.User})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range changes {
		if c.Kind != EntryShown {
			continue
		}
		text := string(c.Shown.Entry.Body)
		if c.Late {
			text += " (late)"
		}
		got = append(got, text)
	}
	if want := []string{"first", "second", "fourth", "third, which only f has (late)"}; !slices.Equal(got, want) {
		t.Errorf("told %q", got)
	}
	if got := h.texts(); !slices.Equal(got, []string{"first", "second", "third, which only f has", "fourth"}) {
		t.Errorf("shows %q", got)
	}
	if n, err := h.s.Unread(h.who.id.User, f.board); n != 4 || err != nil {
		t.Errorf("%d unread, %v", n, err)
	}
}
