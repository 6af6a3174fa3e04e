package rpc_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/client"
	"weft/rpc/rpctest"
	"weft/store"
)

// watcher reads a Sync stream into a flat list.
type watcher struct {
	t      *testing.T
	stream *connect.ServerStreamForClient[weftv1.SyncResponse]
	cursor string
	live   bool
	cancel context.CancelFunc
}

func watch(t *testing.T, r *rpctest.Rig, m *weftv1.SyncRequest) *watcher {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s, err := r.Client.Streams.Sync(ctx, connect.NewRequest(m))
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{t: t, stream: s, cancel: cancel}
	t.Cleanup(w.close)
	return w
}

func (w *watcher) close() { w.cancel(); w.stream.Close() }

// batch is the next batch.
func (w *watcher) batch() []*weftv1.SyncEvent {
	w.t.Helper()
	if !w.stream.Receive() {
		w.t.Fatalf("the stream has ended: %v", w.stream.Err())
	}
	m := w.stream.Msg()
	if n := proto.Size(m); len(m.Events) > 256 || len(m.Events) > 1 && n > 300<<10 {
		w.t.Fatalf("a batch of %d events, %d bytes", len(m.Events), n)
	}
	if m.Cursor != "" {
		w.cursor = m.Cursor
	}
	w.live = m.Live
	return m.Events
}

// untilLive is everything up to the first batch that says live.
func (w *watcher) untilLive() (out []*weftv1.SyncEvent) {
	w.t.Helper()
	for w.live = false; !w.live; {
		out = append(out, w.batch()...)
	}
	return out
}

// texts reads until n entries were shown.
func (w *watcher) texts(n int) (out []string) {
	w.t.Helper()
	for len(out) < n {
		out = append(out, shownTexts(w.batch())...)
	}
	return out
}

func shownTexts(events []*weftv1.SyncEvent) (out []string) {
	for _, e := range events {
		if s := e.GetShown(); s != nil {
			out = append(out, s.Entry.Text)
		}
	}
	return out
}

func TestSyncBeginsWithASnapshotAndGoesOn(t *testing.T) {
	r, say := chatter(t, 10)
	newBoard(t, r, "crew", "quiet")
	w := watch(t, r, &weftv1.SyncRequest{Last: 3})
	var teams, boards int
	var last *weftv1.EntryShown
	events := w.untilLive()
	for _, e := range events {
		switch {
		case e.GetTeam() != nil:
			teams++
		case e.GetBoard() != nil:
			boards++
			if b := e.GetBoard().Board; b.Name == "general" && b.Unread != 10 {
				t.Errorf("general has %d unread", b.Unread)
			}
		case e.GetShown() != nil:
			last = e.GetShown()
		}
	}
	if teams != 1 || boards != 2 {
		t.Errorf("snapshot with %d teams, %d boards", teams, boards)
	}
	if got := shownTexts(events); !slices.Equal(got, []string{rpctest.Text(7), rpctest.Text(8), rpctest.Text(9)}) {
		t.Errorf("snapshot shows %q", got)
	}
	if markRead(t, r, &weftv1.MarkReadRequest{Vector: last.Vector}) != 0 {
		t.Error("the snapshot's token does not mark what it showed")
	}
	say(2)
	if got := w.texts(2); !slices.Equal(got, []string{rpctest.Text(10), rpctest.Text(11)}) {
		t.Errorf("live: %q", got)
	}
}

func TestWhatComesDuringTheSnapshotIsShownOnce(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	newBoard(t, r, "crew", "second")
	m := &weftv1.PostRequest{Team: "crew"}
	for range 1000 {
		m.Posts = append(m.Posts, &weftv1.NewPost{Text: strings.Repeat("x", 2000)})
	}
	if _, err := post(t, r, m); err != nil {
		t.Fatal(err)
	}
	w := watch(t, r, &weftv1.SyncRequest{Last: 1000})
	w.batch() // the stream stands in general, as nobody reads on, and has not come to the second board
	r.Post(t, "crew/second", "meanwhile")
	seen := 0
	for _, words := range shownTexts(w.untilLive()) {
		if words == "meanwhile" {
			seen++
		}
	}
	if seen != 1 {
		t.Errorf("shown %d times", seen)
	}
}

