package p2p

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

func TestABeatReachesEachTeammateOnce(t *testing.T) {
	a, b, c := newNode(t, "ada", withPeople), newNode(t, "bob", withPeople), newNode(t, "cyd", withPeople)
	crew, other := a.found("crew"), a.found("other")
	a.letIn(crew, b, c)
	a.letIn(other, c)
	linkUpAll(t, a, b, c)
	for i := range uint64(20) {
		a.mesh.SendBeat(crew, a.beatOf(crew, i+1))
	}
	a.mesh.SendBeat(other, a.beatOf(other, 1))
	eventually(t, "all beats are there", func() bool {
		return b.heard().count(a.mesh.self, crew) >= 20 && c.heard().count(a.mesh.self, crew) >= 20 && c.heard().count(a.mesh.self, other) >= 1
	}, a, b, c)
	if got := b.heard().count(a.mesh.self, other); got != 0 {
		t.Errorf("bob heard %d beats of a team that he isn't in", got)
	}
	for _, n := range []*testNode{b, c} {
		if got := n.heard().count(a.mesh.self, crew); got != 20 {
			t.Errorf("%s heard %d beats of 20", n.name, got)
		}
		if got := n.counters()["topic_messages_total/accepted"]; n.counters()["refused_total/presence_old"] != 0 {
			t.Errorf("%s heard something twice (%v topic messages)", n.name, got)
		}
	}
	for _, want := range []Traffic{{Kind: "presence", Sent: 20 * 100, SentMessages: 41}, {Kind: "pulse", Sent: 1, Received: 1, SentMessages: 2}} {
		eventually(t, fmt.Sprintf("ada's traffic is %v", want), func() bool { // it is counted once it is written
			return slices.ContainsFunc(a.mesh.Traffic(), func(x Traffic) bool {
				return x.Kind == want.Kind && x.Sent >= want.Sent && x.Received >= want.Received && x.SentMessages >= want.SentMessages
			})
		}, a)
	}
}

// Whoever is removed hears no beat any more, by none of the ways, though it is still connected for another team.
func TestWhoLostTheTeamHearsNoBeat(t *testing.T) {
	a, b, c := newNode(t, "ada", withPeople), newNode(t, "bob", withPeople), newNode(t, "cyd", withPeople)
	lost, kept := a.found("lost"), a.found("kept")
	a.letIn(lost, b, c)
	a.letIn(kept, b, c)
	linkUpAll(t, a, b, c)
	a.mesh.SendBeat(lost, a.beatOf(lost, 1))
	eventually(t, "bob hears the first", func() bool { return b.heard().count(a.mesh.self, lost) == 1 }, a, b)
	a.presents(lost, b.movedTo(randomKey()))
	sent := a.mesh.Sent(b.mesh.self, lost)
	a.mesh.SendLive(t.Context(), lost, []board.NodeID{b.mesh.self}, a.lives(lost, 3, nil))
	eventually(t, "cyd has heard of it", func() bool { return !c.team(lost).IsNode(b.mesh.self) }, a, c) // before that she may pass on beats
	a.mesh.SendBeat(lost, a.beatOf(lost, 2))
	a.mesh.SendLive(t.Context(), lost, nil, a.lives(lost, 3, nil))
	a.mesh.SendLive(t.Context(), lost, []board.NodeID{b.mesh.self}, a.lives(lost, 3, nil))
	eventually(t, "cyd hears the second", func() bool { return c.heard().count(a.mesh.self, lost) == 2 }, a, c)
	eventually(t, "bob is back for the other team", func() bool { return a.mesh.voices.linked(b.mesh.self) && b.mesh.voices.linked(a.mesh.self) }, a, b)
	number, again := uint64(0), time.Now()
	eventually(t, "bob hears those of the other team", func() bool {
		if time.Now().After(again) { // the stream may be about to end with its connection; in earnest the next pulse tells
			number++
			a.mesh.SendBeat(lost, a.beatOf(lost, number+2))
			a.mesh.SendBeat(kept, a.beatOf(kept, number))
			again = time.Now().Add(200 * time.Millisecond)
		}
		return b.heard().count(a.mesh.self, kept) > 0
	}, a, b)
	if got := b.heard().count(a.mesh.self, lost); got != 1 {
		t.Errorf("bob heard %d beats", got)
	}
	if _, got := b.heard().live(); got != 0 {
		t.Errorf("bob heard %d live messages", got)
	}
	if now := a.mesh.Sent(b.mesh.self, lost); now != sent {
		t.Errorf("%d bytes of the team went to its former node", now-sent)
	}
}

