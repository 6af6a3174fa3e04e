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

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence/hub"
	"weft/rpc"
	"weft/rpc/rpctest"
)

func teamID(t *testing.T, id string) board.TeamID {
	t.Helper()
	out, err := board.ParseTeamID(id)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func rpcTraffic(id board.TeamID) rpc.Traffic {
	return rpc.Traffic{
		Kinds:  []*weftv1.Traffic{{Kind: "sync", SentBytes: 5, ReceivedBytes: 7}, {Kind: "presence", SentBytes: 1}},
		Topics: map[board.TeamID]int{id: 3},
	}
}

// listener reads a stream of live messages.
type listener struct {
	t      *testing.T
	stream *connect.ServerStreamForClient[weftv1.LiveSubscribeResponse]
}

// listen subscribes; what is sent after it returns is heard.
func listen(t *testing.T, r *rpctest.Rig, m *weftv1.LiveSubscribeRequest) *listener {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s, err := r.Client.Live.Subscribe(ctx, connect.NewRequest(m))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); s.Close() })
	l := &listener{t, s}
	if first := l.batch(); len(first) > 0 {
		t.Fatalf("begins with %v", first)
	}
	return l
}

func (l *listener) batch() []*weftv1.LiveEvent {
	l.t.Helper()
	if !l.stream.Receive() {
		l.t.Fatalf("the stream has ended: %v", l.stream.Err())
	}
	if l.stream.Msg().Dropped > 0 {
		l.t.Fatalf("%d were dropped", l.stream.Msg().Dropped)
	}
	return l.stream.Msg().Events
}

// take reads n messages.
func (l *listener) take(n int) (out []*weftv1.LiveEvent) {
	l.t.Helper()
	for len(out) < n {
		out = append(out, l.batch()...)
	}
	return out
}

func bodies(events []*weftv1.LiveEvent) (out []string) {
	for _, e := range events {
		out = append(out, string(e.Body))
	}
	return out
}

func say(t *testing.T, r *rpctest.Rig, messages ...*weftv1.LiveSend) *weftv1.LiveSendResponse {
	t.Helper()
	res, err := r.Client.Say(t.Context(), "crew", messages...)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestWhatIsSaidReachesWhoIsThereOnceAndIsGone(t *testing.T) {
	a, b, _ := pair(t)
	shown(t, a, "bob", "online")
	l := listen(t, b, &weftv1.LiveSubscribeRequest{Teams: []string{"crew"}})
	var want []string
	for i := range 20 {
		res := say(t, a, &weftv1.LiveSend{Body: []byte(rpctest.Text(i)), Kind: "note", Board: "general"})
		if res.Nodes != 1 || res.People != 1 || len(res.Ids) != 1 {
			t.Fatalf("answer %v", res)
		}
		want = append(want, rpctest.Text(i))
	}
	got := l.take(20)
	if !slices.Equal(bodies(got), want) {
		t.Errorf("bob heard %q", bodies(got))
	}
	e := got[0]
	if e.Name != "ada" || e.UserId != a.Identity.User.String() || e.Kind != "note" || e.BoardId != generalOf(t, a) || e.Direct || e.SentMs == 0 || len(e.Device) != 16 {
		t.Errorf("the message is %v", e)
	}
	late := listen(t, b, &weftv1.LiveSubscribeRequest{})
	say(t, a, &weftv1.LiveSend{Body: []byte("last")})
	if got := bodies(late.take(1)); !slices.Equal(got, []string{"last"}) {
		t.Errorf("who came later heard %q", got)
	}
	if got := bodies(l.take(1)); !slices.Equal(got, []string{"last"}) {
		t.Errorf("then bob heard %q", got)
	}
}

func TestAMessageToOnePersonReachesNobodyElse(t *testing.T) {
	a, b, _ := pair(t)
	shown(t, a, "bob", "online")
	l := listen(t, b, &weftv1.LiveSubscribeRequest{})
	res := say(t, a, &weftv1.LiveSend{Body: []byte("for bob"), Target: "bob"}, &weftv1.LiveSend{Body: []byte("for me"), Target: "ada"}, &weftv1.LiveSend{Body: []byte("for all")})
	if res.Nodes != 1 || len(res.Ids) != 3 {
		t.Errorf("answer %v", res)
	}
	got := l.take(2)
	if !slices.Equal(bodies(got), []string{"for bob", "for all"}) || !got[0].Direct || got[1].Direct {
		t.Errorf("bob heard %v", got)
	}
	_, err := a.Client.Say(t.Context(), "crew", &weftv1.LiveSend{Target: "nobody"})
	refused(t, err, "NOT_FOUND", connect.CodeNotFound, "weft team members crew")
}

func TestKindsAndTeamsNarrowASubscription(t *testing.T) {
	a, b, _ := pair(t)
	shown(t, a, "bob", "online")
	l := listen(t, b, &weftv1.LiveSubscribeRequest{Kinds: []string{"typing", "call"}})
	say(t, a, &weftv1.LiveSend{Kind: "note"}, &weftv1.LiveSend{Kind: "typing"}, &weftv1.LiveSend{Body: []byte("text")}, &weftv1.LiveSend{Kind: "call"})
	if got := l.take(2); got[0].Kind != "typing" || got[1].Kind != "call" {
		t.Errorf("heard %v", got)
	}
}

// Calls that come together go in one batch: everything is heard, each caller's messages in their order.
func TestManyCallersAtOnceAreAllHeard(t *testing.T) {
	a, b, _ := pair(t)
	shown(t, a, "bob", "online")
	l := listen(t, b, &weftv1.LiveSubscribeRequest{})
	const callers, each = 16, 10
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				res, err := a.Client.Say(t.Context(), "crew", &weftv1.LiveSend{Kind: fmt.Sprint(c), Body: []byte(fmt.Sprint(i))})
				if err != nil || res.People != 1 {
					t.Errorf("answer %v, %v", res, err)
				}
			}
		})
	}
	heard := map[string][]string{}
	ids := map[string]bool{}
	for _, e := range l.take(callers * each) {
		heard[e.Kind] = append(heard[e.Kind], string(e.Body))
		ids[e.Id] = true
	}
	wg.Wait()
	for c := range callers {
		if got := strings.Join(heard[fmt.Sprint(c)], ""); got != "0123456789" {
			t.Errorf("of caller %d was heard %q", c, got)
		}
	}
	if len(ids) != callers*each {
		t.Errorf("%d ids", len(ids))
	}
}

