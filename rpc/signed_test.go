package rpc_test

import (
	"testing"
	"time"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/rpc/rpctest"
	"weft/team"
)

// writer signs entries as a client does that holds its own device key.
type writer struct {
	who   team.Identity
	team  board.TeamID
	cred  board.Hash
	seq   uint64
	prev  board.Hash
	clock board.HLC
}

func newWriter(t *testing.T, r *rpctest.Rig, id board.TeamID, who team.Identity) *writer {
	t.Helper()
	cred, _ := r.State(t, id).Cred(who.User)
	return &writer{who: who, team: id, cred: cred, clock: board.HLCAt(time.Now())}
}

// next is a signed entry; change may alter its header before it is signed.
func (w *writer) next(id, words string, change func(*board.Header)) *board.Entry {
	w.clock = max(w.clock+1, board.HLCAt(time.Now()))
	h := board.Header{
		Team: w.team, Board: board.GeneralID(w.team), Author: w.who.User, Device: w.who.Device.Public(),
		DevEpoch: 77, DevSeq: w.seq + 1, DevPrev: w.prev, Cred: w.cred, ClientMsgID: id, HLC: w.clock, Kind: board.KindPost,
	}
	if change != nil {
		change(&h)
	}
	e := board.NewEntry(h, []byte(words))
	e.Sign(w.who.Device)
	return e
}

func (w *writer) took(e *board.Entry) { w.seq, w.prev = e.Header.DevSeq, e.ID }

func send(t *testing.T, r *rpctest.Rig, e *board.Entry) (*weftv1.PostSignedResponse, error) {
	t.Helper()
	res, err := r.Client.Boards.PostSigned(t.Context(), connect.NewRequest(&weftv1.PostSignedRequest{
		Header: e.Raw, Signature: e.Signature, Body: e.Body,
	}))
	if err != nil {
		return nil, err
	}
	return res.Msg, nil
}

func TestSignedEntryIsTakenOnceAndUnchanged(t *testing.T) {
	r := rpctest.Start(t)
	w := newWriter(t, r, r.Team(t, "crew"), r.Identity)
	e := w.next("m1", "signed elsewhere", nil)
	for i := range 3 {
		res, err := send(t, r, e)
		if err != nil {
			t.Fatal(err)
		}
		if res.Result.EntryId != e.ID.String() || res.Result.Duplicate != (i > 0) || res.Result.Seq != 1 {
			t.Errorf("try %d: %v", i, res.Result)
		}
	}
	page, err := r.Client.Boards.History(t.Context(), connect.NewRequest(&weftv1.HistoryRequest{Team: "crew", View: weftv1.EntryView_ENTRY_VIEW_SIGNED}))
	if err != nil {
		t.Fatal(err)
	}
	if got := page.Msg.Entries; len(got) != 1 || string(got[0].Header) != string(e.Raw) || string(got[0].Signature) != string(e.Signature) || string(got[0].Body) != string(e.Body) {
		t.Errorf("read %v", got)
	}
}