// What differs is asked for: digests, then whole states, and not again for a while.
func TestWhatDiffersIsAskedFor(t *testing.T) {
	a, b := newNode(t, "ada", withPeople), newNode(t, "bob", withPeople)
	crew := a.found("crew")
	a.heard().whole[crew] = []*weftv1.PresenceBeat{a.beatOf(crew, 7)}
	a.heard().whole[crew][0].Whole, a.heard().whole[crew][0].Pages = true, 1
	b.heard().differ = true
	a.letIn(crew, b)
	eventually(t, "bob has ada's whole state", func() bool { return b.heard().count(a.mesh.self, crew) > 0 }, a, b)
	for range 50 {
		b.mesh.AskWhole(a.mesh.self, []board.TeamID{crew})
		b.mesh.voices.sendAsk(wholeAsk{a.mesh.self, a.mesh.self, []board.TeamID{crew}})
	}
	eventually(t, "what is asked too often is counted", func() bool { return a.counters()["refused_total/too_often_ask"] >= 40 }, a, b)
	a.heard().locked(func() {
		if a.heard().asked > 3 {
			t.Errorf("ada answered %d times", a.heard().asked)
		}
	})
	for _, n := range []*testNode{a, b} {
		for name, v := range n.counters() {
			if strings.HasPrefix(name, "offences_total") {
				t.Errorf("%s counts %v %s", n.name, v, name)
			}
		}
	}
}

// Two teammates that cannot reach each other hear each other's beats through a third, and may ask that one.
func TestBeatsReachWhoIsntLinked(t *testing.T) {
	a, b, c := newNode(t, "ada", withPeople), newNode(t, "bob", withPeople), newNode(t, "cyd", withPeople)
	crew := b.found("crew")
	b.letIn(crew, a, c)
	linkUpAll(t, a, b, c)
	if a.mesh.voices.hasFar(crew) {
		t.Error("somebody is far though all are linked")
	}
	a.apart(c)
	eventually(t, "ada and cyd have lost each other", func() bool {
		return !a.mesh.voices.linked(c.mesh.self) && !c.mesh.voices.linked(a.mesh.self)
	}, a, c)
	eventually(t, "ada counts cyd as one who is reached through others", func() bool { return a.mesh.voices.hasFar(crew) }, a)
	number := uint64(0)
	again := time.Now()
	eventually(t, "cyd hears ada through bob", func() bool {
		if time.Now().After(again) { // a topic's mesh takes a second to mend itself
			number++
			a.mesh.SendBeat(crew, a.beatOf(crew, number))
			again = time.Now().Add(500 * time.Millisecond)
		}
		return c.heard().count(a.mesh.self, crew) > 0
	}, a, b, c)
	c.heard().locked(func() {
		if got := c.heard().beats[0].from; got == a.mesh.self {
			t.Error("it came from ada herself")
		}
		if c.heard().leases[a.mesh.self].Before(time.Now().Add(leaseTime / 2)) {
			t.Error("no lease was renewed")
		}
	})
	eventually(t, "bob holds it", func() bool { return b.heard().count(a.mesh.self, crew) > 0 }, b)
	before := c.heard().count(a.mesh.self, crew)
	b.heard().locked(func() { // as hub does: the whole state that ada has signed
		whole := a.beatOf(crew, 1000)
		whole.Whole, whole.Pages = true, 1
		s, err := a.mesh.voices.signBeat(whole)
		if err != nil {
			t.Fatal(err)
		}
		b.heard().raw[wholeKey{a.mesh.self, crew}] = []*weftv1.Signed{s}
	})
	c.mesh.AskWhole(a.mesh.self, []board.TeamID{crew})
	eventually(t, "cyd has what bob kept of ada", func() bool {
		found := false
		c.heard().locked(func() {
			for _, x := range c.heard().beats[before:] {
				found = found || x.beat.Number == 1000 && x.from == b.mesh.self
			}
		})
		return found
	}, a, b, c)
}

