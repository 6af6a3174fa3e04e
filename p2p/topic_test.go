package p2p

import (
	"context"
	"encoding/binary"
	"slices"
	"testing"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/protocol"
	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

// onTopic makes a raw peer a speaker on a team's topic; heard says that the victim is in it.
func (r *rawPeer) onTopic(id board.TeamID) (*pubsub.Topic, func() bool) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r.t.Cleanup(cancel)
	ps, err := pubsub.NewGossipSub(ctx, r.h, pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(messageID), pubsub.WithFloodPublish(true),
		pubsub.WithGossipSubProtocols([]protocol.ID{pubsub.GossipSubID_v12}, pubsub.GossipSubDefaultFeatures))
	if err != nil {
		r.t.Fatal(err)
	}
	topic, err := ps.Join(topicName(id))
	if err != nil {
		r.t.Fatal(err)
	}
	sub, err := topic.Subscribe()
	if err != nil {
		r.t.Fatal(err)
	}
	go func() {
		for {
			if _, err := sub.Next(ctx); err != nil {
				return
			}
		}
	}()
	return topic, func() bool { return slices.Contains(topic.ListPeers(), r.victim) }
}

func publish(t *testing.T, topic *pubsub.Topic, b []byte) {
	t.Helper()
	if err := topic.Publish(testContext(t), b); err != nil {
		t.Fatal(err)
	}
}

func TestBadTopicMessages(t *testing.T) {
	a, b, c, d := newNode(t, "ada"), newNode(t, "bob"), newNode(t, "cyd"), newNode(t, "dee")
	id := a.found("crew")
	general := board.GeneralID(id)
	a.letIn(id, b, c, d)
	elsewhere := a.found("elsewhere")
	at := b.post(id, general, 3).Position
	good, err := b.store.Run(testContext(t), general, at.Origin(), 1, 3, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "all have bob's posts", func() bool { return a.entries(general) == 3 && c.entries(general) == 3 }, a, b, c)
	push := func(r *weftv1.Run) []byte {
		m, err := proto.Marshal(&weftv1.TopicMessage{Message: &weftv1.TopicMessage_Push{Push: &weftv1.Push{Runs: []*weftv1.Run{r}}}})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	// next is a record that could follow bob's three, but isn't signed by anybody.
	next := *good
	next.First, next.Prev, next.Items = 4, board.Link{Epoch: at.Epoch, Seq: 3, Hash: at.Hash}, slices.Clone(good.Items[2:])
	unsigned, forged := next, next
	unsigned.Items = slices.Clone(next.Items)
	unsigned.Items[0].HeadSig = nil
	forged.Items = slices.Clone(next.Items)
	forged.Items[0].HeadSig = make([]byte, 64)
	stranger := randomKey()
	unknown := *good
	unknown.Node, unknown.Items = stranger.Public(), slices.Clone(good.Items)
	hashes := unknown.Hashes()
	sig := board.SignHead(stranger, board.Position{Board: general, Node: unknown.Node, Epoch: unknown.Epoch, Seq: 3, Hash: hashes[2]})
	unknown.Items[2].HeadSig = sig[:]
	beat := func(change func(*weftv1.Beat), key board.Key) []byte {
		self := b.key.Public()
		x := &weftv1.Beat{Team: id[:], Node: self[:], Boot: make([]byte, 16), Number: 1, Digest: make([]byte, 32)}
		change(x)
		raw, _ := proto.Marshal(x)
		sig := key.Sign(board.SignBeat, raw)
		m, _ := proto.Marshal(&weftv1.TopicMessage{Message: &weftv1.TopicMessage_Beat{Beat: &weftv1.Signed{Object: raw, Key: self[:], Signature: sig[:]}}})
		return m
	}
	at.Board = board.GeneralID(elsewhere)
	elseSig := board.SignHead(b.key, at)
	wrongTeam, _ := proto.Marshal(&weftv1.TopicMessage{Message: &weftv1.TopicMessage_Push{Push: &weftv1.Push{
		Heads: []*weftv1.Head{{Position: at.Wire(), Signature: elseSig[:]}},
	}}})
	part := *good // what is held, in another cut than it was pushed in
	part.Items = slices.Clone(good.Items[:2])
	partSig := board.SignHead(b.key, board.Position{Board: general, Node: part.Node, Epoch: part.Epoch, Seq: 2, Hash: part.Hashes()[1]})
	part.Items[1].HeadSig = partSig[:]
	type bad struct {
		name    string
		payload []byte
		outcome string
	}
	for _, n := range []*testNode{b, c, d} {
		n.stop() // a beat of bob's own would be newer than the one said in its name
	}
	// Each of three members sends a few, so that their offences don't add up to a ban.
	for member, cases := range map[*testNode][]bad{
		b: {
			{"rubbish", []byte("\xff\xfe nothing that can be read"), "malformed"},
			{"empty push", push(nil), "malformed"},
			{"no signed head", push(unsigned.Wire()), "no_head"},
			{"forged head", push(forged.Wire()), "bad_signature"},
		},
		c: {
			{"another team's board", wrongTeam, "wrong_team"},
			{"unknown node", push(unknown.Wire()), "unknown_origin"},
			{"what is held", push(part.Wire()), "duplicate"},
		},
		d: {
			{"forged beat", beat(func(*weftv1.Beat) {}, stranger), "bad_signature"},
			{"beat of zero", beat(func(b *weftv1.Beat) { b.Number = 0 }, b.key), "malformed"},
			{"beat for another", beat(func(b *weftv1.Beat) { b.Team = elsewhere[:] }, b.key), "malformed"},
			{"good beat", beat(func(*weftv1.Beat) {}, b.key), "accepted"},
			{"old beat", beat(func(b *weftv1.Beat) { b.SentHlc = 1 }, b.key), "old_beat"},
		},
	} {
		r := insider(t, a, member)
		topic, joined := r.onTopic(id)
		eventually(t, "the raw peer is in the topic", joined, a)
		for _, x := range cases {
			before := a.counters()["topic_messages_total/"+x.outcome]
			publish(t, topic, x.payload)
			eventually(t, x.name+" is counted as "+x.outcome, func() bool {
				return a.counters()["topic_messages_total/"+x.outcome] > before
			}, a)
		}
		r.h.Close()
	}
	if a.entries(general) != 3 {
		t.Fatal("something of it was stored")
	}
}

func TestSubscriptionSpamIsRefused(t *testing.T) {
	a, b := newNode(t, "ada", func(n *testNode) { n.limits.Subscriptions = 16 }), newNode(t, "bob")
	id := a.found("crew")
	a.letIn(id, b)
	r := insider(t, a, b)
	s := r.stream(string(pubsub.GossipSubID_v12))
	var rpc []byte
	for i := range 17 {
		one := []byte{0x08, 1, 0x12, 2, 't', byte(i)} // subscribe: true, topic
		rpc = append(rpc, 0x0a, byte(len(one)))
		rpc = append(rpc, one...)
	}
	s.Write(append(binary.AppendUvarint(nil, uint64(len(rpc))), rpc...))
	eventually(t, "it is counted", func() bool { return a.counters()["offences_total/subscriptions"] > 0 }, a)
}

func TestTopicNameTellsNothing(t *testing.T) {
	a, b := topicName(board.TeamID{1}), topicName(board.TeamID{2})
	if a == b || len(a) != len(b) {
		t.Fatal(a, b)
	}
}
