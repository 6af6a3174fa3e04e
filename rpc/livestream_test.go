package rpc_test

import (
	"context"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/client"
	"weft/presence/hub"
	"weft/rpc/rpctest"
)

// A program that reads too slowly hears what is left, and how much isn't.
func TestASlowListenerIsToldWhatItMissed(t *testing.T) {
	a, b, _ := pair(t)
	shown(t, a, "bob", "online")
	s, err := b.Client.Live.Subscribe(t.Context(), connect.NewRequest(&weftv1.LiveSubscribeRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !s.Receive() {
		t.Fatal(s.Err())
	}
	const calls, each = 40, 100 // 16 MB, of which buffers on the way hold less than half
	for range calls {
		messages := make([]*weftv1.LiveSend, each)
		for i := range messages {
			messages[i] = &weftv1.LiveSend{Kind: "cursor", Body: make([]byte, 4<<10)}
		}
		for { // the rate is bounded, too
			_, err := a.Client.Say(t.Context(), "crew", messages...)
			if client.ReasonOf(err) != "QUOTA" {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			<-time.After(10 * time.Millisecond)
		}
	}
	say(t, a, &weftv1.LiveSend{Kind: "last"})
	heard, dropped, last := 0, 0, false
	for !last {
		if !s.Receive() {
			t.Fatal(s.Err())
		}
		dropped += int(s.Msg().Dropped)
		for _, e := range s.Msg().Events {
			if last = e.Kind == "last"; !last {
				heard++
			}
		}
	}
	if heard+dropped != calls*each || dropped == 0 {
		t.Errorf("%d messages were heard and %d dropped, of %d", heard, dropped, calls*each)
	}
}

// tap is a mesh that keeps the live messages it is given.
type tap struct {
	hub.Wire
	heard chan *weftv1.LiveBatch
}

func (w tap) SendLive(_ context.Context, _ board.TeamID, _ []board.NodeID, s *weftv1.Signed) (sent, missed int, err error) {
	b := &weftv1.LiveBatch{}
	err = proto.Unmarshal(s.Object, b)
	w.heard <- b
	return 1, 0, err
}

// A live message goes out with what its sender gave it: a life, a kind, a board, and an id that the answer names.
func TestALiveMessageGoesOutAsItWasGiven(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	w := tap{heard: make(chan *weftv1.LiveBatch, 4)}
	r.Hub.SetWire(w)
	defer r.Hub.SetWire(nil)
	res := say(t, r, &weftv1.LiveSend{Kind: "typing", TtlMs: 1500, Board: "general"}, &weftv1.LiveSend{Body: []byte("x")})
	got := <-w.heard
	if len(got.Messages) != 2 || len(res.Ids) != 2 {
		t.Fatalf("sent %v, answered %v", got, res)
	}
	first, second := got.Messages[0], got.Messages[1]
	if first.TtlMs != 1500 || first.Kind != "typing" || board.ID(first.Board).String() != generalOf(t, r) || second.TtlMs != 5000 || string(second.Body) != "x" || len(second.Board) != 0 {
		t.Errorf("sent %v", got)
	}
	for i, m := range got.Messages {
		if board.ID(m.Id).String() != res.Ids[i] || m.SentMs == 0 {
			t.Errorf("message %d is called %s, answered %s", i, board.ID(m.Id), res.Ids[i])
		}
	}
}

func TestASubscriptionNamesSoManyKindsOnly(t *testing.T) {
	r := rpctest.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for batch, err := range r.Client.Subscribe(ctx, client.LiveOptions{Kinds: make([]string, 65)}) {
		if err == nil {
			t.Fatalf("it begins with %v", batch)
		}
		refused(t, err, "TOO_MANY", connect.CodeInvalidArgument)
	}
}
