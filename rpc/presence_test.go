package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/client"
	"weft/rpc/rpctest"
)

// people is who is shown in crew, by name.
func people(t *testing.T, r *rpctest.Rig) map[string]*weftv1.PersonPresence {
	t.Helper()
	out := map[string]*weftv1.PersonPresence{}
	res := must(t, r.Client.Presence.Snapshot, &weftv1.PresenceSnapshotRequest{Team: "crew", Devices: true})
	for _, p := range res.Teams[0].People {
		out[p.Name] = p
	}
	return out
}

// shown waits until somebody is shown in a state.
func shown(t *testing.T, r *rpctest.Rig, name, state string) *weftv1.PersonPresence {
	t.Helper()
	var p *weftv1.PersonPresence
	waitUntil(t, name+" is "+state, func() bool {
		p = people(t, r)[name]
		return p.GetState() == state
	})
	return p
}

// pair are the nodes of ada and bob, linked.
func pair(t *testing.T) (ada, bob *rpctest.Rig, cut func()) {
	t.Helper()
	a, id, person := withBob(t)
	b := bobs(t, a, id, person)
	b.TellTeams()
	l := rpctest.Connect(t, a, b)
	return a, b, l.Cut
}

func TestPeopleOfOtherNodesAreShown(t *testing.T) {
	a, b, _ := pair(t)
	p := shown(t, a, "bob", "online")
	if p.Devices != 1 || len(p.ShownDevices) != 1 || len(p.ShownDevices[0].Device) != 16 || p.ShownDevices[0].NodeId != peerText(t, b.Node.Public()) || p.SinceMs == 0 {
		t.Errorf("bob is shown as %v", p)
	}
	shown(t, b, "ada", "online")
	res := must(t, a.Client.Presence.Snapshot, &weftv1.PresenceSnapshotRequest{})
	if len(res.Teams) != 1 || res.Teams[0].Team != "crew" || res.Teams[0].Counts.Online != 2 || res.Teams[0].CountsOnly || res.Next != "" {
		t.Errorf("snapshot of all: %v", res)
	}
	only := must(t, a.Client.Presence.Snapshot, &weftv1.PresenceSnapshotRequest{Team: "crew", People: []string{"bob"}})
	if len(only.Teams[0].People) != 1 || only.Teams[0].People[0].Name != "bob" || len(only.Teams[0].People[0].ShownDevices) != 0 {
		t.Errorf("only bob: %v", only)
	}
}

func TestWhatIsSetIsShownAndOutlastsTheNode(t *testing.T) {
	a, b, cut := pair(t)
	shown(t, a, "bob", "online")
	res := must(t, b.Client.Presence.SetPresence, &weftv1.SetPresenceRequest{State: "busy", Status: " in a meeting ", ForMs: 3_600_000})
	if res.State != "busy" || res.UntilMs < uint64(time.Now().UnixMilli()) {
		t.Errorf("answer %v", res)
	}
	if p := shown(t, a, "bob", "busy"); p.Status != "in a meeting" || p.UntilMs != res.UntilMs {
		t.Errorf("bob is shown as %v", p)
	}
	cut()
	b.Restart()
	if p := shown(t, b, "bob", "busy"); p.Status != "in a meeting" || p.UntilMs != res.UntilMs {
		t.Errorf("after the restart bob is shown as %v", p)
	}
	if res := must(t, b.Client.Presence.SetPresence, &weftv1.SetPresenceRequest{Clear: true}); res.State != "online" {
		t.Errorf("cleared: %v", res)
	}
	if p := shown(t, b, "bob", "online"); p.Status != "" || p.UntilMs != 0 {
		t.Errorf("cleared, bob is shown as %v", p)
	}
}

func TestASettingOfATeamIsForThatTeamOnly(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	r.Team(t, "book club")
	must(t, r.Client.Presence.SetPresence, &weftv1.SetPresenceRequest{State: "away"})
	must(t, r.Client.Presence.SetPresence, &weftv1.SetPresenceRequest{State: "busy", Team: "crew"})
	states := func() map[string]string {
		out := map[string]string{}
		for _, team := range must(t, r.Client.Presence.Snapshot, &weftv1.PresenceSnapshotRequest{}).Teams {
			out[team.Team] = team.People[0].State
		}
		return out
	}
	waitUntil(t, "both are shown", func() bool { s := states(); return s["crew"] == "busy" && s["book club"] == "away" })
	must(t, r.Client.Presence.SetPresence, &weftv1.SetPresenceRequest{Team: "crew", Clear: true})
	waitUntil(t, "the team follows again", func() bool { s := states(); return s["crew"] == "away" && s["book club"] == "away" })
}

