package hub

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weft/board"
	"weft/presence"
	"weft/presence/detect"
)

// TestAPersonIsSeenOnOtherNodes: from a session to another node's watcher, with settings, health and a lost beat.
func TestAPersonIsSeenOnOtherNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hubs, cables, st, ids := three(t, nil)
		w, err := hubs["bob"].Watch(WatchFilter{Viewer: ids["bob"].User})
		if err != nil {
			t.Fatal(err)
		}
		first, err := w.Next(t.Context())
		if err != nil || len(first.Snapshot) != 1 || len(first.Snapshot[0].People) != 3 {
			t.Fatalf("%+v %v", first, err)
		}
		began := time.Now()
		s := attach(t, hubs["ann"], ids["ann"])
		b, err := w.Next(t.Context())
		if took := time.Since(began); err != nil || len(b.Changes) != 1 || b.Changes[0].Person.State != presence.Online || took > 100*time.Millisecond {
			t.Fatalf("after %s: %+v %v", took, b, err)
		}
		shown := func(want presence.State) {
			t.Helper()
			pass(100 * time.Millisecond)
			for name, h := range hubs {
				if got := stateAt(t, h, st.ID(), ids["bob"].User, ids["ann"].User); got != want {
					t.Errorf("%s shows %s instead of %s", name, got, want)
				}
			}
		}
		if _, err := hubs["ann"].Set(ids["ann"].User, nil, presence.Setting{Availability: presence.Busy, Status: "x"}, false); err != nil {
			t.Fatal(err)
		}
		shown(presence.Busy)
		pass(20 * time.Second)
		cables["ann"].lose = true
		s.Close(true)
		pass(time.Second)
		cables["ann"].lose = false
		for _, name := range []string{"bob", "cid"} { // as pulses do
			h, shared := hubs[name], []board.TeamID{st.ID()}
			said := hubs["ann"].Digests(h.o.Self, shared)
			boot := [16]byte{'a'}
			if h.Agree(nodeOf("ann"), boot, shared, PulseDigest(boot, said)) {
				t.Errorf("%s agrees although a beat was lost", name)
			}
			differ := h.Differ(nodeOf("ann"), boot, shared, said)
			if len(differ) != 1 {
				t.Fatalf("%s: %d teams differ", name, len(differ))
			}
			cables[name].AskWhole(nodeOf("ann"), differ)
			if !h.Agree(nodeOf("ann"), boot, shared, PulseDigest(boot, said)) {
				t.Errorf("%s still differs", name)
			}
		}
		shown(presence.Offline)
		pass(20 * time.Second)
		attach(t, hubs["ann"], ids["ann"])
		shown(presence.Busy)
		for _, name := range []string{"bob", "cid"} {
			hubs[name].NodeHealth(nodeOf("ann"), detect.Health{Node: nodeOf("ann"), State: detect.Dead, Boot: [16]byte{'a'}, Since: time.Now()})
			if got := stateAt(t, hubs[name], st.ID(), ids["bob"].User, ids["ann"].User); got != presence.Offline {
				t.Errorf("%s shows %s of a dead node", name, got)
			}
		}
		why, err := hubs["bob"].Why(ids["bob"].User, st.ID(), ids["ann"].User)
		if err != nil || len(why) != 1 || why[0].Health.State != presence.NodeDead || why[0].Counts || why[0].Words == "" {
			t.Errorf("%+v %v", why, err)
		}
		if _, err := hubs["bob"].Why(testID("stranger"), st.ID(), ids["ann"].User); !errors.Is(err, board.ErrNotMember) {
			t.Errorf("a stranger: %v", err)
		}
	})
}

