package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"weft/board"
	"weft/presence/hub"
	"weft/sim"
	"weft/sim/check"
	"weft/team"
)

// virtualBench measures in virtual time what presence costs and how right it is in meshes of many nodes.
type virtualBench struct {
	seconds int
	people  int
	hours   float64
	only    string
}

func (b *virtualBench) flags(c *cobra.Command) {
	c.Flags().IntVar(&b.seconds, "seconds", 300, "virtual time for which idle traffic is counted")
	c.Flags().IntVar(&b.people, "people", 5000, "people in the larger mesh whose traffic is compared with that of 10; 50000 takes 2 GB and some minutes")
	c.Flags().Float64Var(&b.hours, "hours", 1, "virtual time under loss")
	c.Flags().StringVar(&b.only, "only", "", "of the virtual parts, those whose name has this in it")
}

// trafficSettings of an idle mesh.
type trafficSettings struct {
	Shape   string // tens: each node in 10 teams of 10 nodes; shared: all nodes in 10 teams; pair: 2 nodes in Teams teams
	Nodes   int
	Teams   int  // of a pair
	People  int  // beside the nodes' own
	Hourly  bool // each person's state changes once an hour
	Seconds int
}

// trafficResult is what the nodes sent, per node and second.
type trafficResult struct {
	Payload float64            // of UDP, all of it
	Packets float64            // UDP datagrams
	Kinds   map[string]float64 // of it, what the mesh put into streams, by kind; the rest is QUIC's: headers, acknowledgements, keep-alives
}

func (b *virtualBench) run(ctx context.Context, l *lab) error {
	for _, s := range []struct {
		what  string
		set   trafficSettings
		limit float64
	}{
		{"100 nodes in teams of 10, 10 teams each, 10 people", trafficSettings{Shape: "tens", Nodes: 100, People: 10}, 5000},
		{fmt.Sprintf("the same with %s people", number(float64(b.people))), trafficSettings{Shape: "tens", Nodes: 100, People: b.people}, 5000},
		{fmt.Sprintf("the same with %s people of whom each changes once an hour", number(float64(b.people))), trafficSettings{Shape: "tens", Nodes: 100, People: b.people, Hourly: true}, 5000},
		{"100 nodes that share the same 10 teams, 10 people", trafficSettings{Shape: "shared", Nodes: 100, People: 10}, 6000},
		{"2 nodes that share 500 teams, 10 people", trafficSettings{Shape: "pair", Nodes: 2, Teams: 500, People: 10}, 2000},
	} {
		if !strings.Contains("traffic "+s.what, b.only) {
			continue
		}
		s.set.Seconds = b.seconds
		var r trafficResult
		if err := l.virtually(ctx, "traffic", s.set, &r); err != nil {
			return err
		}
		l.out.add("idle traffic sent by a node, "+s.what, r.Payload, "bytes/s", atMost(s.limit))
		l.say("%s: %.0f bytes/s of UDP payload in %.1f packets/s; of it %s", s.what, r.Payload, r.Packets, kinds(r))
		l.out.field("traffic: "+s.what, r)
	}
	if strings.Contains("loss", b.only) {
		if err := b.loss(ctx, l); err != nil {
			return err
		}
	}
	if strings.Contains("flip", b.only) {
		return b.flip(ctx, l)
	}
	return nil
}

// kinds tells what a result is made of.
func kinds(r trafficResult) string {
	var out []string
	rest := r.Payload
	for _, k := range slices.Sorted(maps.Keys(r.Kinds)) {
		rest -= r.Kinds[k]
		if r.Kinds[k] >= 0.5 {
			out = append(out, fmt.Sprintf("%s %.0f", k, r.Kinds[k]))
		}
	}
	return strings.Join(append(out, fmt.Sprintf("QUIC's own %.0f", rest)), ", ")
}

// crew is a team of the town with the nodes in it, the founder's first.
type crew struct {
	id     board.TeamID
	nodes  []*sim.Node
	people []*dweller
}

// dweller is somebody with a session.
type dweller struct {
	id      team.Identity
	node    *sim.Node
	session *hub.Session
}

