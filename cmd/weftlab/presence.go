package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
	"weft/client"
)

// presenceBench measures presence between real processes: how soon others see that somebody changed, stopped or was
// killed. What takes many nodes or hours is measured in virtual time (presencevirtual.go).
type presenceBench struct {
	nodes   int
	virtual virtualBench
}

func (b *presenceBench) flags(c *cobra.Command) {
	c.Flags().IntVar(&b.nodes, "nodes", 6, "daemons of one team")
	b.virtual.flags(c)
}

func (b *presenceBench) run(ctx context.Context, l *lab) error {
	for range l.runs {
		if strings.Contains("daemons", b.virtual.only) {
			if err := b.processes(ctx, l); err != nil {
				return err
			}
		}
		if err := b.virtual.run(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

// room is a team of daemons of which each watches all others.
type room struct {
	l     *lab
	team  string
	nodes []*node
	users []string // by node
	eyes  []*eye
	began time.Time // when the last node was ended
}

// eye is what one node's watcher is shown, with the times.
type eye struct {
	mu    sync.Mutex
	state map[string]string // by user; guarded by mu
	since map[string]time.Time
	moved chan struct{} // closed and replaced at each change; guarded by mu
	stop  context.CancelFunc
	done  chan error
}

func (r *room) look(ctx context.Context, n *node) *eye {
	e := &eye{state: map[string]string{}, since: map[string]time.Time{}, moved: make(chan struct{}), done: make(chan error, 1)}
	ctx, e.stop = context.WithCancel(ctx)
	go func() { e.done <- e.watch(ctx, n) }()
	return e
}

func (e *eye) watch(ctx context.Context, n *node) error {
	for m, err := range n.WatchPresence(ctx, client.PresenceOptions{}) {
		if err != nil {
			return err
		}
		now := time.Now()
		e.mu.Lock()
		for _, t := range m.Snapshot {
			for _, p := range t.People {
				e.show(now, p)
			}
		}
		for _, c := range m.Changes {
			e.show(now, c.Person)
		}
		close(e.moved)
		e.moved = make(chan struct{})
		e.mu.Unlock()
	}
	return nil
}

func (e *eye) show(now time.Time, p *weftv1.PersonPresence) {
	if e.state[p.UserId] != p.State {
		e.state[p.UserId], e.since[p.UserId] = p.State, now
	}
}

// until waits until a user is shown in a state, and says since when.
func (e *eye) until(ctx context.Context, user, state string) (time.Time, error) {
	for {
		e.mu.Lock()
		at, ok, moved := e.since[user], e.state[user] == state, e.moved
		e.mu.Unlock()
		if ok {
			return at, nil
		}
		select {
		case <-moved:
		case err := <-e.done:
			e.done <- err
			return time.Time{}, fmt.Errorf("a watcher ended: %w", err)
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("couldn't see somebody become %s: %w", state, ctx.Err())
		}
	}
}

func (b *presenceBench) processes(ctx context.Context, l *lab) error {
	names := []string{"ann", "bob", "cid", "dan", "eve", "fay", "gus", "hal", "ida", "jim"}
	if b.nodes < 2 || b.nodes > len(names) {
		return usageError{fmt.Errorf("couldn't measure with %d daemons: --nodes must be 2 to %d", b.nodes, len(names))}
	}
	nodes, err := l.mesh(ctx, names[:b.nodes]...)
	if err != nil {
		return err
	}
	r := &room{l: l, team: "crew", nodes: nodes}
	defer r.end()
	for _, n := range nodes {
		info, err := n.Nodes.GetInfo(ctx, connect.NewRequest(&weftv1.GetInfoRequest{}))
		if err != nil {
			return err
		}
		r.users = append(r.users, info.Msg.UserId)
		r.eyes = append(r.eyes, r.look(ctx, n))
	}
	for i := range nodes {
		if _, err := r.allSee(ctx, i, "online", time.Now()); err != nil {
			return err
		}
	}
	for _, part := range []struct {
		what  string
		run   func(context.Context, *room) ([]time.Duration, error)
		limit float64
	}{
		{"change of state until seen on other nodes", flips, 300},
		{"clean stop until offline everywhere", stops, 300},
		{"kill -9 until offline everywhere", kills, 5000},
	} {
		late, err := part.run(ctx, r)
		if err != nil {
			return err
		}
		p50, p99, worst := quantiles(late)
		l.out.add(part.what+": p50", p50, "ms", bar{})
		l.out.add(part.what+": p99", p99, "ms", atMost(part.limit))
		l.say("%s: %d times seen, p50 %.0f ms, p99 %.0f ms, worst %.0f ms", part.what, len(late), p50, p99, worst)
	}
	return nil
}

func (r *room) end() {
	for _, e := range r.eyes {
		e.stop()
	}
	for _, n := range r.nodes {
		n.kill()
	}
}

// allSee waits until everybody but node i sees its user in a state, and says how long after began each did.
func (r *room) allSee(ctx context.Context, i int, state string, began time.Time) (late []time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	for k, e := range r.eyes {
		if k == i {
			continue
		}
		at, err := e.until(ctx, r.users[i], state)
		if err != nil {
			return nil, err
		}
		late = append(late, max(0, at.Sub(began)))
	}
	return late, nil
}

// flips has each person say that they are busy, and take that back.
func flips(ctx context.Context, r *room) (late []time.Duration, err error) {
	for _, state := range []string{"busy", "online"} {
		for i, n := range r.nodes {
			began := time.Now()
			if _, err := n.Presence.SetPresence(ctx, connect.NewRequest(&weftv1.SetPresenceRequest{State: state})); err != nil {
				return nil, err
			}
			seen, err := r.allSee(ctx, i, state, began)
			if err != nil {
				return nil, err
			}
			late = append(late, seen...)
		}
	}
	return late, nil
}

// stops ends each node in order, and starts it again.
func stops(ctx context.Context, r *room) ([]time.Duration, error) {
	return r.leave(ctx, func(n *node) error { return n.stop() })
}

// kills ends each node without a goodbye, a second after all were there, and starts it again.
func kills(ctx context.Context, r *room) ([]time.Duration, error) {
	return r.leave(ctx, func(n *node) error {
		if err := wait(ctx, time.Second); err != nil {
			return err
		}
		r.began = time.Now()
		n.kill()
		return nil
	})
}

func (r *room) leave(ctx context.Context, end func(*node) error) (late []time.Duration, err error) {
	for i, n := range r.nodes {
		r.eyes[i].stop()
		if err := <-r.eyes[i].done; err != nil && !errors.Is(err, context.Canceled) {
			return nil, err
		}
		r.began = time.Now()
		if err := end(n); err != nil {
			return nil, err
		}
		seen, err := r.allSee(ctx, i, "offline", r.began)
		if err != nil {
			return nil, err
		}
		late = append(late, seen...)
		again, err := r.l.startNode(ctx, n.dir, "")
		if err != nil {
			return nil, err
		}
		r.nodes[i], r.eyes[i] = again, r.look(ctx, again)
		if _, err := r.allSee(ctx, i, "online", time.Now()); err != nil {
			return nil, err
		}
		for k := range r.nodes {
			if k == i {
				continue
			}
			if _, err := r.eyes[i].until(ctx, r.users[k], "online"); err != nil {
				return nil, err
			}
		}
	}
	return late, nil
}