func TestLargeCallsGoInSeveralBatches(t *testing.T) {
	a, b, _ := pair(t)
	shown(t, a, "bob", "online")
	l := listen(t, b, &weftv1.LiveSubscribeRequest{})
	const n = 24 // 384 KiB under signatures of at most 128 KiB
	var messages []*weftv1.LiveSend
	for i := range n {
		messages = append(messages, &weftv1.LiveSend{Body: []byte(strings.Repeat(string(rune('a'+i)), 16<<10))})
	}
	say(t, a, messages...)
	for i, e := range l.take(n) {
		if len(e.Body) != 16<<10 || e.Body[0] != byte('a'+i) {
			t.Errorf("message %d begins with %q", i, e.Body[:1])
		}
	}
}

func TestBadLiveMessagesAreRefused(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	for name, c := range map[string]struct {
		team     string
		messages []*weftv1.LiveSend
		reason   string
		code     connect.Code
	}{
		"none":    {"crew", nil, "EMPTY", connect.CodeInvalidArgument},
		"many":    {"crew", make257(), "TOO_MANY", connect.CodeInvalidArgument},
		"body":    {"crew", []*weftv1.LiveSend{{Body: make([]byte, 16<<10+1)}}, "TOO_LARGE", connect.CodeInvalidArgument},
		"kind":    {"crew", []*weftv1.LiveSend{{Kind: strings.Repeat("k", 33)}}, "TOO_LARGE", connect.CodeInvalidArgument},
		"ttl":     {"crew", []*weftv1.LiveSend{{TtlMs: 5001}}, "TOO_LARGE", connect.CodeInvalidArgument},
		"board":   {"crew", []*weftv1.LiveSend{{Board: "nowhere"}}, "NOT_FOUND", connect.CodeNotFound},
		"team":    {"nowhere", []*weftv1.LiveSend{{}}, "NOT_FOUND", connect.CodeNotFound},
		"no team": {"", []*weftv1.LiveSend{{}}, "EMPTY", connect.CodeInvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.Client.Say(t.Context(), c.team, c.messages...)
			refused(t, err, c.reason, c.code)
		})
	}
}

func make257() (out []*weftv1.LiveSend) {
	for range 257 {
		out = append(out, &weftv1.LiveSend{})
	}
	return out
}

func TestReadersMayNotSpeak(t *testing.T) {
	a, b, _ := pair(t)
	id := must(t, a.Client.Teams.GetTeam, &weftv1.GetTeamRequest{Team: "crew"}).Team.TeamId
	must(t, a.Client.Teams.SetRole, &weftv1.SetRoleRequest{Team: "crew", User: "bob", Role: "muted"})
	b.Copy(t, a, teamID(t, id))
	b.TellTeams()
	_, err := b.Client.Say(t.Context(), "crew", &weftv1.LiveSend{Body: []byte("psst")})
	refused(t, err, "READ_ONLY", connect.CodePermissionDenied)
}