// town makes nodes and the teams of a shape, with people who are there.
func town(w *sim.World, s trafficSettings) (nodes []*sim.Node, people []*dweller) {
	for i := range s.Nodes {
		nodes = append(nodes, w.Start(fmt.Sprint("n", i), sim.NodeOptions{}))
	}
	var crews []*crew
	found := func(members []*sim.Node) {
		crews = append(crews, &crew{id: w.FoundTeam(members[0], fmt.Sprint("team ", len(crews))), nodes: members})
	}
	switch s.Shape {
	case "shared":
		for range 10 {
			found(nodes)
		}
	case "tens": // nine others each, at growing distances, so that nodes share few teams
		for i := range nodes {
			var members []*sim.Node
			for d, step := 0, 1; len(members) < min(10, s.Nodes); d, step = d+step, step+2 {
				if n := nodes[(i+d)%s.Nodes]; !slices.Contains(members, n) {
					members = append(members, n)
				} else {
					d -= step - 1 // the next one that is free
				}
			}
			found(members)
		}
	case "pair", "one":
		for range max(s.Teams, 1) {
			found(nodes)
		}
	}
	for i, c := range crews {
		count := s.People / len(crews)
		if i < s.People%len(crews) {
			count++
		}
		c.settle(count)
		w.Gather(c.id, c.nodes[0], c.nodes[1:]...)
		people = append(people, c.people...)
	}
	w.Pass(30 * time.Second) // until all are connected
	for _, d := range people {
		d.session = d.node.Attach(d.id)
	}
	return nodes, people
}

// settle spreads people over a team's nodes.
func (c *crew) settle(count int) {
	for k, n := range c.nodes {
		some := count / len(c.nodes)
		if k < count%len(c.nodes) {
			some++
		}
		for _, id := range n.Enrol(c.id, c.nodes[0], some) {
			c.people = append(c.people, &dweller{id: id, node: n})
		}
	}
}

func trafficScenario(t *testing.T, settings json.RawMessage) any {
	var s trafficSettings
	if err := json.Unmarshal(settings, &s); err != nil {
		t.Fatal(err)
	}
	w := sim.NewWorld(t, 1)
	nodes, people := town(w, s)
	w.Pass(3 * time.Minute) // joins, beats after bursts and the first pulses are over
	sent := func() (sum map[string]float64) {
		sum = map[string]float64{}
		for _, n := range nodes {
			for _, k := range n.Mesh().Traffic() {
				sum[k.Kind] += float64(k.Sent)
			}
		}
		return sum
	}
	hosts := sim.Hosts(nodes...)
	before, packets, bytes := sent(), w.Net.Counts(), w.Net.Bytes(hosts, hosts)
	if s.Hourly && len(people) > 0 {
		rnd := rand.New(rand.NewPCG(1, 2))
		each := time.Hour / time.Duration(len(people))
		for passed := time.Duration(0); passed < time.Duration(s.Seconds)*time.Second; passed += each {
			d := people[rnd.IntN(len(people))]
			if err := d.session.Report(rnd.IntN(2) == 0, time.Minute); err != nil {
				t.Fatal(err)
			}
			w.Pass(each)
		}
	} else {
		w.Pass(time.Duration(s.Seconds) * time.Second)
	}
	per := 1 / float64(s.Seconds) / float64(len(nodes))
	r := trafficResult{
		Payload: float64(w.Net.Bytes(hosts, hosts)-bytes) * per, Packets: float64(w.Net.Counts().Sent-packets.Sent) * per, Kinds: map[string]float64{},
	}
	for k, v := range sent() {
		r.Kinds[k] = (v - before[k]) * per
	}
	return r
}

// lossSettings of a mesh on a bad network.
type lossSettings struct {
	Nodes int
	Loss  float64
	Hours float64
}

// lossResult is how right presence was.
type lossResult struct {
	Accuracy   check.Accuracy
	Violations []string
	Wrong      []string // in the end
}

func (b *virtualBench) loss(ctx context.Context, l *lab) error {
	s := lossSettings{Nodes: 30, Loss: 0.2, Hours: b.hours}
	var r lossResult
	if err := l.virtually(ctx, "loss", s, &r); err != nil {
		return err
	}
	what := fmt.Sprintf("false offline under %.0f %% loss for %g h, %d nodes", 100*s.Loss, s.Hours, s.Nodes)
	l.out.add(what, float64(r.Accuracy.FalseOfflines), "times", atMost(0))
	l.out.add(what+": shown offline while there", r.Accuracy.FalseOffline.Seconds(), "s", atMost(0))
	l.say("%s: %d watched people, %d times false offline, %.0f s in all, %d changes, violations %v, wrong in the end %v",
		what, r.Accuracy.Sights, r.Accuracy.FalseOfflines, r.Accuracy.FalseOffline.Seconds(), r.Accuracy.Changes, r.Violations, r.Wrong)
	return nil
}

