package p2p

import (
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics count what happens in the mesh. Everything that is refused, ignored or dropped has a counter here.
type metrics struct {
	reg prometheus.Registerer
	all []prometheus.Collector

	replica  *prometheus.CounterVec // board.Replica's Count effects, by name
	offences *prometheus.CounterVec // by reason
	refused  *prometheus.CounterVec // connections, streams and wants, by reason
	gossip   *prometheus.CounterVec // pubsub's silent events, by event and reason
	pushes   *prometheus.CounterVec // topic messages sent and received, by what became of them
	frames   *prometheus.CounterVec // sync frames, by direction and kind
	bytes    *prometheus.CounterVec // of sync frames, by direction
	ingested *prometheus.CounterVec // runs and records handed to the store, by outcome
	dials    *prometheus.CounterVec // by outcome
	probes   *prometheus.CounterVec // by outcome
	knocks   *prometheus.CounterVec // by outcome
	bans     prometheus.Counter
	panics   prometheus.Counter
	links    prometheus.Gauge
	hidden   prometheus.Gauge
	inFlight prometheus.Gauge

	probeMetrics
}

func newMetrics(reg prometheus.Registerer, t *traffic) *metrics {
	s := &metrics{reg: reg, all: []prometheus.Collector{t}}
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "weft", Subsystem: "p2p", Name: name, Help: help}, labels)
		s.all = append(s.all, v)
		return v
	}
	s.replica = vec("replica_total", "What the replication rules counted, by name.", "name")
	s.offences = vec("offences_total", "Broken rules of the protocol, by reason.", "reason")
	s.refused = vec("refused_total", "Connections, streams and requests that were refused, by reason.", "reason")
	s.gossip = vec("pubsub_total", "Messages that pubsub dropped, rejected or throttled, by event and reason.", "event", "reason")
	s.pushes = vec("topic_messages_total", "Messages on teams' topics, by outcome.", "outcome")
	s.frames = vec("frames_total", "Frames on sync streams, by direction and kind.", "direction", "kind")
	s.bytes = vec("frame_bytes_total", "Bytes of frames on sync streams, by direction.", "direction")
	s.ingested = vec("ingested_total", "Records handed to the store, by outcome.", "outcome")
	s.dials = vec("dials_total", "Attempts to reach a peer, by outcome.", "outcome")
	s.probes = vec("probes_total", "Connections asked for a sign of life, by outcome.", "outcome")
	s.knocks = vec("knocks_total", "Knocks at the lobby, by outcome.", "outcome")
	s.bans = prometheus.NewCounter(prometheus.CounterOpts{Namespace: "weft", Subsystem: "p2p", Name: "bans_total", Help: "Peers that were refused for a while."})
	s.panics = prometheus.NewCounter(prometheus.CounterOpts{Namespace: "weft", Subsystem: "p2p", Name: "panics_total", Help: "Handlers of peers' messages that failed."})
	s.hidden = prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "weft", Subsystem: "p2p", Name: "hidden_entries", Help: "Entries that later ones of their device follow, and that no log explains."})
	s.all = append(s.all, s.hidden)
	s.links = prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "weft", Subsystem: "p2p", Name: "streams", Help: "Open sync and governance streams."})
	s.inFlight = prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "weft", Subsystem: "p2p", Name: "in_flight_bytes", Help: "Records that peers may still send or that are here and not stored, in bytes."})
	var probing []prometheus.Collector
	s.probeMetrics, probing = newProbeMetrics()
	s.all = append(s.all, probing...)
	s.all = append(s.all, s.bans, s.panics, s.links, s.inFlight)
	if reg != nil {
		for _, c := range s.all {
			if err := reg.Register(c); err != nil {
				break // a second mesh on one registry: the first one's figures stay
			}
		}
	}
	return s
}

// unregister takes the metrics away, so that a restarted mesh can bring its own.
func (s *metrics) unregister() {
	if s.reg == nil {
		return
	}
	for _, c := range s.all {
		s.reg.Unregister(c)
	}
}

// gossipTracer counts what pubsub does without a word. It is called from pubsub's loop and must not wait.
type gossipTracer struct{ s *metrics }

var _ pubsub.RawTracer = gossipTracer{}

func (t gossipTracer) count(event, reason string) { t.s.gossip.WithLabelValues(event, reason).Inc() }

func (t gossipTracer) OnNewOutboundStream(peer.ID, protocol.ID) {}
func (t gossipTracer) OnClosedOutboundStream(peer.ID)           {}
func (t gossipTracer) Join(string)                              {}
func (t gossipTracer) Leave(string)                             {}
func (t gossipTracer) Graft(peer.ID, string)                    { t.count("graft", "") }
func (t gossipTracer) Prune(peer.ID, string)                    { t.count("prune", "") }
func (t gossipTracer) ValidateMessage(*pubsub.Message)          {}
func (t gossipTracer) DeliverMessage(*pubsub.Message)           { t.count("deliver", "") }
func (t gossipTracer) RejectMessage(_ *pubsub.Message, why string) {
	t.count("reject", why)
}
func (t gossipTracer) DuplicateMessage(*pubsub.Message)     { t.count("duplicate", "") }
func (t gossipTracer) ThrottlePeer(peer.ID)                 { t.count("throttle", "") }
func (t gossipTracer) RecvRPC(*pubsub.RPC)                  {}
func (t gossipTracer) SendRPC(*pubsub.RPC, peer.ID)         {}
func (t gossipTracer) UndeliverableMessage(*pubsub.Message) { t.count("undeliverable", "") }

// DropRPC counts what didn't fit into a peer's queue: each message by its kind.
func (t gossipTracer) DropRPC(rpc *pubsub.RPC, _ peer.ID) {
	t.count("drop_rpc", "queue full")
	for _, m := range rpc.GetPublish() {
		t.count("drop_message", topicTraffic(m.GetData()).String())
	}
}
