package presence

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

// fold keeps what watchers of each node have been told.
type folded map[string]map[board.UserID]Person

func (w *world) foldAll() folded {
	f := folded{}
	for _, n := range w.names {
		f[n] = map[board.UserID]Person{}
	}
	w.seen = func(node string, c Changed) {
		for _, x := range c.Changes {
			f[node][x.Person.User] = x.Person
		}
	}
	return f
}

// TestBeatsConvergeWhateverTheNetworkDoes: beats are lost, doubled and overtake each other; watchers that compare
// digests at the end hold what the homes say, and what they were told is what a snapshot shows, all along.
func TestBeatsConvergeWhateverTheNetworkDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld("n1", "n2", "n3")
		people := []string{"ann", "bob", "cid", "dan", "eve"}
		for i, p := range people {
			homes := []string{w.names[i%3]}
			if i%2 == 0 {
				homes = append(homes, w.names[(i+1)%3])
			}
			w.person(p, homes...)
		}
		w.tellTeam()
		told := w.foldAll()
		loss := rapid.IntRange(0, 50).Draw(t, "loss")
		w.lose = func(string, string, *Beat) bool { return rapid.IntRange(0, 99).Draw(t, "lost") < loss }
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			w.randomStep(t, people)
			w.compareFold(t, told)
		}
		w.hold, w.lose = false, nil
		w.scramble(t)
		w.wait(2 * time.Minute) // grace, damping, questions
		for _, at := range w.names {
			for _, of := range w.names {
				if at != of {
					w.pulse(at, of)
				}
			}
		}
		w.wait(time.Minute)
		w.compareFold(t, told)
		for _, at := range w.names {
			for _, u := range w.tables[at].Members(w.team) {
				a, _ := w.tables[at].Person(w.team, u)
				b, _ := w.tables["n1"].Person(w.team, u)
				if a.State != b.State || a.Status != b.Status || !slices.EqualFunc(a.Devices, b.Devices, func(x, y PersonDevice) bool {
					return x.ID == y.ID && x.Node == y.Node && x.State == y.State && bytes.Equal(x.Payload, y.Payload)
				}) {
					t.Fatalf("%s shows %s, n1 shows %s", at, w.describe(a), w.describe(b))
				}
				if want := w.truth(u); a.State != want {
					t.Fatalf("%s shows %s, who is %s", at, w.describe(a), want)
				}
			}
		}
	})
}

// truth is how somebody should be shown, from the sessions and settings at their homes.
func (w *world) truth(u board.UserID) State {
	best := Offline
	var s Setting
	for _, h := range w.crew.Where[u] {
		o := w.tables[w.where[h]].people[u]
		if o == nil {
			continue
		}
		for _, d := range o.devices {
			best = max(best, d.state())
		}
		if x := o.setting(w.team); x.SetAt >= s.SetAt {
			s = x
		}
	}
	if s.Invisible {
		return Offline
	}
	return available(best, s.Availability)
}

func (w *world) randomStep(t *rapid.T, people []string) {
	user := rapid.SampledFrom(people).Draw(t, "user")
	homes := w.crew.Where[testID(user)]
	node := w.where[homes[rapid.IntRange(0, len(homes)-1).Draw(t, "home")]]
	dev := rapid.SampledFrom([]string{"lap", "tel"}).Draw(t, "device")
	k := user + "/" + dev + "@" + node
	_, there := w.open[k]
	switch rapid.IntRange(0, 11).Draw(t, "what") {
	case 0, 1, 2:
		if !there {
			w.attach(user, dev, node)
		}
	case 3:
		w.detach(user, dev, node, true)
	case 4:
		w.detach(user, dev, node, false)
	case 5:
		w.do(node, w.tables[node].Report(w.now, w.open[k], rapid.Bool().Draw(t, "idle"), time.Minute))
	case 6:
		s := Setting{Availability: rapid.SampledFrom([]State{Online, Away, Busy}).Draw(t, "availability"), Invisible: rapid.Bool().Draw(t, "invisible"), Status: rapid.SampledFrom([]string{"", "x"}).Draw(t, "status")}
		if rapid.Bool().Draw(t, "ends") {
			s.Until = w.now.Add(20 * time.Second).UnixMilli()
		}
		w.set(user, node, s, rapid.IntRange(0, 4).Draw(t, "clear") == 0)
	case 7:
		if effects, err := w.tables[node].SetPayload(w.now, w.open[k], []byte(rapid.SampledFrom([]string{"", "p", "q"}).Draw(t, "payload"))); err == nil {
			w.do(node, effects)
		}
	case 8:
		w.hold = !w.hold
		if !w.hold {
			w.scramble(t)
		}
	case 9:
		at := rapid.SampledFrom(w.names).Draw(t, "at")
		if at != node {
			w.health(at, node, rapid.SampledFrom([]NodeState{NodeSuspected, NodeDead}).Draw(t, "health"))
			w.health(at, node, NodeAlive)
		}
	default:
		w.wait(time.Duration(rapid.IntRange(1, 15000).Draw(t, "ms")) * time.Millisecond)
	}
}

