package rpc_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/client"
	"weft/presence"
	"weft/rpc/rpctest"
	"weft/team"
)

// crowd makes people members of a team, who live at r's node, and returns them.
func crowd(t *testing.T, r *rpctest.Rig, id board.TeamID, count int) (all []team.Identity) {
	t.Helper()
	for i := range count {
		who := rpctest.Person(t, fmt.Sprintf("p%04d", i), fmt.Sprint(t.Name(), "/", i), r.Node)
		present, err := team.NewPresent(id, who)
		if err == nil {
			_, err = r.Store.AppendObject(t.Context(), id, present)
		}
		var set *team.Object
		if err == nil {
			set, err = team.NewSet(r.State(t, id), r.Identity, who.User, team.Member, nil, "", [16]byte{byte(i), byte(i >> 8), 1})
		}
		if err == nil {
			_, err = r.Store.AppendObject(t.Context(), id, set)
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, who)
	}
	r.TellTeams()
	return all
}

func attach(t *testing.T, r *rpctest.Rig, who team.Identity) {
	t.Helper()
	if _, err := r.Hub.Attach(who.User, who.Device.Public(), "test"); err != nil {
		t.Fatal(err)
	}
}

// view is what a program that watches by the client package has been shown.
type view struct {
	mu      sync.Mutex
	seen    client.PresenceView // guarded by mu
	changes int                 // guarded by mu
	starts  int                 // guarded by mu
}

func (v *view) look(f func(*client.PresenceView)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f(&v.seen)
}

// viewOf follows presence by the client package until the test ends.
func viewOf(t *testing.T, r *rpctest.Rig, o client.PresenceOptions) *view {
	t.Helper()
	v := &view{}
	ctx, cancel := context.WithCancel(t.Context())
	c := client.New(client.Options{Socket: r.Socket})
	var wg sync.WaitGroup
	t.Cleanup(func() { cancel(); wg.Wait(); c.Close() })
	wg.Go(func() {
		for m, err := range c.WatchPresence(ctx, o) {
			if err != nil {
				if ctx.Err() == nil {
					t.Error(err)
				}
				return
			}
			v.mu.Lock()
			v.seen.Apply(m)
			v.changes, v.starts = v.changes+len(m.Changes), v.starts+len(m.Snapshot)
			v.mu.Unlock()
		}
	})
	return v
}

// heard is how many changes and snapshots of teams have come.
func (v *view) heard() (changes, starts int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.changes, v.starts
}

// has says whether the program is shown everybody with a status.
func (v *view) has(people []team.Identity, status string) (all bool) {
	v.look(func(seen *client.PresenceView) {
		shown := 0
		for _, t := range seen.Teams() {
			for _, who := range people {
				if p := seen.Person(t.TeamId, who.User.String()); p != nil && p.Status == status {
					shown++
				}
			}
		}
		all = shown == len(people)
	})
	return all
}

// Streams are opened by programs at two nodes while people change: whenever a stream began, its snapshot and what came after it add
// up to what a snapshot shows, with nothing lost between the two. Each person changes once while streams open, so that
// no later change hides one that was lost.
func TestWhatAStreamAddsUpToIsWhatASnapshotShows(t *testing.T) {
	a, id, bob := withBob(t)
	everybody := crowd(t, a, id, 60)
	b := bobs(t, a, id, bob)
	b.TellTeams()
	rpctest.Connect(t, a, b)
	for _, who := range everybody {
		attach(t, a, who)
	}
	views := map[*rpctest.Rig][]*view{}
	for round := range presence.SetsAtOnce { // of which no one is held back
		status := fmt.Sprint("round ", round)
		for i, who := range everybody {
			if i%8 == 4 {
				for _, r := range []*rpctest.Rig{a, b} {
					views[r] = append(views[r], viewOf(t, r, client.PresenceOptions{Devices: true}))
				}
			}
			if _, err := a.Hub.Set(who.User, nil, presence.Setting{Availability: presence.Busy, Status: status}, false); err != nil {
				t.Fatal(err)
			}
		}
		for r, all := range views {
			for i, v := range all {
				waitUntil(t, fmt.Sprintf("%s at the %dth program of %s", status, i, r.Identity.Name), func() bool { return v.has(everybody, status) })
			}
		}
	}
	for r, all := range views {
		for i, v := range all {
			var shown, is string
			for range 1000 { // what was set is shown; when people were last active may follow
				if shown, is = v.differs(must(t, r.Client.Presence.Snapshot, &weftv1.PresenceSnapshotRequest{Devices: true}).Teams); shown == is {
					break
				}
				<-time.After(10 * time.Millisecond)
			}
			if shown != is {
				t.Fatalf("the %dth program of %s is shown\n%s, a snapshot is\n%s", i, r.Identity.Name, shown, is)
			}
			if _, starts := v.heard(); starts != 1 {
				t.Errorf("program %d of %s was given %d snapshots", i, r.Identity.Name, starts)
			}
		}
	}
}

