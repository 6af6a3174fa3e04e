package hub

import (
	"errors"
	"fmt"
	"time"
)

// The kinds of refusal. Each maps onto one reason of the API. Others wrap board's: ErrMalformed, ErrTooLarge, ErrNotMember.
var (
	ErrTooMany        = errors.New("too many of these are open") // sessions, watchers, listeners
	ErrUnknownSession = errors.New("no such session: it ended, or the daemon was started again; attach once more")
	ErrUnknownTeam    = errors.New("no such team here")
	ErrExpired        = errors.New("the message is older than its time to live") // of a live message
	ErrClosed         = errors.New("closed")                                     // a watcher, a listener, the hub
)

// BusyError refuses what comes faster than allowed.
type BusyError struct {
	What       string
	RetryAfter time.Duration
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("too fast: %s; try again in %s", e.What, e.RetryAfter.Round(time.Millisecond))
}