// What has come by a stream is passed on all the same when it comes on the topic, once, and told to nobody here again.
func TestABeatIsPassedOnThoughItIsKnown(t *testing.T) {
	a, b := newNode(t, "ada", withPeople), newNode(t, "bob")
	crew := a.found("crew")
	a.letIn(crew, b)
	eventually(t, "ada knows bob", func() bool { return len(a.mesh.voices.teamsWith(b.mesh.self)) == 1 }, a, b)
	s, err := b.mesh.voices.signBeat(b.beatOf(crew, 1))
	if err != nil {
		t.Fatal(err)
	}
	for i, topic := range []board.TeamID{{}, crew, crew, {}} {
		err := a.mesh.voices.takeBeat(b.mesh.self, topic, s)
		if old := i >= 2; (err != nil) != old {
			t.Errorf("%d: %v", i, err)
		}
	}
	if got := a.heard().count(b.mesh.self, crew); got != 1 {
		t.Errorf("it was heard %d times", got)
	}
}

// apart keeps two nodes from talking to each other.
func (n *testNode) apart(o *testNode) {
	n.mesh.gate.ban(o.mesh.ID(), time.Hour, "test")
	o.mesh.gate.ban(n.mesh.ID(), time.Hour, "test")
	n.mesh.host.Network().ClosePeer(o.mesh.ID())
}

// patiently is for a node that has to be heard when it stops, however busy the machine is.
func patiently(n *testNode) { n.goodbye = time.Minute }

// A node that stops says so, and its teammates have read it when it has ended.
func TestAGoodbyeIsHeard(t *testing.T) {
	a, b := newNode(t, "ada", withPeople), newNode(t, "bob", withPeople, patiently)
	crew := a.found("crew")
	a.letIn(crew, b)
	linkUpAll(t, a, b)
	self := b.mesh.self
	b.stop()
	a.mesh.voices.mu.Lock()
	w := a.mesh.voices.mu.words[self]
	a.mesh.voices.mu.Unlock()
	if w == nil || !w.word.Goodbye {
		t.Fatalf("ada heard %v", w)
	}
	b.start()
	linkUpAll(t, a, b)
	eventually(t, "ada knows that bob is back", func() bool {
		a.mesh.voices.mu.Lock()
		defer a.mesh.voices.mu.Unlock()
		now := a.mesh.voices.mu.words[self].word
		return !now.Goodbye && now.BootMs > w.word.BootMs
	}, a, b)
}

// Of a person's own settings only their other homes hear.
func TestOnlyHomesHearSettings(t *testing.T) {
	a, b, c := newNode(t, "ada", withPeople), newNode(t, "bob", withPeople), newNode(t, "cyd", withPeople)
	crew := a.found("crew")
	a.letIn(crew, b, c)
	linkUpAll(t, a, b, c)
	set := func(u board.UserID) *weftv1.OwnSetting {
		return &weftv1.OwnSetting{User: u[:], Invisible: true, SetHlc: 1}
	}
	a.mesh.SendSetting([]board.NodeID{b.mesh.self, c.mesh.self}, set(a.id.User)) // neither is a home of ada's
	f, _ := a.mesh.voices.encodeSpoken(&weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Setting{Setting: set(a.id.User)}})
	a.mesh.voices.voiceTo(b.mesh.self).say(f, false) // said all the same, by a node without manners
	eventually(t, "nobody takes it", func() bool {
		return a.counters()["refused_total/presence_to_former_node"] == 2 && b.counters()["refused_total/setting_of_stranger"] == 1
	}, a, b, c)
	for _, n := range []*testNode{b, c} {
		n.heard().locked(func() {
			if len(n.heard().settings) > 0 {
				t.Errorf("%s heard of it", n.name)
			}
		})
	}
}

