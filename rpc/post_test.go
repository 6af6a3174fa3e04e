package rpc_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/client"
	"weft/rpc/rpctest"
	"weft/store"
	"weft/team"
)

func post(t *testing.T, r *rpctest.Rig, m *weftv1.PostRequest) (*weftv1.PostResponse, error) {
	t.Helper()
	res, err := r.Client.Boards.Post(t.Context(), connect.NewRequest(m))
	if err != nil {
		return nil, err
	}
	return res.Msg, nil
}

// refused checks an error's reason, its code and that it says what to do; said are parts of its text.
func refused(t *testing.T, err error, reason string, code connect.Code, said ...string) *client.Error {
	t.Helper()
	e, ok := err.(*client.Error) //nolint:errorlint // the SDK's own error, unwrapped
	if !ok {
		t.Fatalf("got %v, want %s", err, reason)
	}
	if e.Reason != reason || e.Code != code {
		t.Fatalf("got %v %s (%v), want %v %s", e.Code, e.Reason, err, code, reason)
	}
	if e.Hint == "" {
		t.Errorf("%s has no hint", reason)
	}
	for _, s := range said {
		if !strings.Contains(e.Message, s) && !strings.Contains(e.Hint, s) {
			t.Errorf("%q (%s) does not say %q", e.Message, e.Hint, s)
		}
	}
	return e
}

func TestPostsAreReadInTheirOrder(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	var want []string
	for i := range 5 {
		res := r.Post(t, "crew", rpctest.Text(i))
		if res.State != "stored" || res.Seq != uint64(i+1) || res.Duplicate || res.EntryId == "" || !strings.HasPrefix(res.Origin, "12D3Koo") {
			t.Fatalf("result %v", res)
		}
		want = append(want, rpctest.Text(i))
	}
	if got := r.Texts(t, "crew", 10); !slices.Equal(got, want) {
		t.Errorf("read %q", got)
	}
}

func TestBatchKeepsItsOrderAndIsStoredWhole(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	m := &weftv1.PostRequest{Team: "crew"}
	for i := range 1000 {
		m.Posts = append(m.Posts, &weftv1.NewPost{Text: rpctest.Text(i), ClientMsgId: fmt.Sprint(i)})
	}
	res, err := post(t, r, m)
	if err != nil {
		t.Fatal(err)
	}
	for i, one := range res.Results {
		if one.Seq != uint64(i+1) {
			t.Fatalf("post %d has seq %d", i, one.Seq)
		}
	}
	if got := r.Texts(t, "crew", 1000); len(got) != 1000 || got[0] != rpctest.Text(0) || got[999] != rpctest.Text(999) {
		t.Errorf("read %d, %q … %q", len(got), got[0], got[len(got)-1])
	}
	again, err := post(t, r, m)
	if err != nil {
		t.Fatal(err)
	}
	for i, one := range again.Results {
		if !one.Duplicate || one.EntryId != res.Results[i].EntryId || one.Seq != res.Results[i].Seq {
			t.Fatalf("post %d again: %v", i, one)
		}
	}
	if got := r.Texts(t, "crew", 1000); len(got) != 1000 {
		t.Errorf("after the retry %d entries are shown", len(got))
	}
}

