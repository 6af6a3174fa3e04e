package p2p

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

// However many are wanted at once, a few are done at a time, in order, and all of them.
func TestChoresAreDoneAFewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := newChores()
		var wg sync.WaitGroup
		for range choreWorkers {
			wg.Go(func() { c.work(ctx) })
		}
		synctest.Wait()
		var mu sync.Mutex
		var begun []int
		goOn := make(chan struct{})
		const all = 1000
		for i := range all {
			c.add(func() {
				mu.Lock()
				begun = append(begun, i)
				mu.Unlock()
				<-goOn
			})
		}
		for n := choreWorkers; n <= all; n++ {
			synctest.Wait()
			mu.Lock()
			got := slices.Clone(begun)
			mu.Unlock()
			if len(got) != n {
				t.Fatalf("%d were begun, want %d", len(got), n)
			}
			goOn <- struct{}{}
		}
		close(goOn)
		slices.Sort(begun[:choreWorkers]) // the first ones begin together
		if !slices.IsSorted(begun) {
			t.Error("they were not begun in order")
		}
		cancel()
		wg.Wait()
	})
}