func TestSyncTellsOfEverythingThatChanges(t *testing.T) {
	r, say := chatter(t, 1)
	w := watch(t, r, &weftv1.SyncRequest{})
	w.untilLive()
	next := func(what string, ok func(*weftv1.SyncEvent) bool) {
		t.Helper()
		for {
			if slices.ContainsFunc(w.batch(), ok) {
				return
			}
		}
	}
	markRead(t, r, &weftv1.MarkReadRequest{All: true})
	next("mark", func(e *weftv1.SyncEvent) bool { return e.GetMark() != nil && e.GetMark().Unread == 0 })
	newBoard(t, r, "crew", "new")
	next("board", func(e *weftv1.SyncEvent) bool { return e.GetBoard().GetBoard().GetName() == "new" })
	r.Team(t, "second")
	next("team", func(e *weftv1.SyncEvent) bool { return e.GetTeam().GetTeam().GetName() == "second" })
	say(1)
	next("entry", func(e *weftv1.SyncEvent) bool { return e.GetShown() != nil })
}

func TestTokensOfTheStreamMarkWhatItHasShown(t *testing.T) {
	r, say := chatter(t, 4)
	w := watch(t, r, &weftv1.SyncRequest{})
	w.untilLive()
	token := func(n int) (token string) {
		for n > 0 {
			for _, ev := range w.batch() {
				if s := ev.GetShown(); s != nil {
					token = s.Vector
					n--
				}
			}
		}
		return token
	}
	say(3)
	first := token(3)
	say(2)
	second := token(2)
	if got := markRead(t, r, &weftv1.MarkReadRequest{Vector: first}); got != 2 {
		t.Errorf("after the first token %d are unread, want the 2 shown later", got)
	}
	if got := markRead(t, r, &weftv1.MarkReadRequest{Vector: second}); got != 0 {
		t.Errorf("after the second token %d are unread", got)
	}
}

func TestSyncResumesAfterItsCursor(t *testing.T) {
	r, say := chatter(t, 5)
	w := watch(t, r, &weftv1.SyncRequest{})
	w.untilLive()
	say(3)
	if got := w.texts(3); len(got) != 3 {
		t.Fatal(got)
	}
	cursor := w.cursor
	w.close()
	say(4)
	again := watch(t, r, &weftv1.SyncRequest{Cursor: cursor})
	want := []string{rpctest.Text(8), rpctest.Text(9), rpctest.Text(10), rpctest.Text(11)}
	if got := shownTexts(again.untilLive()); !slices.Equal(got, want) {
		t.Errorf("after the cursor: %q", got)
	}
	again.close()
	r.Restart()
	third := watch(t, r, &weftv1.SyncRequest{Cursor: cursor})
	if got := shownTexts(third.untilLive()); !slices.Equal(got, want) {
		t.Errorf("after a restart: %q", got)
	}
}

func TestManyChangesComeInBoundedBatchesEachWithACursor(t *testing.T) {
	r, _ := chatter(t, 0)
	w := watch(t, r, &weftv1.SyncRequest{})
	w.untilLive()
	start := w.cursor
	w.close()
	m := &weftv1.PostRequest{Team: "crew"}
	for i := range 600 {
		size := 100
		if i%50 == 0 {
			size = 60_000
		}
		m.Posts = append(m.Posts, &weftv1.NewPost{Text: fmt.Sprintf("%d %s", i, strings.Repeat("x", size))})
	}
	if _, err := post(t, r, m); err != nil {
		t.Fatal(err)
	}
	w = watch(t, r, &weftv1.SyncRequest{Cursor: start})
	n, cursor := 0, start
	for n < 600 {
		for _, words := range shownTexts(w.batch()) {
			if !strings.HasPrefix(words, fmt.Sprintf("%d ", n)) {
				t.Fatalf("entry %d is %.10q", n, words)
			}
			n++
		}
		if w.cursor == cursor {
			t.Fatal("a batch without a cursor of its own")
		}
		cursor = w.cursor
		if n%2 == 1 { // come back now and then
			w.close()
			w = watch(t, r, &weftv1.SyncRequest{Cursor: cursor})
		}
	}
}

