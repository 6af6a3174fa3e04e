package rpc_test

import (
	"testing"
	"time"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence"
	"weft/presence/hub"
	"weft/rpc/rpctest"
)

// A node that stops says goodbye for all of its people when it goes: the end of its API makes nobody vanish before that.
func TestTheEndOfTheAPILosesNoSession(t *testing.T) {
	r := rpctest.Start(t)
	id := r.Team(t, "crew")
	r.Hub.Own().Close(true)
	shown(t, r, "ada", "offline")
	s, err := r.Client.Presence.Attach(t.Context(), connect.NewRequest(&weftv1.AttachRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w, err := r.Hub.Watch(hub.WatchFilter{Viewer: r.Identity.User, Teams: []board.TeamID{id}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.StopServing()
	for s.Receive() { // until the stream has ended
	}
	if _, err := r.Hub.Set(r.Identity.User, nil, presence.Setting{Availability: presence.Busy, Status: "still here"}, false); err != nil {
		t.Fatal(err)
	}
	for { // what follows a change is shown with it, or after it
		b, err := w.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var p presence.Person
		for _, v := range b.Snapshot {
			p = v.People[0]
		}
		for _, c := range b.Changes {
			p = c.Person
		}
		if p.State == presence.Reconnecting {
			t.Fatal("she is shown as reconnecting")
		}
		if p.State == presence.Busy && p.Status == "still here" {
			return
		}
	}
}

// A goodbye ends the stream that held the session.
func TestAGoodbyeEndsTheStream(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	s, err := r.Client.Presence.Attach(t.Context(), connect.NewRequest(&weftv1.AttachRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !s.Receive() {
		t.Fatal(s.Err())
	}
	must(t, r.Client.Presence.Detach, &weftv1.DetachRequest{Session: s.Msg().Session})
	for s.Receive() { // or the test never ends
	}
	if s.Err() != nil {
		t.Errorf("the stream ended with %v", s.Err())
	}
}

// What a session shares stays until it says otherwise, whatever else it reports.
func TestAReportLeavesThePayload(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	r.Hub.Own().Close(true)
	s, err := r.Client.Attach(t.Context(), "test/1")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.SetPayload(t.Context(), []byte("48.1 11.6")); err != nil {
		t.Fatal(err)
	}
	shared := uint64(time.Now().UnixMilli())
	waitUntil(t, "time passes", func() bool { return uint64(time.Now().UnixMilli()) > shared+10 })
	if err := s.Report(t.Context(), true, time.Hour); err != nil {
		t.Fatal(err)
	}
	if p := shown(t, r, "ada", "away"); p.LastActiveMs == 0 || p.LastActiveMs > shared {
		t.Errorf("who was idle for an hour was active last %d ms after she was", p.LastActiveMs-shared)
	}
	if p := shown(t, r, "ada", "away"); len(p.ShownDevices) != 1 || string(p.ShownDevices[0].Payload) != "48.1 11.6" {
		t.Errorf("idle, she is shown as %v", p)
	}
	if err := s.SetPayload(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "it is erased", func() bool {
		p := people(t, r)["ada"]
		return p.GetState() == "away" && len(p.ShownDevices) == 1 && len(p.ShownDevices[0].Payload) == 0
	})
}

// A session's stream shows its program again and again that the node is there.
func TestASessionsStreamBeats(t *testing.T) {
	r := rpctest.Start(t, func(r *rpctest.Rig) { r.Beat = 10 * time.Millisecond })
	s, err := r.Client.Presence.Attach(t.Context(), connect.NewRequest(&weftv1.AttachRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 5 {
		if !s.Receive() {
			t.Fatal(s.Err())
		}
		if m := s.Msg(); (m.Session != "") != (i == 0) || (m.BeatMs == 10) != (i == 0) {
			t.Errorf("message %d is %v", i, m)
		}
	}
}
