package daemon

import (
	"slices"
	"strings"
	"sync"
)

// running is which parts of a daemon run, so that a stop that doesn't come to its end can say what it waited for. It is
// safe for concurrent use.
type running struct {
	mu    sync.Mutex
	parts []string // guarded by mu
}

// begin notes that a part runs. Call the function when it has ended.
func (r *running) begin(part string) (ended func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parts = append(r.parts, part)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if i := slices.Index(r.parts, part); i >= 0 {
			r.parts = slices.Delete(r.parts, i, i+1)
		}
	}
}

// String names the parts that run.
func (r *running) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.parts) == 0 {
		return "nothing"
	}
	return strings.Join(r.parts, ", ")
}