// What somebody has set is told to themselves, as far as it holds.
func TestTheUserLearnsWhatIsSet(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	settings := func() (out []string) {
		for _, s := range must(t, r.Client.Presence.Settings, &weftv1.PresenceSettingsRequest{}).Settings {
			if s.SetMs == 0 || (s.TeamId == "") != (s.Team == "") {
				t.Errorf("setting %v", s)
			}
			out = append(out, fmt.Sprintf("%s/%s/%s/%t", s.Team, s.State, s.Status, s.UntilMs > 0))
		}
		return out
	}
	if got := settings(); got != nil {
		t.Errorf("at first %q is set", got)
	}
	must(t, r.Client.Presence.SetPresence, &weftv1.SetPresenceRequest{State: "invisible"})
	must(t, r.Client.Presence.SetPresence, &weftv1.SetPresenceRequest{State: "busy", Status: "lunch", Team: "crew", ForMs: 3_600_000})
	if got, want := settings(), []string{"/invisible//false", "crew/busy/lunch/true"}; !slices.Equal(got, want) {
		t.Errorf("%q is set, want %q", got, want)
	}
	r.Restart()
	must(t, r.Client.Presence.SetPresence, &weftv1.SetPresenceRequest{Clear: true})
	must(t, r.Client.Presence.SetPresence, &weftv1.SetPresenceRequest{State: "away", Team: "crew", ForMs: 1})
	waitUntil(t, "what is over is gone", func() bool { return settings() == nil })
}

func TestInvisibleLooksOfflineToOthers(t *testing.T) {
	a, b, _ := pair(t)
	shown(t, a, "bob", "online")
	must(t, b.Client.Presence.SetPresence, &weftv1.SetPresenceRequest{State: "busy", ForMs: 3_600_000})
	shown(t, a, "bob", "busy")
	must(t, b.Client.Presence.SetPresence, &weftv1.SetPresenceRequest{Clear: true})
	shown(t, a, "bob", "online")
	must(t, b.Client.Presence.SetPresence, &weftv1.SetPresenceRequest{State: "invisible", Status: "not for you"})
	p := shown(t, a, "bob", "offline")
	if p.Status != "" || p.Devices != 0 || len(p.ShownDevices) != 0 || p.UntilMs != 0 {
		t.Errorf("bob is shown as %v", p)
	}
	shown(t, b, "ada", "online")
}

// watched folds a watch of presence.
type watched struct {
	client.PresenceView
	stream  *connect.ServerStreamForClient[weftv1.PresenceWatchResponse]
	changes []*weftv1.PresenceChange
	gone    []string
}

func watchPeople(t *testing.T, r *rpctest.Rig, m *weftv1.PresenceWatchRequest) *watched {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s, err := r.Client.Presence.Watch(ctx, connect.NewRequest(m))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); s.Close() })
	w := &watched{stream: s}
	w.next(t)
	return w
}

func (w *watched) next(t *testing.T) {
	t.Helper()
	if !w.stream.Receive() {
		t.Fatalf("the stream has ended: %v", w.stream.Err())
	}
	w.Apply(w.stream.Msg())
	w.changes, w.gone = append(w.changes, w.stream.Msg().Changes...), append(w.gone, w.stream.Msg().TeamsGone...)
}

// until reads until somebody is in a state.
func (w *watched) until(t *testing.T, name, state string) *weftv1.PersonPresence {
	t.Helper()
	for {
		for _, team := range w.Teams() {
			for _, p := range team.People {
				if p.Name == name && p.State == state {
					return p
				}
			}
		}
		w.next(t)
	}
}

func TestAWatchIsASnapshotAndWhatComesAfterIt(t *testing.T) {
	a, b, _ := pair(t)
	shown(t, a, "bob", "online")
	w := watchPeople(t, a, &weftv1.PresenceWatchRequest{Teams: []string{"crew"}})
	if teams := w.Teams(); len(teams) != 1 || len(teams[0].People) != 2 || teams[0].People[1].State != "online" || teams[0].Counts.Online != 2 {
		t.Fatalf("the snapshot is %v", teams)
	}
	must(t, b.Client.Presence.SetPresence, &weftv1.SetPresenceRequest{State: "busy", Status: "lunch"})
	if p := w.until(t, "bob", "busy"); p.Status != "lunch" {
		t.Errorf("bob is %v", p)
	}
	last := w.changes[len(w.changes)-1]
	if last.Was != "online" || last.Cause != "set" {
		t.Errorf("the change is %v", last)
	}
}