// Nothing of the live lane touches the disk.
func TestLiveMessagesAreNeverStored(t *testing.T) {
	a, b, _ := pair(t)
	shown(t, a, "bob", "online")
	l := listen(t, b, &weftv1.LiveSubscribeRequest{})
	before := [2]string{a.Store.Cursor().String(), b.Store.Cursor().String()}
	groups := written(t, a) + written(t, b)
	for range 100 {
		say(t, a, liveBatch(100)...)
		l.take(100)
	}
	if got := written(t, a) + written(t, b) - groups; got != 0 {
		t.Errorf("10,000 live messages made %v commits", got)
	}
	if after := [2]string{a.Store.Cursor().String(), b.Store.Cursor().String()}; after != before {
		t.Errorf("the stores went from %v to %v", before, after)
	}
}

// written is how many commits a node's store has made.
func written(t *testing.T, r *rpctest.Rig) float64 {
	t.Helper()
	return counted(t, r, "weft_store_commit_groups_total")
}

func liveBatch(n int) (out []*weftv1.LiveSend) {
	for i := range n {
		out = append(out, &weftv1.LiveSend{Kind: "cursor", Body: []byte(fmt.Sprint(i))})
	}
	return out
}

// lossy is a mesh in which two of three nodes miss every live message.
type lossy struct{ hub.Wire }

func (lossy) SendLive(context.Context, board.TeamID, []board.NodeID, *weftv1.Signed) (sent, missed int, err error) {
	return 1, 2, nil
}

func TestASenderHearsHowManyNodesMissedIt(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	r.Hub.SetWire(lossy{})
	defer r.Hub.SetWire(nil)
	if res := say(t, r, &weftv1.LiveSend{Kind: "note"}); res.Nodes != 1 || res.Missed != 2 {
		t.Errorf("answer %v", res)
	}
}

// A program that says too much is told when to go on, and what of a call is on its way already.
func TestWhoSaysTooMuchIsToldWhenToGoOn(t *testing.T) {
	now := time.Now()
	r := rpctest.Start(t, func(r *rpctest.Rig) {
		r.Now = func() time.Time { return now } // or a busy machine is allowed more meanwhile
		r.Live = hub.Limits{Live: hub.LiveLimit{Batches: 100, Messages: 10, Bytes: 200 << 10, Lump: time.Second}}
	})
	r.Team(t, "crew")
	large := make([]*weftv1.LiveSend, 10) // of which two batches are made
	for i := range large {
		large[i] = &weftv1.LiveSend{Body: make([]byte, 16<<10), Kind: "note"}
	}
	_, err := r.Client.Say(t.Context(), "crew", append(large, large...)...)
	if e := refused(t, err, "QUOTA", connect.CodeResourceExhausted, "the first 1 of 3", "up to the message before"); e.RetryAfter < 10*time.Millisecond {
		t.Errorf("wait %s", e.RetryAfter)
	}
	_, err = r.Client.Say(t.Context(), "crew", large...)
	refused(t, err, "QUOTA", connect.CodeResourceExhausted)
}

// What a slow reader finds comes in responses of a bounded size, in order, with what was dropped told once.
func TestALateReaderGetsBoundedResponses(t *testing.T) {
	a, b, _ := pair(t)
	shown(t, a, "bob", "online")
	l := listen(t, b, &weftv1.LiveSubscribeRequest{})
	const calls, each = 40, 12 // more than the connection holds
	var batch []*weftv1.LiveSend
	for range each {
		batch = append(batch, &weftv1.LiveSend{Body: make([]byte, 16<<10)})
	}
	for range calls {
		say(t, a, batch...)
	}
	dropped, got := 0, 0
	for got+dropped < calls*each {
		if !l.stream.Receive() {
			t.Fatalf("the stream has ended: %v", l.stream.Err())
		}
		size := 0
		for _, e := range l.stream.Msg().Events {
			size += len(e.Body)
		}
		if size > 1<<20+16<<10 {
			t.Fatalf("a response of %d bytes", size)
		}
		got, dropped = got+len(l.stream.Msg().Events), dropped+int(l.stream.Msg().Dropped)
	}
	if got+dropped != calls*each {
		t.Errorf("%d heard and %d dropped, of %d", got, dropped, calls*each)
	}
}
