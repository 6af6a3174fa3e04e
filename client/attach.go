package client

import (
	"context"
	"sync"
	"time"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
)

// detachTime is how long Close lets its goodbye take.
const detachTime = 2 * time.Second

// Session says that the user is there: it lasts until Close, across restarts of the node. It is safe for concurrent use.
type Session struct {
	client *Client
	end    context.CancelFunc
	ended  chan struct{}
	err    error // why; read after ended

	mu     sync.Mutex
	id     string // guarded by mu; empty while there is no stream
	was    string // guarded by mu: the one before, for a goodbye while there is none
	idle   bool   // guarded by mu, as what follows: what a new stream has to be told
	since  time.Time
	last   []byte
	shares bool // a payload was set
	closed bool // by Close: no stream is opened any more
}

// Attach begins a session for a program (its name and version). It returns when the node shows the user as there; after
// that the session is opened again by itself, with a jittered back-off, whenever its stream breaks, and told the last
// report and payload. The end of ctx ends it without a goodbye: the user is shown as reconnecting for a while. Close says
// goodbye.
func (c *Client) Attach(ctx context.Context, program string) (*Session, error) {
	ctx, end := context.WithCancel(ctx)
	s := &Session{client: c, end: end, ended: make(chan struct{})}
	attached := make(chan struct{})
	go func() {
		defer close(s.ended)
		defer end()
		s.err = s.hold(ctx, program, sync.OnceFunc(func() { close(attached) }))
	}()
	select {
	case <-attached:
		return s, nil
	case <-s.ended:
		if s.err == nil {
			s.err = ctx.Err()
		}
		return nil, s.err
	}
}

// hold keeps a stream open until ctx ends.
func (s *Session) hold(ctx context.Context, program string, attached func()) error {
	var b backoff
	return s.client.again(ctx, &b, func(ctx context.Context) (bool, error) {
		if s.closing() {
			return false, nil
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		// A connection that has died without a word is noticed by the beats that don't come.
		silence := time.AfterFunc(time.Minute, cancel)
		defer silence.Stop()
		defer s.lost()
		more, err := receive(ctx, &b, s.client.Presence.Attach, &weftv1.AttachRequest{Client: program}, func(m *weftv1.AttachResponse) bool {
			if m.BeatMs > 0 {
				silence.Reset(3 * time.Duration(m.BeatMs) * time.Millisecond)
			}
			if m.Session != "" {
				s.found(ctx, m.Session)
				attached()
			}
			return true
		})
		if ctx.Err() != nil && err != nil {
			err = explain(connect.NewError(connect.CodeUnavailable, errEnded))
		}
		return more, err
	})
}

// found notes a stream's session and tells it what the one before knew.
func (s *Session) found(ctx context.Context, id string) {
	s.mu.Lock()
	s.id = id
	req := &weftv1.ReportRequest{Session: id, Idle: s.idle, Payload: s.last, SetPayload: s.shares}
	if s.idle {
		req.IdleMs = uint64(max(time.Since(s.since), 0).Milliseconds())
	}
	news := s.idle || s.shares
	s.mu.Unlock()
	if news {
		//nolint:errcheck // a session that is lost again is told again
		s.client.Presence.Report(ctx, connect.NewRequest(req))
	}
}

func (s *Session) closing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *Session) lost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.id != "" {
		s.id, s.was = "", s.id
	}
}

// Report tells whether the device is used, or idle and for how long already: people who are idle everywhere are shown as
// away. Without a connection it is told later.
func (s *Session) Report(ctx context.Context, idle bool, idleFor time.Duration) error {
	s.mu.Lock()
	s.idle, s.since = idle, time.Now().Add(-idleFor)
	id := s.id
	s.mu.Unlock()
	return s.tell(ctx, &weftv1.ReportRequest{Session: id, Idle: idle, IdleMs: uint64(max(idleFor, 0).Milliseconds())})
}

// SetPayload shows up to 1 KiB beside this device, for example a position with its time; an empty one erases it. It goes
// with the session. Without a connection it is told later.
func (s *Session) SetPayload(ctx context.Context, payload []byte) error {
	s.mu.Lock()
	s.last, s.shares = payload, true
	req := &weftv1.ReportRequest{Session: s.id, Idle: s.idle, Payload: payload, SetPayload: true}
	if s.idle {
		req.IdleMs = uint64(max(time.Since(s.since), 0).Milliseconds())
	}
	s.mu.Unlock()
	return s.tell(ctx, req)
}

func (s *Session) tell(ctx context.Context, req *weftv1.ReportRequest) error {
	if req.Session == "" {
		return nil
	}
	_, err := s.client.Presence.Report(ctx, connect.NewRequest(req))
	if err != nil && passing(err) {
		return nil // the stream breaks, too, and the next one is told
	}
	return err
}

// Done is closed when the session has ended: by Close, by its context, or for a reason that Err gives.
func (s *Session) Done() <-chan struct{} { return s.ended }

// Err is why the session has ended; nil before that, and after Close.
func (s *Session) Err() error {
	select {
	case <-s.ended:
		return s.err
	default:
		return nil
	}
}

// Close says goodbye and ends the session: the user is shown as gone at once, unless they are there elsewhere. A second
// call does nothing.
func (s *Session) Close() error {
	s.mu.Lock()
	id, was := s.id, s.was
	s.id, s.was, s.closed = "", "", true
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), detachTime)
	defer cancel()
	var err error
	switch {
	case id != "":
		_, err = s.client.Presence.Detach(ctx, connect.NewRequest(&weftv1.DetachRequest{Session: id}))
	case was != "": // without a connection: if the node can be reached, nobody has to wait whether the user comes back
		//nolint:errcheck // if not, they are shown as reconnecting until the node gives up
		s.client.Presence.Detach(ctx, connect.NewRequest(&weftv1.DetachRequest{Session: was}))
	}
	s.end()
	<-s.ended
	return err
}
