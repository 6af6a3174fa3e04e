package hub

import (
	"context"
	"fmt"
	"slices"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence"
	"weft/team"
)

// Of the live lane in memory.
const (
	// Ids of messages are known for one to two of these, which is longer than any message lives.
	idsFor = 2 * MaxLiveTTL * time.Millisecond
	// So many of them at most; what comes beyond is dropped, since it might be a second time.
	maxIDs = 1 << 18
	// By how much the clocks of two nodes may differ, besides what the least delay of a node's messages tells.
	clockTolerance = board.MaxAhead
	// A node's least delay is that of its messages in one to two of these.
	delayFor   = 30 * time.Second
	maxBuckets = 4096
)

// live is what the hub knows of live messages; guarded by h.mu.
type live struct {
	limits  Limits
	ids     [2]map[liveID]struct{} // now, and before
	turned  time.Time              // when the second was the first
	delays  map[board.NodeID]*delay
	devices map[board.DeviceID]*bucket
	nodes   map[board.NodeID]*bucket
}

// liveID is a message's id, with its author: nobody can use up the ids of others.
type liveID struct {
	id   [16]byte
	user [8]byte
}

// delay is how long a node's messages are under way at least, in its clock and ours: the difference of both clocks and the way.
// What takes longer than that has waited somewhere.
type delay struct {
	least, before int64
	turned        time.Time
}

func newLive(l Limits) live {
	return live{limits: l, ids: [2]map[liveID]struct{}{{}, {}}, delays: map[board.NodeID]*delay{}, devices: map[board.DeviceID]*bucket{}, nodes: map[board.NodeID]*bucket{}}
}

// LiveNow is the time for LiveMessage.sent_ms: the clock as it was when the hub began and the time that passed since, so
// that no correction of the clock makes messages look old.
func (h *Hub) LiveNow() int64 {
	return h.began.UnixMilli() + h.o.Now().Sub(h.began).Milliseconds()
}

// Say gives live messages of a local device to who is there, here and at other nodes: signed is the LiveBatch b, signed by
// the device. All messages of a batch have the same target, or none. nodes: to how many other nodes it was given; people:
// how many were there, the author not counted. What a person who is invisible is sent goes where it would if they were offline: nowhere.
//
// *BusyError, board.ErrNotMember, board.ErrMalformed, board.ErrTooLarge, ErrUnknownTeam, ErrExpired, team.ErrTeamClosed, team.ErrReadOnly.
func (h *Hub) Say(_ context.Context, signed *weftv1.Signed, m *weftv1.LiveBatch) (nodes, people int, err error) {
	b, err := parseLive(signed, m)
	if err != nil {
		return 0, 0, err
	}
	wire, to, people, err := h.sayHere(b, board.DeviceID(signed.Key))
	if err != nil || wire == nil || to != nil && len(to) == 0 {
		return 0, people, err
	}
	nodes, err = wire.SendLive(b.team, to, signed)
	if err != nil {
		return nodes, people, fmt.Errorf("couldn't send live messages: %w", err)
	}
	return nodes, people, nil
}