// differs says what a program is shown otherwise than a snapshot.
func (v *view) differs(want []*weftv1.TeamPresence) (shown, is string) {
	v.look(func(seen *client.PresenceView) {
		got := seen.Teams()
		if len(got) != len(want) {
			shown, is = fmt.Sprint(len(got), " teams"), fmt.Sprint(len(want))
			return
		}
		for i := range got {
			if !proto.Equal(got[i].Counts, want[i].Counts) {
				shown, is = fmt.Sprint(got[i].Counts), fmt.Sprint(want[i].Counts)
			}
			for j, p := range want[i].People {
				if q := seen.Person(want[i].TeamId, p.UserId); len(got[i].People) != len(want[i].People) || !proto.Equal(p, q) {
					shown, is = fmt.Sprint(q), fmt.Sprint(want[i].People[j])
				}
			}
		}
	})
	return shown, is
}

// Of a team of more than 256 people a program is shown how many are how, and the people that it looks at, and of the others
// nothing; all of them come in pages.
func TestOfALargeTeamCountsAndThePeopleLookedAtAreShown(t *testing.T) {
	r := rpctest.Start(t)
	id := r.Team(t, "crew")
	everybody := crowd(t, r, id, 1030)
	waitUntil(t, "ada is there", func() bool {
		s := must(t, r.Client.Presence.Snapshot, &weftv1.PresenceSnapshotRequest{Team: "crew"}).Teams
		return len(s) == 1 && s[0].CountsOnly && len(s[0].People) == 0 && s[0].Counts.Online == 1 && s[0].Counts.Offline == 1030
	})
	counts := viewOf(t, r, client.PresenceOptions{})
	one := viewOf(t, r, client.PresenceOptions{Teams: []string{"crew"}, People: []string{"p0007", everybody[9].User.String()}})
	// follows is what a program is shown of the team: how many are there, and the people.
	follows := func(v *view) (online, people int, only bool) {
		v.look(func(seen *client.PresenceView) {
			for _, x := range seen.Teams() {
				online, people, only = int(x.Counts.GetOnline()), len(x.People), x.CountsOnly
			}
		})
		return online, people, only
	}
	waitUntil(t, "both have begun", func() bool {
		n, m, only := follows(counts)
		k, l, some := follows(one)
		return n == 1 && m == 0 && only && k == 1 && l == 2 && !some
	})
	for _, who := range everybody[:500] {
		attach(t, r, who)
	}
	waitUntil(t, "both are shown how many there are", func() bool {
		n, _, _ := follows(counts)
		k, _, _ := follows(one)
		return n == 501 && k == 501
	})
	waitUntil(t, "the people looked at are shown", func() bool {
		ok := false
		one.look(func(seen *client.PresenceView) {
			ok = seen.Person(id.String(), everybody[7].User.String()).GetState() == "online" && seen.Person(id.String(), everybody[9].User.String()).GetState() == "online"
		})
		return ok
	})
	changes, _ := counts.heard()
	if _, m, _ := follows(counts); m != 0 || changes != 0 {
		t.Errorf("who looks at nobody was shown %d people and %d changes", m, changes)
	}
	changes, _ = one.heard()
	if _, m, _ := follows(one); m != 2 || changes != 2 {
		t.Errorf("who looks at two was shown %d people and %d changes", m, changes)
	}

	states, pages := map[string]string{}, 0
	for after := ""; ; pages++ {
		page := must(t, r.Client.Presence.Snapshot, &weftv1.PresenceSnapshotRequest{Team: "crew", Everybody: true, After: after})
		for _, x := range page.Teams {
			if x.Counts.GetOnline() != 501 || x.Counts.GetOffline() != 530 {
				t.Errorf("a page counts %v", x.Counts)
			}
			for _, p := range x.People {
				if states[p.UserId] != "" {
					t.Errorf("%s comes twice", p.Name)
				}
				states[p.UserId] = p.State
			}
		}
		if after = page.Next; after == "" {
			break
		}
		if n := len(states); n < 1000 {
			t.Errorf("a page ends after %d people", n)
		}
	}
	if len(states) != 1031 || pages != 1 {
		t.Errorf("in %d pages and a last one there were %d people", pages, len(states))
	}
	for i, who := range everybody {
		if want := map[bool]string{true: "online", false: "offline"}[i < 500]; states[who.User.String()] != want {
			t.Fatalf("%s is shown as %q in a page, not %s", who.Name, states[who.User.String()], want)
		}
	}
}

