package p2p

import (
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

func TestAStrangerHearsNoPresence(t *testing.T) {
	a, b := newNode(t, "ada", withPeople), newNode(t, "bob")
	crew := a.found("crew")
	a.letIn(crew, b)
	r := newRaw(t, randomKey(), a)
	s := r.stream(protocolPresence)
	say(t, s, askFrame(&weftv1.PresenceAsk{Teams: [][]byte{crew[:]}}))
	if got, err := io.ReadAll(s); len(got) != 0 || err == nil {
		t.Fatalf("a stranger read %d bytes, then %v", len(got), err)
	}
	// And nothing is said on a stream of the node's own: it opens none.
	r.h.SetStreamHandler(protocolPresence, func(s network.Stream) { t.Error("a stream to a stranger"); s.Reset() })
	a.mesh.SendBeat(crew, a.beatOf(crew, 1))
	eventually(t, "the stranger is counted", func() bool { return a.counters()["refused_total/stranger"] > 0 }, a)
}

// say writes a presence frame.
func say(t *testing.T, s network.Stream, f *weftv1.PresenceFrame) {
	t.Helper()
	b, err := encodeFrame(f)
	if err != nil {
		t.Fatal(err)
	}
	s.Write(b) // the victim may have closed it
}

// speaks opens a presence stream as a member whose node has stopped, and says its word.
func (r *rawPeer) speaks(member *testNode) network.Stream {
	r.t.Helper()
	s := r.stream(protocolPresence)
	say(r.t, s, r.pulse(member))
	return s
}

func (r *rawPeer) pulse(member *testNode) *weftv1.PresenceFrame {
	boot, public := nonce(), member.key.Public()
	word := signed(r.t, member.key, board.SignAlive, &weftv1.NodeAlive{Node: public[:], Boot: boot[:], BootMs: uint64(time.Now().UnixMilli()), Incarnation: 1})
	return &weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Pulse{Pulse: &weftv1.Pulse{
		Alive: word, LeaseMs: 150_000, Presence: make([]byte, 16), Vectors: make([]byte, 16), SentHlc: uint64(board.HLCAt(time.Now())),
	}}}
}

func ended(t *testing.T, s network.Stream) {
	t.Helper()
	s.SetReadDeadline(time.Now().Add(15 * time.Second))
	if _, err := io.Copy(io.Discard, s); err == nil {
		t.Error("the stream was closed in order")
	}
}