func TestSyncOfSomeBoardsOnly(t *testing.T) {
	r, say := chatter(t, 1)
	commits := newBoard(t, r, "crew", "commits")
	r.Team(t, "second")
	for _, name := range []string{commits, "crew/commits"} {
		w := watch(t, r, &weftv1.SyncRequest{Boards: []string{name}, Last: 10})
		for _, e := range w.untilLive() {
			if e.GetShown() != nil && e.GetShown().BoardId != commits || e.GetBoard() != nil && e.GetBoard().Board.Name != "commits" || e.GetTeam() != nil && e.GetTeam().Team.Name != "crew" {
				t.Errorf("%s: snapshot has %v", name, e)
			}
		}
		say(1)
		r.Post(t, "crew/commits", "wanted")
		if got := w.texts(1); got[0] != "wanted" {
			t.Errorf("%s: got %q", name, got)
		}
		w.close()
	}
	w := watch(t, r, &weftv1.SyncRequest{Teams: []string{"second"}})
	w.untilLive()
	say(1)
	r.Post(t, "second", "here")
	if got := w.texts(1); got[0] != "here" {
		t.Errorf("got %q", got)
	}
}

func TestSignedViewForwardsBytesAsTheyAre(t *testing.T) {
	r, id, bob := withBob(t)
	w := watch(t, r, &weftv1.SyncRequest{View: weftv1.EntryView_ENTRY_VIEW_SIGNED})
	w.untilLive()
	e := newWriter(t, r, id, bob).next("m1", "as signed", nil)
	encoded := board.HeadersEncoded()
	if _, err := send(t, r, e); err != nil {
		t.Fatal(err)
	}
	var got *weftv1.Entry
	for got == nil {
		for _, ev := range w.batch() {
			if s := ev.GetShown(); s != nil {
				got = s.Entry
			}
		}
	}
	if string(got.Header) != string(e.Raw) || string(got.Signature) != string(e.Signature) || string(got.Body) != string(e.Body) || got.EntryId != e.ID.String() {
		t.Errorf("got %v", got)
	}
	if n := board.HeadersEncoded() - encoded; n != 0 {
		t.Errorf("the header was encoded %d times on its way", n)
	}
	m, err := client.Decode(got)
	if err != nil || m.Text != "as signed" || m.AuthorName != "bob" || m.Author != bob.User {
		t.Errorf("decoded %v %v", m, err)
	}
}

func TestEntryIsEncodedOnceOnItsWayToAnotherNodesClient(t *testing.T) {
	a, id, bob := withBob(t)
	b := rpctest.Start(t, func(b *rpctest.Rig) { b.Node, b.Identity = rpctest.Key(t.Name()+"/bobs node"), bob })
	b.Copy(t, a, id)
	w := watch(t, b, &weftv1.SyncRequest{View: weftv1.EntryView_ENTRY_VIEW_SIGNED})
	w.untilLive()
	encoded := board.HeadersEncoded()
	a.Post(t, "crew", "from a to b")
	b.Copy(t, a, id)
	for n := 0; n == 0; {
		for _, ev := range w.batch() {
			if s := ev.GetShown(); s != nil {
				if m, err := client.Decode(s.Entry); err != nil || m.Text != "from a to b" {
					t.Fatalf("%v %v", m, err)
				}
				n++
			}
		}
	}
	if n := board.HeadersEncoded() - encoded; n != 1 {
		t.Errorf("the header was encoded %d times", n)
	}
}

