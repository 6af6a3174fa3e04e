package attack

import (
	"context"
	"fmt"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"google.golang.org/protobuf/encoding/protowire"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

var gossipAttacks = []Attack{
	{Name: "push-bad-head", What: "records whose head is signed by another key", As: Member, Row: "bad signatures",
		Expect: []string{topic("bad_signature")}, run: pushing(func(l *liar) [][]byte {
			b := l.newBook(l.general())
			return [][]byte{push(resigned(b.add(l.posts(&b.pen, 3, Forged+" head")...), randomKey()))}
		})},
	{Name: "push-bad-entry", What: "records with a good head over entries that nobody signed, which others would blame on who passes them on", As: Member,
		Row: "bad signatures", Expect: []string{topic("bad_signature")}, run: pushing(func(l *liar) (out [][]byte) {
			for range 100 {
				b := l.newBook(l.general())
				entries := l.posts(&b.pen, 2, Forged+" entry")
				for _, e := range entries {
					e.Signature[7] ^= 1
				}
				out = append(out, push(b.add(entries...)))
			}
			return out
		})},
	{Name: "push-bad-heads", What: "records with a good head at their end and rubbish as heads before it", As: Member, Row: "bad signatures",
		Expect: []string{topic("bad_signature")}, run: pushing(func(l *liar) [][]byte {
			b := l.newBook(l.general())
			run := b.add(l.posts(&b.pen, 5, Forged+" heads")...)
			for i := range 4 {
				run.Items[i].HeadSig = rubbish(64)
			}
			return [][]byte{push(run)}
		})},
	{Name: "signature-burn", What: "bad signatures without end, to keep the target busy with checking them", As: Member, Row: "signature burn",
		Expect: []string{"weft_p2p_bans_total"}, run: burn},
	{Name: "gossip-giant", What: "a message of 300 KiB", As: Member, Row: "giant frame", run: giantMessage},
	{Name: "gossip-rubbish", What: "random bytes as messages of the topic", As: Member, Row: "bad topic messages",
		Expect: []string{topic("malformed")}, run: pushing(func(*liar) (out [][]byte) {
			for range 10 {
				out = append(out, rubbish(3000))
			}
			return out
		})},
	{Name: "gossip-unknown", What: "messages of a kind that no version has", As: Member, Row: "protocol", Expect: []string{topic("unknown_kind")},
		run: pushing(func(*liar) [][]byte {
			return [][]byte{protowire.AppendBytes(protowire.AppendTag(nil, 77, protowire.BytesType), rubbish(100))}
		})},
	{Name: "gossip-bomb", What: "250 KiB of empty runs, each of which takes 200 bytes once it is read", As: Member, Row: "protobuf abuse",
		Expect: []string{topic("malformed")}, run: pushing(func(*liar) [][]byte {
			var runs []byte
			for range 120_000 {
				runs = append(runs, 1<<3|2, 0)
			}
			return [][]byte{protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), runs)}
		})},
	{Name: "duplicates", What: "the same records in ever other messages", As: Member, Row: "replay", Expect: []string{topic("duplicate")}, run: duplicates},
	{Name: "replay", What: "old records of others, as if they were news", As: Member, Row: "replay", Expect: []string{topic("duplicate")},
		run: pushing(func(l *liar) (out [][]byte) {
			for i := range 20 {
				if r := l.known.someRun(l.node()); r != nil {
					out = append(out, unlike(push(r), i))
				}
			}
			return out
		})},
	{Name: "topic-of-others", What: "messages on topics of teams that it is not in", As: Member, Row: "eavesdropping", run: otherTopics},
	{Name: "subscription-spam", What: "3,000 subscriptions in one message", As: Member, Row: "subscription spam",
		Expect: []string{offence("subscriptions")}, run: speaking(func(l *liar, g *gossip) error {
			var names []string
			for i := range 3000 {
				names = append(names, fmt.Sprint("/weft/team/1/", i))
			}
			return g.subscribe(names...)
		})},
	{Name: "ihave-spam", What: "names of 5,000 messages that do not exist", As: Member, Row: "IHAVE/IWANT",
		Expect: []string{offence("gossip_control")}, run: speaking(func(_ *liar, g *gossip) error {
			return g.rpc(&pb.RPC{Control: &pb.ControlMessage{Ihave: []*pb.ControlIHave{{TopicID: &g.topic, MessageIDs: names(5000)}}}})
		})},
	{Name: "iwant-spam", What: "asks for 5,000 messages", As: Member, Row: "IHAVE/IWANT",
		Expect: []string{offence("gossip_control")}, run: speaking(func(_ *liar, g *gossip) error {
			return g.rpc(&pb.RPC{Control: &pb.ControlMessage{Iwant: []*pb.ControlIWant{{MessageIDs: names(5000)}}}})
		})},
	{Name: "idontwant-spam", What: "does not want 6,000 messages", As: Member, Row: "IHAVE/IWANT",
		Expect: []string{offence("gossip_control")}, run: speaking(func(_ *liar, g *gossip) error {
			return g.rpc(&pb.RPC{Control: &pb.ControlMessage{Idontwant: []*pb.ControlIDontWant{{MessageIDs: names(6000)}}}})
		})},
	{Name: "graft-spam", What: "in and out of 3,000 meshes", As: Member, Row: "IHAVE/IWANT",
		Expect: []string{offence("gossip_control")}, run: speaking(func(_ *liar, g *gossip) error {
			c := &pb.ControlMessage{}
			for i := range 3000 {
				t := fmt.Sprint("/weft/team/1/", i)
				c.Graft = append(c.Graft, &pb.ControlGraft{TopicID: &t})
				c.Prune = append(c.Prune, &pb.ControlPrune{TopicID: &t})
			}
			return g.rpc(&pb.RPC{Control: c})
		})},
	{Name: "floodsub", What: "speaks floodsub, which would get everything", As: Member, Row: "eavesdropping", run: speakFlood},
	{Name: "beat-spoofed", What: "beats in the name of other nodes", As: Member, Row: "presence spoofing",
		Expect: []string{topic("malformed"), topic("bad_signature")}, run: pushing(func(l *liar) (out [][]byte) {
			for _, n := range l.known.state.Nodes() {
				b := l.beatOf(1)
				b.Node = n[:]
				out = append(out, l.signedBeat(b)) // signed by the liar, and said to be
				s := signed(l.key, board.SignBeat, b)
				s.Key = n[:]
				out = append(out, encoded(&weftv1.TopicMessage{Message: &weftv1.TopicMessage_Beat{Beat: s}}))
			}
			return out
		})},
	{Name: "beat-false-heads", What: "a beat with heads of others' logs, and then with heads of its own that nobody can get", As: Member, Row: "presence spoofing",
		Expect: []string{topic("malformed")}, run: pushing(func(l *liar) [][]byte {
			others, own := l.beatOf(1), l.beatOf(2)
			target, _ := nodeOf(l.target.ID)
			others.Heads = []*weftv1.Head{l.falseHead(target)}
			own.Heads = []*weftv1.Head{l.falseHead(l.node())}
			return [][]byte{l.signedBeat(others), l.signedBeat(own)}
		})},
	{Name: "beat-flood", What: "beats with false digests as fast as they go", As: Member, Row: "gossip that loses",
		Expect: []string{topic("too_often")}, run: beatFlood},
	{Name: "beat-clone", What: "beats of two copies of one node, in turn", As: Member, Row: "clones", Expect: []string{counted("clone")},
		run: pushing(func(l *liar) (out [][]byte) {
			a, b := rubbish(16), rubbish(16)
			for i, boot := range [][]byte{a, b, a, b} {
				m := l.beatOf(uint64(i + 1))
				m.Boot, m.SentHlc = boot, m.SentHlc+uint64(i)
				out = append(out, l.signedBeat(m))
			}
			return out
		})},
}

