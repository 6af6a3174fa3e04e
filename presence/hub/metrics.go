package hub

import (
	"github.com/prometheus/client_golang/prometheus"

	"weft/presence"
)

// metrics count what happens around presence. Everything that is refused, ignored or dropped has a counter here.
type metrics struct {
	sent     prometheus.Counter
	received *prometheus.CounterVec // by outcome
	changes  *prometheus.CounterVec // by cause
	live     *prometheus.CounterVec // by outcome
	skipped  prometheus.Counter
	saved    prometheus.Counter
}

func newMetrics(h *Hub) *metrics {
	var all []prometheus.Collector
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "weft", Subsystem: "presence", Name: name, Help: help})
		all = append(all, c)
		return c
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "weft", Subsystem: "presence", Name: name, Help: help}, []string{label})
		all = append(all, v)
		return v
	}
	m := &metrics{
		sent:     counter("beats_sent_total", "Beats about own people, each to all nodes of its team."),
		received: vec("beats_received_total", "Beats of other nodes, by what became of them.", "outcome"),
		changes:  vec("changes_total", "People who were shown otherwise, by cause.", "cause"),
		live:     vec("live_total", "Live messages, by what became of them.", "outcome"),
		skipped:  counter("skipped_total", "Changes that were overtaken by later ones before a slow reader took them."),
		saved:    counter("saves_total", "Pages written of when people were last active."),
	}
	number := func(name, help string, get func() float64) {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "weft", Subsystem: "presence", Name: name, Help: help}, get))
	}
	number("sessions", "Sessions of this node's people.", func() float64 { n, _, _ := h.Numbers(); return float64(n) })
	number("watchers", "Readers of presence.", func() float64 { _, n, _ := h.Numbers(); return float64(n) })
	number("listeners", "Readers of live messages.", func() float64 { _, _, n := h.Numbers(); return float64(n) })
	stat := func(name, help string, get func(presence.Stats) uint64) {
		all = append(all, prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "weft", Subsystem: "presence", Name: name, Help: help}, func() float64 {
			h.mu.Lock()
			defer h.mu.Unlock()
			return float64(get(h.mu.table.Stats()))
		}))
	}
	stat("duplicates_total", "Beats that were here.", func(s presence.Stats) uint64 { return s.Duplicates })
	stat("gaps_total", "Beats that came before others that they follow.", func(s presence.Stats) uint64 { return s.Gaps })
	stat("mismatches_total", "Digests of beats that did not fit what is held.", func(s presence.Stats) uint64 { return s.Mismatches })
	stat("asks_total", "Whole states that were asked for.", func(s presence.Stats) uint64 { return s.Asks })
	stat("strangers_total", "Reports of people by a node that is no home of theirs; not shown.", func(s presence.Stats) uint64 { return s.Strangers })
	stat("held_total", "Changes that damping held back.", func(s presence.Stats) uint64 { return s.Held })
	if h.o.Registerer != nil {
		for _, c := range all {
			if err := h.o.Registerer.Register(c); err != nil {
				h.o.Log.Warn("couldn't register a metric", "err", err)
			}
		}
	}
	return m
}
