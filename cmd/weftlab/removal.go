package main

import (
	"context"
	"fmt"
	"time"

	"weft/board"
	"weft/team"
)

// waitFor is how long a team of three nodes on one machine may take for anything.
const waitFor = 30 * time.Second

// until waits for something that shows in a store.
func (p *peerNode) until(ctx context.Context, what string, ok func(*team.State) bool) error {
	ctx, cancel := context.WithTimeout(ctx, waitFor)
	defer cancel()
	nudge, stop := p.store.Subscribe()
	defer stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if st, here := p.store.Team(p.team); here && ok(st) {
			return nil
		}
		select {
		case <-nudge:
		case <-tick.C: // what doesn't show in changes
		case <-ctx.Done():
			return fmt.Errorf("couldn't wait until %s: %w", what, ctx.Err())
		}
	}
}

// removal of people on A until B and C go by it, and of a node, which gets nothing from then on.
func (b *teamBench) removal(ctx context.Context, l *lab) error {
	nodes, err := b.meshOf(ctx, l, 4)
	for _, n := range nodes {
		defer n.close()
	}
	if err != nil {
		return err
	}
	a, others := &governed{fixture: nodes[0].fixture}, nodes[1:]
	var people []board.UserID
	for i := range b.removals {
		_, id, err := someone(1000 + i)
		if err != nil {
			return err
		}
		p, err := team.NewPresent(a.team, id)
		if err = a.append(ctx, p, err); err != nil {
			return err
		}
		if err := a.set(ctx, id.User, team.Member); err != nil {
			return err
		}
		people = append(people, id.User)
	}
	for _, n := range others {
		if err := n.until(ctx, "everybody is in", func(st *team.State) bool { return st.Role(people[len(people)-1]) == team.Member }); err != nil {
			return err
		}
	}
	var late []time.Duration
	for _, u := range people {
		done := make(chan error, 2)
		start := time.Now()
		for _, n := range others[:2] {
			go func() {
				done <- n.until(ctx, "a removal holds", func(st *team.State) bool { return st.Role(u) == team.Removed })
			}()
		}
		if err := a.set(ctx, u, team.Removed); err != nil {
			return err
		}
		for range 2 {
			if err := <-done; err != nil {
				return err
			}
		}
		late = append(late, time.Since(start))
	}
	p50, p99, _ := quantiles(late)
	l.out.add("removal on A until B and C go by it: p50", p50, "ms", bar{})
	l.out.add("removal on A until B and C go by it: p99", p99, "ms", atMost(1000))
	return b.afterwards(ctx, l, nodes)
}

// afterwards is what the last node's person gets of the team once removed, while posts go on.
func (b *teamBench) afterwards(ctx context.Context, l *lab, nodes []*peerNode) error {
	a, out := &governed{fixture: nodes[0].fixture}, nodes[len(nodes)-1]
	sent := func() (n uint64) {
		for _, p := range nodes[:len(nodes)-1] {
			n += p.mesh.Sent(out.node.Public(), a.team)
		}
		return n
	}
	if sent() == 0 {
		return fmt.Errorf("couldn't count what the removed node got before: nothing")
	}
	start := time.Now()
	if err := a.set(ctx, out.id.User, team.Removed); err != nil {
		return err
	}
	for _, n := range nodes[1:] { // the removed one hears of it itself: that is the farewell
		if err := n.until(ctx, "the node is out", func(st *team.State) bool { return !st.IsNode(out.node.Public()) }); err != nil {
			return err
		}
	}
	l.say("the removed node knows after %.0f ms", time.Since(start).Seconds()*1000)
	time.Sleep(2 * time.Second) // a farewell under way ends within a second
	before := sent()
	if _, err := paced(ctx, 100, 5*time.Second, texts(), nodes[0].post); err != nil {
		return err
	}
	l.out.add("what a removed node gets of the team afterwards", float64(sent()-before), "bytes", atMost(0))
	return nil
}

// meshOf are n nodes in one process, in one team that the first founds.
func (b *teamBench) meshOf(ctx context.Context, l *lab, n int) (nodes []*peerNode, err error) {
	for i := range n {
		dir, err := l.tempDir()
		if err != nil {
			return nodes, err
		}
		p, err := (&catchupBench{}).fresh(ctx, dir)
		if err != nil {
			return nodes, err
		}
		nodes = append(nodes, p)
		if i == 0 {
			if p.team, err = p.found(ctx, "crew"); err != nil {
				return nodes, err
			}
			p.board = board.GeneralID(p.team)
			continue
		}
		link, err := nodes[0].invite(ctx)
		if err != nil {
			return nodes, err
		}
		if _, err := p.mesh.Join(ctx, link, ""); err != nil {
			return nodes, err
		}
		p.team, p.board = nodes[0].team, nodes[0].board
	}
	return nodes, nil
}
