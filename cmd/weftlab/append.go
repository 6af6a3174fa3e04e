package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

// appendBench measures durable posts per second into one store, beside a raw log that does the same work without a
// store, in the same run and on the same disk.
type appendBench struct {
	writers []int
	seconds int
	minute  bool
	profile string
}

func (b *appendBench) flags(c *cobra.Command) {
	c.Flags().IntSliceVar(&b.writers, "writers", []int{32, 256}, "numbers of writers at once, each with one post in flight")
	c.Flags().IntVar(&b.seconds, "seconds", 10, "length of each run")
	c.Flags().BoolVar(&b.minute, "minute", false, "also run for a whole minute, and then at half that load")
	c.Flags().StringVar(&b.profile, "cpuprofile", "", "write a CPU profile of the store's runs to this file")
}

func (b *appendBench) run(ctx context.Context, l *lab) error {
	l.out.note(quotaNote)
	d := time.Duration(b.seconds) * time.Second
	texts := texts()
	stop, err := profileTo(b.profile)
	if err != nil {
		return err
	}
	defer stop()
	for range l.runs {
		for _, w := range b.writers {
			raw, err := b.raw(ctx, l, w, d, texts)
			if err != nil {
				return err
			}
			stored, err := b.stored(ctx, l, w, d, texts, nil)
			if err != nil {
				return err
			}
			b.show(l, fmt.Sprintf("%d writers", w), 0.4, raw, stored)
		}
		if b.minute {
			if err := b.wholeMinute(ctx, l, texts); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *appendBench) show(l *lab, what string, ratio float64, raw, stored loadResult) {
	_, rawP99, _ := quantiles(raw.latency)
	p50, p99, worst := quantiles(stored.latency)
	l.out.add("append, "+what+": raw log + fdatasync", raw.rate(), "posts/s", bar{})
	l.out.add("append, "+what+": store", stored.rate(), "posts/s", bar{})
	l.out.add("append, "+what+": store / raw", stored.rate()/raw.rate(), "", atLeast(ratio))
	l.out.add("append, "+what+": p50", p50, "ms", bar{})
	l.out.add("append, "+what+": p99", p99, "ms", bar{})
	l.out.worked(stored.posts, stored.cpu)
	l.out.field("p50_ms", p50)
	l.out.field("p99_ms", p99)
	l.say("append, %s: raw %s/s (p99 %.1f ms), store %s/s (p99 %.1f ms, worst %.0f ms), ratio %.2f", what, number(raw.rate()), rawP99, number(stored.rate()), p99, worst, stored.rate()/raw.rate())
}

// wholeMinute runs with compaction, and then at half the load.
func (b *appendBench) wholeMinute(ctx context.Context, l *lab, texts []string) error {
	const writers = 32
	raw, err := b.raw(ctx, l, writers, 10*time.Second, texts)
	if err != nil {
		return err
	}
	var half loadResult
	stored, err := b.stored(ctx, l, writers, time.Minute, texts, func(f *fixture, rate float64) (err error) {
		half, err = paced(ctx, rate/2, 20*time.Second, texts, f.post)
		return err
	})
	if err != nil {
		return err
	}
	b.show(l, "a minute", 0.25, raw, stored)
	p50, p99, worst := quantiles(half.latency)
	l.out.add("append, half of the minute's load: p99", p99, "ms", atMost(20))
	l.say("append, half load (%s/s): p50 %.1f, p99 %.1f, worst %.0f ms", number(half.rate()), p50, p99, worst)
	return nil
}

func (b *appendBench) raw(ctx context.Context, l *lab, writers int, d time.Duration, texts []string) (loadResult, error) {
	dir, err := l.tempDir()
	if err != nil {
		return loadResult{}, err
	}
	defer os.RemoveAll(dir)
	node, id, err := person(0)
	if err != nil {
		return loadResult{}, err
	}
	f := &fixture{node: node, id: id, team: [32]byte{1}, board: [16]byte{1}}
	log, err := newRawLog(filepath.Join(dir, "raw.log"), f)
	if err != nil {
		return loadResult{}, err
	}
	r, err := flatOut(ctx, writers, d, texts, log.post)
	if err := log.close(); err != nil {
		return r, fmt.Errorf("couldn't write the raw log: %w", err)
	}
	return r, err
}

// stored runs into a fresh store; after, if not nil, then goes on with it.
func (b *appendBench) stored(ctx context.Context, l *lab, writers int, d time.Duration, texts []string, after func(*fixture, float64) error) (loadResult, error) {
	dir, err := l.tempDir()
	if err != nil {
		return loadResult{}, err
	}
	defer os.RemoveAll(dir)
	f, err := openFixture(ctx, dir)
	if err != nil {
		return loadResult{}, err
	}
	r, err := flatOut(ctx, writers, d, texts, f.post)
	if err == nil && after != nil {
		err = after(f, r.rate())
	}
	if closing := f.store.Close(); err == nil {
		err = closing
	}
	return r, err
}
