package rpc_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/client"
	"weft/rpc/rpctest"
)

func history(t *testing.T, r *rpctest.Rig, m *weftv1.HistoryRequest) (*weftv1.HistoryResponse, error) {
	t.Helper()
	res, err := r.Client.Boards.History(t.Context(), connect.NewRequest(m))
	if err != nil {
		return nil, err
	}
	return res.Msg, nil
}

func texts(entries []*weftv1.Entry) (out []string) {
	for _, e := range entries {
		out = append(out, e.Text)
	}
	return out
}

func TestPagesGoBothWaysWithoutGapOrDouble(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	var all []string
	for i := range 23 {
		r.Post(t, "crew", rpctest.Text(i))
		all = append(all, rpctest.Text(i))
	}
	var back []string
	m := &weftv1.HistoryRequest{Team: "crew", Limit: 5}
	var oldest *weftv1.HistoryResponse
	for {
		page, err := history(t, r, m)
		if err != nil {
			t.Fatal(err)
		}
		back = append(texts(page.Entries), back...)
		oldest = page
		if page.Before == "" {
			break
		}
		m.Before = page.Before
	}
	if !slices.Equal(back, all) {
		t.Errorf("backward: %q", back)
	}
	forth := texts(oldest.Entries)
	m = &weftv1.HistoryRequest{Team: "crew", Limit: 5, After: oldest.After}
	for {
		page, err := history(t, r, m)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Entries) == 0 {
			break
		}
		forth = append(forth, texts(page.Entries)...)
		m.After = page.After
	}
	if !slices.Equal(forth, all) {
		t.Errorf("forward: %q", forth)
	}
	r.Post(t, "crew", "later") // the token of the end is still good
	if page, err := history(t, r, m); err != nil || !slices.Equal(texts(page.Entries), []string{"later"}) {
		t.Errorf("after the end: %v %v", page, err)
	}
}

