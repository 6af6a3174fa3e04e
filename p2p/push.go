package p2p

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

const (
	// Regular beats on the topic are for nodes that are reached through others only; the rest compare digests by pulses.
	// Without such a node all of a team's nodes together still beat once in quietBeats, in case one of them is mistaken.
	beatEvery  = 60 * time.Second
	quietBeats = 30 * time.Minute
	// After the last post of a burst the heads go out again, so that a lost push is found soon.
	afterBurst1 = 2 * time.Second
	afterBurst2 = 10 * time.Second
	// pushBehind: with so many records waiting, only heads are pushed and peers pull, which is cheaper for both.
	pushBehind = 2048
	// pushBytes of runs in one topic message; the rest of the limit is for what stands around them.
	pushBytes = 224 << 10
	// beatHeads that one beat names at most; more go with the next.
	beatHeads = 256
	// topicQueue messages of presence and the live lane wait for a topic.
	topicQueue = 1024
	// leaseTime for which a beat vouches for this node's users.
	leaseTime = 150 * time.Second
)

// topic is one team's topic as this node sees it.
type topic struct {
	all    *topics
	m      *Mesh
	team   board.TeamID
	ctx    context.Context
	cancel context.CancelFunc
	dirty  chan struct{} // capacity one: there is something in mu.grown

	mu struct {
		sync.Mutex
		grown map[board.ID]ownHead // how far this node's log reaches now
	}

	// The rest belongs to the team's goroutine.
	topic  *pubsub.Topic
	pushed map[board.ID]ownHead // how far it was pushed
	moved  map[board.ID]ownHead // pushed since the last regular beat
	number uint64               // of the last beat
	heard  hearing              // of others' beats; the validator's
	beaten time.Time            // when the last regular beat was

	queue chan *weftv1.TopicMessage // what others want published
}

// ownHead is a point of this node's log in a board.
type ownHead struct {
	origin board.Origin
	seq    uint64
}

func newTopic(all *topics, team board.TeamID) *topic {
	t := &topic{
		all: all, m: all.m, team: team, dirty: make(chan struct{}, 1),
		pushed: map[board.ID]ownHead{}, moved: map[board.ID]ownHead{}, heard: hearing{last: map[board.NodeID]*heardBeat{}},
		queue: make(chan *weftv1.TopicMessage, topicQueue),
	}
	t.mu.grown = map[board.ID]ownHead{}
	t.ctx, t.cancel = context.WithCancel(all.ctx)
	return t
}

// appended notes how far this node's log in b reaches now.
func (t *topic) appended(b board.ID, o board.Origin, hi uint64) {
	t.mu.Lock()
	t.mu.grown[b] = ownHead{o, hi}
	t.mu.Unlock()
	nudge(t.dirty)
}

// run joins the topic, pushes and beats until ctx ends.
func (t *topic) run(ctx context.Context) {
	leave, err := t.join()
	if err != nil {
		if ctx.Err() == nil {
			t.m.log.Error("couldn't join a team's topic; its posts travel by pull only", "team", t.team.String(), "err", err)
		}
		return
	}
	defer leave()
	rnd := rand.New(rand.NewPCG(t.m.o.Seed, uint64(t.team[0])<<8|randomTopics))
	t.beaten = time.Now()
	beat := time.NewTimer(jitter(rnd, beatEvery))
	defer beat.Stop()
	burst := time.NewTimer(time.Hour)
	burst.Stop()
	defer burst.Stop()
	second := false // the burst's second beat is due next
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.dirty:
			if t.push(ctx) {
				burst.Reset(afterBurst1)
				second = false
			}
		case <-burst.C:
			t.beat(ctx, false)
			if !second {
				burst.Reset(afterBurst2 - afterBurst1)
				second = true
			}
		case <-beat.C:
			if t.wantsBeat() {
				t.beaten = time.Now()
				t.beat(ctx, true)
			} else {
				clear(t.moved) // told by the beats after the burst
			}
			beat.Reset(jitter(rnd, beatEvery))
		case m := <-t.queue:
			t.publish(ctx, m)
		}
	}
}

// wantsBeat says whether a regular beat is due.
func (t *topic) wantsBeat() bool {
	st := t.m.who.view.Load().teams[t.team]
	return st != nil && (t.m.voices.hasFar(t.team) || time.Since(t.beaten) > quietBeats*time.Duration(len(st.Nodes())))
}

func (t *topic) join() (leave func(), err error) {
	name := topicName(t.team)
	for _, p := range t.all.ps.ListPeers(name) { // they subscribed before this was one of this node's topics
		if n, err := NodeIDOf(p); err != nil || !t.m.who.mayReceive(n, t.team) {
			t.m.stats.refused.WithLabelValues("topic_of_stranger").Inc()
			t.m.host.Network().ClosePeer(p)
		}
	}
	if err := t.all.ps.RegisterTopicValidator(name, pubsub.ValidatorEx(t.validate), pubsub.WithValidatorInline(true)); err != nil {
		return nil, fmt.Errorf("couldn't register the topic's validator: %w", err)
	}
	tp, err := t.all.ps.Join(name)
	if err != nil {
		return nil, fmt.Errorf("couldn't join the topic: %w", err)
	}
	// A relay and no subscription: the validator takes what comes, nothing is queued for a reader.
	stop, err := tp.Relay()
	if err != nil {
		return nil, fmt.Errorf("couldn't relay on the topic: %w", err)
	}
	t.topic = tp
	return func() {
		stop()
		tp.Close()
		t.all.ps.UnregisterTopicValidator(name)
	}, nil
}