func TestSignedEntriesThatMayNotBeAreRefused(t *testing.T) {
	r := rpctest.Start(t)
	id := r.Team(t, "crew")
	w := newWriter(t, r, id, r.Identity)
	first := w.next("m1", "first", nil)
	if _, err := send(t, r, first); err != nil {
		t.Fatal(err)
	}
	w.took(first)
	stranger := newWriter(t, r, id, rpctest.Person(t, "eve", "eve", rpctest.Key("eve's node")))
	stranger.cred = w.cred
	guest := rpctest.Person(t, "gil", "gil", rpctest.Key("gil's node"))
	r.Admit(t, id, guest, team.Reader)
	reader := newWriter(t, r, id, guest)
	reader.cred = w.cred
	forged := w.next("m2", "x", nil)
	forged.Signature = append([]byte(nil), forged.Signature...)
	forged.Signature[5] ^= 1
	cut := w.next("m2", "x", nil)
	cut.Body = []byte("y")
	for _, c := range []struct {
		name   string
		e      *board.Entry
		reason string
		code   connect.Code
	}{
		{"nothing", &board.Entry{}, "EMPTY", connect.CodeInvalidArgument},
		{"rubbish", &board.Entry{Raw: []byte("rubbish"), Signature: first.Signature, Body: first.Body}, "MALFORMED", connect.CodeInvalidArgument},
		{"another body", cut, "MALFORMED", connect.CodeInvalidArgument},
		{"forged", forged, "BAD_SIGNATURE", connect.CodeInvalidArgument},
		{"a stranger", stranger.next("m1", "let me in", nil), "PENDING", connect.CodeUnavailable}, // who may be admitted elsewhere
		{"a reader", reader.next("m1", "let me write", nil), "READ_ONLY", connect.CodePermissionDenied},
		{"a clock two minutes ahead", w.next("m2", "x", func(h *board.Header) { h.HLC = board.HLCAt(time.Now().Add(2 * time.Minute)) }), "CLOCK_AHEAD", connect.CodeFailedPrecondition},
		{"earlier than the one before", w.next("m2", "x", func(h *board.Header) { h.HLC = first.Header.HLC }), "OUT_OF_ORDER", connect.CodeFailedPrecondition},
		{"another team", w.next("m2", "x", func(h *board.Header) { h.Team = board.TeamID{1} }), "NOT_FOUND", connect.CodeNotFound},
		{"the governance board", w.next("m2", "x", func(h *board.Header) { h.Board, h.Kind = board.GovernanceID(id), board.KindOperation }), "FORBIDDEN", connect.CodePermissionDenied},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := uint64(board.HLCAt(time.Now()))
			_, err := send(t, r, c.e)
			e := refused(t, err, c.reason, c.code)
			_, err = send(t, r, c.e) // the same again gets the same answer
			refused(t, err, c.reason, c.code)
			if c.reason == "CLOCK_AHEAD" && (e.ServerHLC < before || e.ServerHLC > uint64(board.HLCAt(time.Now().Add(time.Second)))) {
				t.Errorf("server_hlc %d is not now", e.ServerHLC)
			}
		})
	}
	if got := r.Texts(t, "crew", 10); len(got) != 1 {
		t.Errorf("read %q", got)
	}
}

func TestWatchPostTellsEachChangeAndEndsWhenAllHaveIt(t *testing.T) {
	r, _, _ := withBob(t)
	copies := func(k int) { r.Mesh.SetCopies(func(board.ID, board.Position) (int, int) { return k, 2 }) }
	copies(0)
	p := r.Post(t, "crew", "spread")
	stream, err := r.Client.Boards.WatchPost(t.Context(), connect.NewRequest(&weftv1.WatchPostRequest{Team: "crew", EntryId: p.EntryId}))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	for k, state := range []string{"stored", "replicated", "replicated"} {
		if !stream.Receive() {
			t.Fatal(stream.Err())
		}
		if got := stream.Msg().Result; got.State != state || got.Replicated != uint32(k) || got.Nodes != 2 {
			t.Fatalf("after %d: %v", k, got)
		}
		copies(k + 1)
	}
	if stream.Receive() || stream.Err() != nil {
		t.Errorf("the stream did not end when every node had it: %v", stream.Err())
	}
}

// Both are shown, and each names the other one (trust §7).
func TestTwoEntriesOfADeviceUnderOneNumberAreShownWithAMark(t *testing.T) {
	r := rpctest.Start(t)
	w := newWriter(t, r, r.Team(t, "crew"), r.Identity)
	first := w.next("m1", "the truth", nil)
	w.took(first)
	one, two := w.next("m2", "I was at home", nil), w.next("m3", "I was away", nil)
	for _, e := range []*board.Entry{first, one, two} {
		if _, err := send(t, r, e); err != nil {
			t.Fatal(err)
		}
	}
	page, err := r.Client.Boards.History(t.Context(), connect.NewRequest(&weftv1.HistoryRequest{Team: "crew"}))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{first.ID.String(): "", one.ID.String(): two.ID.String(), two.ID.String(): one.ID.String()}
	if len(page.Msg.Entries) != 3 {
		t.Fatalf("%d entries are shown", len(page.Msg.Entries))
	}
	for _, e := range page.Msg.Entries {
		if e.Twin != want[e.EntryId] {
			t.Errorf("%q: twin %q, want %q", e.Text, e.Twin, want[e.EntryId])
		}
	}
}