// TestASnapshotIsTheFoldOfTheStreamAtAnyCut, while sessions come and go and teams change, for readers of any speed.
func TestASnapshotIsTheFoldOfTheStreamAtAnyCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := start(t, "n", nil, Limits{})
		defer stop()
		id := board.TeamID(testID("crew"))
		c := people(40, "n")
		h.join(id, c)
		viewer := board.UserID(testID("p0"))
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(g), 1))
				for ctx.Err() == nil {
					u := board.UserID(testID(fmt.Sprint("p", r.IntN(40))))
					s, err := h.Attach(u, board.DeviceID(testID(fmt.Sprint("d", r.IntN(2)))), "test")
					if err != nil {
						t.Error(err)
						return
					}
					time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond)
					_ = s.Report(r.IntN(2) == 0, time.Minute)
					if r.IntN(3) == 0 {
						_, _ = h.Set(u, nil, presence.Setting{Availability: presence.Busy, Status: fmt.Sprint(r.IntN(9))}, r.IntN(2) == 0)
					}
					time.Sleep(time.Duration(r.IntN(20000)) * time.Millisecond)
					s.Close(r.IntN(2) == 0)
				}
			})
		}
		wg.Go(func() { // somebody leaves and comes back, again and again
			for i := 0; ctx.Err() == nil; i++ {
				time.Sleep(7 * time.Second)
				d := people(40, "n")
				if i%2 == 0 {
					delete(d.Where, testID("p7"))
				}
				h.join(id, d)
			}
		})
		for g := range 3 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(g), 2))
				w, err := h.Watch(WatchFilter{Viewer: viewer})
				if err != nil {
					t.Error(err)
					return
				}
				defer w.Close()
				have := map[board.UserID]presence.Person{}
				for {
					b, err := w.Next(ctx)
					if err != nil {
						return
					}
					foldBatch(have, &b)
					h.mu.Lock()
					now, rest := h.view(id, nil), map[board.UserID]presence.Person{}
					for u, p := range have {
						rest[u] = p
					}
					for k, c := range w.pending {
						rest[k.user] = c.Person
					}
					h.mu.Unlock()
					for _, p := range now.People {
						if q := rest[p.User]; !reflect.DeepEqual(p, q) {
							t.Errorf("a snapshot shows\n%+v\nthe stream adds up to\n%+v", p, q)
							return
						}
					}
					time.Sleep(time.Duration(r.IntN(g*3000+1)) * time.Millisecond)
				}
			})
		}
		time.Sleep(10 * time.Minute)
		cancel()
		wg.Wait()
	})
}

func foldBatch(have map[board.UserID]presence.Person, b *WatchBatch) {
	for _, v := range b.Snapshot {
		clear(have)
		for _, p := range v.People {
			have[p.User] = p
		}
	}
	for _, c := range b.Changes {
		have[c.Person.User] = c.Person
	}
}

