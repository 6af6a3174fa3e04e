package store

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of one store. Without a Registerer they count unseen.
type metrics struct {
	reg prometheus.Registerer
	all []prometheus.Collector

	groups, records, bytes prometheus.Counter
	seconds, sizes         prometheus.Histogram
	unknown                prometheus.Counter
	damaged, mended        prometheus.Counter
	voids, pending, future prometheus.Counter
	hidden, revived        prometheus.Counter
	pruned                 prometheus.Counter
	duplicates, forks      prometheus.Counter
	twins                  prometheus.Counter
	badSignature, quota    prometheus.Counter
	free                   prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{reg: reg}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "weft", Subsystem: "store", Name: name, Help: help})
		m.all = append(m.all, c)
		return c
	}
	m.groups = counter("commit_groups_total", "Commits, each of a group of records.")
	m.records = counter("records_total", "Records written.")
	m.bytes = counter("bytes_total", "Bytes of keys and values written.")
	m.unknown = counter("commits_failed_total", "Commits whose outcome is unknown; the store was opened again.")
	m.damaged = counter("damaged_total", "Values found damaged.")
	m.mended = counter("mended_total", "Damaged records that came again from a peer.")
	m.voids = counter("void_total", "Entries stored that do not count.")
	m.hidden = counter("voided_later_total", "Entries that became void by a change of their team.")
	m.revived = counter("revived_total", "Entries that count after all, by a change of their team.")
	m.pruned = counter("pruned_total", "Records removed below floors.")
	m.pending = counter("pending_total", "Runs refused because a right was not known yet.")
	m.future = counter("future_total", "Entries stored whose stamp was ahead of this node's clock.")
	m.duplicates = counter("duplicates_total", "Records ingested that were held already.")
	m.forks = counter("forks_total", "Runs that contradict what is held under the same number.")
	m.twins = counter("twins_total", "Entries of a device that came under the number of another one.")
	m.badSignature = counter("bad_signatures_total", "Entries or heads refused for their signature.")
	m.quota = counter("quota_refused_total", "Posts refused because their author posts too fast.")
	m.free = prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "weft", Subsystem: "store", Name: "free_bytes", Help: "Free space on the store's disk."})
	m.seconds = prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "weft", Subsystem: "store", Name: "commit_seconds",
		Help: "Time of a commit, fsync included.", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16)})
	m.sizes = prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "weft", Subsystem: "store", Name: "commit_records",
		Help: "Records in a commit.", Buckets: prometheus.ExponentialBuckets(1, 2, 12)})
	m.all = append(m.all, m.free, m.seconds, m.sizes)
	if reg != nil {
		for i, c := range m.all {
			if reg.Register(c) != nil { // another store of this process has the name: this one counts unseen
				m.all = m.all[:i]
				break
			}
		}
	}
	return m
}

func (m *metrics) unregister() {
	if m.reg != nil {
		for _, c := range m.all {
			m.reg.Unregister(c)
		}
	}
}

// reviewed counts an entry that became void, or valid.
func (m *metrics) reviewed(valid bool) {
	if valid {
		m.revived.Inc()
	} else {
		m.hidden.Inc()
	}
}

func (m *metrics) commit(g *group, took time.Duration) {
	m.groups.Inc()
	m.records.Add(float64(g.records))
	m.bytes.Add(float64(g.bytes))
	m.seconds.Observe(took.Seconds())
	m.sizes.Observe(float64(g.records))
}
