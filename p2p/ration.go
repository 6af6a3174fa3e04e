package p2p

import (
	"sync"
	"time"
)

// ration lets each of many askers have something so often in a while. The table is bounded: when it is full of askers
// of this while it begins anew, which errs on the side of letting people in.
type ration[K comparable] struct {
	most int
	in   time.Duration

	mu    sync.Mutex
	asked map[K]*tries // guarded by mu
}

// tries are how often one of them has asked since when.
type tries struct {
	n     int
	since time.Time
}

// maxTries bounds a table of askers.
const maxTries = 4096

func newRation[K comparable](most int, in time.Duration) *ration[K] {
	return &ration[K]{most: most, in: in, asked: map[K]*tries{}}
}

// spent says whether k has had all of its ration.
func (r *ration[K]) spent(k K, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.asked[k]
	return t != nil && now.Sub(t.since) <= r.in && t.n >= r.most
}

// take counts one more.
func (r *ration[K]) take(k K, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.asked[k]
	if t == nil || now.Sub(t.since) > r.in {
		if len(r.asked) >= maxTries {
			for x, old := range r.asked {
				if now.Sub(old.since) > r.in {
					delete(r.asked, x)
				}
			}
			if len(r.asked) >= maxTries {
				clear(r.asked)
			}
		}
		t = &tries{since: now}
		r.asked[k] = t
	}
	t.n++
}