// Of a team that was disbanded nobody is shown, and nobody can be reached.
func TestADisbandedTeamShowsNobody(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	shown(t, r, "ada", "online")
	must(t, r.Client.Teams.Disband, &weftv1.DisbandRequest{Team: "crew"})
	for name, call := range map[string]func() error{
		"snapshot": func() error {
			_, err := r.Client.Presence.Snapshot(t.Context(), connect.NewRequest(&weftv1.PresenceSnapshotRequest{Team: "crew"}))
			return err
		},
		"set": func() error {
			_, err := r.Client.Presence.SetPresence(t.Context(), connect.NewRequest(&weftv1.SetPresenceRequest{Team: "crew", State: "busy"}))
			return err
		},
		"why": func() error {
			_, err := r.Client.Presence.Why(t.Context(), connect.NewRequest(&weftv1.PresenceWhyRequest{Team: "crew", User: "ada"}))
			return err
		},
		"say": func() error {
			_, err := r.Client.Say(t.Context(), "crew", &weftv1.LiveSend{Body: []byte("anybody?")})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { refused(t, call(), "TEAM_CLOSED", connect.CodeFailedPrecondition) })
	}
}

// A program that names a team is shown and told of that one only.
func TestATeamThatIsNamedNarrowsTheStreams(t *testing.T) {
	a, b, _ := pair(t)
	club := a.Team(t, "club")
	a.Admit(t, club, b.Identity, team.Member)
	b.Copy(t, a, club)
	b.TellTeams()
	shown(t, a, "bob", "online")
	waitUntil(t, "bob is in both teams", func() bool {
		teams := must(t, a.Client.Presence.Snapshot, &weftv1.PresenceSnapshotRequest{}).Teams
		return len(teams) == 2 && teams[0].Counts.Online == 2 && teams[1].Counts.Online == 2
	})
	w := watchPeople(t, a, &weftv1.PresenceWatchRequest{Teams: []string{"crew"}})
	if teams := w.Teams(); len(teams) != 1 || teams[0].Team != "crew" {
		t.Errorf("shown are %v", teams)
	}
	must(t, b.Client.Presence.SetPresence, &weftv1.SetPresenceRequest{State: "busy"})
	w.until(t, "bob", "busy")
	for _, c := range w.changes {
		if c.TeamId == club.String() {
			t.Errorf("told of %v", c)
		}
	}
	why := must(t, a.Client.Presence.Why, &weftv1.PresenceWhyRequest{User: "bob"})
	if len(why.Reasons) != 2 || why.Reasons[0].Team == why.Reasons[1].Team {
		t.Errorf("of two teams: %v", why.Reasons)
	}
	l := listen(t, b, &weftv1.LiveSubscribeRequest{Teams: []string{"club"}})
	say(t, a, &weftv1.LiveSend{Body: []byte("to the crew")})
	if _, err := a.Client.Say(t.Context(), "club", &weftv1.LiveSend{Body: []byte("to the club")}); err != nil {
		t.Fatal(err)
	}
	if got := l.take(1); string(got[0].Body) != "to the club" || got[0].TeamId != club.String() {
		t.Errorf("heard %v", got)
	}
}
