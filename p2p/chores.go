package p2p

import (
	"context"
	"sync"
)

// chores are what the Replica wants of the store beside runs. They are done in order by a few goroutines: when a node is denied
// that has started a hundred thousand times, as many may be wanted at once.
type chores struct {
	wake chan struct{} // one token for each worker that may find something

	mu struct {
		sync.Mutex
		waiting []func()
	}
}

const choreWorkers = 4

func newChores() *chores { return &chores{wake: make(chan struct{}, choreWorkers)} }

// add has f called. It never waits.
func (c *chores) add(f func()) {
	c.mu.Lock()
	c.mu.waiting = append(c.mu.waiting, f)
	c.mu.Unlock()
	nudge(c.wake)
}

func (c *chores) take() (f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.mu.waiting) > 0 {
		f, c.mu.waiting = c.mu.waiting[0], c.mu.waiting[1:]
	}
	return f
}

// work is one worker.
func (c *chores) work(ctx context.Context) error {
	for ctx.Err() == nil {
		f := c.take()
		if f == nil {
			select {
			case <-c.wake:
			case <-ctx.Done():
			}
			continue
		}
		nudge(c.wake) // another worker may find something too
		f()
	}
	return nil
}