// TestASlowWatcherHoldsOneChangeOfEachPerson, the latest, and hears how many it missed.
func TestASlowWatcherHoldsOneChangeOfEachPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := start(t, "n", nil, Limits{})
		defer stop()
		id := board.TeamID(testID("crew"))
		h.join(id, people(10, "n"))
		w, err := h.Watch(WatchFilter{Viewer: testID("p0")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			var all []*Session
			for i := range 10 {
				s, err := h.Attach(testID(fmt.Sprint("p", i)), testID("d"), "")
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, s)
			}
			pass(11 * time.Second)
			for _, s := range all {
				s.Close(true)
			}
			pass(11 * time.Second)
		}
		if len(w.pending) != 10 || len(w.order) != 10 {
			t.Errorf("%d changes wait", len(w.pending))
		}
		b, err := w.Next(t.Context())
		if err != nil || len(b.Changes) != 10 || b.Skipped != 90 {
			t.Fatalf("%d changes, %d skipped, %v", len(b.Changes), b.Skipped, err)
		}
		for _, c := range b.Changes {
			if c.Was != presence.Offline || c.Person.State != presence.Offline {
				t.Errorf("%+v", c)
			}
		}
		w.Close()
		if _, err := w.Next(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

// TestLargeTeamsGiveCountsAndThePeopleNamed: whoever doesn't look gets no person, and counts once a second.
func TestLargeTeamsGiveCountsAndThePeopleNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := start(t, "n", nil, Limits{})
		defer stop()
		id := board.TeamID(testID("crew"))
		h.join(id, people(LargeTeam+44, "n"))
		counts, err := h.Watch(WatchFilter{Viewer: testID("p0")})
		if err != nil {
			t.Fatal(err)
		}
		named, err := h.Watch(WatchFilter{Viewer: testID("p0"), People: []board.UserID{testID("p1")}})
		if err != nil {
			t.Fatal(err)
		}
		b, _ := counts.Next(t.Context())
		if len(b.Snapshot) != 1 || !b.Snapshot[0].CountsOnly || b.Snapshot[0].People != nil || b.Snapshot[0].Counts.Offline != 300 {
			t.Errorf("%+v", b)
		}
		b, _ = named.Next(t.Context())
		if len(b.Snapshot[0].People) != 1 || b.Snapshot[0].CountsOnly {
			t.Errorf("%+v", b)
		}
		told, online := 0, 0
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				b, err := counts.Next(ctx)
				if err != nil {
					return
				}
				if len(b.Changes) > 0 {
					t.Errorf("who doesn't look gets %d people", len(b.Changes))
				}
				for _, c := range b.Counts {
					told, online = told+1, c.Counts.Online
				}
			}
		})
		for i := range 100 {
			if _, err := h.Attach(testID(fmt.Sprint("p", i)), testID("d"), ""); err != nil {
				t.Fatal(err)
			}
			pass(100 * time.Millisecond)
		}
		pass(3 * time.Second)
		cancel()
		wg.Wait()
		if told < 1 || told > 12 || online != 100 {
			t.Errorf("counts came %d times in 10 s, the last said %d", told, online)
		}
		if b, _ := named.Next(t.Context()); len(b.Changes) != 1 || b.Changes[0].Person.User != testID("p1") {
			t.Errorf("%+v", b)
		}
		seen := map[board.UserID]bool{}
		var after board.UserID
		for {
			views, more, err := h.Snapshot(SnapshotRequest{Viewer: testID("p0"), Teams: []board.TeamID{id}, Everybody: true, After: after})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range views[0].People {
				seen[p.User], after = true, p.User
			}
			if !more {
				break
			}
		}
		if len(seen) != 300 {
			t.Errorf("in pages there are %d people", len(seen))
		}
	})
}

// TestWhatOutlastsTheDaemon: settings and when people were last active, in few writes.
func TestWhatOutlastsTheDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := start(t, "n", d, Limits{})
		id := board.TeamID(testID("crew"))
		h.join(id, people(300, "n"))
		changes := 0
		w, err := h.Watch(WatchFilter{Viewer: testID("p0"), People: allOf(300)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				b, err := w.Next(ctx)
				if err != nil {
					return
				}
				changes += len(b.Changes)
			}
		})
		for i := range 1000 {
			s, err := h.Attach(testID(fmt.Sprint("p", i%300)), testID("d"), "")
			if err != nil {
				t.Fatal(err)
			}
			pass(2 * time.Second)
			s.Close(true)
		}
		pass(time.Minute)
		cancel()
		wg.Wait()
		if d.count()*25 > changes || changes < 1000 || d.count() == 0 {
			t.Errorf("%d changes cost %d writes", changes, d.count())
		}
		writes := d.count()
		pass(3 * time.Hour)
		if d.count() > writes+2 {
			t.Errorf("in three hours in which nothing happened there were %d writes", d.count()-writes)
		}
		s, err := h.Attach(testID("p9"), testID("d"), "")
		if err != nil {
			t.Fatal(err)
		}
		writes = d.count()
		pass(2 * time.Hour)
		if d.count() > writes+122 || d.count() < writes+119 { // one a minute, of when that was
			t.Errorf("in two hours in which one person was there, %d writes", d.count()-writes)
		}
		s.Close(true)
		pass(time.Minute)
		u := board.UserID(testID("p5"))
		if _, err := h.Set(u, nil, presence.Setting{Availability: presence.Busy, Status: "away a while", Until: time.Now().Add(time.Hour).UnixMilli()}, false); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Set(u, &id, presence.Setting{Invisible: true}, false); err != nil {
			t.Fatal(err)
		}
		before := map[board.UserID]int64{}
		for _, p := range h.view(id, nameSet(allOf(300))).People {
			before[p.User] = p.LastActive
		}
		stop()
		pass(time.Minute)
		h, stop = start(t, "n", d, Limits{})
		defer stop()
		h.join(id, people(300, "n"))
		for _, p := range h.view(id, nameSet(allOf(300))).People {
			if p.LastActive != before[p.User] || p.LastActive == 0 {
				t.Fatalf("%s was last active at %d, before at %d", p.User, p.LastActive, before[p.User])
			}
		}
		if s := h.Settings(u); len(s) != 2 || s[0].Availability != presence.Busy || s[0].Status != "away a while" || s[0].Until == 0 || s[1].Team != id || !s[1].Invisible {
			t.Errorf("%+v", s)
		}
		if _, err := h.Attach(u, testID("d"), ""); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		if got := stateAt(t, h, id, u, u); got != presence.Offline {
			t.Errorf("who was invisible is %s after a restart", got)
		}
		if _, err := h.Set(u, &id, presence.Setting{}, true); err != nil {
			t.Fatal(err)
		}
		pass(11 * time.Second)
		if got := stateAt(t, h, id, u, u); got != presence.Busy {
			t.Errorf("what is set for all counts again: %s", got)
		}
		pass(2 * time.Hour)
		if got := stateAt(t, h, id, u, u); got != presence.Online {
			t.Errorf("it is over: %s", got)
		}
	})
}