// pushing publishes messages on the team's topic.
func pushing(f func(*liar) [][]byte) func(context.Context, *liar, *order) error {
	return speaking(func(l *liar, g *gossip) error {
		for i, p := range f(l) {
			if err := g.publish(p); err != nil && i == 0 {
				return err
			} else if err != nil {
				return nil // it has been shown out
			}
		}
		return nil
	})
}

// speaking says something to the target's GossipSub. The stream stays until the liar's host ends.
func speaking(f func(*liar, *gossip) error) func(context.Context, *liar, *order) error {
	return func(ctx context.Context, l *liar, _ *order) error {
		g, err := l.gossip(ctx, nil)
		if err != nil {
			return err
		}
		return f(l, g)
	}
}

func names(n int) (out []string) {
	for range n {
		out = append(out, string(rubbish(32)))
	}
	return out
}

// unlike is a message with a field behind it that nobody knows, so that it is another message.
func unlike(m []byte, i int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(m[:len(m):len(m)], 1000, protowire.VarintType), uint64(i))
}

func burn(ctx context.Context, l *liar, o *order) error {
	g, err := l.gossip(ctx, nil)
	if err != nil {
		return err
	}
	b := l.newBook(l.general())
	run := resigned(b.add(l.posts(&b.pen, 1, Forged+" burn")...), randomKey())
	payload := push(run)
	o.flood(ctx, 200, func(i int) error { // that it fails is the answer
		if !l.connected() {
			return errStillOpen
		}
		return g.publish(unlike(payload, i))
	})
	return nil
}