// push publishes what this node has appended since the last push. It says whether there was anything.
func (t *topic) push(ctx context.Context) bool {
	t.mu.Lock()
	grown := t.mu.grown
	t.mu.grown = map[board.ID]ownHead{}
	t.mu.Unlock()
	boards := make([]board.ID, 0, len(grown))
	for b := range grown {
		boards = append(boards, b)
	}
	governance := board.GovernanceID(t.team)
	slices.SortFunc(boards, func(a, b board.ID) int { // governance first: entries may need it
		if (a == governance) != (b == governance) {
			if a == governance {
				return -1
			}
			return 1
		}
		return slices.Compare(a[:], b[:])
	})
	out, size := &weftv1.Push{}, 0
	flush := func() {
		if len(out.Runs)+len(out.Heads) > 0 {
			t.publish(ctx, &weftv1.TopicMessage{Message: &weftv1.TopicMessage_Push{Push: out}})
		}
		out, size = &weftv1.Push{}, 0
	}
	any := false
	for _, b := range boards {
		to := grown[b]
		from := t.pushed[b]
		if from.origin != to.origin {
			from = ownHead{to.origin, 0}
		}
		t.pushed[b], t.moved[b] = to, to
		if to.seq <= from.seq {
			continue
		}
		any = true
		for ctx.Err() == nil && from.seq < to.seq {
			run := t.nextPush(ctx, b, from.seq+1, to)
			if run == nil {
				if h := t.signedHead(b, to.origin); h != nil {
					out.Heads = append(out.Heads, h)
				}
				break
			}
			wire := run.Wire()
			n := proto.Size(wire)
			if size+n > pushBytes {
				flush()
			}
			out.Runs = append(out.Runs, wire)
			size += n
			from.seq = run.LastSeq()
		}
	}
	flush()
	return any
}

// nextPush is the next run to push, or nil where the head alone should go: too much waits, or the run is too large.
func (t *topic) nextPush(ctx context.Context, b board.ID, first uint64, to ownHead) *board.Run {
	if to.seq-first >= pushBehind {
		return nil
	}
	run, err := t.m.o.Store.Run(ctx, b, to.origin, first, to.seq, pushBytes)
	if err != nil {
		if ctx.Err() == nil {
			t.m.log.Warn("couldn't read own records to push", "board", b.String(), "err", err)
		}
		return nil
	}
	if run.Size() > pushBytes || len(run.Items) == 0 {
		return nil
	}
	return run
}

func (t *topic) signedHead(b board.ID, o board.Origin) *weftv1.Head {
	p, sig, ok := t.m.o.Store.SignedHead(b, o)
	if !ok {
		return nil
	}
	return &weftv1.Head{Position: p.Wire(), Signature: sig}
}

// beat publishes this node's beat: the heads that moved and the digest of all the team's vectors.
func (t *topic) beat(ctx context.Context, regular bool) {
	var digest board.Hash
	if !t.m.loop.do(ctx, func() { digest = t.m.loop.rep.Digest(t.team) }) {
		return
	}
	t.number++
	b := &weftv1.Beat{
		Team: t.team[:], Node: t.m.self[:], Boot: t.m.boot[:], Number: t.number, Incarnation: 1,
		LeaseMs: uint32(leaseTime / time.Millisecond), Digest: digest[:], SentHlc: uint64(board.HLCAt(t.m.o.Now())),
	}
	b.PeopleNumber, b.People = t.m.voices.peopleDigest(t.team)
	boards := make([]board.ID, 0, len(t.moved))
	for id := range t.moved {
		boards = append(boards, id)
	}
	slices.SortFunc(boards, func(a, b board.ID) int { return slices.Compare(a[:], b[:]) })
	for _, id := range boards[:min(len(boards), beatHeads)] {
		if h := t.signedHead(id, t.moved[id].origin); h != nil {
			b.Heads = append(b.Heads, h)
		}
		if regular {
			delete(t.moved, id)
		}
	}
	raw, err := proto.Marshal(b)
	if err != nil {
		t.m.log.Error("couldn't encode a beat", "err", err)
		return
	}
	sig := t.m.o.Key.Sign(board.SignBeat, raw)
	signed := &weftv1.Signed{Object: raw, Key: t.m.self[:], Signature: sig[:]}
	t.publish(ctx, &weftv1.TopicMessage{Message: &weftv1.TopicMessage_Beat{Beat: signed}})
}

func (t *topic) publish(ctx context.Context, m *weftv1.TopicMessage) {
	b, err := proto.Marshal(m)
	if err != nil {
		t.m.log.Error("couldn't encode a topic message", "err", err)
		return
	}
	if err := t.topic.Publish(ctx, b); err != nil && !errors.Is(err, context.Canceled) && ctx.Err() == nil {
		t.m.stats.pushes.WithLabelValues("not_sent").Inc()
		t.m.log.Warn("couldn't publish on a team's topic; peers will pull", "team", t.team.String(), "err", err)
		return
	}
	t.m.stats.pushes.WithLabelValues("sent").Inc()
	if _, ok := m.Message.(*weftv1.TopicMessage_Push); ok { // a beat is answered only where it brings news
		t.m.peers.pushedTo(t.team)
	}
}
