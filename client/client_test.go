package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/client"
	"weft/rpc/rpctest"
	"weft/store"
	"weft/team"
)

func TestDialSaysWhatToDoWhereNoNodeRuns(t *testing.T) {
	dir := t.TempDir()
	_, err := client.Dial(t.Context(), client.Options{Socket: filepath.Join(dir, "none.sock")})
	if client.ReasonOf(err) != "NO_NODE" || !strings.Contains(err.Error(), "weft run") {
		t.Errorf("no socket: %v", err)
	}
	r := rpctest.Start(t)
	c, err := client.Dial(t.Context(), client.Options{Socket: r.Socket})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestErrorsCarryReasonAndHint(t *testing.T) {
	r := rpctest.Start(t)
	_, err := r.Client.Post(t.Context(), client.Post{Team: "nobody", Text: "x"})
	var e *client.Error
	if !errors.As(err, &e) || e.Reason != "NOT_FOUND" || e.Hint == "" || e.Code != connect.CodeNotFound || connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("got %#v", err)
	}
	if !strings.Contains(err.Error(), "nobody") || !strings.Contains(err.Error(), e.Hint) {
		t.Errorf("text %q", err)
	}
	_, err = r.Client.Post(t.Context(), client.Post{Team: "crew", Text: "\xff\xfe"})
	if client.ReasonOf(err) != "NOT_UTF8" {
		t.Errorf("invalid UTF-8: %v", err)
	}
	_, err = r.Client.Teams.CreateTeam(t.Context(), connect.NewRequest(&weftv1.CreateTeamRequest{Name: "\xff\xfe"}))
	if client.ReasonOf(err) != "NOT_UTF8" {
		t.Errorf("invalid UTF-8 in a name: %v", err)
	}
}

// flaky stands between client and node: while broken, it hands requests on and cuts the connection before the answer.
type flaky struct {
	path   string
	broken atomic.Int64 // answers still to be cut
	cuts   atomic.Int64
}

func newFlaky(t *testing.T, to string) *flaky {
	t.Helper()
	dir, err := os.MkdirTemp("", "weft")
	if err != nil {
		t.Fatal(err)
	}
	f := &flaky{path: filepath.Join(dir, "flaky.sock")}
	l, err := net.Listen("unix", f.path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { f.serve(c, to) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait(); os.RemoveAll(dir) })
	return f
}

func (f *flaky) serve(c net.Conn, to string) {
	defer c.Close()
	up, err := net.Dial("unix", to)
	if err != nil {
		return
	}
	defer up.Close()
	go func() {
		b := make([]byte, 64<<10)
		for {
			n, err := c.Read(b)
			if err != nil {
				up.Close()
				return
			}
			up.Write(b[:n])
		}
	}()
	b := make([]byte, 64<<10)
	for {
		n, err := up.Read(b)
		if err != nil {
			return
		}
		if f.broken.Add(-1) >= 0 { // the node has done it; nobody hears of it
			f.cuts.Add(1)
			return
		}
		if _, err := c.Write(b[:n]); err != nil {
			return
		}
	}
}

func TestPostIsTriedAgainAndDoublesNothing(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	f := newFlaky(t, r.Socket)
	c := client.New(client.Options{Socket: f.path})
	defer c.Close()
	f.broken.Store(3)
	res, err := c.Post(t.Context(), client.Post{Team: "crew", Text: "once"})
	if err != nil {
		t.Fatal(err)
	}
	if f.cuts.Load() != 3 || !res.Duplicate {
		t.Errorf("%d answers were lost, result %v", f.cuts.Load(), res)
	}
	if got := r.Texts(t, "crew", 10); !slices.Equal(got, []string{"once"}) {
		t.Errorf("read %q", got)
	}
}

