package p2p

import (
	"sync/atomic"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
)

// trafficKind is what bytes were sent for.
type trafficKind int

const (
	trafficSync     trafficKind = iota // governance and boards: vectors, wants, records
	trafficPush                        // posts on topics
	trafficBeat                        // beats on topics
	trafficPulse                       // pulses, and asks for what differs by them
	trafficPresence                    // people's states and settings
	trafficProbe                       // probes, answers, suspicions
	trafficLive                        // live messages
	trafficControl                     // gossip's own: subscriptions, grafts, names of messages
	trafficLobby                       // from and to who wants to come in
	trafficKinds
)

var trafficNames = [trafficKinds]string{"sync", "push", "beat", "pulse", "presence", "probe", "live", "control", "lobby"}

func (k trafficKind) String() string { return trafficNames[k] }

// Traffic is how many bytes went out and came in for one purpose since the start, before encryption and the transport's own.
type Traffic struct {
	Kind           string // sync, push, beat, pulse, presence, probe, live, control, lobby
	Sent, Received uint64

	SentMessages, ReceivedMessages uint64 // frames, messages of topics; of control: RPCs
}

// Traffic tells for each kind how much was sent and received.
func (m *Mesh) Traffic() []Traffic {
	out := make([]Traffic, trafficKinds)
	for k := range out {
		t := m.traffic
		out[k] = Traffic{trafficNames[k], t.out[k].Load(), t.in[k].Load(), t.outMessages[k].Load(), t.inMessages[k].Load()}
	}
	return out
}

// traffic counts bytes by kind. It is a Prometheus collector; safe for concurrent use.
type traffic struct {
	out, in, outMessages, inMessages [trafficKinds]atomic.Uint64
}

func (t *traffic) sent(k trafficKind, n int) {
	t.out[k].Add(uint64(n))
	t.outMessages[k].Add(1)
}

func (t *traffic) received(k trafficKind, n int) {
	t.in[k].Add(uint64(n))
	t.inMessages[k].Add(1)
}

var (
	sentBytes     = prometheus.NewDesc("weft_p2p_sent_bytes_total", "Bytes sent to other nodes, by kind.", []string{"kind"}, nil)
	receivedBytes = prometheus.NewDesc("weft_p2p_received_bytes_total", "Bytes received from other nodes, by kind.", []string{"kind"}, nil)
)

// Describe tells Prometheus of both metrics.
func (t *traffic) Describe(c chan<- *prometheus.Desc) { c <- sentBytes; c <- receivedBytes }

// Collect gives Prometheus the counts.
func (t *traffic) Collect(c chan<- prometheus.Metric) {
	for k, name := range trafficNames {
		c <- prometheus.MustNewConstMetric(sentBytes, prometheus.CounterValue, float64(t.out[k].Load()), name)
		c <- prometheus.MustNewConstMetric(receivedBytes, prometheus.CounterValue, float64(t.in[k].Load()), name)
	}
}

// trafficOf is what a presence frame is for.
func trafficOf(f *weftv1.PresenceFrame) trafficKind {
	switch f.Frame.(type) {
	case *weftv1.PresenceFrame_Probe, *weftv1.PresenceFrame_Answer, *weftv1.PresenceFrame_Suspicions:
		return trafficProbe
	case *weftv1.PresenceFrame_Live:
		return trafficLive
	case *weftv1.PresenceFrame_Beat, *weftv1.PresenceFrame_Setting:
		return trafficPresence
	}
	return trafficPulse
}

// topicTraffic is what a topic message is for, by its first byte.
func topicTraffic(data []byte) trafficKind {
	switch num, _, n := protowire.ConsumeTag(data); {
	case n < 0:
	case num == 1:
		return trafficPush
	case num == 2:
		return trafficBeat
	case num == 3:
		return trafficPresence
	case num == 4:
		return trafficLive
	}
	return trafficControl
}

// receivedRPC counts an RPC of pubsub.
func (t *traffic) receivedRPC(rpc *pubsub.RPC) {
	rest := proto.Size(&rpc.RPC)
	for _, m := range rpc.GetPublish() {
		n := proto.Size(m)
		rest -= n
		t.received(topicTraffic(m.GetData()), n)
	}
	t.received(trafficControl, max(rest, 0))
}

// sentRPC counts an RPC of pubsub of so many bytes.
func (t *traffic) sentRPC(size int, about []aboutTopic) {
	for _, a := range about {
		if a.message {
			t.sent(a.kind, a.bytes)
			size -= a.bytes
		}
	}
	t.sent(trafficControl, max(size, 0))
}
