package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"weft/sim"
)

// trafficSettings of a mesh in which nobody does anything, or little.
type trafficSettings struct {
	Shape   string // tens: each node in 10 teams of 10 nodes; shared: all nodes in 10 teams; pair: 2 nodes in Teams teams
	Nodes   int
	Teams   int     // of a pair
	People  int     // beside the nodes' own
	Hourly  float64 // then measured again, with so many changes of each person's state an hour
	Seconds int
}

func (s trafficSettings) String() string {
	out := map[string]string{
		"tens":   fmt.Sprintf("%d nodes in teams of %d, 10 teams each", s.Nodes, min(10, s.Nodes)),
		"shared": fmt.Sprintf("%d nodes that share the same 10 teams", s.Nodes),
		"pair":   fmt.Sprintf("2 nodes that share %d teams", s.Teams),
	}[s.Shape]
	return fmt.Sprintf("%s, %s people", out, number(float64(s.People)))
}

// limit is the issue's, in bytes per second.
func (s trafficSettings) limit() float64 {
	return map[string]float64{"tens": 5000, "shared": 6000, "pair": 2000}[s.Shape]
}

// flow is what the nodes sent, per node and second.
type flow struct {
	Payload float64            // bytes of UDP payload, all of it
	Packets float64            // UDP datagrams
	Bare    float64            // bytes of packets without data: QUIC's acknowledgements and keep-alives
	Kinds   map[string]float64 // bytes that the mesh put into streams, by kind; the rest are QUIC's headers
}

// String tells what a flow is made of.
func (f flow) String() string {
	var out []string
	for _, p := range f.parts() {
		if p.bytes >= 0.05 {
			out = append(out, fmt.Sprintf("%s %.1f", p.name, p.bytes))
		}
	}
	return fmt.Sprintf("%.0f bytes/s of UDP payload in %.1f packets/s: %s", f.Payload, f.Packets, strings.Join(out, ", "))
}

// part of a flow.
type part struct {
	name  string
	bytes float64
}

// parts of a flow: the mesh's by kind, then QUIC's.
func (f flow) parts() (out []part) {
	rest := f.Payload - f.Bare
	for _, k := range slices.Sorted(maps.Keys(f.Kinds)) {
		out = append(out, part{k, f.Kinds[k]})
		rest -= f.Kinds[k]
	}
	return append(out, part{"QUIC: headers", max(0, rest)}, part{"QUIC: acks, keep-alives", f.Bare})
}

// trafficResult is what a mesh sent.
type trafficResult struct {
	Idle     flow
	Changing *flow // nil: not measured
}

// fewNodes make a mesh that can hold many people.
const fewNodes = 5

// traffic measures the meshes of the issue, with 10 people and with many.
func (b *virtualBench) traffic(ctx context.Context, l *lab) error {
	// A node takes 8 KB for each person of its teams, and a hundred that share all of them are to fit into one machine. So there few
	// nodes hold everybody, and a hundred fewer people who make as many changes together.
	for _, s := range [][2]trafficSettings{
		{{Shape: "tens", Nodes: b.nodes, People: 10}, {Shape: "tens", Nodes: b.nodes, People: b.people, Hourly: 1}},
		{{Shape: "shared", Nodes: fewNodes, People: 10, Hourly: 1}, {Shape: "shared", Nodes: fewNodes, People: b.people, Hourly: 1}},
		{{Shape: "shared", Nodes: b.nodes, People: 10}, {Shape: "shared", Nodes: b.nodes, People: b.people / 50, Hourly: 50}},
		{{Shape: "pair", Nodes: 2, Teams: 500, People: 10}, {Shape: "pair", Nodes: 2, Teams: 500, People: b.people, Hourly: 1}},
	} {
		if !strings.Contains("traffic "+s[0].Shape, b.only) {
			continue
		}
		var idle [2]float64
		for i, s := range s {
			r, err := b.measure(ctx, l, s)
			if err != nil {
				return err
			}
			limit := atMost(s.limit())
			if b.quick {
				limit = bar{}
			}
			idle[i] = r.Idle.Payload
			l.out.add("idle traffic sent by a node, "+s.String(), r.Idle.Payload, "bytes/s", limit)
			if r.Changing != nil {
				l.out.add(fmt.Sprintf("the same, each person changing %g times an hour", s.Hourly), r.Changing.Payload, "bytes/s", limit)
			}
			l.out.field("traffic: "+s.String(), r)
		}
		l.out.add(fmt.Sprintf("difference between those of %s and %s people", number(float64(s[0].People)), number(float64(s[1].People))),
			100*math.Abs(idle[1]/idle[0]-1), "%", atMost(10))
	}
	return nil
}

