package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
	"weft/client"
)

// socketBench measures posts through a daemon's socket with the real client.
type socketBench struct {
	callers int
	batch   int
	seconds int
}

func (b *socketBench) flags(c *cobra.Command) {
	c.Flags().IntVar(&b.callers, "callers", 64, "callers at once, each with one call in flight")
	c.Flags().IntVar(&b.batch, "batch", 100, "posts a call of the batched run")
	c.Flags().IntVar(&b.seconds, "seconds", 10, "length of each run")
}

func (b *socketBench) run(ctx context.Context, l *lab) error {
	l.out.note(quotaNote)
	dir, err := l.tempDir()
	if err != nil {
		return err
	}
	n, err := l.startNode(ctx, dir, "ann")
	if err != nil {
		return err
	}
	defer n.stop()
	if _, err := n.createTeam(ctx, "crew"); err != nil {
		return err
	}
	texts := texts()
	one := func(ctx context.Context, id, text string) error {
		_, err := n.Post(ctx, client.Post{Team: "crew", Text: text, ClientMsgID: id})
		return err
	}
	many := func(ctx context.Context, id, text string) error {
		req := &weftv1.PostRequest{Team: "crew", Posts: make([]*weftv1.NewPost, b.batch)}
		for i := range req.Posts {
			req.Posts[i] = &weftv1.NewPost{Text: text, ClientMsgId: id + "." + strconv.Itoa(i)}
		}
		_, err := n.Boards.Post(ctx, connect.NewRequest(req))
		return err
	}
	d := time.Duration(b.seconds) * time.Second
	for range l.runs {
		if err := b.measure(ctx, l, n, fmt.Sprintf("socket, one post a call, %d callers", b.callers), 6000, 1, func() (loadResult, error) {
			return flatOut(ctx, b.callers, d, texts, one)
		}); err != nil {
			return err
		}
		if err := b.measure(ctx, l, n, fmt.Sprintf("socket, %d posts a call, 8 callers", b.batch), 20000, b.batch, func() (loadResult, error) {
			return flatOut(ctx, 8, d, texts, many)
		}); err != nil {
			return err
		}
	}
	return nil
}

func (b *socketBench) measure(ctx context.Context, l *lab, n *node, what string, target float64, perCall int, run func() (loadResult, error)) error {
	before, err := cpuOf(n)
	if err != nil {
		return err
	}
	r, err := run()
	if err != nil {
		return err
	}
	after, err := cpuOf(n)
	if err != nil {
		return err
	}
	posts := r.posts * perCall
	rate := float64(posts) / r.wall.Seconds()
	p50, p99, _ := quantiles(r.latency)
	l.out.add(what, rate, "posts/s", atLeast(target))
	l.out.add(what+": p99 of a call", p99, "ms", bar{})
	l.out.worked(posts, after-before)
	l.out.field("p50_ms", p50)
	l.out.field("p99_ms", p99)
	l.say("%s: %s posts/s, p50 %.1f ms, p99 %.1f ms, daemon %.0f µs and client %.0f µs of CPU a post", what, number(rate), p50, p99,
		float64((after-before).Microseconds())/float64(posts), float64(r.cpu.Microseconds())/float64(posts))
	return nil
}
