package hub

import (
	"context"
	"fmt"

	"weft/board"
	"weft/presence"
)

// What a listener holds at most that its reader has not taken: most of what may come at once. Listeners share the messages.
const (
	listenMessages = 1 << 14
	listenBytes    = 4 << 20
)

// ListenFilter says what somebody wants to hear.
type ListenFilter struct {
	Viewer board.UserID
	Teams  []board.TeamID // nil: all of the viewer's, whichever these are at the time
	Kinds  []string       // nil: all
}

// LiveEvent is a live message that has arrived. It is not to be changed.
type LiveEvent struct {
	ID     [16]byte
	Team   board.TeamID
	User   board.UserID
	Device presence.DeviceID
	Kind   string
	Body   []byte
	SentMS int64
	Board  board.ID // zero: the team
	Direct bool     // to the viewer alone

	ttl int64 // milliseconds
}

// Listener is for one reader. Of what the reader has not taken it holds so much only (listenMessages, listenBytes); then the oldest gives way.
type Listener struct {
	h      *Hub
	filter ListenFilter
	teams  map[board.TeamID]bool
	kinds  map[string]bool
	ready  chan struct{} // of capacity one
	done   chan struct{}

	// Guarded by h.mu.
	queue   []*LiveEvent
	bytes   int
	dropped uint64
	closed  bool
}

// Listen begins to listen: to what arrives from now on. ErrTooMany, ErrClosed, ErrUnknownTeam, board.ErrNotMember.
func (h *Hub) Listen(f ListenFilter) (*Listener, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.mu.closed:
		return nil, fmt.Errorf("couldn't listen: the daemon stops: %w", ErrClosed)
	case len(h.mu.listeners) >= h.o.Limits.Listeners:
		return nil, fmt.Errorf("couldn't listen: %d others do: %w", len(h.mu.listeners), ErrTooMany)
	}
	l := &Listener{h: h, filter: f, ready: make(chan struct{}, 1), done: make(chan struct{})}
	if f.Teams != nil {
		l.teams = map[board.TeamID]bool{}
		for _, id := range f.Teams {
			if err := h.maySee(f.Viewer, id); err != nil {
				return nil, fmt.Errorf("couldn't listen to the team: %w", err)
			}
			l.teams[id] = true
		}
	}
	if f.Kinds != nil {
		l.kinds = map[string]bool{}
		for _, k := range f.Kinds {
			l.kinds[k] = true
		}
	}
	h.mu.listeners[l] = struct{}{}
	return l, nil
}

// put queues a message; h.mu is held.
func (l *Listener) put(e *LiveEvent) {
	for len(l.queue) > 0 && (len(l.queue) >= listenMessages || l.bytes+len(e.Body) > listenBytes) {
		l.bytes -= len(l.queue[0].Body)
		l.queue[0] = nil
		l.queue = l.queue[1:]
		l.dropped++
		l.h.metrics.live.WithLabelValues("slow_reader").Inc()
	}
	l.queue = append(l.queue, e)
	l.bytes += len(e.Body)
	select {
	case l.ready <- struct{}{}:
	default:
	}
}

// Next waits for messages. dropped: how many this reader was too slow for since the last call. ErrClosed, or ctx's error.
func (l *Listener) Next(ctx context.Context) (events []*LiveEvent, dropped uint64, err error) {
	for {
		select {
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		case <-l.done:
			return nil, 0, ErrClosed
		case <-l.ready:
		}
		l.h.mu.Lock()
		events, dropped = l.queue, l.dropped
		l.queue, l.bytes, l.dropped = nil, 0, 0
		l.h.mu.Unlock()
		if len(events) > 0 {
			return events, dropped, nil
		}
	}
}

// Close ends the listening; Next returns ErrClosed.
func (l *Listener) Close() {
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	delete(l.h.mu.listeners, l)
	l.shut()
}

func (l *Listener) shut() {
	if !l.closed {
		l.closed = true
		close(l.done)
	}
}
