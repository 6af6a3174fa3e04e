package p2p

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"google.golang.org/protobuf/encoding/protowire"

	"weft/board"
)

// gossipHost is the host as pubsub sees it. pubsub goes on sending to whoever is in a topic's mesh, so what it writes
// passes a gate that asks the store each time whether its reader is a node of the teams that it is about.
type gossipHost struct {
	host.Host
	m *Mesh
}

// NewStream opens a stream with the gate in it.
func (h gossipHost) NewStream(ctx context.Context, p peer.ID, protocols ...protocol.ID) (network.Stream, error) {
	n, err := NodeIDOf(p)
	if err != nil {
		return nil, err
	}
	s, err := h.Host.NewStream(ctx, p, protocols...)
	if err != nil {
		return nil, err
	}
	return &gossipStream{Stream: s, m: h.m, node: n}, nil
}

// gossipStream is an outgoing stream of pubsub, which writes one RPC at a time.
type gossipStream struct {
	network.Stream
	m    *Mesh
	node board.NodeID
}

var errNotANode = errors.New("the reader is no node of the team any more")

// Write sends an RPC, or nothing of it if its reader may not have all of it; pubsub then gives the stream up. The loop
// disconnects such a peer once, and all is sorted out anew if it comes back for another team.
func (s *gossipStream) Write(b []byte) (int, error) {
	about, err := rpcTopics(b)
	if err != nil {
		return 0, err
	}
	v := s.m.who.view.Load()
	for _, a := range about {
		t, known := v.names[a.topic]
		if known && !s.m.who.mayReceive(s.node, t) {
			s.m.stats.refused.WithLabelValues("gossip_to_former_node").Inc()
			return 0, errNotANode
		}
		if known {
			s.m.sent.add(s.node, t, a.bytes)
		}
	}
	n, err := s.Stream.Write(b)
	if err == nil {
		s.m.traffic.sentRPC(len(b), about)
	}
	return n, err
}

// aboutTopic is a part of an RPC.
type aboutTopic struct {
	topic   string
	bytes   int
	message bool // a message itself
	kind    trafficKind
}

// Numbers of fields in pubsub's RPC.
const (
	rpcPublish   = 2
	rpcControl   = 3
	messageData  = 2
	messageTopic = 4
	controlIHave = 1
	controlGraft = 3
	controlTopic = 1
)

var errRPC = errors.New("pubsub wrote what is no RPC")

// rpcTopics are the topics that an RPC, with its length before it, tells something about: messages, names of messages,
// and being in the mesh. Subscriptions name all of a node's topics to everybody; they tell nothing of the teams.
func rpcTopics(b []byte) (out []aboutTopic, err error) {
	n, k := binary.Uvarint(b)
	if k <= 0 || n != uint64(len(b)-k) {
		return nil, errRPC
	}
	err = eachField(b[k:], func(num protowire.Number, v []byte) error {
		switch num {
		case rpcPublish:
			return messageIn(v, &out)
		case rpcControl:
			return eachField(v, func(num protowire.Number, v []byte) error {
				if num == controlIHave || num == controlGraft {
					return topicIn(v, controlTopic, &out)
				}
				return nil
			})
		}
		return nil
	})
	return out, err
}

// topicIn finds the field with the topic in a message.
func topicIn(b []byte, at protowire.Number, out *[]aboutTopic) error {
	return eachField(b, func(num protowire.Number, v []byte) error {
		if num == at {
			*out = append(*out, aboutTopic{topic: string(v), bytes: len(b)})
		}
		return nil
	})
}

// messageIn finds the topic and the kind of a message.
func messageIn(b []byte, out *[]aboutTopic) error {
	a := aboutTopic{bytes: len(b), message: true, kind: trafficControl}
	err := eachField(b, func(num protowire.Number, v []byte) error {
		switch num {
		case messageTopic:
			a.topic = string(v)
		case messageData:
			a.kind = topicTraffic(v)
		}
		return nil
	})
	*out = append(*out, a)
	return err
}

// eachField calls f for each field of a message that has a length.
func eachField(b []byte, f func(num protowire.Number, v []byte) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errRPC
		}
		b = b[n:]
		if typ == protowire.BytesType {
			v, n := protowire.ConsumeBytes(b)
			if n < 0 {
				return errRPC
			}
			if err := f(num, v); err != nil {
				return err
			}
			b = b[n:]
			continue
		}
		if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
			return errRPC
		}
		b = b[n:]
	}
	return nil
}