func lossScenario(t *testing.T, settings json.RawMessage) any {
	var s lossSettings
	if err := json.Unmarshal(settings, &s); err != nil {
		t.Fatal(err)
	}
	w := sim.NewWorld(t, 1)
	judge := w.JudgePresence()
	w.Crew(s.Nodes, sim.NodeOptions{})
	w.Pass(2 * time.Minute)
	var start check.Accuracy
	w.Judged(func(now time.Time, p *check.Presence) { start = p.Report(now) })
	w.Net.SetDefault(sim.Link{Latency: 25 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: s.Loss})
	w.Pass(time.Duration(s.Hours * float64(time.Hour)))
	var r lossResult
	w.Judged(func(now time.Time, p *check.Presence) { r.Accuracy = judge.Report(now); r.Wrong = judge.Settle() })
	r.Accuracy.FalseOffline -= start.FalseOffline
	r.Accuracy.FalseOfflines -= start.FalseOfflines
	r.Accuracy.Changes -= start.Changes
	for _, v := range w.Check.Violations() {
		r.Violations = append(r.Violations, v.String())
	}
	return r
}

// flipSettings of a large team in which one person's state changes.
type flipSettings struct{ Nodes, People, Flips int }

// flipResult is what the changes cost, beyond what goes over the wire anyway.
type flipResult struct {
	Frames float64 // of presence, on each link, per flip
	Woken  float64 // changes that clients were sent who look at somebody else, per flip
	Seen   float64 // changes that a client who looks at the person was sent, per flip
}

func (b *virtualBench) flip(ctx context.Context, l *lab) error {
	s := flipSettings{Nodes: 10, People: min(b.people, 10_000), Flips: 10}
	var r flipResult
	if err := l.virtually(ctx, "flip", s, &r); err != nil {
		return err
	}
	what := fmt.Sprintf("one person's flip in a team of %s over %d nodes", number(float64(s.People)), s.Nodes)
	l.out.add(what+": messages on a link", r.Frames, "", atMost(1))
	l.out.add(what+": changes for clients that look elsewhere", r.Woken, "", atMost(0))
	l.say("%s: %.2f messages on a link, %.2f changes for who looks elsewhere, %.2f for who looks", what, r.Frames, r.Woken, r.Seen)
	return nil
}

func flipScenario(t *testing.T, settings json.RawMessage) any {
	var s flipSettings
	if err := json.Unmarshal(settings, &s); err != nil {
		t.Fatal(err)
	}
	w := sim.NewWorld(t, 1)
	nodes, people := town(w, trafficSettings{Shape: "one", Nodes: s.Nodes, People: s.People})
	w.Pass(time.Minute)
	flipper := people[0] // at nodes[0]
	watch := func(u board.UserID) (changes func() float64) {
		n := nodes[1]
		watcher, err := n.Hub().Watch(hub.WatchFilter{Viewer: n.User(), People: []board.UserID{u}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(watcher.Close)
		seen := make(chan int, 1)
		seen <- 0
		go func() {
			for {
				batch, err := watcher.Next(t.Context())
				if err != nil {
					return
				}
				seen <- <-seen + len(batch.Changes)
			}
		}()
		return func() float64 { k := <-seen; seen <- k; return float64(k) }
	}
	looks, elsewhere := watch(flipper.id.User), watch(people[len(people)-1].id.User)
	beats := func() (sum float64) {
		for _, n := range nodes {
			for _, k := range n.Mesh().Traffic() {
				if k.Kind == "presence" {
					sum += float64(k.SentMessages)
				}
			}
		}
		return sum
	}
	quiet := beats()
	const each = 20 * time.Second
	w.Pass(time.Duration(s.Flips) * each)
	quiet = beats() - quiet
	before, seen, woken := beats(), looks(), elsewhere()
	for i := range s.Flips {
		if err := flipper.session.Report(i%2 == 0, time.Minute); err != nil {
			t.Fatal(err)
		}
		w.Pass(each)
	}
	flips := float64(s.Flips)
	return flipResult{
		Frames: (beats() - before - quiet) / flips / float64(len(nodes)-1),
		Seen:   (looks() - seen) / flips, Woken: (elsewhere() - woken) / flips,
	}
}
