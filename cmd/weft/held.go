package main

import (
	"errors"
	"sync"
	"time"

	"weft/client"
)

// heldAfter is how long a feed may stand still before a person is told why.
const heldAfter = 3 * time.Second

// held tells once that a feed waits because the node takes no more for now. The zero value tells nothing.
type held struct {
	mu    sync.Mutex
	app   *app // of the feed that runs; nil: none does
	since time.Time
	said  bool
}

func (h *held) begin(a *app) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.app, h.since, h.said = a, time.Time{}, false
}

func (h *held) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.app = nil
}

// goesOn is told of each entry that was taken.
func (h *held) goesOn() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.since = time.Time{}
}

// waits is told of each wait before another try.
func (h *held) waits(err error, wait time.Duration, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.app == nil || h.said {
		return
	}
	if h.since.IsZero() {
		h.since = now
	}
	if now.Add(wait).Sub(h.since) >= heldAfter {
		h.said = true
		why := err.Error()
		if e := (*client.Error)(nil); errors.As(err, &e) {
			why = e.Message // its hint is for those who have to do something
		}
		h.app.note("held back (%s %s); it goes on by itself as soon as the node takes more", client.ReasonOf(err), oneLine(why))
	}
}