// scramble delivers what was held in any order, some of it twice.
func (w *world) scramble(t *rapid.T) {
	held := w.held
	w.held = nil
	for len(held) > 0 {
		i := rapid.IntRange(0, len(held)-1).Draw(t, "next")
		w.deliver(held[i])
		if rapid.IntRange(0, 3).Draw(t, "twice") > 0 {
			held = slices.Delete(held, i, i+1)
		}
	}
}

// compareFold: a snapshot taken at any time is what the changes told so far add up to.
func (w *world) compareFold(t interface{ Fatalf(string, ...any) }, told folded) {
	for _, n := range w.names {
		c, people := w.tables[n].Counts(w.team)
		var counted Counts
		for _, u := range w.tables[n].Members(w.team) {
			p, _ := w.tables[n].Person(w.team, u)
			have, ok := told[n][u]
			if !ok {
				have = Person{User: u}
			}
			if !same(&p, &have) {
				t.Fatalf("at %s a snapshot shows %s, the changes told so far %s", n, w.describe(p), w.describe(have))
			}
			*[]*int{&counted.Offline, &counted.Reconnecting, &counted.Away, &counted.Busy, &counted.Online}[p.State]++
		}
		if c != counted || people != len(w.tables[n].Members(w.team)) {
			t.Fatalf("at %s counts are %+v, people %+v", n, c, counted)
		}
	}
}

// TestOneHundredFlapsShowOneChangeInTenSeconds: at each watcher, and on the wire.
func TestOneHundredFlapsShowOneChangeInTenSeconds(t *testing.T) {
	for _, goodbye := range []bool{true, false} {
		w := newWorld("n1", "n2")
		w.person("ann", "n1")
		w.tellTeam()
		last := map[string]time.Time{}
		changes := 0
		w.seen = func(node string, c Changed) {
			for _, x := range c.Changes {
				if x.Was == x.Person.State {
					continue
				}
				changes++
				if before, ok := last[node]; ok && w.now.Sub(before) < StateEvery {
					t.Errorf("goodbye %v: %s shows two changes within %s", goodbye, node, w.now.Sub(before))
				}
				last[node] = w.now
			}
		}
		for range 100 {
			w.attach("ann", "lap", "n1")
			w.wait(300 * time.Millisecond)
			w.detach("ann", "lap", "n1", goodbye)
			w.wait(300 * time.Millisecond)
		}
		if w.beats > 60 || changes > 14 || changes < 4 {
			t.Errorf("goodbye %v: 100 flaps made %d beats and %d changes at two watchers", goodbye, w.beats, changes)
		}
		w.wait(time.Minute)
		if p, _ := w.tables["n2"].Person(w.team, testID("ann")); p.State != Offline {
			t.Errorf("goodbye %v: shown as %s in the end", goodbye, p.State)
		}
		if n := len(w.tables["n1"].dues.list); n > 10 {
			t.Errorf("goodbye %v: %d things are still to be looked at", goodbye, n)
		}
	}
}

// TestInvisibleIsOfflineOnTheWire: who turns invisible, and who says goodbye at the same time, are told from each other by not one byte
// that other nodes get, then or later.
func TestInvisibleIsOfflineOnTheWire(t *testing.T) {
	for _, early := range []time.Duration{3 * time.Second, time.Minute} {
		for _, idle := range []bool{false, true} {
			record := func(invisible bool) (out []string) {
				w := newWorld("n1", "n2")
				w.person("ann", "n1")
				w.tellTeam()
				w.sent = func(_ string, b *Beat) {
					c := *b
					c.SentHLC = 0
					raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(c.Wire())
					if err != nil {
						t.Fatal(err)
					}
					out = append(out, fmt.Sprintf("%s %x", w.now.Sub(w.start), raw))
				}
				w.attach("ann", "lap", "n1")
				w.wait(time.Second)
				if idle {
					w.do("n1", w.tables["n1"].Report(w.now, w.open["ann/lap@n1"], true, time.Second))
				}
				w.wait(early)
				if invisible {
					w.set("ann", "n1", Setting{Availability: Busy, Status: "hidden", Invisible: true}, false)
				} else {
					w.clock.Now(w.now)
					w.detach("ann", "lap", "n1", true)
				}
				w.wait(30 * time.Second)
				if invisible { // and what they do then says nothing
					w.do("n1", w.tables["n1"].Report(w.now, w.open["ann/lap@n1"], false, 0))
					w.set("ann", "n1", Setting{Availability: Away, Status: "hidden", Invisible: true}, false)
					w.detach("ann", "lap", "n1", true)
				}
				w.wait(time.Minute)
				for _, b := range w.tables["n1"].Whole(w.team) {
					raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(b.Wire())
					if err != nil {
						t.Fatal(err)
					}
					out = append(out, fmt.Sprintf("whole %x", raw))
				}
				return out
			}
			if left, hidden := record(false), record(true); !slices.Equal(left, hidden) {
				t.Errorf("after %s, idle %v: who left\n%q\nwho hides\n%q", early, idle, left, hidden)
			}
		}
	}
}

