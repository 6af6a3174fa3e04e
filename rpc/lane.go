package rpc

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence/hub"
	"weft/team"
)

// liveRoom is how many bytes of messages go in one batch: what is around them has its place, too.
const liveRoom = hub.MaxLiveBytes - 1<<10

// liveBatch are messages that go under one signature: to one person, or to everybody in the team.
type liveBatch struct {
	target   board.UserID // zero: everybody
	messages []*weftv1.LiveMessage
	size     int
}

// takes says whether messages of so many bytes fit, too.
func (b *liveBatch) takes(target board.UserID, n, size int) bool {
	return b.target == target && len(b.messages)+n <= hub.MaxLiveBatch && b.size+size <= liveRoom
}

// addLive puts a message into the last batch to its target, or begins one: messages to one target keep their order.
func addLive(batches []*liveBatch, m *weftv1.LiveMessage) []*liveBatch {
	var target board.UserID
	copy(target[:], m.Target)
	size := proto.Size(m) + 13 // with sent_ms, and what is before each in the batch
	for i := len(batches) - 1; i >= 0; i-- {
		if b := batches[i]; b.target == target {
			if b.takes(target, 1, size) {
				b.messages, b.size = append(b.messages, m), b.size+size
				return batches
			}
			break
		}
	}
	return append(batches, &liveBatch{target, []*weftv1.LiveMessage{m}, size})
}

// lane signs and sends. Callers who come while a batch of their team is being signed and sent go together in the next
// one, which costs one signature here and one check at each reader's node; nobody waits for others to come.
// Safe for concurrent use; it owns no goroutine.
type lane struct {
	*service
	mu    sync.Mutex
	lines map[board.TeamID]*line // of teams in which somebody is sending; guarded by mu
}

// line is who waits behind a team's present batch. Guarded by lane.mu.
type line struct{ waiting []*liveCall }

// liveCall is one caller's batch.
type liveCall struct {
	batch *liveBatch
	lead  chan struct{} // the caller is to send the line's next batch
	done  chan struct{} // or it was sent by another one
	said  hub.Said
	err   error
}

// send sends a batch to everybody with those of others, and a batch to one person at once.
func (l *lane) send(ctx context.Context, st *team.State, b *liveBatch) (said hub.Said, err error) {
	if b.target != (board.UserID{}) {
		return l.say(ctx, st, b)
	}
	c := &liveCall{batch: b, lead: make(chan struct{}), done: make(chan struct{})}
	if l.join(st.ID(), c) {
		select {
		case <-c.done:
			return c.said, c.err
		case <-c.lead: // a caller who gave up leads all the same, since others wait
		}
	}
	all, group := l.next(st.ID(), b)
	said, err = l.say(context.WithoutCancel(ctx), st, all)
	for _, o := range group {
		o.said, o.err = said, err
		close(o.done)
	}
	l.pass(st.ID())
	return said, err
}

// join puts a call into its team's line; false: there is none, and the caller leads it from now on.
func (l *lane) join(t board.TeamID, c *liveCall) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.lines[t]; n != nil {
		n.waiting = append(n.waiting, c)
		return true
	}
	if l.lines == nil {
		l.lines = map[board.TeamID]*line{}
	}
	l.lines[t] = &line{}
	return false
}

// next is the leader's batch with those of the line that go with it.
func (l *lane) next(t board.TeamID, own *liveBatch) (all *liveBatch, group []*liveCall) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.lines[t]
	all = &liveBatch{messages: slices.Clone(own.messages), size: own.size}
	for len(n.waiting) > 0 {
		b := n.waiting[0].batch
		if !all.takes(board.UserID{}, len(b.messages), b.size) {
			break
		}
		all.messages, all.size = append(all.messages, b.messages...), all.size+b.size
		group, n.waiting = append(group, n.waiting[0]), n.waiting[1:]
	}
	return all, group
}

// pass makes the first of the line its leader, or ends the line.
func (l *lane) pass(t board.TeamID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.lines[t]
	if len(n.waiting) == 0 {
		delete(l.lines, t)
		return
	}
	close(n.waiting[0].lead)
	n.waiting = n.waiting[1:]
}

// say signs a batch and gives it to the hub. The messages' time begins now, and not as their callers came.
func (l *lane) say(ctx context.Context, st *team.State, b *liveBatch) (hub.Said, error) {
	t, now := st.ID(), uint64(l.Hub.LiveNow())
	for _, m := range b.messages {
		m.SentMs = now
	}
	w := &weftv1.LiveBatch{Team: t[:], User: l.Identity.User[:], Node: l.Node[:], Messages: b.messages}
	raw, err := proto.Marshal(w)
	if err != nil {
		return hub.Said{}, fmt.Errorf("couldn't encode live messages: %w", err)
	}
	sig := l.Identity.Device.Sign(board.SignLive, raw)
	device := l.deviceID()
	return l.Hub.Say(ctx, &weftv1.Signed{Object: raw, Key: device[:], Signature: sig[:]}, w)
}