// sayHere checks a batch of a local device, gives it to who listens here, and says who else is to have it: nil is the whole team.
func (h *Hub) sayHere(b *batch, device board.DeviceID) (wire Wire, to []board.NodeID, people int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.o.Now()
	if err := h.mayLive(b); err != nil {
		return nil, nil, 0, fmt.Errorf("couldn't send live messages: %w", err)
	}
	if b.node != h.o.Self {
		return nil, nil, 0, fmt.Errorf("couldn't send live messages: they name another node: %w", board.ErrMalformed)
	}
	for i := range b.events {
		if age := h.LiveNow() - b.events[i].SentMS; age > b.ttl[i] || age < -MaxLiveTTL {
			return nil, nil, 0, fmt.Errorf("couldn't send live messages: one was made %d ms ago: %w", age, ErrExpired)
		}
	}
	bk := h.mu.live.devices[device]
	if bk == nil {
		bk = newBucket(h.mu.live.limits, now)
		makeRoom(h.mu.live.devices, now)
		h.mu.live.devices[device] = bk
	}
	if wait := bk.take(now, len(b.events), b.size); wait > 0 {
		h.metrics.live.WithLabelValues("refused").Add(float64(len(b.events)))
		return nil, nil, 0, &BusyError{"live messages of this device", wait}
	}
	if b.target != (board.UserID{}) {
		to = h.mu.table.Where(b.team, b.target)
		here := slices.Contains(to, h.o.Self)
		to = slices.DeleteFunc(to, func(n board.NodeID) bool { return n == h.o.Self })
		if here || len(to) > 0 {
			people = 1
		}
		if to == nil {
			to = []board.NodeID{}
		}
		if h.fresh(b, now); here {
			h.hand(b)
		}
	} else {
		c, _ := h.mu.table.Counts(b.team)
		people = c.Online + c.Away + c.Busy + c.Reconnecting
		if p, ok := h.mu.table.Person(b.team, b.user); ok && p.State != presence.Offline {
			people--
		}
		h.fresh(b, now)
		h.hand(b)
	}
	h.metrics.live.WithLabelValues("said").Add(float64(len(b.events)))
	return h.mu.wire, to, people, nil
}

// mayLive says whether a person may speak in a team, through the node that the batch names; h.mu is held.
func (h *Hub) mayLive(b *batch) error {
	st := h.mu.teams[b.team]
	switch {
	case st == nil:
		return ErrUnknownTeam
	case !h.mu.table.IsMember(b.team, b.user):
		return fmt.Errorf("the author is not in the team: %w", board.ErrNotMember)
	case st.Role(b.user) < team.Member:
		return team.ErrReadOnly
	case !slices.Contains(st.Homes(b.user), b.node):
		return fmt.Errorf("the node is no home of the author: %w", board.ErrNotMember)
	case b.target != (board.UserID{}) && !h.mu.table.IsMember(b.team, b.target):
		return fmt.Errorf("the target is not in the team: %w", board.ErrNotMember)
	}
	if _, closed := st.Closed(); closed {
		return team.ErrTeamClosed
	}
	return nil
}

// ReceiveLive takes a batch from another node; the signature of its device, which is one of b.User's, was checked. An error
// that wraps board.ErrMalformed is the sender's offence. Messages that were here are none.
func (h *Hub) ReceiveLive(from board.NodeID, signed *weftv1.Signed, m *weftv1.LiveBatch) error {
	b, err := parseLive(signed, m)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.o.Now()
	count := func(what string, n int) { h.metrics.live.WithLabelValues(what).Add(float64(n)) }
	if err := h.mayLive(b); err != nil {
		count("not_member", len(b.events))
		return fmt.Errorf("couldn't take live messages: %w", err)
	}
	bk := h.mu.live.nodes[from]
	if bk == nil {
		bk = newBucket(h.mu.live.limits, now)
		makeRoom(h.mu.live.nodes, now)
		h.mu.live.nodes[from] = bk
	}
	if wait := bk.take(now, len(b.events), b.size); wait > 0 {
		count("flood", len(b.events))
		return &BusyError{"live messages of a node", wait}
	}
	n := len(b.events)
	dropped := h.expire(b, now)
	count("expired", dropped)
	seen, full := h.fresh(b, now)
	count("duplicate", seen)
	count("full", full)
	count("received", n-dropped-seen-full)
	h.hand(b)
	if dropped == n {
		return fmt.Errorf("couldn't take live messages: %w", ErrExpired)
	}
	return nil
}