// TestADeadNodesPeopleAreOneChange: however many they are.
func TestADeadNodesPeopleAreOneChange(t *testing.T) {
	w := newWorld("n1", "n2")
	for i := range 5000 {
		w.person(fmt.Sprint("p", i), "n1")
	}
	w.tellTeam()
	for i := range 5000 {
		w.attach(fmt.Sprint("p", i), "lap", "n1")
	}
	w.wait(time.Second)
	if w.beats != 3 {
		t.Errorf("5,000 people who came at once made %d beats, 3 are enough", w.beats)
	}
	var events, people int
	w.seen = func(node string, c Changed) {
		events, people = events+1, people+len(c.Changes)
		if !slices.IsSortedFunc(c.Changes, func(a, b Change) int { return bytes.Compare(a.Person.User[:], b.Person.User[:]) }) {
			t.Error("the changes are in no order")
		}
	}
	w.health("n2", "n1", NodeDead)
	if events != 1 || people != 5000 {
		t.Errorf("%d events for %d people", events, people)
	}
	w.health("n2", "n1", NodeAlive)
	if events != 1 {
		t.Error("it counts again before it is known what it says")
	}
	w.pulse("n2", "n1")
	if events != 2 || people != 10000 {
		t.Errorf("back: %d events for %d people", events, people)
	}
}

// TestSessionsThatAreLostAndBackAtOnce: bounded beats, right in the end.
func TestSessionsThatAreLostAndBackAtOnce(t *testing.T) {
	w := newWorld("n1", "n2")
	for i := range 10000 {
		w.person(fmt.Sprint("p", i), "n1")
	}
	w.tellTeam()
	all := func(f func(string)) {
		for i := range 10000 {
			f(fmt.Sprint("p", i))
		}
	}
	all(func(p string) { w.attach(p, "lap", "n1") })
	w.wait(time.Minute)
	w.beats = 0
	all(func(p string) { w.detach(p, "lap", "n1", false) })
	w.wait(2 * time.Second)
	all(func(p string) { w.attach(p, "lap", "n1") })
	w.wait(time.Minute)
	if w.beats > 20 {
		t.Errorf("10,000 sessions lost and back made %d beats", w.beats)
	}
	if c, _ := w.tables["n2"].Counts(w.team); c.Online != 10000 {
		t.Errorf("in the end there are %+v", c)
	}
}