func TestBadPresenceFrames(t *testing.T) {
	a, b, c, d := newNode(t, "ada", withPeople), newNode(t, "bob"), newNode(t, "cyd"), newNode(t, "dee")
	crew, theirs := a.found("crew"), a.found("ada's own")
	a.letIn(crew, b, c, d)
	bob := b.mesh.self
	beat := func(change func(*weftv1.PresenceBeat), key board.Key) *weftv1.PresenceFrame {
		x := &weftv1.PresenceBeat{Team: crew[:], Node: bob[:], Boot: make([]byte, 16), Number: 1, Digest: make([]byte, 16), SentHlc: uint64(board.HLCAt(time.Now()))}
		change(x)
		s := signed(t, key, board.SignPresence, x)
		s.Key = bob[:]
		return beatFrame(s)
	}
	live := func(n *testNode, team board.TeamID, change func(*weftv1.LiveBatch)) *weftv1.PresenceFrame {
		l := &weftv1.LiveBatch{Team: team[:], User: n.id.User[:], Node: n.mesh.self[:]}
		id := nonce()
		l.Messages = []*weftv1.LiveMessage{{Id: id[:], SentMs: uint64(time.Now().UnixMilli()), TtlMs: 5000}}
		if change != nil {
			change(l)
		}
		return &weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Live{Live: signedLive(n.id.Device, l)}}
	}
	foreign := func(s *weftv1.Signed) *weftv1.Signed {
		key := randomKey().Public()
		s.Key = key[:]
		return s
	}
	type bad struct {
		name  string
		frame *weftv1.PresenceFrame
		count string
	}
	// Each of three members sends a few, so that their offences don't add up to a ban.
	byBob := []bad{
		{"forged beat", beat(func(*weftv1.PresenceBeat) {}, randomKey()), "offences_total/presence_bad_signature"},
		{"beat of number zero", beat(func(b *weftv1.PresenceBeat) { b.Number = 0 }, b.key), "offences_total/presence_malformed"},
		{"beat in another's name", beat(func(b *weftv1.PresenceBeat) { b.Node = make([]byte, 32) }, b.key), "offences_total/presence_malformed"},
		{"page beyond the last", beat(func(b *weftv1.PresenceBeat) { b.Whole, b.Page, b.Pages = true, 3, 3 }, b.key), "offences_total/presence_malformed"},
		{"beat for a team that isn't shared", beat(func(b *weftv1.PresenceBeat) { b.Team = theirs[:] }, b.key), "refused_total/presence_unknown_origin"},
	}
	byCyd := []bad{
		{"live of a person of another node", live(c, crew, func(l *weftv1.LiveBatch) { l.User = a.id.User[:] }), "refused_total/live_not_member"},
		{"live of another device", &weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Live{Live: foreign(c.lives(crew, 1, nil))}}, "refused_total/live_unknown_device"},
		{"live for a stranger", live(c, crew, func(l *weftv1.LiveBatch) { l.Messages[0].Target = make([]byte, 32); l.Messages[0].Target[0] = 1 }), "refused_total/live_not_member"},
		{"live in a team that isn't shared", live(c, theirs, nil), "refused_total/live_unknown_origin"},
		{"live of another node", live(c, crew, func(l *weftv1.LiveBatch) { l.Node = a.mesh.self[:] }), "offences_total/live_of_another"},
		{"live that lives too long", live(c, crew, func(l *weftv1.LiveBatch) { l.Messages[0].TtlMs = 5001 }), "offences_total/live_malformed"},
		{"live that is over", live(c, crew, func(l *weftv1.LiveBatch) { l.Messages[0].SentMs -= 120_000 }), "refused_total/live_expired"},
		{"live from the future", live(c, crew, func(l *weftv1.LiveBatch) { l.Messages[0].SentMs += 120_000 }), "refused_total/live_expired"},
		{"setting of somebody else", &weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Setting{Setting: &weftv1.OwnSetting{User: a.id.User[:]}}}, "refused_total/setting_of_stranger"},
		{"ask about a team that isn't shared", askFrame(&weftv1.PresenceAsk{Teams: [][]byte{theirs[:]}}), "refused_total/ask_of_stranger"},
		{"a frame of a later version", &weftv1.PresenceFrame{}, "refused_total/presence_unknown_kind"},
	}
	for member, cases := range map[*testNode][]bad{b: byBob, c: byCyd} {
		r := insider(t, a, member)
		for _, x := range cases {
			s := r.speaks(member)
			before := a.counters()[x.count]
			say(t, s, x.frame)
			eventually(t, x.name+" is counted as "+x.count, func() bool { return a.counters()[x.count] > before }, a)
			s.Reset()
		}
	}
	if got := a.heard().count(bob, crew) + a.heard().count(bob, theirs); got != 0 {
		t.Errorf("%d of these beats were taken", got)
	}
	if _, got := a.heard().live(); got != 0 {
		t.Errorf("%d of these live messages were taken", got)
	}
	r := insider(t, a, d)
	s := r.stream(protocolPresence)
	say(t, s, askFrame(&weftv1.PresenceAsk{}))
	ended(t, s) // it didn't begin with a pulse
	s = r.speaks(d)
	s.Write([]byte{0xff, 0xff, 0xff, 0xff, 0x0f})
	ended(t, s)
	eventually(t, "the giant is counted", func() bool {
		return a.counters()["offences_total/presence_frame_too_large"] == 1 && a.counters()["offences_total/presence_frame"] == 1
	}, a)
}

// A teammate that says the same good things as fast as it can is not listened to so often.
func TestFloodsOfPresenceAreBounded(t *testing.T) {
	a, b := newNode(t, "ada", withPeople), newNode(t, "bob")
	crew := a.found("crew")
	a.letIn(crew, b)
	r := insider(t, a, b)
	s := r.speaks(b)
	pulse := r.pulse(b)
	for range 1000 {
		say(t, s, pulse)
		say(t, s, askFrame(&weftv1.PresenceAsk{Teams: [][]byte{crew[:]}}))
	}
	eventually(t, "most are dropped", func() bool {
		x := a.counters()
		return x["refused_total/too_often_pulse"] > 900 && x["refused_total/too_often_ask"] > 900
	}, a)
	a.heard().locked(func() {
		if a.heard().compared > 100 || a.heard().asked > 3 {
			t.Errorf("%d pulses were compared, %d whole states told", a.heard().compared, a.heard().asked)
		}
	})
}