func TestBadReadsAreRefused(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	other := newBoard(t, r, "crew", "other")
	for i := range 3 {
		r.Post(t, "crew", rpctest.Text(i))
	}
	page, err := history(t, r, &weftv1.HistoryRequest{Team: "crew", Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	broken := []byte(page.Before)
	broken[len(broken)/2] ^= 1
	for _, c := range []struct {
		name   string
		m      *weftv1.HistoryRequest
		reason string
	}{
		{"limit", &weftv1.HistoryRequest{Limit: 1001}, "TOO_MANY"},
		{"both ways", &weftv1.HistoryRequest{Before: page.Before, After: page.Before}, "MALFORMED"},
		{"rubbish token", &weftv1.HistoryRequest{Before: "rubbish"}, "BAD_TOKEN"},
		{"changed token", &weftv1.HistoryRequest{After: string(broken)}, "BAD_TOKEN"},
		{"a vector's token", &weftv1.HistoryRequest{After: page.Vector}, "BAD_TOKEN"},
		{"another board's token", &weftv1.HistoryRequest{Board: other, Before: page.Before}, "BAD_TOKEN"},
		{"rubbish at_least", &weftv1.HistoryRequest{AtLeast: "rubbish"}, "BAD_TOKEN"},
		{"page token as at_least", &weftv1.HistoryRequest{AtLeast: page.Before}, "BAD_TOKEN"},
		{"view", &weftv1.HistoryRequest{View: 9}, "UNKNOWN_OPTION"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.m.Team = "crew"
			_, err := history(t, r, c.m)
			refused(t, err, c.reason, connect.CodeInvalidArgument)
		})
	}
}

func TestReadWithAtLeastIsNeverStale(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	res, err := post(t, r, &weftv1.PostRequest{Team: "crew", Posts: []*weftv1.NewPost{{Text: "mine"}}})
	if err != nil {
		t.Fatal(err)
	}
	page, err := history(t, r, &weftv1.HistoryRequest{Team: "crew", AtLeast: res.Vector})
	if err != nil || !slices.Equal(texts(page.Entries), []string{"mine"}) {
		t.Errorf("own token: %v %v", page, err)
	}
	v, err := board.ParseToken(res.Vector)
	if err != nil {
		t.Fatal(err)
	}
	v[0].Seq, v[0].Hash = 2, board.Hash{7} // what this node does not have
	begin := time.Now()
	_, err = history(t, r, &weftv1.HistoryRequest{Team: "crew", AtLeast: v.Token(), TimeoutMs: 60})
	refused(t, err, "DEADLINE", connect.CodeDeadlineExceeded, "missing")
	if time.Since(begin) < 50*time.Millisecond {
		t.Error("gave up before its time")
	}
	err = beforeDeadline(t, func(ctx context.Context) error {
		_, err := r.Client.Boards.Unread(ctx, connect.NewRequest(&weftv1.UnreadRequest{Team: "crew", Board: "general", AtLeast: v.Token()}))
		return err
	}, func(e *client.Error) bool { return strings.Contains(e.Message, "missing") })
	refused(t, err, "DEADLINE", connect.CodeDeadlineExceeded, "missing")
}

func TestReadWithAtLeastWaitsUntilItIsHere(t *testing.T) {
	a, id, bob := withBob(t)
	b := rpctest.Start(t, func(b *rpctest.Rig) {
		b.Node, b.Identity = rpctest.Key(t.Name()+"/bobs node"), bob
	})
	b.Copy(t, a, id)
	res, err := post(t, a, &weftv1.PostRequest{Team: "crew", Posts: []*weftv1.NewPost{{Text: "written at a"}}})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan []string, 1)
	go func() {
		page, err := b.Client.Boards.History(t.Context(), connect.NewRequest(&weftv1.HistoryRequest{Team: "crew", AtLeast: res.Vector, TimeoutMs: 60_000}))
		if err != nil {
			t.Error(err)
			got <- nil
			return
		}
		got <- texts(page.Msg.Entries)
	}()
	select {
	case early := <-got:
		t.Fatalf("answered before the entry was here: %q", early)
	case <-time.After(100 * time.Millisecond):
	}
	b.Copy(t, a, id)
	if read := <-got; !slices.Equal(read, []string{"written at a"}) {
		t.Errorf("read %q", read)
	}
}

func unread(t *testing.T, r *rpctest.Rig, m *weftv1.UnreadRequest) map[string]uint64 {
	t.Helper()
	res, err := r.Client.Boards.Unread(t.Context(), connect.NewRequest(m))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]uint64{}
	for _, b := range res.Msg.Boards {
		out[b.Team+"/"+b.Board] = b.Unread
	}
	return out
}