// TestWhatANodeMaySayIsBounded: people whose home it isn't, and beats that no honest node sends.
func TestWhatANodeMaySayIsBounded(t *testing.T) {
	w := newWorld("n1", "n2")
	w.tellTeam()
	var b Beat
	for page := range 20 {
		b = Beat{Team: w.team, Node: testID("n1"), Boot: w.bootID("n1"), Number: 1, Whole: true, Page: page, Pages: 20, SentHLC: 1}
		for i := range 500 {
			b.People = append(b.People, Report{User: testID(fmt.Sprint(page, "/", i)), Availability: Online, Devices: []Device{{ID: device("x"), State: Online}}, Since: 1})
		}
		if _, err := w.tables["n2"].Receive(w.now, &b); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.tables["n2"].rooms[w.team].rows); n != maxStrangers {
		t.Errorf("%d people whose home it isn't are held", n)
	}
	if s := w.tables["n2"].Stats(); s.Strangers != 10000 || s.Shown != 0 {
		t.Errorf("%+v", s)
	}
	for name, bad := range map[string]func(*Beat){
		"own":      func(b *Beat) { b.Node = testID("n2") },
		"stranger": func(b *Beat) { b.Node = testID("n9") },
		"team":     func(b *Beat) { b.Team = testID("other") },
		"old boot": func(b *Beat) { b.Boot, b.SentHLC = [16]byte{7}, 1 },
	} {
		c := b
		bad(&c)
		if _, err := w.tables["n2"].Receive(w.now, &c); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// TestAsksAreSeldom: a node whose digest never fits is asked again and again, but less and less often.
func TestAsksAreSeldom(t *testing.T) {
	w := newWorld("n1", "n2")
	w.person("ann", "n1")
	w.tellTeam()
	w.lose = func(_, _ string, b *Beat) bool { b.Digest[0]++; return b.Whole }
	for range 60 {
		w.attach("ann", "lap", "n1")
		w.wait(30 * time.Second)
		w.detach("ann", "lap", "n1", true)
		w.wait(30 * time.Second)
	}
	if w.asked < 10 || w.asked > 80 {
		t.Errorf("in an hour it was asked %d times", w.asked)
	}
}

// TestANodeThatFlapsItsPeopleIsDamped by who watches, whatever it says and however often.
func TestANodeThatFlapsItsPeopleIsDamped(t *testing.T) {
	for _, sets := range []bool{false, true} {
		w := newWorld("n1", "n2")
		w.person("ann", "n1")
		w.tellTeam()
		n := 0
		w.seen = func(_ string, c Changed) {
			for _, x := range c.Changes {
				if x.Was != x.Person.State {
					n++
				}
			}
		}
		for i := range uint64(600) {
			r := Report{User: testID("ann"), Availability: Online, Since: 1, Devices: []Device{{ID: device("x"), State: []State{Online, Away}[i%2]}}}
			if sets {
				r.SetAt = board.HLC(i + 1)
			}
			effects, err := w.tables["n2"].Receive(w.now, &Beat{Team: w.team, Node: testID("n1"), Boot: w.bootID("n1"), Number: i + 1, People: []Report{r}, SentHLC: 1})
			if err != nil {
				t.Fatal(err)
			}
			w.do("n2", effects)
			w.do("n2", w.tables["n2"].Tick(w.now))
			w.wait(100 * time.Millisecond)
		}
		if n > 7+2*SetsAtOnce+6 || !sets && n > 7 || n < 3 {
			t.Errorf("sets %v: in a minute %d changes are shown", sets, n)
		}
		if l := len(w.tables["n2"].dues.list); l > 10 {
			t.Errorf("%d things wait", l)
		}
	}
}

// TestPackedReportsAreWhole: what is held is what was said.
func TestPackedReportsAreWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Report{User: testID("u"), Availability: rapid.SampledFrom([]State{Online, Away, Busy}).Draw(t, "a"), Status: rapid.StringN(0, 60, MaxStatus).Draw(t, "s"), SetAt: board.HLC(rapid.Uint64().Draw(t, "h")), Until: rapid.Int64Range(0, latestMs).Draw(t, "u"), LastActive: rapid.Int64Range(0, latestMs).Draw(t, "l"), Since: rapid.Int64Range(0, latestMs).Draw(t, "si")}
		for i := range rapid.IntRange(0, 4).Draw(t, "n") {
			d := Device{ID: DeviceID{byte(i)}, State: rapid.SampledFrom([]State{Online, Away, Reconnecting}).Draw(t, "d")}
			if p := rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "p"); len(p) > 0 {
				d.Payload, d.PayloadAt = p, 5
			}
			r.Devices = append(r.Devices, d)
		}
		p := r.pack()
		back := p.unpack(r.User)
		if back.pack() != p || !proto.Equal(back.wire(), r.wire()) || p.present() != (len(r.Devices) > 0) {
			t.Fatalf("%+v became %+v", r, back)
		}
	})
}

// FuzzParseBeat: whatever comes is refused or read as it was meant, and a table takes it.
func FuzzParseBeat(f *testing.F) {
	w := newWorld("n1", "n2")
	w.person("ann", "n1")
	w.tellTeam()
	w.sent = func(_ string, b *Beat) {
		raw, err := proto.Marshal(b.Wire())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	w.attach("ann", "lap", "n1")
	w.wait(time.Second)
	w.set("ann", "n1", Setting{Availability: Busy, Status: "x"}, false)
	w.wait(time.Second)
	for _, b := range w.tables["n1"].Whole(w.team) {
		w.sent("n1", b)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := &weftv1.PresenceBeat{}
		if proto.Unmarshal(raw, m) != nil {
			return
		}
		b, err := ParseBeat(m)
		if err != nil {
			return
		}
		again, err := ParseBeat(b.Wire())
		if err != nil {
			t.Fatalf("what was read can't be read again: %v", err)
		}
		if !proto.Equal(again.Wire(), b.Wire()) {
			t.Fatal("read twice, it differs")
		}
		w := newWorld("n1", "n2")
		w.person("ann", "n1")
		w.tellTeam()
		told := w.foldAll()
		b.Team = w.team
		b.Node = testID("n1")
		effects, _ := w.tables["n2"].Receive(w.now, b)
		w.do("n2", effects)
		w.wait(time.Minute)
		w.compareFold(t, told)
	})
}