// A peer that talks back on this node's own stream breaks the rules.
func TestWhoTalksBackOffends(t *testing.T) {
	a, b := newNode(t, "ada", withPeople), newNode(t, "bob")
	crew := a.found("crew")
	a.letIn(crew, b)
	r := insider(t, a, b)
	r.h.SetStreamHandler(protocolPresence, func(s network.Stream) { s.Write([]byte("hello")) })
	if err := r.h.Connect(testContext(t), peer.AddrInfo{ID: r.victim}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is counted", func() bool { return a.counters()["offences_total/presence_talks_back"] > 0 }, a)
}

// What a node has signed long ago, or before something that was heard, is no sign of its life when others say it again.
func TestOldBeatsAreNoSignOfLife(t *testing.T) {
	a, b, c := newNode(t, "ada", withPeople), newNode(t, "bob"), newNode(t, "cyd")
	crew := a.found("crew")
	a.letIn(crew, b, c)
	cyd := c.mesh.self
	r := insider(t, a, b)
	s := r.speaks(b)
	number := uint64(0)
	passOn := func(said time.Time) {
		number++
		x := &weftv1.PresenceBeat{Team: crew[:], Node: cyd[:], Boot: make([]byte, 16), Number: number, Digest: make([]byte, 16), SentHlc: uint64(board.HLCAt(said))}
		beat := signed(t, c.key, board.SignPresence, x)
		beat.Key = cyd[:]
		say(t, s, beatFrame(beat))
		eventually(t, "the beat is heard", func() bool { return a.heard().count(cyd, crew) == int(number) }, a)
	}
	old := func() float64 { return a.counters()["refused_total/old_sign_of_life"] }
	now := time.Now()
	passOn(now)
	if old() != 0 {
		t.Error("a new beat is no sign of life")
	}
	passOn(now)
	if old() != 1 {
		t.Error("a beat that isn't later than one that was heard is a sign of life")
	}
	passOn(now.Add(time.Second))
	if old() != 1 {
		t.Error("a later beat is no sign of life")
	}
	a.mesh.voices.mu.Lock()
	a.mesh.voices.mu.mates[cyd].said = 0
	a.mesh.voices.mu.Unlock()
	passOn(now.Add(-2 * relayedFor))
	if old() != 2 {
		t.Error("a beat that is older than what is believed is a sign of life")
	}
}

// Who can't be reached says on the topic what they have said of their people: what was lost on the way is asked for then.
func TestWhatIsLostOnTheTopicIsAskedFor(t *testing.T) {
	a, b, c := newNode(t, "ada", withPeople), newNode(t, "bob"), newNode(t, "cyd")
	crew := a.found("crew")
	a.letIn(crew, b, c)
	c.stop()
	tp := newTopic(a.mesh.subs, crew)
	cyd := wholeKey{c.key.Public(), crew}
	eventually(t, "ada's stream to cyd is gone", func() bool {
		a.mesh.voices.mu.Lock()
		defer a.mesh.voices.mu.Unlock()
		x := a.mesh.voices.mu.mates[cyd.node]
		return x != nil && x.out == nil
	}, a)
	number := uint64(0)
	beat := func(people uint64) {
		number++
		raw, err := proto.Marshal(&weftv1.Beat{
			Team: crew[:], Node: cyd.node[:], Boot: make([]byte, 16), Number: number, Digest: make([]byte, 32),
			SentHlc: uint64(board.HLCAt(time.Now())), PeopleNumber: people, People: make([]byte, min(people, 16)),
		})
		if err != nil {
			t.Fatal(err)
		}
		sig := c.key.Sign(board.SignBeat, raw)
		if err := tp.judgeBeat(b.mesh.self, &weftv1.Signed{Object: raw, Key: cyd.node[:], Signature: sig[:]}); err != nil {
			t.Fatal(err)
		}
	}
	wanted := func() (now bool, last time.Time) {
		a.mesh.voices.mu.Lock()
		defer a.mesh.voices.mu.Unlock()
		return a.mesh.voices.mu.wanted[cyd], a.mesh.voices.mu.asked[cyd]
	}
	beat(0)
	eventually(t, "what cyd said while she was away is asked for", func() bool { _, last := wanted(); return !last.IsZero() }, a)
	_, first := wanted()
	beat(16)
	if now, last := wanted(); now || last != first {
		t.Error("what is known is asked for")
	}
	a.heard().locked(func() { a.heard().differ = true })
	beat(17)
	eventually(t, "what is missing is asked for", func() bool { now, last := wanted(); return now || last != first }, a)
}
