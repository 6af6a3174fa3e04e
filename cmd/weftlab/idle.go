package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// idleBench measures what a daemon costs when nobody says anything: four nodes in ten teams, of which the first is
// looked at.
type idleBench struct {
	seconds int
	settle  int
	teams   int
}

func (b *idleBench) flags(c *cobra.Command) {
	c.Flags().IntVar(&b.seconds, "seconds", 90, "how long to look")
	c.Flags().IntVar(&b.settle, "settle", 30, "seconds to wait before, while joins and bursts of beats end")
	c.Flags().IntVar(&b.teams, "teams", 10, "number of teams")
}

func (b *idleBench) run(ctx context.Context, l *lab) error {
	if !inNamespace() {
		if _, err := l.program(ctx); err != nil {
			return err
		}
		if done, err := l.inNamespace(ctx, "idle", "--seconds", strconv.Itoa(b.seconds), "--settle", strconv.Itoa(b.settle), "--teams", strconv.Itoa(b.teams)); done {
			return err
		}
		l.out.note("idle: no network namespace of its own could be made, so the traffic holds all that went over this machine's loopback")
	}
	nodes, err := l.mesh(ctx, "ann", "bob", "cid", "dan")
	if err != nil {
		return err
	}
	defer stopAll(nodes)
	for i := 1; i < b.teams; i++ {
		link, err := nodes[0].createTeam(ctx, fmt.Sprint("team", i))
		if err != nil {
			return err
		}
		for _, n := range nodes[1:] {
			if err := n.join(ctx, link); err != nil {
				return err
			}
		}
	}
	l.say("4 nodes in %d teams; waiting %d s, then looking for %d s", b.teams, b.settle, b.seconds)
	if err := wait(ctx, time.Duration(b.settle)*time.Second); err != nil {
		return err
	}
	for range l.runs {
		if err := b.look(ctx, l, nodes[0], len(nodes)); err != nil {
			return err
		}
	}
	return nil
}

func (b *idleBench) look(ctx context.Context, l *lab, n *node, nodes int) error {
	before, err := n.usage()
	if err != nil {
		return err
	}
	bytesBefore, err := loopbackBytes()
	if err != nil {
		return err
	}
	start := time.Now()
	if err := wait(ctx, time.Duration(b.seconds)*time.Second); err != nil {
		return err
	}
	after, err := n.usage()
	if err != nil {
		return err
	}
	bytes, err := loopbackBytes()
	if err != nil {
		return err
	}
	wall := time.Since(start).Seconds()
	rss := float64(after.rss) / (1 << 20)
	cpu := 100 * (after.cpu - before.cpu).Seconds() / wall
	perPeer := float64(bytes-bytesBefore) / wall / float64(nodes*(nodes-1)/2)
	l.out.add("idle: memory (RSS)", rss, "MiB", atMost(60))
	l.out.add("idle: CPU", cpu, "% of a core", atMost(0.5))
	l.out.add("idle: traffic with a peer, both ways", perPeer, "bytes/s", atMost(1000))
	l.say("idle: %.1f MiB, %.2f %% of a core, %.0f bytes/s with each peer", rss, cpu, perPeer)
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
