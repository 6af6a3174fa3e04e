package daemon

import (
	"testing"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/client"
)

// An entry is encoded when it is signed, and from there to the client of another node its bytes are passed on as they are.
func TestAnEntryIsEncodedOnceBetweenTwoNodes(t *testing.T) {
	a, b := start(t, testConfig(t, "Ada", nil)), start(t, testConfig(t, "Ben", nil))
	ca, cb := dial(t, a), dial(t, b)
	ctx := t.Context()
	must(ca.Teams.CreateTeam(ctx, connect.NewRequest(&weftv1.CreateTeamRequest{Name: "crew"})))
	link := must(ca.Teams.CreateInvite(ctx, connect.NewRequest(&weftv1.CreateInviteRequest{Team: "crew"}))).Link
	must(cb.Teams.Join(ctx, connect.NewRequest(&weftv1.JoinTeamRequest{Link: link})))
	if _, err := ca.Post(ctx, client.Post{Team: "crew", Text: "before", Wait: "replicated"}); err != nil {
		t.Fatal(err)
	}
	stream, err := cb.Streams.Sync(ctx, connect.NewRequest(&weftv1.SyncRequest{View: weftv1.EntryView_ENTRY_VIEW_SIGNED}))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	for live := false; !live; live = stream.Msg().Live {
		if !stream.Receive() {
			t.Fatal(stream.Err())
		}
	}
	const posts = 50
	before := board.HeadersEncoded()
	for range posts {
		if _, err := ca.Post(ctx, client.Post{Team: "crew", Text: "from a to b"}); err != nil {
			t.Fatal(err)
		}
	}
	for shown := 0; shown < posts; {
		if !stream.Receive() {
			t.Fatal(stream.Err())
		}
		for _, ev := range stream.Msg().Events {
			s := ev.GetShown()
			if s == nil {
				continue
			}
			if m, err := client.Decode(s.Entry); err != nil || m.Text != "from a to b" {
				t.Fatalf("%v %v", m, err)
			}
			shown++
		}
	}
	if n := board.HeadersEncoded() - before; n != posts {
		t.Errorf("%d entries were encoded %d times", posts, n)
	}
}
