package attack

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"strings"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/network"

	"weft/board"
)

// topicOf is the name of a team's topic.
func topicOf(t board.TeamID) string {
	h := sha256.Sum256(append([]byte("weft/topic/v1\x00"), t[:]...))
	return "/weft/team/1/" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h[:]))
}

// gossip is a stream of GossipSub on which a liar says what it likes. Whatever the target says is counted.
type gossip struct {
	*wire
	topic string
}

// gossip opens a stream of GossipSub to the target. heard, if not nil, is called for each RPC of the target.
func (l *liar) gossip(ctx context.Context, heard func(*pb.RPC)) (*gossip, error) {
	l.h.SetStreamHandler(gossipProtocol, func(s network.Stream) {
		x := &wire{s: s, count: l.count, patience: l.patience, guest: l.outside.Load()}
		x.r = newReader(x)
		for {
			b, err := x.bytes(10 * x.patience)
			if err != nil {
				s.Reset()
				return
			}
			rpc := new(pb.RPC)
			if heard != nil && unmarshal(b, rpc) {
				heard(rpc)
			}
		}
	})
	x, err := l.open(ctx, gossipProtocol)
	if err != nil {
		return nil, err
	}
	return &gossip{x, topicOf(l.team)}, nil
}

// rpc sends an RPC.
func (g *gossip) rpc(m *pb.RPC) error { return g.message(m) }

// publish sends messages of the topic.
func (g *gossip) publish(payloads ...[]byte) error {
	m := &pb.RPC{}
	for _, p := range payloads {
		m.Publish = append(m.Publish, &pb.Message{Data: p, Topic: &g.topic})
	}
	return g.rpc(m)
}

// subscribe says that a topic is wanted.
func (g *gossip) subscribe(topics ...string) error {
	yes := true
	m := &pb.RPC{}
	for _, t := range topics {
		m.Subscriptions = append(m.Subscriptions, &pb.RPC_SubOpts{Subscribe: &yes, Topicid: &t})
	}
	return g.rpc(m)
}

// graft asks into the topic's mesh.
func (g *gossip) graft() error {
	return g.rpc(&pb.RPC{Control: &pb.ControlMessage{Graft: []*pb.ControlGraft{{TopicID: &g.topic}}}})
}