// measure runs a mesh, unless the same one was run before.
func (b *virtualBench) measure(ctx context.Context, l *lab, s trafficSettings) (r trafficResult, err error) {
	s.Seconds = b.seconds
	if err := b.load(); err != nil {
		return r, err
	}
	if r, ok := b.known[s]; ok {
		return r, nil
	}
	if err := l.virtually(ctx, "traffic", s, &r); err != nil {
		return r, err
	}
	b.known[s] = r
	if err := b.keep(s, r); err != nil {
		return r, err
	}
	l.say("%s: %s", s, r.Idle)
	if r.Changing != nil {
		l.say("each of them changing %g times an hour: %s", s.Hourly, *r.Changing)
	}
	return r, nil
}

// keptResult is a line of the file of results.
type keptResult struct {
	Settings trafficSettings
	Result   trafficResult
}

// load reads the file of results, once.
func (b *virtualBench) load() error {
	if b.known != nil {
		return nil
	}
	b.known = map[trafficSettings]trafficResult{}
	if b.results == "" {
		return nil
	}
	text, err := os.ReadFile(b.results)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("couldn't read earlier results: %w", err)
	}
	for line := range bytes.Lines(text) {
		var k keptResult
		if err := json.Unmarshal(line, &k); err != nil {
			return fmt.Errorf("couldn't read earlier results; delete %s to measure anew: %w", b.results, err)
		}
		b.known[k.Settings] = k.Result
	}
	return nil
}

// keep adds a result to the file.
func (b *virtualBench) keep(s trafficSettings, r trafficResult) error {
	if b.results == "" {
		return nil
	}
	line, err := json.Marshal(keptResult{s, r})
	if err != nil {
		return err
	}
	f, err := os.OpenFile(b.results, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("couldn't keep a result: %w", err)
	}
	_, err = f.Write(append(line, '\n'))
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("couldn't keep a result: %w", err)
	}
	return nil
}

func trafficScenario(t *testing.T, settings json.RawMessage) any {
	var s trafficSettings
	if err := json.Unmarshal(settings, &s); err != nil {
		t.Fatal(err)
	}
	w := sim.NewWorld(t, 1)
	nodes, people := town(w, s)
	w.Pass(2 * time.Minute) // beats after bursts and the first pulses are over
	whole := time.Duration(s.Seconds) * time.Second
	var r trafficResult
	r.Idle = during(w, nodes, func() { w.Pass(whole) })
	if s.Hourly > 0 && len(people) > 0 {
		rnd := rand.New(rand.NewPCG(1, 2))
		each := time.Duration(float64(time.Hour) / s.Hourly / float64(len(people)))
		change := during(w, nodes, func() {
			for passed := time.Duration(0); passed < whole; passed += each {
				d := people[rnd.IntN(len(people))]
				d.idle = !d.idle
				if err := d.session.Report(d.idle, time.Minute); err != nil {
					t.Fatal(err)
				}
				w.Pass(each)
			}
		})
		r.Changing = &change
	}
	return r
}

// during counts what nodes send while something goes on.
func during(w *sim.World, nodes []*sim.Node, f func()) flow {
	sent := func() (sum map[string]float64) {
		sum = map[string]float64{}
		for _, n := range nodes {
			for _, k := range n.Mesh().Traffic() {
				sum[k.Kind] += float64(k.Sent)
			}
		}
		return sum
	}
	hosts, began := sim.Hosts(nodes...), time.Now()
	before, packets, bytes := sent(), w.Net.Counts(), w.Net.Bytes(hosts, hosts)
	f()
	per := 1 / time.Since(began).Seconds() / float64(len(nodes))
	after := w.Net.Counts()
	out := flow{
		Payload: float64(w.Net.Bytes(hosts, hosts)-bytes) * per, Packets: float64(after.Sent-packets.Sent) * per,
		Bare: float64(after.Bare-packets.Bare) * per, Kinds: map[string]float64{},
	}
	for k, v := range sent() {
		out.Kinds[k] = (v - before[k]) * per
	}
	return out
}
