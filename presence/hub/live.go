package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence"
)

// Of the live lane in memory.
const (
	// Batches are known again for one to two of these: none is taken later than this after it was first, see delayFor.
	knownFor = MaxLiveTTL * time.Millisecond
	// So many of them at most; what comes beyond is dropped, since it might be a second time.
	maxKnown = 1 << 17
	// By how much the wall clocks of two nodes may differ.
	clockTolerance = board.MaxAhead + clockStep
	// The clock of the live lane follows the wall clock where the two are further apart.
	clockStep = 30 * time.Second
	// A device's least delay is that of its messages in one to two of these. It outlasts whatever passes for a message of now
	// by the clocks alone: what was taken once and is kept, and said again later, is seen to be late.
	delayFor = 2*clockTolerance + MaxLiveTTL*time.Millisecond
	// Devices that were silent for long are forgotten when there are many.
	manySpeakers = 1024
	// Who is early by less waits, and isn't refused.
	soon = 2 * time.Millisecond
)

// live is what the hub knows of live messages; guarded by h.mu.
type live struct {
	limit    LiveLimit // of this node's own people
	said     Budget
	clock    int64                     // milliseconds by which the live lane's clock is ahead of the time since the hub began
	known    [2]map[batchMark]struct{} // now, and before
	turned   time.Time                 // when the second was the first
	speakers map[board.DeviceID]*speaker
	many     int // of speakers: then some are forgotten
}

// batchMark tells a batch from others: the first half of its signature, which nobody but the signer can choose.
type batchMark [32]byte

// speaker is a device whose messages come from other nodes.
type speaker struct {
	budget Budget
	// How long they are under way at least, in its clock and ours: the difference of both clocks and the way. What takes
	// longer than that has waited somewhere.
	least, before int64
	turned        time.Time
}

const never = 1 << 60 // a delay

func newLive(l Limits) live {
	return live{limit: l.Live, known: [2]map[batchMark]struct{}{{}, {}}, speakers: map[board.DeviceID]*speaker{}, many: manySpeakers}
}

// LiveNow is the time for LiveMessage.sent_ms.
func (h *Hub) LiveNow() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.o.Now()
	return h.mu.live.now(now.UnixMilli(), now.Sub(h.began))
}

// now is the live lane's time, in milliseconds: it runs as time passes, so that no small correction of the wall clock makes
// messages look old. After a large one, and after a sleep of the machine, it is the wall clock's.
func (l *live) now(wall int64, passed time.Duration) int64 {
	ms := l.clock + passed.Milliseconds()
	if off := time.Duration(wall-ms) * time.Millisecond; off.Abs() > clockStep {
		l.clock += wall - ms
		ms = wall
		for _, s := range l.speakers { // measured by another clock
			s.least, s.before = never, never
		}
	}
	return ms
}

// Said is what became of live messages.
type Said struct {
	Nodes  int // other nodes that they were given to
	Missed int // other nodes that should have had them, and are out of reach or too far behind
	People int // who were there, the author not counted
}

// Say gives live messages of a local device to who is there, here and at other nodes: signed is the LiveBatch m, signed by
// the device. All messages of a batch have the same target, or none. What a person who is invisible is sent goes where it
// would if they were offline: nowhere. It waits a moment for nodes that are behind.
//
// *BusyError, board.ErrNotMember, board.ErrMalformed, board.ErrTooLarge, ErrUnknownTeam, team.ErrTeamClosed, team.ErrReadOnly.
func (h *Hub) Say(ctx context.Context, signed *weftv1.Signed, m *weftv1.LiveBatch) (Said, error) {
	b, err := ParseLive(signed, m)
	if err != nil {
		return Said{}, err
	}
	wire, to, said, err := h.sayHere(b)
	for range 2 {
		var busy *BusyError
		if !errors.As(err, &busy) || busy.RetryAfter > soon {
			break
		}
		select {
		case <-time.After(busy.RetryAfter):
		case <-ctx.Done():
		}
		wire, to, said, err = h.sayHere(b)
	}
	h.count(err, b)
	if err != nil || wire == nil || b.Target != (board.UserID{}) && len(to) == 0 {
		return said, err
	}
	said.Nodes, said.Missed, err = wire.SendLive(ctx, b.Team, to, signed)
	if err != nil {
		return said, fmt.Errorf("couldn't send live messages: %w", err)
	}
	return said, nil
}

// count counts what was said here, and what was too much.
func (h *Hub) count(err error, b *Batch) {
	switch {
	case err == nil:
		h.metrics.live.WithLabelValues("said").Add(float64(len(b.Events)))
	case errors.As(err, new(*BusyError)):
		h.metrics.live.WithLabelValues("refused").Add(float64(len(b.Events)))
	}
}

