package p2p

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// commits is how often a node's store has written.
func (n *testNode) commits() float64 {
	families, err := n.storeReg.Gather()
	if err != nil {
		n.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "weft_store_commit_groups_total" {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	n.t.Fatal("the store doesn't count its commits")
	return 0
}

// Ten thousand live messages reach every teammate, each once, and no store writes anything.
func TestLiveMessagesAreHeardOnceAndNotStored(t *testing.T) {
	a, b, c := newNode(t, "ada", withPeople), newNode(t, "bob", withPeople), newNode(t, "cyd", withPeople)
	crew := a.found("crew")
	a.letIn(crew, b, c)
	linkUpAll(t, a, b, c)
	eventually(t, "all are in step", func() bool { return same(crew, a, b, c) }, a, b, c)
	nodes := []*testNode{a, b, c}
	var before [3]float64
	var since time.Time
	eventually(t, "the stores rest", func() bool { // addresses are kept soon after a connection
		for i, n := range nodes {
			if got := n.commits(); got != before[i] {
				before[i], since = got, time.Now()
			}
		}
		return time.Since(since) > 2*time.Second
	}, a, b, c)
	expected := 0 // by both: what a node is too slow for, on a machine that is, the sender is told of
	say := func(count int, body []byte) {
		sent, missed, err := a.mesh.SendLive(t.Context(), crew, nil, a.lives(crew, count, func(l *weftv1.LiveBatch) {
			for _, m := range l.Messages {
				m.Body = body
			}
		}))
		if err != nil || sent+missed != 2 {
			t.Fatalf("sent to %d, %d missed: %v", sent, missed, err)
		}
		expected += sent * count
	}
	for range 1000 {
		say(10, []byte("now"))
	}
	for range 150 { // 14 MiB, in much less than a second: more than may wait for a peer
		say(6, make([]byte, 16<<10))
	}
	eventually(t, "they hear all that they were sent", func() bool {
		bob, _ := b.heard().live()
		cyd, _ := c.heard().live()
		return bob+cyd == expected
	}, b, c)
	for _, n := range nodes[1:] {
		if different, all := n.heard().live(); different != all || different < 10000 {
			t.Errorf("%s heard %d messages %d times", n.name, different, all)
		}
	}
	for i, n := range nodes {
		if got := n.commits() - before[i]; got != 0 {
			t.Errorf("%s's store wrote %v times", n.name, got)
		}
	}
}

// A message for one person goes to their nodes only.
func TestALiveMessageForOneNode(t *testing.T) {
	a, b, c := newNode(t, "ada", withPeople), newNode(t, "bob", withPeople), newNode(t, "cyd", withPeople)
	crew := a.found("crew")
	a.letIn(crew, b, c)
	linkUpAll(t, a, b, c)
	to := func(u board.UserID) func(*weftv1.LiveBatch) {
		return func(l *weftv1.LiveBatch) { l.Messages[0].Target = u[:] }
	}
	if sent, missed, err := a.mesh.SendLive(t.Context(), crew, []board.NodeID{b.mesh.self}, a.lives(crew, 1, to(b.id.User))); sent != 1 || missed != 0 || err != nil {
		t.Fatal(sent, missed, err)
	}
	a.mesh.SendLive(t.Context(), crew, nil, a.lives(crew, 1, nil))
	eventually(t, "bob hears both and cyd one", func() bool {
		_, bob := b.heard().live()
		_, cyd := c.heard().live()
		return bob == 2 && cyd == 1
	}, a, b, c)
}

// Through a third node live messages come too, where two can't reach each other.
func TestLiveMessagesReachWhoIsntLinked(t *testing.T) {
	a, b, c := newNode(t, "ada", withPeople), newNode(t, "bob", withPeople), newNode(t, "cyd", withPeople)
	crew := b.found("crew")
	b.letIn(crew, a, c)
	linkUpAll(t, a, b, c)
	a.apart(c)
	eventually(t, "ada and cyd have lost each other", func() bool { return !a.mesh.voices.linked(c.mesh.self) }, a, c)
	again := time.Now()
	eventually(t, "cyd hears ada through bob", func() bool {
		if time.Now().After(again) {
			a.mesh.SendLive(t.Context(), crew, nil, a.lives(crew, 1, nil))
			again = time.Now().Add(500 * time.Millisecond)
		}
		_, got := c.heard().live()
		return got > 0
	}, a, b, c)
}

// Whoever may not post may not be heard on the live lane either.
func TestLiveMessagesOfWhoMayNotWrite(t *testing.T) {
	a, b, c := newNode(t, "ada", withPeople), newNode(t, "bob", withPeople), newNode(t, "cyd", withPeople)
	crew := a.found("crew")
	a.letIn(crew, b, c)
	linkUpAll(t, a, b, c)
	a.sets(crew, b, team.Muted, "too loud")
	eventually(t, "cyd knows", func() bool { return c.team(crew).Role(b.id.User) == team.Muted }, a, c)
	b.mesh.SendLive(t.Context(), crew, nil, b.lives(crew, 1, nil))
	for _, n := range []*testNode{a, c} {
		eventually(t, n.name+" counts it", func() bool { return n.counters()["refused_total/live_may_not_write"] == 1 }, n)
		if _, got := n.heard().live(); got != 0 {
			t.Errorf("%s heard it", n.name)
		}
	}
}

func TestLiveTopicMessages(t *testing.T) {
	a, b := newNode(t, "ada", withPeople), newNode(t, "bob")
	crew := a.found("crew")
	a.letIn(crew, b)
	bob := b.mesh.self
	public := func(change func(*weftv1.LiveBatch), device board.Key) []byte {
		id := nonce()
		l := &weftv1.LiveBatch{Team: crew[:], User: b.id.User[:], Node: bob[:], Messages: []*weftv1.LiveMessage{{Id: id[:], SentMs: uint64(time.Now().UnixMilli()), TtlMs: 1000}}}
		change(l)
		s := signedLive(device, l)
		key := b.id.Device.Public()
		s.Key = key[:]
		m, err := proto.Marshal(&weftv1.TopicMessage{Message: &weftv1.TopicMessage_Live{Live: s}})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	r := insider(t, a, b)
	topic, joined := r.onTopic(crew)
	eventually(t, "the raw peer is in the topic", joined, a)
	for name, x := range map[string]struct {
		payload []byte
		outcome string
	}{
		"forged":         {public(func(*weftv1.LiveBatch) {}, randomKey()), "bad_signature"},
		"empty":          {public(func(l *weftv1.LiveBatch) { l.Messages = nil }, b.id.Device), "malformed"},
		"for one person": {public(func(l *weftv1.LiveBatch) { l.Messages[0].Target = a.id.User[:] }, b.id.Device), "malformed"},
		"another team's": {public(func(l *weftv1.LiveBatch) { l.Team = make([]byte, 32) }, b.id.Device), "wrong_team"},
		"over":           {public(func(l *weftv1.LiveBatch) { l.Messages[0].SentMs = 1 }, b.id.Device), "expired"},
	} {
		before := a.counters()["topic_messages_total/"+x.outcome]
		publish(t, topic, x.payload)
		eventually(t, name+" is counted", func() bool { return a.counters()["topic_messages_total/"+x.outcome] > before }, a)
	}
	if _, got := a.heard().live(); got != 0 {
		t.Fatalf("%d of these were taken", got)
	}
	publish(t, topic, public(func(*weftv1.LiveBatch) {}, b.id.Device))
	eventually(t, "a good one is taken", func() bool { _, got := a.heard().live(); return got == 1 }, a)
}

// Whoever passes on what others have not signed, or what came too late, spends nothing of theirs and is stopped.
func TestForgedLiveMessagesCostTheirSenderOnly(t *testing.T) {
	for name, spoil := range map[string]func(c *testNode, crew board.TeamID) *weftv1.Signed{
		"forged": func(c *testNode, crew board.TeamID) *weftv1.Signed {
			s := c.lives(crew, 256, nil)
			s.Signature = make([]byte, 64)
			return s
		},
		"late": func(c *testNode, crew board.TeamID) *weftv1.Signed {
			return c.lives(crew, 256, func(b *weftv1.LiveBatch) { b.Messages[0].SentMs = 1 })
		},
		"by an unknown device": func(c *testNode, crew board.TeamID) *weftv1.Signed {
			b := new(weftv1.LiveBatch)
			if err := proto.Unmarshal(c.lives(crew, 256, nil).Object, b); err != nil {
				panic(err)
			}
			return signedLive(randomKey(), b)
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b, c := newNode(t, "ada", withPeople), newNode(t, "bob", withPeople), newNode(t, "cyd", withPeople)
			crew := a.found("crew")
			a.letIn(crew, b, c)
			linkUpAll(t, a, b, c)
			bob, cyd := b.mesh.self, c.mesh.self
			bad := spoil(c, crew)
			var why rejected
			for range 20_000 {
				if err := a.mesh.voices.takeLive(bob, crew, bad); !errors.As(err, &why) {
					t.Fatalf("it is taken: %v", err)
				}
				if why.outcome == "too_often" {
					break
				}
			}
			if why.outcome != "too_often" {
				t.Fatalf("bob may go on for ever: %v", why)
			}
			if err := a.mesh.voices.takeLive(cyd, crew, c.lives(crew, 256, nil)); err != nil {
				t.Errorf("cyd pays for it: %v", err)
			}
		})
	}
}