// chatter is a rig in whose team crew bob has written n messages, and who goes on.
func chatter(t *testing.T, n int) (*rpctest.Rig, func(n int)) {
	t.Helper()
	r, id, bob := withBob(t)
	w := newWriter(t, r, id, bob)
	total := 0
	say := func(n int) {
		page, err := history(t, r, &weftv1.HistoryRequest{Team: "crew", Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Entries { // bob has seen it, so his clock is past it
			w.clock = max(w.clock, board.HLC(e.Hlc))
		}
		for range n {
			e := w.next(rpctest.Text(total), rpctest.Text(total), nil)
			if _, err := send(t, r, e); err != nil {
				t.Fatal(err)
			}
			w.took(e)
			total++
		}
	}
	say(n)
	return r, say
}

func markRead(t *testing.T, r *rpctest.Rig, m *weftv1.MarkReadRequest) uint64 {
	t.Helper()
	m.Team = "crew"
	res, err := r.Client.Boards.MarkRead(t.Context(), connect.NewRequest(m))
	if err != nil {
		t.Fatal(err)
	}
	return res.Msg.Unread
}

func TestMarksCoverWhatWasShownAndNoMore(t *testing.T) {
	r, say := chatter(t, 20)
	r.Post(t, "crew", "my own, which never counts")
	if got := unread(t, r, &weftv1.UnreadRequest{}); got["crew/general"] != 20 {
		t.Fatalf("unread %v", got)
	}
	newest, err := history(t, r, &weftv1.HistoryRequest{Team: "crew", Limit: 5})
	if err != nil {
		t.Fatal(err)
	}
	older, err := history(t, r, &weftv1.HistoryRequest{Team: "crew", Limit: 5, Before: newest.Before})
	if err != nil {
		t.Fatal(err)
	}
	say(3) // after the pages were shown
	if got := markRead(t, r, &weftv1.MarkReadRequest{Vector: older.Vector}); got != 4+3 {
		t.Errorf("after an older page %d are unread, want the 4 below it and 3 new ones", got)
	}
	if got := markRead(t, r, &weftv1.MarkReadRequest{Vector: newest.Vector}); got != 3 {
		t.Errorf("after the newest page %d are unread, want the 3 that came later", got)
	}
	if got := markRead(t, r, &weftv1.MarkReadRequest{Vector: older.Vector}); got != 3 {
		t.Errorf("the mark went back: %d", got)
	}
	page, err := history(t, r, &weftv1.HistoryRequest{Team: "crew", Limit: 3})
	if err != nil {
		t.Fatal(err)
	}
	if page.Entries[0].Read {
		t.Error("an unread entry is shown as read")
	}
	if got := markRead(t, r, &weftv1.MarkReadRequest{UpTo: page.Entries[1].EntryId}); got != 1 {
		t.Errorf("up to the last but one: %d", got)
	}
	if got := markRead(t, r, &weftv1.MarkReadRequest{All: true}); got != 0 {
		t.Errorf("all: %d", got)
	}
	if got := unread(t, r, &weftv1.UnreadRequest{Team: "crew"}); got["crew/general"] != 0 {
		t.Errorf("unread %v", got)
	}
	r.Restart()
	if got := unread(t, r, &weftv1.UnreadRequest{Team: "crew/general"}); len(got) != 1 || got["crew/general"] != 0 {
		t.Errorf("after a restart: %v", got)
	}
}

func TestBadMarksAreRefused(t *testing.T) {
	r, _ := chatter(t, 2)
	for _, c := range []struct {
		m      *weftv1.MarkReadRequest
		reason string
		code   connect.Code
	}{
		{&weftv1.MarkReadRequest{}, "EMPTY", connect.CodeInvalidArgument},
		{&weftv1.MarkReadRequest{All: true, UpTo: "x"}, "EMPTY", connect.CodeInvalidArgument},
		{&weftv1.MarkReadRequest{Vector: "rubbish"}, "BAD_TOKEN", connect.CodeInvalidArgument},
		{&weftv1.MarkReadRequest{UpTo: "rubbish"}, "MALFORMED", connect.CodeInvalidArgument},
		{&weftv1.MarkReadRequest{UpTo: board.Hash{1}.String()}, "NOT_FOUND", connect.CodeNotFound},
	} {
		c.m.Team = "crew"
		_, err := r.Client.Boards.MarkRead(t.Context(), connect.NewRequest(c.m))
		refused(t, err, c.reason, c.code)
	}
	if got := unread(t, r, &weftv1.UnreadRequest{}); got["crew/general"] != 2 {
		t.Errorf("unread %v", got)
	}
}

func TestBoardsAreListedWithTheirLastEntry(t *testing.T) {
	r, _ := chatter(t, 3)
	newBoard(t, r, "crew", "quiet")
	res, err := r.Client.Boards.ListBoards(t.Context(), connect.NewRequest(&weftv1.ListBoardsRequest{WithLast: true}))
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Msg.Boards) != 2 {
		t.Fatalf("boards %v", res.Msg.Boards)
	}
	b := res.Msg.Boards[0]
	if b.Name != "general" || b.Unread != 3 || b.Entries != 3 || b.Last.GetText() != rpctest.Text(2) || b.Last.AuthorName != "bob" || b.Vector == "" {
		t.Errorf("general is %v", b)
	}
	if q := res.Msg.Boards[1]; q.Name != "quiet" || q.Entries != 0 || q.Last != nil {
		t.Errorf("quiet is %v", q)
	}
}