func TestWhoIsRemovedHearsNothingMoreOfTheTeam(t *testing.T) {
	a, b, _ := pair(t)
	id := must(t, a.Client.Teams.GetTeam, &weftv1.GetTeamRequest{Team: "crew"}).Team.TeamId
	shown(t, b, "ada", "online")
	his, hers := watchPeople(t, b, &weftv1.PresenceWatchRequest{}), watchPeople(t, a, &weftv1.PresenceWatchRequest{})
	hers.until(t, "bob", "online")
	must(t, a.Client.Teams.SetRole, &weftv1.SetRoleRequest{Team: "crew", User: "bob", Role: "removed"})
	a.TellTeams()
	for user := b.Identity.User.String(); hers.Person(id, user) != nil; {
		hers.next(t)
	}
	b.Copy(t, a, teamID(t, id))
	b.TellTeams()
	for len(his.gone) == 0 {
		his.next(t)
	}
	if his.gone[0] != id || len(his.Teams()) != 0 {
		t.Errorf("bob's stream: gone %v, still shows %v", his.gone, his.Teams())
	}
	_, err := b.Client.Presence.Snapshot(t.Context(), connect.NewRequest(&weftv1.PresenceSnapshotRequest{Team: "crew"}))
	refused(t, err, "REMOVED", connect.CodePermissionDenied)
	_, err = b.Client.Say(t.Context(), "crew", &weftv1.LiveSend{Body: []byte("still here")})
	refused(t, err, "REMOVED", connect.CodePermissionDenied)
	if res := must(t, b.Client.Presence.Snapshot, &weftv1.PresenceSnapshotRequest{}); len(res.Teams) != 0 {
		t.Errorf("bob sees %v", res)
	}
}

func TestASessionIsThereWhileItsStreamIs(t *testing.T) {
	a, b, _ := pair(t)
	b.Hub.Own().Close(true)
	shown(t, a, "bob", "offline")
	s, err := b.Client.Attach(t.Context(), "test/1")
	if err != nil {
		t.Fatal(err)
	}
	shown(t, b, "bob", "online")
	if err := s.SetPayload(t.Context(), []byte("48.1 11.6")); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "ada sees the payload", func() bool {
		p := people(t, a)["bob"]
		return len(p.ShownDevices) == 1 && string(p.ShownDevices[0].Payload) == "48.1 11.6" && p.ShownDevices[0].PayloadMs > 0
	})
	if err := s.Report(t.Context(), true, time.Hour); err != nil {
		t.Fatal(err)
	}
	shown(t, b, "bob", "away")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	shown(t, b, "bob", "offline")
	if s.Err() != nil {
		t.Errorf("the session ended with %v", s.Err())
	}
}

func TestAStreamThatBreaksIsNoGoodbye(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	r.Hub.Own().Close(true)
	ctx, lose := context.WithCancel(t.Context())
	if _, err := r.Client.Attach(ctx, "test/1"); err != nil {
		t.Fatal(err)
	}
	lose()
	shown(t, r, "ada", "reconnecting")
}

func TestWhySaysWhatEachHomeSays(t *testing.T) {
	a, b, _ := pair(t)
	shown(t, a, "bob", "online")
	res := must(t, a.Client.Presence.Why, &weftv1.PresenceWhyRequest{User: "bob"})
	if res.Shown.Name != "bob" || res.Shown.State != "online" || len(res.Reasons) != 1 {
		t.Fatalf("why: %v", res)
	}
	if w := res.Reasons[0]; w.NodeId != peerText(t, b.Node.Public()) || w.Self || w.Team != "crew" || w.Health != "alive" || w.Says != "online" || w.Words == "" || w.LeaseUntilMs == 0 || w.Number == 0 {
		t.Errorf("the reason is %v", w)
	}
	if own := must(t, a.Client.Presence.Why, &weftv1.PresenceWhyRequest{User: "ada", Team: "crew"}); len(own.Reasons) != 1 || !own.Reasons[0].Self {
		t.Errorf("of oneself: %v", own)
	}
}