// A replayed beat doesn't count again, and one of an earlier boot doesn't replace those of the present one.
func TestWhichBeatsAreOld(t *testing.T) {
	beat := func(boot byte, number uint64, sent board.HLC) seenBeat {
		return seenBeat{boot: [16]byte{boot}, number: number, sent: sent}
	}
	var now seenBeat
	for _, n := range []uint64{100, 103, 101} {
		now = now.with(beat(1, n, board.HLC(n)), false)
	}
	for _, x := range []struct {
		b     seenBeat
		whole bool
		old   bool
	}{
		{beat(1, 104, 104), false, false},
		{beat(1, 103, 104), false, true},
		{beat(1, 102, 102), false, false}, // held up on its way
		{beat(1, 101, 102), false, true},
		{beat(1, 100, 102), false, true},
		{beat(1, 39, 39), false, true},
		{beat(1, 103, 103), true, false}, // a page
		{beat(1, 102, 103), true, true},
		{beat(2, 900, 102), true, true},
		{beat(2, 1, 104), false, false},
	} {
		if got := now.before(x.b, x.whole); got != x.old {
			t.Errorf("%+v whole %v: old %v", x.b, x.whole, got)
		}
	}
	if next := now.with(beat(1, 1000, 1000), true); next.window != 0 || next.before(beat(1, 1000, 1000), false) {
		t.Errorf("a whole state isn't the beat of its number: %+v", next)
	}
	if next := now.with(beat(2, 7, 1000), false); next.before(beat(2, 6, 1001), false) || !next.before(beat(1, 104, 999), false) {
		t.Errorf("after a restart: %+v", next)
	}
}

// What waits for a teammate that doesn't read is bounded: live messages go first, then beats, and probes have a place of
// their own.
func TestASlowReaderLosesLiveMessagesOnly(t *testing.T) {
	m := &Mesh{stats: newMetrics(nil, &traffic{})}
	v := &voice{p: &presence{m: m}, wake: make(chan struct{}, 1)}
	say := func(kind trafficKind, urgent bool) bool {
		return v.say(spoken{b: make([]byte, 64<<10), kind: kind}, urgent)
	}
	lives := 0
	for say(trafficLive, false) {
		lives++
	}
	if lives != maxSpokenLive/(64<<10) {
		t.Errorf("%d live messages wait", lives)
	}
	beats := 0
	for say(trafficPresence, false) {
		beats++
	}
	if beats != (maxSpoken-maxSpokenLive)/(64<<10) {
		t.Errorf("%d beats wait", beats)
	}
	probes := 0
	for say(trafficProbe, true) {
		probes++
	}
	if probes != maxUrgent {
		t.Errorf("%d probes wait", probes)
	}
}

// Whatever is to be said as soon as there is a stream: a pulse goes before it.
func TestAPulseGoesFirst(t *testing.T) {
	v := &voice{wake: make(chan struct{}, 1)}
	v.say(spoken{kind: trafficProbe}, true)
	v.say(spoken{kind: trafficPresence, b: []byte("beat")}, false)
	if frames, _, _, _ := v.next(); len(frames) > 0 {
		t.Fatalf("%v went before it", frames[0].kind)
	}
	if !v.begin(spoken{b: []byte("pulse")}) || v.begin(spoken{b: []byte("another")}) {
		t.Fatal("there is one first pulse")
	}
	var got []string
	for {
		frames, _, _, _ := v.next()
		if len(frames) == 0 {
			break
		}
		for _, f := range frames {
			got = append(got, f.kind.String()+string(f.b))
		}
	}
	if want := []string{"syncpulse", "probe", "presencebeat"}; !slices.Equal(got, want) {
		t.Errorf("said %v", got)
	}
}