func TestPostOutlastsARestartOfTheNode(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	var tries atomic.Int64
	c := client.New(client.Options{Socket: r.Socket, Retrying: func(error, time.Duration) { tries.Add(1) }})
	defer c.Close()
	r.Stop()
	done := make(chan error, 1)
	go func() {
		_, err := c.Post(t.Context(), client.Post{Team: "crew", Text: "patient"})
		done <- err
	}()
	for tries.Load() < 2 {
		<-time.After(time.Millisecond)
	}
	r.Restart()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestPostGivesUpAfterItsTime(t *testing.T) {
	for _, o := range []client.Options{{RetryFor: -1}, {RetryFor: 100 * time.Millisecond}} {
		o.Socket = filepath.Join(t.TempDir(), "none.sock")
		c := client.New(o)
		_, err := c.Post(t.Context(), client.Post{Team: "crew", Text: "x"})
		if client.ReasonOf(err) != "NO_NODE" {
			t.Errorf("got %v", err)
		}
		c.Close()
	}
	c := client.New(client.Options{Socket: filepath.Join(t.TempDir(), "none.sock")})
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := c.Post(ctx, client.Post{Team: "crew", Text: "x"}); err == nil {
		t.Error("posted to nobody")
	}
}

func feed(n int, text func(int) client.FeedItem) <-chan client.FeedItem {
	items := make(chan client.FeedItem, 256)
	go func() {
		defer close(items)
		for i := range n {
			items <- text(i)
		}
	}()
	return items
}

func TestFeedIsPostedInOrderThroughBrokenConnections(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	f := newFlaky(t, r.Socket)
	c := client.New(client.Options{Socket: f.path})
	defer c.Close()
	const n = 3000
	f.broken.Store(2)
	var seq uint64
	count := 0
	for res, err := range c.PostAll(t.Context(), client.FeedOptions{Team: "crew/general"}, feed(n, func(i int) client.FeedItem {
		return client.FeedItem{Text: fmt.Sprintf("%d %s", i, strings.Repeat("x", i%2000))}
	})) {
		if err != nil {
			t.Fatal(err)
		}
		if res.Seq != seq+1 {
			t.Fatalf("result %d has seq %d after %d", count, res.Seq, seq)
		}
		seq = res.Seq
		if count++; count == 500 {
			f.broken.Store(1)
		}
	}
	if count != n || f.cuts.Load() != 3 {
		t.Errorf("%d results, %d cuts", count, f.cuts.Load())
	}
	info, _ := r.Store.Board(board.GeneralID(r.Store.Teams()[0]))
	if info.Entries != n {
		t.Errorf("%d entries are shown", info.Entries)
	}
}

func TestFeedWaitsOutItsQuota(t *testing.T) {
	var waits atomic.Int64
	start := time.Now()
	r := rpctest.Start(t, func(r *rpctest.Rig) {
		r.Quotas = store.Quotas{AuthorPerSecond: 40, AuthorBurst: 10}
		r.Now = func() time.Time { return start.Add(time.Duration(waits.Load()) * time.Second) } // it goes on by waiting only
	})
	r.Team(t, "crew")
	c := client.New(client.Options{Socket: r.Socket, Retrying: func(err error, _ time.Duration) {
		if client.ReasonOf(err) == "QUOTA" {
			waits.Add(1)
		}
	}})
	defer c.Close()
	items := make(chan client.FeedItem) // unbuffered: small batches
	go func() {
		defer close(items)
		for i := range 25 {
			items <- client.FeedItem{Text: rpctest.Text(i)}
		}
	}()
	count := 0
	for _, err := range c.PostAll(t.Context(), client.FeedOptions{Team: "crew"}, items) {
		if err != nil {
			t.Fatal(err)
		}
		count++
	}
	if count != 25 || waits.Load() == 0 {
		t.Errorf("%d posted, %d waits", count, waits.Load())
	}
}

func TestFeedEndsAtABadItemAfterTheGoodOnes(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	var last error
	count := 0
	for _, err := range r.Client.PostAll(t.Context(), client.FeedOptions{Team: "crew"}, feed(10, func(i int) client.FeedItem {
		if i == 4 {
			return client.FeedItem{Text: "\xff"}
		}
		return client.FeedItem{Text: rpctest.Text(i)}
	})) {
		if last = err; err == nil {
			count++
		}
	}
	if count != 4 || client.ReasonOf(last) != "NOT_UTF8" {
		t.Errorf("%d posted, then %v", count, last)
	}
}

func TestFollowShowsEachMessageOnceAcrossRestarts(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	c := client.New(client.Options{Socket: r.Socket})
	defer c.Close()
	var want []string
	say := func(n int) {
		for range n {
			want = append(want, rpctest.Text(len(want)))
			if _, err := c.Post(t.Context(), client.Post{Team: "crew", Text: want[len(want)-1]}); err != nil {
				t.Fatal(err)
			}
		}
	}
	say(1200)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []string
	for m, err := range c.Follow(ctx, client.FollowOptions{Team: "crew", Last: 1100}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, m.Text)
		switch len(got) {
		case 1100:
			if m.AuthorName != "ada" || m.Author != r.Identity.User || m.Kind != board.KindPost || m.ID.IsZero() || m.Time.IsZero() {
				t.Errorf("message %+v", m)
			}
			say(10)
		case 1105:
			r.Restart()
			say(5)
		case 1115:
			cancel()
		}
	}
	if !slices.Equal(got, want[100:]) {
		t.Errorf("%d messages, want %d; the last is %q", len(got), len(want)-100, got[len(got)-1])
	}
}