func allOf(n int) (all []board.UserID) {
	for i := range n {
		all = append(all, testID(fmt.Sprint("p", i)))
	}
	return all
}

// TestSessionsAndWatchersAreLimited, and named.
func TestSessionsAndWatchersAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := start(t, "n", nil, Limits{Sessions: 3, UserSessions: 2, Watchers: 1, Listeners: 1})
		h.join(testID("crew"), people(3, "n"))
		var first *Session
		for i, want := range []error{nil, nil, ErrTooMany} {
			s, err := h.Attach(testID("p0"), testID("d"), "")
			if !errors.Is(err, want) {
				t.Errorf("session %d of one user: %v", i, err)
			}
			if first == nil {
				first = s
			}
		}
		if own, err := h.AttachOwn(testID("p1"), testID("d"), ""); err != nil || h.Own() != own {
			t.Errorf("%v", err)
		}
		if _, err := h.Attach(testID("p2"), testID("d"), ""); !errors.Is(err, ErrTooMany) {
			t.Errorf("too many sessions: %v", err)
		}
		if s, err := h.Session(testID("p0"), first.ID()); err != nil || s != first {
			t.Errorf("%v", err)
		}
		if _, err := h.Session(testID("p1"), first.ID()); !errors.Is(err, ErrUnknownSession) {
			t.Errorf("another user's session: %v", err)
		}
		if err := first.SetPayload(make([]byte, presence.MaxPayload+1)); !errors.Is(err, board.ErrTooLarge) {
			t.Errorf("%v", err)
		}
		first.Close(true)
		if err := first.Report(true, 0); !errors.Is(err, ErrUnknownSession) {
			t.Errorf("%v", err)
		}
		for i, want := range []error{nil, ErrTooMany} {
			if _, err := h.Watch(WatchFilter{Viewer: testID("p0")}); !errors.Is(err, want) {
				t.Errorf("watcher %d: %v", i, err)
			}
			if _, err := h.Listen(ListenFilter{Viewer: testID("p0")}); !errors.Is(err, want) {
				t.Errorf("listener %d: %v", i, err)
			}
		}
		if _, _, err := h.Snapshot(SnapshotRequest{Viewer: testID("p0"), Teams: []board.TeamID{testID("other")}}); !errors.Is(err, ErrUnknownTeam) {
			t.Errorf("%v", err)
		}
		stop()
		if _, err := h.Attach(testID("p0"), testID("d"), ""); !errors.Is(err, ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}