func giantMessage(ctx context.Context, l *liar, _ *order) error {
	g, err := l.gossip(ctx, nil)
	if err != nil {
		return err
	}
	g.publish(rubbish(300 << 10))
	if err := g.ended(2 * g.patience); err != nil {
		return broken("%v", err)
	}
	return nil
}

func duplicates(ctx context.Context, l *liar, o *order) error {
	g, err := l.gossip(ctx, nil)
	if err != nil {
		return err
	}
	b := l.newBook(l.general())
	payload := push(b.add(l.posts(&b.pen, 20, "said once")...))
	o.flood(ctx, 300, func(i int) error { return g.publish(unlike(payload, i)) })
	return nil
}

func otherTopics(ctx context.Context, l *liar, _ *order) error {
	g, err := l.gossip(ctx, nil)
	if err != nil {
		return err
	}
	g.topic = topicOf(board.TeamID(rubbish(32)))
	if err := g.subscribe(g.topic); err != nil {
		return err
	}
	if err := g.graft(); err != nil {
		return err
	}
	b := l.newBook(l.general())
	return g.publish(push(b.add(l.posts(&b.pen, 3, Forged+" elsewhere")...)))
}

func speakFlood(ctx context.Context, l *liar, _ *order) error {
	if x, err := l.open(ctx, floodProtocol); err == nil {
		x.reset()
		return broken("the target speaks floodsub")
	}
	return nil
}

// beatOf is a beat of the liar's node.
func (l *liar) beatOf(number uint64) *weftv1.Beat {
	n := l.node()
	boot := l.node() // one for all of its beats
	return &weftv1.Beat{
		Team: l.team[:], Node: n[:], Boot: boot[:16], Number: number, Incarnation: 1, LeaseMs: 150_000, Digest: rubbish(32), SentHlc: uint64(now()),
	}
}

func (l *liar) signedBeat(b *weftv1.Beat) []byte {
	return encoded(&weftv1.TopicMessage{Message: &weftv1.TopicMessage_Beat{Beat: signed(l.key, board.SignBeat, b)}})
}

// falseHead is far ahead in the log of a node, with no signature that fits.
func (l *liar) falseHead(n board.NodeID) *weftv1.Head {
	b := l.general()
	return &weftv1.Head{
		Position:  &weftv1.Position{Board: b[:], Node: n[:], Epoch: 9, EpochRandom: 9, Seq: 1 << 30, Hash: rubbish(32)},
		Signature: rubbish(64),
	}
}

func beatFlood(ctx context.Context, l *liar, o *order) error {
	g, err := l.gossip(ctx, nil)
	if err != nil {
		return err
	}
	o.flood(ctx, 300, func(i int) error { return g.publish(l.signedBeat(l.beatOf(uint64(i + 1)))) })
	return nil
}