func TestFollowOfNothingIsAnError(t *testing.T) {
	r := rpctest.Start(t)
	for _, err := range r.Client.Follow(t.Context(), client.FollowOptions{Team: "nobody"}) {
		if client.ReasonOf(err) != "NOT_FOUND" {
			t.Errorf("got %v", err)
		}
	}
}

func TestSyncGoesOnAfterItsCursorWhenConnectionsBreak(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	f := newFlaky(t, r.Socket)
	c := client.New(client.Options{Socket: f.path})
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []string
	for batch, err := range c.Sync(ctx, client.SyncOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range batch.Events {
			if s := e.GetShown(); s != nil {
				got = append(got, s.Entry.Text)
			}
		}
		if len(got) >= 30 {
			cancel()
			continue
		}
		if batch.Live {
			f.broken.Store(1) // the next answer is lost with its connection
			for i := range 10 {
				r.Post(t, "crew", rpctest.Text(len(got)+i))
			}
		}
	}
	for i, words := range got {
		if words != rpctest.Text(i) {
			t.Fatalf("event %d is %q of %q", i, words, got)
		}
	}
	if f.cuts.Load() == 0 {
		t.Error("no connection was cut")
	}
}

func TestDecodeTrustsNobody(t *testing.T) {
	r := rpctest.Start(t)
	id := r.Team(t, "crew")
	bob := rpctest.Person(t, "bob", "bob", rpctest.Key("bobs node"))
	r.Admit(t, id, bob, team.Member)
	r.Post(t, "crew", "as I wrote it")
	res, err := r.Client.Boards.History(t.Context(), connect.NewRequest(&weftv1.HistoryRequest{Team: "crew", View: weftv1.EntryView_ENTRY_VIEW_SIGNED}))
	if err != nil {
		t.Fatal(err)
	}
	good := res.Msg.Entries[0]
	m, err := client.Decode(good)
	if err != nil || m.Text != "as I wrote it" || m.Team != id || m.Board != board.GeneralID(id) {
		t.Errorf("%+v %v", m, err)
	}
	for name, change := range map[string]func(*weftv1.Entry){
		"body":      func(e *weftv1.Entry) { e.Body = []byte("as you wrote it") },
		"header":    func(e *weftv1.Entry) { e.Header = append(slices.Clone(e.Header), 0x78, 1) },
		"signature": func(e *weftv1.Entry) { e.Signature = slices.Clone(e.Signature); e.Signature[0] ^= 1 },
		"id":        func(e *weftv1.Entry) { e.EntryId = board.Hash{1}.String() },
	} {
		e := &weftv1.Entry{EntryId: good.EntryId, Header: good.Header, Signature: good.Signature, Body: good.Body}
		change(e)
		if _, err := client.Decode(e); !errors.Is(err, board.ErrMalformed) && !errors.Is(err, board.ErrBadSignature) {
			t.Errorf("changed %s: %v", name, err)
		}
	}
	gone, err := client.Decode(&weftv1.Entry{Header: good.Header, Signature: good.Signature})
	if err != nil || !gone.BodyGone || gone.Text != "" {
		t.Errorf("without its body: %+v %v", gone, err)
	}
}
