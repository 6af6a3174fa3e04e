package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"weft/board"
	"weft/presence/hub"
	"weft/sim"
	"weft/sim/check"
)

// virtualBench measures in virtual time what presence costs and how right it is in meshes of many nodes.
type virtualBench struct {
	seconds int
	nodes   int
	people  int
	hours   float64
	only    string
	quick   bool

	results string                            // file for known; empty: none
	known   map[trafficSettings]trafficResult // measured already
}

func (b *virtualBench) flags(c *cobra.Command) {
	c.Flags().IntVar(&b.seconds, "seconds", 180, "virtual time for which traffic is counted")
	c.Flags().IntVar(&b.nodes, "mesh", 100, "nodes in the meshes whose traffic is counted")
	c.Flags().IntVar(&b.people, "people", 50_000, "people in the larger mesh whose traffic is compared with that of 10")
	c.Flags().Float64Var(&b.hours, "hours", 1, "virtual time under loss")
	c.Flags().StringVar(&b.only, "only", "", "of the parts, those whose name has this in it: daemons, traffic (tens, shared, pair), loss, flip; other words: none")
	c.Flags().StringVar(&b.results, "results", "", "file in which the traffic of meshes is kept, one a line: what it has is not measured again")
	c.Flags().BoolVar(&b.quick, "quick", false, "small meshes: minutes in place of an hour, and no figures to compare with the targets")
}

func (b *virtualBench) run(ctx context.Context, l *lab) error {
	if b.quick {
		b.nodes, b.people, b.seconds, b.hours = min(b.nodes, 20), min(b.people, 2000), min(b.seconds, 120), min(b.hours, 0.1)
	}
	if err := b.traffic(ctx, l); err != nil {
		return err
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

// flipResult is what the changes cost.
type flipResult struct {
	Frames float64 // messages of people's states, on each link from the person's node, per flip
	Most   float64 // that one node got, per flip
	Others float64 // that all other nodes sent, in all
	Quiet  float64 // that all nodes sent in as much time before the flips
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
	l.out.add(what+": messages on a link", r.Most, "", atMost(1))
	l.out.add(what+": messages passed on by others", r.Others, "", atMost(0))
	l.out.add(what+": changes for clients that look elsewhere", r.Woken, "", atMost(0))
	l.say("%s: %.2f messages on a link, at most %.2f to one node, %.0f from others, %.0f in as much time without flips; %.2f changes for who looks elsewhere, %.2f for who looks",
		what, r.Frames, r.Most, r.Others, r.Quiet, r.Woken, r.Seen)
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
	type count struct{ out, in uint64 }
	beats := func(n *sim.Node) (c count) {
		for _, k := range n.Mesh().Traffic() {
			if k.Kind == "presence" || k.Kind == "beat" {
				c = count{c.out + k.SentMessages, c.in + k.ReceivedMessages}
			}
		}
		return c
	}
	all := func() (cs []count) {
		for _, n := range nodes {
			cs = append(cs, beats(n))
		}
		return cs
	}
	var r flipResult
	was := all()
	const each = 20 * time.Second
	w.Pass(time.Duration(s.Flips) * each)
	before, seen, woken := all(), looks(), elsewhere()
	for i := range nodes {
		r.Quiet += float64(before[i].out - was[i].out)
	}
	for i := range s.Flips {
		if err := flipper.session.Report(i%2 == 0, time.Minute); err != nil {
			t.Fatal(err)
		}
		w.Pass(each)
	}
	flips := float64(s.Flips)
	for i, c := range all() {
		if i == 0 {
			r.Frames = float64(c.out-before[i].out) / flips / float64(len(nodes)-1)
			continue
		}
		r.Others += float64(c.out - before[i].out)
		r.Most = max(r.Most, float64(c.in-before[i].in)/flips)
	}
	r.Seen, r.Woken = (looks()-seen)/flips, (elsewhere()-woken)/flips
	return r
}
