package rpc

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"weft/presence/hub"
)

// attachments are the streams of sessions, so that a goodbye ends them. Safe for concurrent use.
type attachments struct {
	mu      sync.Mutex
	streams map[string]chan struct{} // by session; guarded by mu
}

// add notes a session's stream. The channel is closed by end.
func (a *attachments) add(id string) (detached <-chan struct{}, forget func()) {
	c := make(chan struct{})
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.streams == nil {
		a.streams = map[string]chan struct{}{}
	}
	a.streams[id] = c
	return c, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.streams, id)
	}
}

// end ends a session's stream.
func (a *attachments) end(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.streams[id]; c != nil {
		delete(a.streams, id)
		close(c)
	}
}

// explainHub puts the hub's refusals into the API's words.
func explainHub(err error) error {
	var busy *hub.BusyError
	switch {
	case errors.As(err, &busy):
		r := refuse(reasonQuota, "%s", busy.Error()).because(err).hint("wait as long as retry_after_ms says")
		r.detail.RetryAfterMs = uint64((busy.RetryAfter + time.Millisecond - 1).Milliseconds())
		return r
	case errors.Is(err, hub.ErrTooMany):
		return refuse(reasonBusy, "%w", err).hint("close streams that nobody reads, or try again later")
	case errors.Is(err, hub.ErrUnknownSession):
		return refuse(reasonNotFound, "%w", err).hint("attach again")
	case errors.Is(err, hub.ErrUnknownTeam):
		return refuse(reasonNotFound, "%w", err)
	case errors.Is(err, hub.ErrClosed):
		return fmt.Errorf("%w: %w", errStopping, err)
	}
	return err
}