// expire drops what has lived too long, and says how many that were; h.mu is held.
func (h *Hub) expire(b *batch, now time.Time) (dropped int) {
	d := h.mu.live.delays[b.node]
	if d == nil {
		d = &delay{least: 1 << 60, before: 1 << 60, turned: now}
		h.mu.live.delays[b.node] = d
	}
	if now.Sub(d.turned) > delayFor {
		d.before, d.least, d.turned = d.least, 1<<60, now
	}
	at := h.LiveNow()
	for i := range b.events {
		if age := at - b.events[i].SentMS; age >= -clockTolerance.Milliseconds() && age <= clockTolerance.Milliseconds()+b.ttl[i] {
			d.least = min(d.least, age)
		}
	}
	least := min(d.least, d.before)
	keep := 0
	for i := range b.events {
		age := at - b.events[i].SentMS
		if age < -clockTolerance.Milliseconds() || age > clockTolerance.Milliseconds()+b.ttl[i] || age-least > b.ttl[i] {
			dropped++
			continue
		}
		b.events[keep], b.ttl[keep] = b.events[i], b.ttl[i]
		keep++
	}
	b.events, b.ttl = b.events[:keep], b.ttl[:keep]
	return dropped
}

// fresh leaves in a batch what was not here before, and notes it; h.mu is held.
func (h *Hub) fresh(b *batch, now time.Time) (seen, full int) {
	l := &h.mu.live
	switch past := now.Sub(l.turned); {
	case past > 2*idsFor:
		l.ids, l.turned = [2]map[liveID]struct{}{{}, {}}, now
	case past > idsFor:
		l.ids, l.turned = [2]map[liveID]struct{}{{}, l.ids[0]}, now
	}
	keep := 0
	for i := range b.events {
		k := liveID{id: b.events[i].ID}
		copy(k.user[:], b.user[:])
		_, now := l.ids[0][k]
		_, before := l.ids[1][k]
		switch {
		case now || before:
			seen++
			continue
		case len(l.ids[0]) >= maxIDs:
			full++
			continue
		}
		l.ids[0][k] = struct{}{}
		b.events[keep] = b.events[i]
		keep++
	}
	b.events = b.events[:keep]
	return seen, full
}

// hand gives a batch to who listens here and may hear it; h.mu is held.
func (h *Hub) hand(b *batch) {
	for l := range h.mu.listeners {
		if b.target != (board.UserID{}) && l.filter.Viewer != b.target || l.teams != nil && !l.teams[b.team] || !h.mu.table.IsMember(b.team, l.filter.Viewer) {
			continue
		}
		for i := range b.events {
			if l.kinds == nil || l.kinds[b.events[i].Kind] {
				l.put(b.events[i])
			}
		}
	}
}

// bucket of messages and bytes.
type bucket struct {
	limits          *Limits
	messages, bytes float64
	at              time.Time
}

func newBucket(l Limits, now time.Time) *bucket {
	return &bucket{&l, l.LiveBurst, l.LiveBytesBurst, now}
}

func (b *bucket) fill(now time.Time) {
	past := max(0, now.Sub(b.at).Seconds())
	b.messages = min(b.limits.LiveBurst, b.messages+past*b.limits.LiveRate)
	b.bytes = min(b.limits.LiveBytesBurst, b.bytes+past*b.limits.LiveBytes)
	b.at = now
}

// take takes all or nothing; else it says how long to wait.
func (b *bucket) take(now time.Time, messages, bytes int) (wait time.Duration) {
	b.fill(now)
	need := max((float64(messages)-b.messages)/b.limits.LiveRate, (float64(bytes)-b.bytes)/b.limits.LiveBytes)
	if need > 0 {
		return max(time.Duration(need*float64(time.Second)), time.Millisecond)
	}
	b.messages -= float64(messages)
	b.bytes -= float64(bytes)
	return 0
}

// makeRoom forgets buckets that are full again, if there are many.
func makeRoom[K comparable](all map[K]*bucket, now time.Time) {
	if len(all) < maxBuckets {
		return
	}
	for k, b := range all {
		if b.fill(now); b.messages >= b.limits.LiveBurst && b.bytes >= b.limits.LiveBytesBurst {
			delete(all, k)
		}
	}
}