func TestBadPostsAreRefused(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	one := func(p *weftv1.NewPost) *weftv1.PostRequest {
		return &weftv1.PostRequest{Team: "crew", Posts: []*weftv1.NewPost{p}}
	}
	many := &weftv1.PostRequest{Team: "crew", Posts: slices.Repeat([]*weftv1.NewPost{{Text: "x"}}, 1001)}
	for _, c := range []struct {
		name   string
		m      *weftv1.PostRequest
		reason string
		code   connect.Code
		said   string
	}{
		{"no posts", &weftv1.PostRequest{Team: "crew"}, "EMPTY", connect.CodeInvalidArgument, "posts is empty"},
		{"empty text", one(&weftv1.NewPost{}), "EMPTY", connect.CodeInvalidArgument, "the text is empty"},
		{"64 KiB + 1", one(&weftv1.NewPost{Text: strings.Repeat("x", 65537)}), "TOO_LARGE", connect.CodeInvalidArgument, "the text has 65537 bytes, at most 65536 are possible"},
		{"long id", one(&weftv1.NewPost{Text: "x", ClientMsgId: strings.Repeat("i", 65)}), "TOO_LARGE", connect.CodeInvalidArgument, "client_msg_id has 65 bytes"},
		{"one id for two texts", &weftv1.PostRequest{Team: "crew", Posts: []*weftv1.NewPost{{Text: "x", ClientMsgId: "i"}, {Text: "y", ClientMsgId: "i"}}}, "MALFORMED", connect.CodeInvalidArgument, "posts 1 and 2"},
		{"1001 posts", many, "TOO_MANY", connect.CodeInvalidArgument, "at most 1000"},
		{"unknown kind", one(&weftv1.NewPost{Text: "x", Kind: "shout"}), "UNKNOWN_OPTION", connect.CodeInvalidArgument, "shout"},
		{"edit", one(&weftv1.NewPost{Text: "x", Kind: "edit"}), "UNIMPLEMENTED", connect.CodeUnimplemented, "edit"},
		{"reply to nothing", one(&weftv1.NewPost{Text: "x", Kind: "reply"}), "EMPTY", connect.CodeInvalidArgument, "reply_to"},
		{"reply to nonsense", one(&weftv1.NewPost{Text: "x", ReplyTo: "zzz"}), "MALFORMED", connect.CodeInvalidArgument, "entry id"},
		{"reply to what is not here", one(&weftv1.NewPost{Text: "x", ReplyTo: board.Hash{1}.String()}), "NOT_FOUND", connect.CodeNotFound, "reply"},
		{"no team", &weftv1.PostRequest{Posts: many.Posts[:1]}, "EMPTY", connect.CodeInvalidArgument, "team"},
		{"unknown team", &weftv1.PostRequest{Team: "nobody", Posts: many.Posts[:1]}, "NOT_FOUND", connect.CodeNotFound, "nobody"},
		{"unknown board", &weftv1.PostRequest{Team: "crew", Board: "attic", Posts: many.Posts[:1]}, "NOT_FOUND", connect.CodeNotFound, "weft board create crew NAME"},
		{"unknown wait", &weftv1.PostRequest{Team: "crew", Wait: "forever", Posts: many.Posts[:1]}, "UNKNOWN_OPTION", connect.CodeInvalidArgument, "stored or replicated"},
		{"wait read", &weftv1.PostRequest{Team: "crew", Wait: "read", Posts: many.Posts[:1]}, "UNIMPLEMENTED", connect.CodeUnimplemented, "receipts"},
		{"nobody to wait for", &weftv1.PostRequest{Team: "crew", Wait: "replicated", Posts: many.Posts[:1]}, "TOO_FEW_NODES", connect.CodeFailedPrecondition, "nothing was stored"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := post(t, r, c.m)
			refused(t, err, c.reason, c.code, c.said)
		})
	}
	if got := r.Texts(t, "crew", 10); len(got) != 0 {
		t.Errorf("something was stored: %q", got)
	}
}

func TestReadersAreToldThatTheyMayOnlyRead(t *testing.T) {
	a := rpctest.Start(t)
	id := a.Team(t, "crew")
	gil := rpctest.Person(t, "gil", t.Name()+"/gil", rpctest.Key(t.Name()+"/gils node"))
	a.Admit(t, id, gil, team.Reader)
	b := rpctest.Start(t, func(b *rpctest.Rig) { b.Node, b.Identity = rpctest.Key(t.Name()+"/gils node"), gil })
	b.Copy(t, a, id)
	_, err := post(t, b, &weftv1.PostRequest{Team: "crew", Posts: []*weftv1.NewPost{{Text: "may I?"}}})
	refused(t, err, "READ_ONLY", connect.CodePermissionDenied, "as reader", "ask ada")
}

func TestLargestPostAndControlCharactersPassUnchanged(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	for _, words := range []string{strings.Repeat("é", 32768), "\x00\x01\t\r\n\x7f", " ", "\u202e\U0001F9F5"} {
		r.Post(t, "crew", words)
		if got := r.Texts(t, "crew", 1); got[0] != words {
			t.Errorf("%.20q came back as %.20q", words, got[0])
		}
	}
}

func TestOneBadPostOfABatchStoresNothing(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	_, err := post(t, r, &weftv1.PostRequest{Team: "crew", Posts: []*weftv1.NewPost{{Text: "a"}, {Text: ""}, {Text: "c"}}})
	refused(t, err, "EMPTY", connect.CodeInvalidArgument, "post 2 of 3")
	if got := r.Texts(t, "crew", 10); len(got) != 0 {
		t.Errorf("stored %q", got)
	}
}

