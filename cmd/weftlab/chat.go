package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"weft/client"
	"weft/sim/check"
)

// chatBench measures the way of a post from node A to a reader at node B, with a third node C in the team.
type chatBench struct {
	rate    float64
	seconds int
}

func (b *chatBench) flags(c *cobra.Command) {
	c.Flags().Float64Var(&b.rate, "rate", 100, "posts a second")
	c.Flags().IntVar(&b.seconds, "seconds", 20, "length of a run")
}

// arrivals are when and in what order a reader was shown posts.
type arrivals struct {
	mu   sync.Mutex
	sent map[string]time.Time // by client_msg_id; guarded by mu
	late []time.Duration      // how long each was on its way; guarded by mu
	want int                  // guarded by mu; -1: not known yet
	all  chan struct{}        // closed when want were shown
}

func (b *chatBench) run(ctx context.Context, l *lab) error { return l.amongThree(ctx, b.once) }

func (b *chatBench) once(ctx context.Context, l *lab, nodes []*node) error {
	x, err := b.carry(ctx, l, nodes)
	if err != nil {
		return err
	}
	return b.show(l, x)
}

// carried is what became of the posts of one run.
type carried struct {
	*arrivals
	check *check.Checker
	load  loadResult
	cpu   time.Duration // of all nodes
}

// carry posts at the first node and follows at the second.
func (b *chatBench) carry(ctx context.Context, l *lab, nodes []*node) (*carried, error) {
	texts := texts()
	c := check.New()
	a := &arrivals{sent: map[string]time.Time{}, want: -1, all: make(chan struct{})}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- b.read(ctx, nodes[1], c, a, ready) }()
	select {
	case <-ready:
	case err := <-ended:
		return nil, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	before, err := cpuOf(nodes...)
	if err != nil {
		return nil, err
	}
	r, err := paced(ctx, b.rate, time.Duration(b.seconds)*time.Second, texts, func(ctx context.Context, id, text string) error {
		p := check.Post{Board: "crew", Author: "ann", MsgID: id, Text: text}
		c.Attempt(p)
		a.mu.Lock()
		a.sent[id] = time.Now()
		a.mu.Unlock()
		res, err := nodes[0].Post(ctx, client.Post{Team: "crew", Text: text, ClientMsgID: id})
		if err == nil {
			c.Acked(p, check.Ack{Node: "ann", Entry: res.EntryId, Origin: res.Origin, Seq: res.Seq})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	a.expect(r.posts)
	select {
	case <-a.all:
	case err := <-ended:
		return nil, err
	case <-time.After(30 * time.Second): // what is missing now is reported as lost
	}
	after, err := cpuOf(nodes...)
	if err != nil {
		return nil, err
	}
	cancel()
	<-ended
	return &carried{a, c, r, after - before}, nil
}

func (b *chatBench) show(l *lab, x *carried) error {
	c, a, r, cpu := x.check, x.arrivals, x.load, x.cpu
	a.mu.Lock()
	defer a.mu.Unlock()
	rep := c.Report()
	lost := r.posts - len(a.late)
	p50, p99, worst := quantiles(a.late)
	_, ackP99, _ := quantiles(r.latency)
	what := fmt.Sprintf("post on A until readable on B, %s posts/s", number(b.rate))
	l.out.add(what+": p50", p50, "ms", atMost(10))
	l.out.add(what+": p99", p99, "ms", atMost(50))
	l.out.worked(len(a.late), cpu)
	for k, v := range map[string]any{
		"lost": lost, "duplicates": rep.Duplicates, "out_of_order": rep.OutOfOrder, "late": rep.Late, "p50_ms": p50, "p99_ms": p99,
	} {
		l.out.field(k, v)
	}
	l.say("chat: %d posts, lost %d, twice %d, out of order %d, late %d; p50 %.1f ms, p99 %.1f ms, worst %.0f ms; acknowledged p99 %.1f ms; CPU of all three %.2f ms a post",
		r.posts, lost, rep.Duplicates, rep.OutOfOrder, rep.Late, p50, p99, worst, ackP99, float64(cpu.Microseconds())/1000/float64(max(r.posts, 1)))
	if err := c.Err(); err != nil {
		return err
	}
	if lost > 0 {
		return fmt.Errorf("couldn't see %d of %d posts at B", lost, r.posts)
	}
	return nil
}

func (a *arrivals) expect(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.want = n
	if len(a.late) == n {
		close(a.all)
	}
}

// shown notes the arrival of a post; posts of earlier runs are not in sent.
func (a *arrivals) shown(id string) bool {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	t, ok := a.sent[id]
	if !ok {
		return false
	}
	a.late = append(a.late, now.Sub(t))
	if len(a.late) == a.want {
		close(a.all)
	}
	return true
}

// read follows the board at a node; ready is closed when it stands at the end of what was there before.
func (b *chatBench) read(ctx context.Context, n *node, c *check.Checker, a *arrivals, ready chan struct{}) error {
	r := c.Reader("reader at bob", "bob")
	err := follow(ctx, n, ready, func(e shownEntry) {
		if a.shown(e.msgID) {
			r.Saw("crew", check.Seen{
				Entry: e.entry, MsgID: e.msgID, Author: "ann", Text: e.text, HLC: e.hlc, Late: e.late,
				Device: e.device, DevEpoch: e.devEpoch, DevSeq: e.devSeq,
			})
		}
	})
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
