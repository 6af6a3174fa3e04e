package attack

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/prometheus/client_golang/prometheus"
)

// Counters are a target's metrics, by name and labels as they stand in its /metrics: `weft_p2p_bans_total`,
// `weft_p2p_offences_total{reason="frame"}`.
type Counters map[string]float64

// Observer looks at the target from beside it. A nil Observer sees nothing, and then an attack is judged by what comes
// back over the wire alone.
type Observer interface {
	// Counters of the target, those of its process among them.
	Counters(ctx context.Context) (Counters, error)
	// Shown are the texts that the target shows on the attacked team's first board; nil if it can't be asked.
	Shown(ctx context.Context) ([]string, error)
}

// Socket observes a daemon through its socket.
type Socket struct {
	Path  string
	Texts func(ctx context.Context) ([]string, error) // Shown; may be nil
}

// Counters reads /metrics.
func (s Socket) Counters(ctx context.Context) (Counters, error) {
	c := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", s.Path)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://weft/metrics", nil)
	if err != nil {
		return nil, err
	}
	res, err := c.Do(req)
	if err != nil {
		return nil, fmt.Errorf("couldn't read the target's metrics: %w", err)
	}
	defer res.Body.Close()
	return parseMetrics(res.Body)
}

// Shown asks the API.
func (s Socket) Shown(ctx context.Context) ([]string, error) {
	if s.Texts == nil {
		return nil, nil
	}
	return s.Texts(ctx)
}

// parseMetrics reads the text format of Prometheus, of which weft writes NAME{LABELS} VALUE.
func parseMetrics(r io.Reader) (Counters, error) {
	out := Counters{}
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		line := sc.Text()
		at := strings.LastIndexByte(line, ' ')
		if line == "" || line[0] == '#' || at < 0 {
			continue
		}
		if v, err := strconv.ParseFloat(line[at+1:], 64); err == nil {
			out[line[:at]] = v
		}
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("couldn't read metrics: %w", err)
	}
	return out, nil
}

// Gather reads the counters of a registry in this process.
func Gather(from prometheus.Gatherer) (Counters, error) {
	families, err := from.Gather()
	if err != nil {
		return nil, fmt.Errorf("couldn't gather metrics: %w", err)
	}
	out := Counters{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			out[f.GetName()+labelsOf(m)] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return out, nil
}

func labelsOf(m *dto.Metric) string {
	var l []string
	for _, p := range m.GetLabel() {
		l = append(l, fmt.Sprintf("%s=%q", p.GetName(), p.GetValue()))
	}
	if len(l) == 0 {
		return ""
	}
	slices.Sort(l)
	return "{" + strings.Join(l, ",") + "}"
}

// Names of what an Observer's counters are asked for.
const (
	panics   = "weft_p2p_panics_total"
	offences = "weft_p2p_offences_total"
	refused  = "weft_p2p_refused_total"
	topics   = "weft_p2p_topic_messages_total"
	replica  = "weft_p2p_replica_total"
	knocks   = "weft_p2p_knocks_total"
	pubsubs  = "weft_p2p_pubsub_total"
)

// labelled is a counter with its one label.
func labelled(name, label, value string) string { return fmt.Sprintf("%s{%s=%q}", name, label, value) }

func offence(reason string) string { return labelled(offences, "reason", reason) }
func refusal(reason string) string { return labelled(refused, "reason", reason) }
func topic(outcome string) string  { return labelled(topics, "outcome", outcome) }
func counted(name string) string   { return labelled(replica, "name", name) }
func knocked(outcome string) string {
	return labelled(knocks, "outcome", outcome)
}

// rose are the counters of refusals that are greater after than before, with how much.
func rose(before, after Counters, interesting func(string) bool) []string {
	var out []string
	for name, v := range after {
		if d := v - before[name]; d > 0 && interesting(name) {
			out = append(out, fmt.Sprintf("%s +%s", short(name), strconv.FormatFloat(d, 'f', -1, 64)))
		}
	}
	slices.Sort(out)
	return out
}

// short is a counter's name without what all have in common: offences{frame}.
func short(name string) string {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "weft_"), "p2p_")
	base, labels, _ := strings.Cut(strings.TrimSuffix(name, "}"), "{")
	base = strings.TrimSuffix(base, "_total")
	if labels == "" {
		return base
	}
	var values []string
	for _, l := range strings.Split(labels, ",") {
		_, v, _ := strings.Cut(l, "=")
		values = append(values, strings.Trim(v, `"`))
	}
	return base + "{" + strings.Join(values, " ") + "}"
}

// refusing says whether a counter is one of what was refused, ignored or dropped.
func refusing(name string) bool {
	for _, p := range []string{offences, refused, replica, knocks, "weft_p2p_bans", "weft_store_forks", "weft_store_void",
		"weft_store_pending", "weft_store_bad", "weft_store_dup", "weft_store_twins", "weft_store_future", panics} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return strings.HasPrefix(name, topics) && !strings.Contains(name, `"sent"`) ||
		strings.HasPrefix(name, pubsubs) && (strings.Contains(name, "reject") || strings.Contains(name, "subscription") || strings.Contains(name, "throttle"))
}
