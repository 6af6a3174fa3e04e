package p2p

import (
	"github.com/prometheus/client_golang/prometheus"

	"weft/presence/detect"
)

// probeMetrics count what failure detection does.
type probeMetrics struct {
	asked      *prometheus.CounterVec // by kind
	suspicions *prometheus.CounterVec // by what became of them
	deaths     prometheus.Counter
	back       prometheus.Counter
	ownLate    *prometheus.CounterVec // by how much
	nodes      *prometheus.GaugeVec   // teammates by state
}

func newProbeMetrics() (s probeMetrics, all []prometheus.Collector) {
	const sub = "presence"
	s.asked = prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "weft", Subsystem: sub, Name: "probes_total", Help: "Nodes asked whether they run: themselves, or others in this node's place."}, []string{"kind"})
	s.suspicions = prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "weft", Subsystem: sub, Name: "suspicions_total", Help: "Suspicions that nodes don't run, by what became of them."}, []string{"what"})
	s.deaths = prometheus.NewCounter(prometheus.CounterOpts{Namespace: "weft", Subsystem: sub, Name: "deaths_total", Help: "Nodes held for dead."})
	s.back = prometheus.NewCounter(prometheus.CounterOpts{Namespace: "weft", Subsystem: sub, Name: "revivals_total", Help: "Nodes held for dead that were heard again in the same run."})
	s.ownLate = prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "weft", Subsystem: sub, Name: "own_late_total", Help: "Times at which this node itself ran late, so that it doesn't blame others for it."}, []string{"how"})
	s.nodes = prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "weft", Subsystem: sub, Name: "nodes", Help: "Teammates' nodes by what is thought of them."}, []string{"state"})
	return s, []prometheus.Collector{s.asked, s.suspicions, s.deaths, s.back, s.ownLate, s.nodes}
}

// counted takes a Count effect of the detector.
func (s *probeMetrics) counted(name string) {
	switch name {
	case "direct", "indirect":
		s.asked.WithLabelValues(name).Inc()
	case "late", "suspended":
		s.ownLate.WithLabelValues(name).Inc()
	case "dead":
		s.deaths.Inc()
	case "revived":
		s.back.Inc()
	case "alive", "left":
	default:
		s.suspicions.WithLabelValues(name).Inc()
	}
}

// healthChanged moves a node from one state to another.
func (s *probeMetrics) healthChanged(from, to detect.State) {
	if from == to {
		return
	}
	if from != detect.Unknown {
		s.nodes.WithLabelValues(from.String()).Dec()
	}
	if to != detect.Unknown {
		s.nodes.WithLabelValues(to.String()).Inc()
	}
}