func TestThousandCallersWithOneIDMakeOneEntry(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	const callers = 1000
	ids := make([]string, callers)
	var firsts int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			res, err := r.Client.Post(t.Context(), client.Post{Team: "crew", Text: "once", ClientMsgID: "the-one"})
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = res.EntryId
			mu.Lock()
			defer mu.Unlock()
			if !res.Duplicate {
				firsts++
			}
		})
	}
	wg.Wait()
	slices.Sort(ids)
	if got := slices.Compact(ids); len(got) != 1 {
		t.Errorf("%d ids: %q", len(got), got)
	}
	if firsts != 1 {
		t.Errorf("%d callers were told that theirs is new", firsts)
	}
	if got := r.Texts(t, "crew", 10); len(got) != 1 {
		t.Errorf("%d entries are shown", len(got))
	}
}

func TestReceiptIsASignedHeadThatCoversTheRecord(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	res, err := post(t, r, &weftv1.PostRequest{Team: "crew", Posts: []*weftv1.NewPost{{Text: "a"}, {Text: "b"}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Results[0].Receipt) != 0 {
		t.Error("a receipt stands on a result that a later one covers")
	}
	var head weftv1.Head
	if err := proto.Unmarshal(res.Results[1].Receipt, &head); err != nil {
		t.Fatal(err)
	}
	p, err := board.ParsePosition(head.Position)
	if err != nil {
		t.Fatal(err)
	}
	if p.Node != r.Node.Public() || p.Seq < 2 || !board.VerifyHead(p, head.Signature) {
		t.Errorf("receipt %v is not a head of this node at 2 or later", p)
	}
}

func TestResultsNameTheRunOfTheNodeThatHasTheRecord(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	m := &weftv1.PostRequest{Team: "crew", Posts: []*weftv1.NewPost{{Text: "a", ClientMsgId: "a"}}}
	first, err := post(t, r, m)
	if err != nil {
		t.Fatal(err)
	}
	r.Restart()
	m.Posts = append([]*weftv1.NewPost{{Text: "b", ClientMsgId: "b"}}, append(m.Posts, &weftv1.NewPost{Text: "c", ClientMsgId: "c"})...)
	second, err := post(t, r, m)
	if err != nil {
		t.Fatal(err)
	}
	b, a, c := second.Results[0], second.Results[1], second.Results[2]
	if a.Origin != first.Results[0].Origin || !a.Duplicate || b.Origin == a.Origin || c.Origin != b.Origin || b.Seq != 1 || c.Seq != 2 {
		t.Errorf("results %v, at first %v", second.Results, first.Results)
	}
	if len(a.Receipt) == 0 || len(c.Receipt) == 0 || len(b.Receipt) != 0 {
		t.Error("receipts do not stand on the last result of each origin")
	}
}

func TestReplyNamesWhatItAnswers(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	first := r.Post(t, "crew", "shall we?")
	if _, err := post(t, r, &weftv1.PostRequest{Team: "crew", Posts: []*weftv1.NewPost{{Text: "we shall", ReplyTo: first.EntryId}}}); err != nil {
		t.Fatal(err)
	}
	res, err := r.Client.Boards.History(t.Context(), connect.NewRequest(&weftv1.HistoryRequest{Team: "crew"}))
	if err != nil {
		t.Fatal(err)
	}
	e := res.Msg.Entries[1]
	if e.Kind != "reply" || e.Text != "we shall" || e.ReplyTo != first.EntryId || e.AuthorName != "ada" || !e.Own {
		t.Errorf("read %v", e)
	}
}

// withBob is a rig whose team crew has a second node.
func withBob(t *testing.T, options ...rpctest.Option) (*rpctest.Rig, board.TeamID, team.Identity) {
	t.Helper()
	r := rpctest.Start(t, options...)
	id := r.Team(t, "crew")
	bob := rpctest.Person(t, "bob", t.Name()+"/bob", rpctest.Key(t.Name()+"/bobs node"))
	r.Admit(t, id, bob, team.Member)
	return r, id, bob
}

func TestWaitReplicatedReturnsWhenAnotherNodeHasIt(t *testing.T) {
	r, _, _ := withBob(t)
	done := make(chan *weftv1.PostResponse, 1)
	go func() {
		res, err := r.Client.Boards.Post(t.Context(), connect.NewRequest(&weftv1.PostRequest{
			Team: "crew", Wait: "replicated", Posts: []*weftv1.NewPost{{Text: "a"}, {Text: "b"}},
		}))
		if err != nil {
			t.Error(err)
			done <- nil
			return
		}
		done <- res.Msg
	}()
	waitUntil(t, "the call waits", func() bool { return r.Mesh.Watchers() == 1 })
	r.Mesh.SetCopies(func(_ board.ID, p board.Position) (int, int) { // the second of two only
		if p.Seq == 2 {
			return 1, 1
		}
		return 0, 1
	})
	select {
	case <-done:
		t.Fatal("answered before both were replicated")
	case <-time.After(50 * time.Millisecond):
	}
	r.Mesh.SetCopies(func(board.ID, board.Position) (int, int) { return 1, 1 })
	res := <-done
	if res == nil {
		return
	}
	for _, one := range res.Results {
		if one.State != "replicated" || one.Replicated != 1 || one.Nodes != 1 {
			t.Errorf("result %v", one)
		}
	}
}

func TestWaitReplicatedThatEndsTooSoonTellsWhatIsStored(t *testing.T) {
	r, _, _ := withBob(t)
	r.Mesh.SetCopies(func(board.ID, board.Position) (int, int) { return 0, 1 })
	m := &weftv1.PostRequest{Team: "crew", Wait: "replicated", TimeoutMs: 30, Posts: []*weftv1.NewPost{{Text: "a"}}}
	_, err := post(t, r, m)
	e := refused(t, err, "DEADLINE", connect.CodeDeadlineExceeded, "stored here")
	if len(e.Results) != 1 || e.Results[0].State != "stored" || e.Results[0].EntryId == "" {
		t.Errorf("results %v", e.Results)
	}
	m.TimeoutMs = 0
	err = beforeDeadline(t, func(ctx context.Context) error { // the caller's own deadline counts, too
		_, err := r.Client.Boards.Post(ctx, connect.NewRequest(m))
		return err
	}, func(e *client.Error) bool { return len(e.Results) > 0 }) // none: it wasn't even stored
	if e := refused(t, err, "DEADLINE", connect.CodeDeadlineExceeded); len(e.Results) != 1 {
		t.Error("the answer did not reach the caller within its deadline")
	}
}

func TestQuotaRefusesWithRetryAfter(t *testing.T) {
	now := time.Now()
	r := rpctest.Start(t, func(r *rpctest.Rig) {
		r.Quotas = store.Quotas{AuthorPerSecond: 1, AuthorBurst: 3}
		r.Now = func() time.Time { return now } // however slow the disk is
	})
	r.Team(t, "crew")
	for i := range 3 {
		r.Post(t, "crew", rpctest.Text(i))
	}
	_, err := post(t, r, &weftv1.PostRequest{Team: "crew", Posts: []*weftv1.NewPost{{Text: "one too many"}}})
	if e := refused(t, err, "QUOTA", connect.CodeResourceExhausted); e.RetryAfter <= 0 || e.RetryAfter > 2*time.Second {
		t.Errorf("retry after %s", e.RetryAfter)
	}
}

func TestFullDiskRefusesPostsAndGoesOnReading(t *testing.T) {
	var mu sync.Mutex
	free := uint64(1 << 40)
	r := rpctest.Start(t, func(r *rpctest.Rig) {
		r.Space = func(string) (uint64, error) { mu.Lock(); defer mu.Unlock(); return free, nil }
	})
	r.Team(t, "crew")
	r.Post(t, "crew", "before")
	mu.Lock()
	free = 1 << 20
	mu.Unlock()
	waitUntil(t, "the store sees that the disk is full", func() bool { return r.Store.Status().Full })
	_, err := post(t, r, &weftv1.PostRequest{Team: "crew", Posts: []*weftv1.NewPost{{Text: "x"}}})
	refused(t, err, "STORAGE_FULL", connect.CodeResourceExhausted)
	if got := r.Texts(t, "crew", 5); len(got) != 1 {
		t.Errorf("read %q", got)
	}
}

// waitUntil polls: for what happens elsewhere without a way to hear of it.
func waitUntil(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("never came: %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

// beforeDeadline makes a call that the node ends because of the caller's deadline, with ever more time until the node's
// answer, which must be as wanted, comes before the caller gives up by itself: a busy machine may need it.
func beforeDeadline(t *testing.T, call func(context.Context) error, wanted func(*client.Error) bool) (err error) {
	t.Helper()
	for d := 250 * time.Millisecond; d < 20*time.Second; d *= 2 {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		err = call(ctx)
		cancel()
		if e, ok := err.(*client.Error); ok && e.Hint != "" && wanted(e) { //nolint:errorlint // the SDK's own error, unwrapped
			return err
		}
	}
	return err
}
