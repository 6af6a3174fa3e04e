package client_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/client"
	"weft/rpc/rpctest"
)

func stateOf(t *testing.T, r *rpctest.Rig) *weftv1.PersonPresence {
	t.Helper()
	res, err := r.Client.Presence.Snapshot(t.Context(), connect.NewRequest(&weftv1.PresenceSnapshotRequest{Team: "crew", Devices: true}))
	if err != nil {
		t.Fatal(err)
	}
	return res.Msg.Teams[0].People[0]
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never came: %s", what)
		}
	}
}

// The node is started again under a session: the user is there again, as the session has reported before.
func TestASessionComesBackWithWhatItReported(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	c := client.New(client.Options{Socket: r.Socket})
	defer c.Close()
	s, err := c.Attach(t.Context(), "test/1")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetPayload(t.Context(), []byte("here")); err != nil {
		t.Fatal(err)
	}
	r.Restart()
	r.Hub.Own().Close(true)
	eventually(t, "the session is back", func() bool {
		p := stateOf(t, r)
		return p.State == "online" && len(p.ShownDevices) == 1 && string(p.ShownDevices[0].Payload) == "here"
	})
	if err := s.Report(t.Context(), true, time.Hour); err != nil {
		t.Fatal(err)
	}
	eventually(t, "away", func() bool { return stateOf(t, r).State == "away" })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "offline", func() bool { return stateOf(t, r).State == "offline" })
	if s.Err() != nil || s.Close() != nil {
		t.Errorf("closed, the session says %v", s.Err())
	}
}

// A session that is closed while it has no stream says goodbye too: nobody waits for the user until the grace of 30 s is over.
func TestASessionWithoutAStreamSaysGoodbye(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	r.Hub.Own().Close(true)
	ctx, lose := context.WithCancel(t.Context())
	s, err := r.Client.Attach(ctx, "test/1")
	if err != nil {
		t.Fatal(err)
	}
	lose()
	eventually(t, "reconnecting", func() bool { return stateOf(t, r).State == "reconnecting" })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "offline", func() bool { return stateOf(t, r).State == "offline" })
}

func TestASessionThatIsRefusedSaysWhy(t *testing.T) {
	r := rpctest.Start(t)
	_, err := r.Client.Attach(t.Context(), strings.Repeat("x", 100))
	if client.ReasonOf(err) != "TOO_LARGE" {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Client.Attach(ctx, "test/1"); err == nil {
		t.Error("attached although it was called off")
	}
}

func TestAWatchBeginsAnewWhenTheNodeDoes(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	eventually(t, "the node is there", func() bool { return stateOf(t, r).State == "online" })
	c := client.New(client.Options{Socket: r.Socket})
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var view client.PresenceView
	snapshots := 0
	for m, err := range c.WatchPresence(ctx, client.PresenceOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		view.Apply(m)
		snapshots += len(m.Snapshot)
		teams := view.Teams()
		switch {
		case snapshots == 1 && len(m.Snapshot) == 1:
			if len(teams) != 1 || teams[0].People[0].State != "online" {
				t.Fatalf("the view is %v", teams)
			}
			r.Restart()
		case snapshots >= 2 && len(teams) == 1 && teams[0].People[0].State == "online":
			cancel()
		}
	}
	if snapshots < 2 {
		t.Errorf("%d snapshots", snapshots)
	}
}

func TestTheViewFollowsEveryMessage(t *testing.T) {
	var v client.PresenceView
	person := func(name, state string) *weftv1.PersonPresence {
		return &weftv1.PersonPresence{UserId: name, Name: name, State: state}
	}
	v.Apply(&weftv1.PresenceWatchResponse{Snapshot: []*weftv1.TeamPresence{
		{TeamId: "1", Team: "crew", People: []*weftv1.PersonPresence{person("ada", "online"), person("ben", "offline")}, Counts: &weftv1.PresenceCounts{Online: 1, Offline: 1}},
		{TeamId: "2", Team: "club", CountsOnly: true, Counts: &weftv1.PresenceCounts{Online: 300}},
	}})
	v.Apply(&weftv1.PresenceWatchResponse{
		Changes: []*weftv1.PresenceChange{
			{TeamId: "1", Person: person("ben", "busy")}, {TeamId: "1", Person: person("ada", ""), Cause: "team"}, {TeamId: "3", Person: person("eve", "online")},
		},
		Counts: []*weftv1.TeamPresence{{TeamId: "2", Counts: &weftv1.PresenceCounts{Online: 299}}},
	})
	if v.Person("1", "ada") != nil || v.Person("1", "ben").GetState() != "busy" || v.Person("3", "eve") != nil {
		t.Errorf("the view is %v", v.Teams())
	}
	teams := v.Teams()
	if len(teams) != 2 || teams[0].Team != "club" || teams[0].Counts.Online != 299 || !teams[0].CountsOnly || len(teams[1].People) != 1 {
		t.Errorf("teams: %v", teams)
	}
	if c := teams[1].Counts; c.GetBusy() != 1 || c.GetOnline()+c.GetOffline()+c.GetAway()+c.GetReconnecting() != 0 {
		t.Errorf("of those who are left it counts %v", c)
	}
	v.Apply(&weftv1.PresenceWatchResponse{Changes: []*weftv1.PresenceChange{{TeamId: "1", Person: person("cid", "away"), Cause: "team"}, {TeamId: "1", Person: person("ben", "reconnecting")}}})
	if c := v.Teams()[1].Counts; c.GetAway() != 1 || c.GetReconnecting() != 1 || c.GetBusy() != 0 {
		t.Errorf("with who has come it counts %v", c)
	}
	// Where only some are looked at, the node counts.
	v.Apply(&weftv1.PresenceWatchResponse{Snapshot: []*weftv1.TeamPresence{{TeamId: "4", Team: "dock", People: []*weftv1.PersonPresence{person("ada", "offline")}, Counts: &weftv1.PresenceCounts{Online: 3, Offline: 1}}}})
	v.Apply(&weftv1.PresenceWatchResponse{Changes: []*weftv1.PresenceChange{{TeamId: "4", Person: person("ada", "online")}}})
	if c := v.Teams()[2].Counts; c.GetOnline() != 3 {
		t.Errorf("of a team of which one is looked at it counts %v", c)
	}
	v.Apply(&weftv1.PresenceWatchResponse{Counts: []*weftv1.TeamPresence{{TeamId: "4", Counts: &weftv1.PresenceCounts{Online: 4}}}})
	if c := v.Teams()[2].Counts; c.GetOnline() != 4 || c.GetOffline() != 0 {
		t.Errorf("then it counts %v", c)
	}
	v.Apply(&weftv1.PresenceWatchResponse{TeamsGone: []string{"1", "4"}})
	if len(v.Teams()) != 1 {
		t.Errorf("after the team is gone: %v", v.Teams())
	}
	v.Apply(&weftv1.PresenceWatchResponse{Snapshot: []*weftv1.TeamPresence{{TeamId: "2", Team: "club"}}})
	if v.Teams()[0].CountsOnly {
		t.Error("a snapshot doesn't replace what was before")
	}
}
