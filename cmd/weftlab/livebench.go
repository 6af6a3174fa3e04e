package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
	"weft/client"
)

// liveBench measures the live lane between three daemons: how long a message is on its way, and how many one node takes.
type liveBench struct {
	seconds int
	callers int
	batch   int
}

func (b *liveBench) flags(c *cobra.Command) {
	c.Flags().IntVar(&b.seconds, "seconds", 5, "length of each part")
	c.Flags().IntVar(&b.callers, "callers", 64, "who send at the same time, one message each")
	c.Flags().IntVar(&b.batch, "batch", 100, "messages of one batch")
}

func (b *liveBench) run(ctx context.Context, l *lab) error { return l.amongThree(ctx, b.once) }

// ear counts live messages at a node.
type ear struct {
	heard, dropped, twice atomic.Int64
	mu                    sync.Mutex
	sent                  map[string]time.Time // by body; guarded by mu
	late                  []time.Duration      // guarded by mu
	ids                   map[string]bool      // of ear's goroutine
	done                  chan error
	stop                  context.CancelFunc
}

func listen(ctx context.Context, n *node) *ear {
	e := &ear{sent: map[string]time.Time{}, ids: map[string]bool{}, done: make(chan error, 1)}
	ctx, e.stop = context.WithCancel(ctx)
	go func() { e.done <- e.hear(ctx, n) }()
	return e
}

func (e *ear) hear(ctx context.Context, n *node) error {
	for m, err := range n.Subscribe(ctx, client.LiveOptions{Teams: []string{"crew"}}) {
		if err != nil {
			return err
		}
		now := time.Now()
		e.dropped.Add(int64(m.Dropped))
		e.mu.Lock()
		for _, ev := range m.Events {
			if e.ids[ev.Id] {
				e.twice.Add(1)
			}
			e.ids[ev.Id] = true
			if at, ok := e.sent[string(ev.Body)]; ok {
				e.late = append(e.late, now.Sub(at))
			}
		}
		e.mu.Unlock()
		e.heard.Add(int64(len(m.Events)))
	}
	return nil
}

// reach waits until so many were heard or dropped, or nothing comes for two seconds.
func (e *ear) reach(ctx context.Context, n int64) error {
	last, still := int64(-1), time.Now()
	for {
		now := e.heard.Load() + e.dropped.Load()
		if now >= n {
			return nil
		}
		if now != last {
			last, still = now, time.Now()
		}
		if time.Since(still) > 2*time.Second {
			return nil
		}
		if err := wait(ctx, 2*time.Millisecond); err != nil {
			return err
		}
	}
}

func (b *liveBench) once(ctx context.Context, l *lab, nodes []*node) error {
	e := listen(ctx, nodes[1])
	defer func() { e.stop(); <-e.done }()
	for e.heard.Load() == 0 { // until the stream is open
		if _, err := nodes[0].Say(ctx, "crew", &weftv1.LiveSend{Body: []byte("first")}); err != nil {
			return err
		}
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	if err := wait(ctx, 200*time.Millisecond); err != nil {
		return err
	}
	if err := b.paced(ctx, l, nodes[0], e); err != nil {
		return err
	}
	for _, part := range []struct {
		what   string
		size   int
		atMost float64
	}{{"one by one", 1, 3000}, {fmt.Sprintf("in batches of %d", b.batch), b.batch, 20000}} {
		if err := b.flood(ctx, l, nodes[0], e, part.what, part.size, part.atMost); err != nil {
			return err
		}
	}
	return nil
}

// paced sends 100 messages a second and looks how long each is on its way.
func (b *liveBench) paced(ctx context.Context, l *lab, from *node, e *ear) error {
	start, want := e.heard.Load(), int64(b.seconds*100)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := range want {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		body := fmt.Sprint("paced ", i)
		e.mu.Lock()
		e.sent[body] = time.Now()
		e.mu.Unlock()
		if _, err := from.Say(ctx, "crew", &weftv1.LiveSend{Body: []byte(body)}); err != nil {
			return err
		}
	}
	if err := e.reach(ctx, start+want); err != nil {
		return err
	}
	e.mu.Lock()
	late := e.late
	e.late, e.sent = nil, map[string]time.Time{}
	e.mu.Unlock()
	p50, p99, worst := quantiles(late)
	l.out.add("live message A → B, 100/s: p50", p50, "ms", atMost(5))
	l.out.add("live message A → B, 100/s: p99", p99, "ms", atMost(30))
	l.say("live: %d of %d heard, %d twice; p50 %.1f ms, p99 %.1f ms, worst %.1f ms", len(late), want, e.twice.Load(), p50, p99, worst)
	if len(late) != int(want) || e.twice.Load() > 0 {
		return fmt.Errorf("couldn't hear each of %d live messages once: %d heard, %d twice", want, len(late), e.twice.Load())
	}
	return nil
}

// flood sends as fast as the node takes them.
func (b *liveBench) flood(ctx context.Context, l *lab, from *node, e *ear, what string, size int, bar float64) error {
	heard, dropped := e.heard.Load(), e.dropped.Load()
	start := time.Now()
	end := start.Add(time.Duration(b.seconds) * time.Second)
	var sent, refused atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, b.callers)
	body := make([]byte, 100)
	for range b.callers {
		wg.Go(func() {
			for time.Now().Before(end) && ctx.Err() == nil {
				batch := make([]*weftv1.LiveSend, size)
				for i := range batch {
					batch[i] = &weftv1.LiveSend{Body: body}
				}
				_, err := from.Say(ctx, "crew", batch...)
				switch {
				case err == nil:
					sent.Add(int64(size))
				case connect.CodeOf(err) == connect.CodeResourceExhausted:
					refused.Add(int64(size))
				default:
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	select {
	case err := <-errs:
		return err
	default:
	}
	if err := e.reach(ctx, heard+dropped+sent.Load()); err != nil {
		return err
	}
	got, lost := e.heard.Load()-heard, e.dropped.Load()-dropped
	rate := float64(got) / took.Seconds()
	l.out.add("live messages through one node, heard on another, "+what, rate, "messages/s", atLeast(bar))
	l.say("live, %s: %d sent, %d refused, %d heard, %d dropped for the reader and told, %d missing", what, sent.Load(), refused.Load(), got, lost, sent.Load()-got-lost)
	return nil
}
