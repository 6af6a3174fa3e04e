package p2p

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p-pubsub/timecache"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

const (
	gossipQueue = 2048            // messages that wait for a peer, and for validation
	seenTime    = 5 * time.Minute // for which a message isn't taken again; its sender's retries come within it
)

// topics are the teams' topics: one goroutine for each team pushes and beats.
type topics struct {
	m          *Mesh
	ps         *pubsub.PubSub
	held       heldView
	useless    *uselessness
	replicated *nudges // who watches how far this node's posts have spread
	ctx        context.Context
	cancel     context.CancelFunc
	wg         sync.WaitGroup

	mu struct {
		sync.Mutex
		byTeam  map[board.TeamID]*topic
		ended   bool
		dropped map[peer.ID]map[string]bool // subscriptions that were refused while their peer wasn't known as a node
	}
}

// heldView says how far each origin is held, for a quick look at pushes that bring nothing new. The loop writes it.
type heldView struct {
	mu sync.RWMutex
	hi map[heldKey]uint64
}

type heldKey struct {
	board  board.ID
	origin board.Origin
}

func (h *heldView) set(b board.ID, o board.Origin, hi uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.hi == nil {
		h.hi = map[heldKey]uint64{}
	}
	if hi == 0 { // nothing of it is left
		delete(h.hi, heldKey{b, o})
		return
	}
	h.hi[heldKey{b, o}] = hi
}

func (h *heldView) covers(b board.ID, o board.Origin, seq uint64) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return seq <= h.hi[heldKey{b, o}]
}

func newTopics(m *Mesh) (*topics, error) {
	t := &topics{m: m, replicated: newNudges(), useless: newUselessness()}
	t.mu.byTeam = map[board.TeamID]*topic{}
	t.mu.dropped = map[peer.ID]map[string]bool{}
	t.ctx, t.cancel = context.WithCancel(m.ctx)
	params := pubsub.DefaultGossipSubParams()
	params.MaxIHaveLength = m.o.Limits.MessageIDs
	gossip := []protocol.ID{pubsub.GossipSubID_v12, pubsub.GossipSubID_v11}
	ps, err := pubsub.NewGossipSub(t.ctx, gossipHost{m.host, m},
		pubsub.WithGossipSubProtocols(gossip, pubsub.GossipSubDefaultFeatures), // no floodsub: such a peer hears everything
		pubsub.WithGossipSubParams(params),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(messageID),
		pubsub.WithFloodPublish(true),
		pubsub.WithPeerExchange(false),
		pubsub.WithPeerOutboundQueueSize(gossipQueue), pubsub.WithValidateQueueSize(gossipQueue),
		pubsub.WithValidateWorkers(1), // runs of one origin stay in order
		pubsub.WithSeenMessagesStrategy(timecache.Strategy_LastSeen), pubsub.WithSeenMessagesTTL(seenTime),
		pubsub.WithMaxMessageSize(m.o.Limits.TopicMessage+4<<10), // and what pubsub puts around it
		pubsub.WithSubscriptionFilter(t), pubsub.WithBlacklist(strangers{m}),
		pubsub.WithAppSpecificRpcInspector(t.inspect),
		pubsub.WithRawTracer(gossipTracer{m.stats}),
	)
	if err != nil {
		t.cancel()
		return nil, fmt.Errorf("couldn't start gossip: %w", err)
	}
	t.ps = ps
	return t, nil
}

// messageID is a hash of topic and payload: what is equal is one message, whoever sends it.
func messageID(m *pb.Message) string {
	h := sha256.New()
	h.Write([]byte(m.GetTopic()))
	h.Write([]byte{0})
	h.Write(m.GetData())
	return string(h.Sum(nil))
}

// strangers is pubsub's blacklist: everyone who shares no team. No stream is opened to them and nothing of theirs is read.
type strangers struct{ m *Mesh }

// Add does nothing: who is a stranger follows from the teams.
func (s strangers) Add(peer.ID) bool { return false }

// Contains says whether p shares no team with this node. Messages have no author here, which is the empty id.
func (s strangers) Contains(p peer.ID) bool {
	return p != "" && p != s.m.host.ID() && !s.m.who.knowsPeer(p)
}

// CanSubscribe says whether the topic is that of one of this node's teams.
func (t *topics) CanSubscribe(name string) bool {
	_, ok := t.m.who.view.Load().topics[name]
	return ok
}

// FilterIncomingSubscriptions lets a peer subscribe, of the topics of this node's teams, only to those of teams that it
// is a node of. What is dropped is remembered: should the peer turn out to be a node, it is made to say it again. Of
// other topics nothing is sent; should this node join such a team, join looks at who is there.
func (t *topics) FilterIncomingSubscriptions(p peer.ID, subs []*pb.RPC_SubOpts) ([]*pb.RPC_SubOpts, error) {
	n, err := NodeIDOf(p)
	if err != nil || len(subs) > t.m.o.Limits.Subscriptions {
		t.m.stats.gossip.WithLabelValues("subscriptions", "too many").Inc()
		if err == nil {
			t.m.offend(n, "subscriptions")
		}
		return nil, pubsub.ErrTooManySubscriptions
	}
	v := t.m.who.view.Load()
	return pubsub.FilterSubscriptions(subs, func(name string) bool {
		team, ours := v.topics[name]
		if !ours || t.m.who.mayReceive(n, team) {
			return true
		}
		t.m.stats.gossip.WithLabelValues("subscription", "not a node").Inc()
		t.drop(p, name)
		return false
	}), nil
}