func TestBadPresenceCallsAreRefused(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	set := func(m *weftv1.SetPresenceRequest) error {
		_, err := r.Client.Presence.SetPresence(t.Context(), connect.NewRequest(m))
		return err
	}
	report := func(m *weftv1.ReportRequest) error {
		_, err := r.Client.Presence.Report(t.Context(), connect.NewRequest(m))
		return err
	}
	snapshot := func(m *weftv1.PresenceSnapshotRequest) error {
		_, err := r.Client.Presence.Snapshot(t.Context(), connect.NewRequest(m))
		return err
	}
	_, unnamed := r.Client.Presence.Detach(t.Context(), connect.NewRequest(&weftv1.DetachRequest{}))
	_, unknown := r.Client.Presence.Why(t.Context(), connect.NewRequest(&weftv1.PresenceWhyRequest{User: "nobody"}))
	for name, c := range map[string]struct {
		err    error
		reason string
		code   connect.Code
	}{
		"state":            {set(&weftv1.SetPresenceRequest{State: "offline"}), "UNKNOWN_OPTION", connect.CodeInvalidArgument},
		"no state":         {set(&weftv1.SetPresenceRequest{Status: "x"}), "EMPTY", connect.CodeInvalidArgument},
		"set and clear":    {set(&weftv1.SetPresenceRequest{State: "away", Clear: true}), "MALFORMED", connect.CodeInvalidArgument},
		"long status":      {set(&weftv1.SetPresenceRequest{State: "away", Status: strings.Repeat("x", 257)}), "TOO_LARGE", connect.CodeInvalidArgument},
		"for ever":         {set(&weftv1.SetPresenceRequest{State: "away", ForMs: 1 << 63}), "TOO_LARGE", connect.CodeInvalidArgument},
		"team":             {set(&weftv1.SetPresenceRequest{State: "away", Team: "nowhere"}), "NOT_FOUND", connect.CodeNotFound},
		"payload":          {report(&weftv1.ReportRequest{Payload: make([]byte, 1025), SetPayload: true}), "TOO_LARGE", connect.CodeInvalidArgument},
		"payload unmeant":  {report(&weftv1.ReportRequest{Payload: []byte("x")}), "MALFORMED", connect.CodeInvalidArgument},
		"session":          {report(&weftv1.ReportRequest{Session: "guess"}), "NOT_FOUND", connect.CodeNotFound},
		"detach":           {unnamed, "EMPTY", connect.CodeInvalidArgument},
		"why of whom":      {unknown, "NOT_FOUND", connect.CodeNotFound},
		"page":             {snapshot(&weftv1.PresenceSnapshotRequest{Everybody: true, After: "x"}), "BAD_TOKEN", connect.CodeInvalidArgument},
		"page of some":     {snapshot(&weftv1.PresenceSnapshotRequest{After: "x"}), "MALFORMED", connect.CodeInvalidArgument},
		"some and all":     {snapshot(&weftv1.PresenceSnapshotRequest{Team: "crew", People: []string{"ada"}, Everybody: true}), "MALFORMED", connect.CodeInvalidArgument},
		"too many at once": {snapshot(&weftv1.PresenceSnapshotRequest{Team: "crew", People: make([]string, 1001)}), "TOO_MANY", connect.CodeInvalidArgument},
	} {
		t.Run(name, func(t *testing.T) { refused(t, c.err, c.reason, c.code) })
	}
}

func TestStreamsOfPresenceEndWithTheNode(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	w := watchPeople(t, r, &weftv1.PresenceWatchRequest{})
	l := listen(t, r, &weftv1.LiveSubscribeRequest{})
	attached, err := r.Client.Presence.Attach(t.Context(), connect.NewRequest(&weftv1.AttachRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	if !attached.Receive() || attached.Msg().Session == "" {
		t.Fatalf("no session: %v", attached.Err())
	}
	r.Stop()
	for name, end := range map[string]func() (bool, error){
		"watch":  func() (bool, error) { return w.stream.Receive(), w.stream.Err() },
		"listen": func() (bool, error) { return l.stream.Receive(), l.stream.Err() },
		"attach": func() (bool, error) { return attached.Receive(), attached.Err() },
	} {
		for {
			more, err := end()
			if more {
				continue
			}
			var c *connect.Error
			if !errors.As(err, &c) || c.Code() != connect.CodeUnavailable {
				t.Errorf("%s ended with %v", name, err)
			}
			break
		}
	}
}

func TestTrafficIsCounted(t *testing.T) {
	r := rpctest.Start(t)
	id := r.Team(t, "crew")
	r.Mesh.SetTraffic(rpcTraffic(id))
	watchPeople(t, r, &weftv1.PresenceWatchRequest{})
	listen(t, r, &weftv1.LiveSubscribeRequest{})
	res := must(t, r.Client.Nodes.GetTraffic, &weftv1.GetTrafficRequest{})
	if len(res.Kinds) != 2 || res.Kinds[0].Kind != "presence" || res.Kinds[1].ReceivedBytes != 7 || len(res.Topics) != 1 || res.Topics[0].Team != "crew" || res.Topics[0].Peers != 3 {
		t.Errorf("traffic %v", res)
	}
	if res.Sessions != 1 || res.Watchers != 1 || res.Listeners != 1 {
		t.Errorf("open: %v", res)
	}
}