func TestCursorsThatDoNotFitAreRefusedWithAWayBack(t *testing.T) {
	r, say := chatter(t, 3)
	w := watch(t, r, &weftv1.SyncRequest{})
	w.untilLive()
	good, err := store.ParseCursor(w.cursor)
	if err != nil {
		t.Fatal(err)
	}
	w.close()
	beyond, changed, foreign := good, good, good
	beyond.Arrival += 1000
	changed.Check ^= 1
	foreign.Store[0] ^= 1
	for name, cursor := range map[string]string{
		"rubbish": "rubbish", "cut": w.cursor[:20], "beyond the end": beyond.String(), "another change there": changed.String(), "another store": foreign.String(),
	} {
		t.Run(name, func(t *testing.T) {
			s, err := r.Client.Streams.Sync(t.Context(), connect.NewRequest(&weftv1.SyncRequest{Cursor: cursor}))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if s.Receive() {
				t.Fatalf("got %v", s.Msg())
			}
			e := streamError(t, r, &weftv1.SyncRequest{Cursor: cursor})
			refused(t, e, "BAD_CURSOR", connect.CodeOutOfRange)
			say(1)
			back := watch(t, r, &weftv1.SyncRequest{Cursor: e.Cursor})
			if got := back.texts(1); len(got) != 1 {
				t.Errorf("from the cursor of the refusal: %q", got)
			}
		})
	}
	_, err = r.Client.Streams.Ack(t.Context(), connect.NewRequest(&weftv1.AckRequest{Cursor: beyond.String()}))
	refused(t, err, "BAD_CURSOR", connect.CodeOutOfRange)
	_, err = r.Client.Streams.Ack(t.Context(), connect.NewRequest(&weftv1.AckRequest{}))
	refused(t, err, "EMPTY", connect.CodeInvalidArgument)
	if _, err := r.Client.Streams.Ack(t.Context(), connect.NewRequest(&weftv1.AckRequest{Cursor: w.cursor})); err != nil {
		t.Error(err)
	}
}

// streamError is how a Sync stream ends that can't begin.
func streamError(t *testing.T, r *rpctest.Rig, m *weftv1.SyncRequest) *client.Error {
	t.Helper()
	for _, err := range r.Client.Sync(t.Context(), client.SyncOptions{Cursor: m.Cursor, Last: m.Last, Teams: m.Teams, Boards: m.Boards, View: m.View}) {
		e, ok := err.(*client.Error) //nolint:errorlint // the SDK's own error, unwrapped
		if !ok {
			t.Fatalf("got %v", err)
		}
		return e
	}
	t.Fatal("the stream did not end")
	return nil
}

func TestBadSyncRequestsAreRefused(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	refused(t, streamError(t, r, &weftv1.SyncRequest{Last: 1001}), "TOO_MANY", connect.CodeInvalidArgument)
	refused(t, streamError(t, r, &weftv1.SyncRequest{View: 7}), "UNKNOWN_OPTION", connect.CodeInvalidArgument)
	refused(t, streamError(t, r, &weftv1.SyncRequest{Teams: []string{"none"}}), "NOT_FOUND", connect.CodeNotFound)
	refused(t, streamError(t, r, &weftv1.SyncRequest{Boards: []string{"crew/none"}}), "NOT_FOUND", connect.CodeNotFound)
}

// stall opens a Sync stream by plain HTTP and never reads its body.
func TestStreamsEndWhenTheNodeStops(t *testing.T) {
	r, _ := chatter(t, 1)
	w := watch(t, r, &weftv1.SyncRequest{})
	w.untilLive()
	r.Stop()
	if w.stream.Receive() {
		t.Error("the stream went on")
	}
	if connect.CodeOf(w.stream.Err()) != connect.CodeUnavailable || !strings.Contains(w.stream.Err().Error(), "stopping") {
		t.Errorf("ended with %v", w.stream.Err())
	}
}

func TestStreamsAreLimited(t *testing.T) {
	r := rpctest.Start(t)
	var open []*watcher
	for range 256 {
		w := watch(t, r, &weftv1.SyncRequest{})
		w.untilLive()
		open = append(open, w)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s, err := r.Client.Streams.Sync(ctx, connect.NewRequest(&weftv1.SyncRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Receive() || connect.CodeOf(s.Err()) != connect.CodeResourceExhausted {
		t.Errorf("stream 257: %v", s.Err())
	}
	open[0].close()
	waitUntil(t, "a slot is free again", func() bool {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s, err := r.Client.Streams.Sync(ctx, connect.NewRequest(&weftv1.SyncRequest{}))
		if err != nil {
			return false
		}
		defer func() { cancel(); s.Close() }()
		return s.Receive()
	})
}
