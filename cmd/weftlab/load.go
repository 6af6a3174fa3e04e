package main

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// poster writes one text under an id and returns when it is acknowledged.
type poster func(ctx context.Context, id, text string) error

// loadResult is what a load did.
type loadResult struct {
	posts   int
	wall    time.Duration
	cpu     time.Duration // of this process
	latency []time.Duration
}

func (r loadResult) rate() float64 { return float64(r.posts) / r.wall.Seconds() }

// runs numbers loads, so that ids of one process never repeat.
var loads atomic.Uint64

// flatOut keeps writers busy for a time: each posts again as soon as its last post is acknowledged.
func flatOut(ctx context.Context, writers int, d time.Duration, texts []string, post poster) (loadResult, error) {
	load := "l" + strconv.FormatUint(loads.Add(1), 36) + strconv.FormatInt(time.Now().UnixMilli(), 36) + "-"
	var mu sync.Mutex
	var r loadResult
	var failed error
	var wg sync.WaitGroup
	cpu, start := cpuTime(), time.Now()
	end := start.Add(d)
	for w := range writers {
		wg.Go(func() {
			var mine []time.Duration
			var err error
			id := load + strconv.Itoa(w) + "-"
			for i := 0; ; i++ {
				t := time.Now()
				if t.After(end) || ctx.Err() != nil {
					break
				}
				if err = post(ctx, id+strconv.Itoa(i), texts[(w*997+i)%len(texts)]); err != nil {
					break
				}
				mine = append(mine, time.Since(t))
			}
			mu.Lock()
			defer mu.Unlock()
			r.latency = append(r.latency, mine...)
			failed = errors.Join(failed, err)
		})
	}
	wg.Wait()
	r.wall, r.cpu, r.posts = time.Since(start), cpuTime()-cpu, len(r.latency)
	return r, errors.Join(failed, ctx.Err())
}

// paced posts at a steady rate for a time, whether earlier posts are acknowledged or not. Latency counts from the moment
// at which a post was due, so that a stall is paid for by every post that it delays and not by one.
func paced(ctx context.Context, perSecond float64, d time.Duration, texts []string, post poster) (loadResult, error) {
	const workers = 512 // in flight at most: beyond this, waiting in line counts too
	load := "p" + strconv.FormatUint(loads.Add(1), 36) + strconv.FormatInt(time.Now().UnixMilli(), 36) + "-"
	total := int(perSecond * d.Seconds())
	r := loadResult{latency: make([]time.Duration, total)}
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	cpu, start := cpuTime(), time.Now()
	for range min(workers, max(total, 1)) {
		wg.Go(func() {
			for ctx.Err() == nil && failed.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= total {
					return
				}
				due := start.Add(time.Duration(float64(i) / perSecond * float64(time.Second)))
				if wait := time.Until(due); wait > 0 {
					time.Sleep(wait)
				}
				if err := post(ctx, load+strconv.Itoa(i), texts[i%len(texts)]); err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				r.latency[i] = time.Since(due)
			}
		})
	}
	wg.Wait()
	r.wall, r.cpu, r.posts = time.Since(start), cpuTime()-cpu, total
	if err := failed.Load(); err != nil {
		return r, *err
	}
	return r, ctx.Err()
}