// drop remembers a subscription that was refused: the peer could still turn out to be a node. It is forgotten when the
// peer goes.
func (t *topics) drop(p peer.ID, name string) {
	if len(name) != len(topicName(board.TeamID{})) || t.m.host.Network().Connectedness(p) != network.Connected {
		return // no team's; or it would be kept for ever
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	names := t.mu.dropped[p]
	if names == nil {
		names = map[string]bool{}
		t.mu.dropped[p] = names
	}
	if len(names) < t.m.o.Limits.Subscriptions {
		names[name] = true
	}
}

// forget is called when a peer is no longer connected.
func (t *topics) forget(p peer.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.mu.dropped, p)
	t.useless.forget(p)
}

// inspect refuses RPCs of strangers, and those that name too many messages.
func (t *topics) inspect(p peer.ID, rpc *pubsub.RPC) error {
	n, err := NodeIDOf(p)
	if err != nil || !t.m.who.knows(n) {
		t.m.stats.refused.WithLabelValues("gossip_of_stranger").Inc()
		for _, s := range rpc.GetSubscriptions()[:min(len(rpc.GetSubscriptions()), t.m.o.Limits.Subscriptions)] {
			t.drop(p, s.GetTopicid())
		}
		return errors.New("shares no team")
	}
	t.m.peers.signsOf(p).hear()
	t.m.traffic.receivedRPC(rpc)
	if len(rpc.GetPublish()) > 0 && t.useless.spent(p) {
		t.m.stats.refused.WithLabelValues("gossip_flood").Inc()
		return errors.New("too much that is of no use")
	}
	ids := 0
	for _, h := range rpc.GetControl().GetIhave() {
		ids += len(h.GetMessageIDs())
	}
	for _, w := range rpc.GetControl().GetIwant() {
		ids += len(w.GetMessageIDs())
	}
	for _, w := range rpc.GetControl().GetIdontwant() {
		ids += len(w.GetMessageIDs())
	}
	c := rpc.GetControl()
	if ids > t.m.o.Limits.MessageIDs || len(c.GetGraft())+len(c.GetPrune()) > t.m.o.Limits.Subscriptions {
		t.m.offend(n, "gossip_control")
		return errors.New("too many ids")
	}
	return nil
}

// gained is called when a peer may be sent more topics than before. If it subscribed to one of them too early, which
// was refused, its connection is closed once: after the redial it says all its subscriptions again. (Resetting pubsub's
// stream alone makes the other side forget this node's subscriptions.)
func (t *topics) gained(p peer.ID) {
	n, err := NodeIDOf(p)
	if err != nil {
		return
	}
	v := t.m.who.view.Load()
	t.mu.Lock()
	again := false
	for name := range t.mu.dropped[p] {
		team, ours := v.topics[name]
		again = again || ours && t.m.who.mayReceive(n, team)
	}
	t.mu.Unlock()
	if again {
		t.m.log.Debug("reconnecting to a peer that subscribed before it was known as a node", "peer", p.String())
		t.m.host.Network().ClosePeer(p)
	}
}

// follow starts a goroutine for each team that has none and ends those of teams that are gone. Called by the loop.
func (t *topics) follow(teams []board.TeamID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.ended {
		return
	}
	for _, id := range teams {
		if t.mu.byTeam[id] == nil {
			tp := newTopic(t, id)
			t.mu.byTeam[id] = tp
			t.wg.Go(func() { tp.run(tp.ctx) })
		}
	}
	for id, tp := range t.mu.byTeam {
		if !slices.Contains(teams, id) {
			tp.cancel()
			delete(t.mu.byTeam, id)
		}
	}
}

// appended says that this node's own log in a board has grown. Called by the loop.
func (t *topics) appended(team board.TeamID, b board.ID, o board.Origin, hi uint64) {
	t.mu.Lock()
	tp := t.mu.byTeam[team]
	t.mu.Unlock()
	if tp != nil {
		tp.appended(b, o, hi)
	}
}

// say has a message published on a team's topic. It never waits; what doesn't fit is dropped and counted.
func (t *topics) say(team board.TeamID, msg *weftv1.TopicMessage) bool {
	t.mu.Lock()
	tp := t.mu.byTeam[team]
	t.mu.Unlock()
	if tp == nil {
		return false
	}
	select {
	case tp.queue <- msg:
		return true
	default:
		t.m.stats.pushes.WithLabelValues("queue_full").Inc()
		return false
	}
}

// Topics are the teams' topics, with how many peers are in each.
func (m *Mesh) Topics() map[board.TeamID]int {
	out := map[board.TeamID]int{}
	for name, t := range m.who.view.Load().topics {
		out[t] = len(m.subs.ps.ListPeers(name))
	}
	return out
}

// run waits for the end; the teams' goroutines are started by follow.
func (t *topics) run(ctx context.Context) error {
	<-ctx.Done()
	t.mu.Lock()
	t.mu.ended = true
	t.mu.Unlock()
	t.cancel()
	t.wg.Wait()
	return nil
}

func (t *topics) close() { t.cancel() }

// nudge puts something into a channel that has room for it. Who reads it looks anew at everything, so a full one says enough.
func nudge(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// nudges tells any number of watchers that something may have changed. A lost nudge costs time only: each watcher's
// channel has capacity one.
type nudges struct {
	mu   sync.Mutex
	subs map[chan struct{}]struct{}
}

func newNudges() *nudges { return &nudges{subs: map[chan struct{}]struct{}{}} }

func (n *nudges) nudge() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.subs {
		nudge(c)
	}
}

func (n *nudges) watch() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	n.mu.Lock()
	n.subs[c] = struct{}{}
	n.mu.Unlock()
	return c, func() {
		n.mu.Lock()
		delete(n.subs, c)
		n.mu.Unlock()
	}
}