// sayHere checks a batch of a local device, gives it to who listens here, and says which other nodes are to have it; of one
// without a target it is the whole team.
func (h *Hub) sayHere(b *Batch) (wire Wire, to []board.NodeID, said Said, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	st := h.mu.teams[b.Team]
	if st == nil {
		return nil, nil, Said{}, fmt.Errorf("couldn't send live messages: %w", ErrUnknownTeam)
	}
	if err := b.Allowed(st); err != nil {
		return nil, nil, Said{}, fmt.Errorf("couldn't send live messages: %w", err)
	}
	if wait := h.mu.live.said.Take(h.mu.live.limit, h.o.Now(), len(b.Events), b.Bytes); wait > 0 {
		return nil, nil, Said{}, &BusyError{"live messages of this node", wait}
	}
	here := true
	if b.Target == (board.UserID{}) {
		c, _ := h.mu.table.Counts(b.Team)
		said.People = c.Online + c.Away + c.Busy + c.Reconnecting
		if p, ok := h.mu.table.Person(b.Team, b.User); ok && p.State != presence.Offline {
			said.People--
		}
	} else {
		to = h.mu.table.Where(b.Team, b.Target)
		said.People = min(len(to), 1)
		here = slices.Contains(to, h.o.Self)
		to = slices.DeleteFunc(to, func(n board.NodeID) bool { return n == h.o.Self })
	}
	if here {
		h.hand(b)
	}
	return h.mu.wire, to, said, nil
}

// ReceiveLive takes a batch from another node. It is allowed, in time, and its device, which is one of its author's, has signed
// it. A batch that was here before is no error.
//
// ErrUnknownTeam, ErrExpired, *BusyError.
func (h *Hub) ReceiveLive(b *Batch) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	l, now := &h.mu.live, h.o.Now()
	count := func(what string, n int) { h.metrics.live.WithLabelValues(what).Add(float64(n)) }
	if h.mu.teams[b.Team] == nil {
		count("unknown_team", len(b.Events))
		return fmt.Errorf("couldn't take live messages: %w", ErrUnknownTeam)
	}
	if l.knows(b.mark, now) {
		count("duplicate", len(b.Events))
		return nil
	}
	s := l.speaker(b.Device, now)
	late := s.expire(b, l.now(now.UnixMilli(), now.Sub(h.began)), now)
	count("expired", late)
	if len(b.Events) == 0 {
		return fmt.Errorf("couldn't take live messages: %w", ErrExpired)
	}
	// What somebody else has kept and says again costs the device nothing.
	if wait := s.budget.Take(l.limit.heard(), now, len(b.Events), b.Bytes); wait > 0 {
		count("flood", len(b.Events))
		return &BusyError{"live messages of a device", wait}
	}
	if len(l.known[0]) >= maxKnown {
		count("full", len(b.Events))
		return &BusyError{"live messages of all devices", knownFor}
	}
	l.known[0][b.mark] = struct{}{}
	count("received", len(b.Events))
	h.hand(b)
	return nil
}

// knows says whether a batch was here.
func (l *live) knows(m batchMark, now time.Time) bool {
	switch past := now.Sub(l.turned); {
	case past > 2*knownFor:
		l.known, l.turned = [2]map[batchMark]struct{}{{}, {}}, now
	case past > knownFor:
		l.known, l.turned = [2]map[batchMark]struct{}{{}, l.known[0]}, now
	}
	_, late := l.known[0][m]
	_, before := l.known[1][m]
	return late || before
}

// speaker is what is known of a device. Of those of which nothing is known any more it forgets some.
func (l *live) speaker(d board.DeviceID, now time.Time) *speaker {
	s := l.speakers[d]
	if s == nil {
		if len(l.speakers) >= l.many {
			for d, s := range l.speakers {
				if now.Sub(s.turned) > 2*delayFor {
					delete(l.speakers, d)
				}
			}
			l.many = max(manySpeakers, 2*len(l.speakers))
		}
		s = &speaker{least: never, before: never, turned: now}
		l.speakers[d] = s
	}
	return s
}

// expire drops what has lived too long, and says how many that were.
func (s *speaker) expire(b *Batch, at int64, now time.Time) (late int) {
	switch past := now.Sub(s.turned); {
	case past > 2*delayFor:
		s.least, s.before, s.turned = never, never, now
	case past > delayFor:
		s.least, s.before, s.turned = never, s.least, now
	}
	for _, e := range b.Events {
		s.least = min(s.least, at-e.SentMS)
	}
	least, all := min(s.least, s.before), len(b.Events)
	b.Events = slices.DeleteFunc(b.Events, func(e *LiveEvent) bool { return at-e.SentMS-least > e.ttl })
	return all - len(b.Events)
}

// hand gives a batch to who listens here and may hear it; h.mu is held.
func (h *Hub) hand(b *Batch) {
	for l := range h.mu.listeners {
		if b.Target != (board.UserID{}) && l.filter.Viewer != b.Target || l.teams != nil && !l.teams[b.Team] || !h.mu.table.IsMember(b.Team, l.filter.Viewer) {
			continue
		}
		for _, e := range b.Events {
			if l.kinds == nil || l.kinds[e.Kind] {
				l.put(e)
			}
		}
	}
}
