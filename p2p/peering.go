package p2p

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"

	"weft/board"
)

const (
	firstRedial = 250 * time.Millisecond
	maxRedial   = 30 * time.Second
	dialTime    = 15 * time.Second
	// A peer that was there a moment ago is sought eagerly: it may be back each second, and a handshake that waits for its
	// packets to be sent again for the fourth time finds it later than a new one does.
	eagerFor    = 2 * time.Minute
	eagerRedial = 2 * time.Second
	eagerDial   = 4 * time.Second
	// Each dial has a dozen goroutines and sockets of its own, and a team has up to 256 nodes of which most may be off.
	dialsAtOnce = 8
	dialsKept   = 2 // of them for peers that have not failed often: lost a moment ago, heard of, or new
	failedOften = 3
)

// peering keeps this node connected to the nodes of its teams and to those that its owner named, and both streams to
// each of them open.
type peering struct {
	m     *Mesh
	wake  chan struct{} // capacity one: something in mu has changed
	links *nudges       // a stream has opened or closed
	signs sync.Map      // peer.ID -> *signs

	mu struct {
		sync.Mutex
		targets map[peer.ID]*target
		dialing int                  // dials that are under way
		shares  map[board.NodeID]int // teams shared with each node, as of the last look
	}
	wg sync.WaitGroup
}

// target is a peer to stay connected to. Guarded by peering.mu.
type target struct {
	id       peer.ID
	node     board.NodeID
	isNode   bool // shares a team, so that streams are wanted too
	passive  bool // of a team that this node is out of: never dialled, but heard if it comes
	static   bool
	worked   bool // a stream was open on the connection
	busy     bool // a dial, or the opening of a stream, is under way
	fails    int
	next     time.Time // not dialled before
	lastErr  string
	lost     time.Time // when its last connection that was of use ended
	link     [2]*link  // open: boards, governance
	greeting [2]*link  // opened from here last
	openNext time.Time
	opens    int // streams that failed in a row

	// See askWhy.
	since   time.Time // of the connection; zero: there is none
	nextWhy time.Time
	whys    int
	asking  bool
}

func newPeering(m *Mesh) *peering {
	p := &peering{m: m, wake: make(chan struct{}, 1), links: newNudges()}
	p.mu.targets = map[peer.ID]*target{}
	p.mu.shares = map[board.NodeID]int{}
	return p
}

func (p *peering) nudge() { nudge(p.wake) }

// run dials and redials until ctx ends.
func (p *peering) run(ctx context.Context) error {
	defer p.wg.Wait()
	rnd := p.m.random(randomPeering)
	notify := &network.NotifyBundle{ConnectedF: p.connected, DisconnectedF: p.disconnected}
	p.m.host.Network().Notify(notify)
	defer p.m.host.Network().StopNotify(notify)
	defer p.m.gate.stop()
	addrs, err := p.m.host.EventBus().Subscribe([]any{new(event.EvtLocalAddressesUpdated)})
	if err != nil {
		return fmt.Errorf("couldn't watch the network's addresses: %w", err)
	}
	defer addrs.Close()
	p.loadAddresses()
	for _, text := range p.m.o.Static {
		p.addAlways(ctx, text)
	}
	var added []string
	p.m.kv.scan("static/", func(_ string, value []byte) { added = append(added, string(value)) })
	for _, text := range added {
		p.addAlways(ctx, text)
	}
	if p.m.o.MDNS {
		stop := p.m.startMDNS()
		defer stop()
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.wake:
		case <-timer.C:
		case _, ok := <-addrs.Out():
			if !ok {
				return nil
			}
			p.networkChanged()
		}
		timer.Reset(max(p.round(ctx, rnd), 10*time.Millisecond))
	}
}

// round starts what is due and returns how long there is nothing to do.
func (p *peering) round(ctx context.Context, rnd *rand.Rand) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, wait := time.Now(), time.Hour
	due := func(at time.Time) bool {
		if d := at.Sub(now); d > 0 {
			wait = min(wait, d)
			return false
		}
		return true
	}
	var dials []*target
	for _, t := range p.mu.targets {
		t.connectedSince(p.m.host.Network().Connectedness(t.id))
		if t.isNode {
			if at := p.askWhy(ctx, t); !at.IsZero() {
				due(at)
			}
		}
		if t.busy || p.m.gate.banned(t.id) {
			wait = min(wait, maxRedial)
			continue
		}
		if p.m.host.Network().Connectedness(t.id) != network.Connected {
			if !t.passive && due(t.next) {
				dials = append(dials, t)
			}
			continue
		}
		if (t.isNode || t.passive) && slices.Compare(p.m.self[:], t.node[:]) < 0 && (p.missing(t, false) || p.missing(t, true)) && due(t.openNext) {
			p.open(ctx, t, rnd)
		}
	}
	// Who has waited longest comes first, so that each has its turn where more are absent than may be dialled at once.
	slices.SortFunc(dials, func(a, b *target) int {
		return cmp.Or(a.next.Compare(b.next), strings.Compare(string(a.id), string(b.id)))
	})
	for _, t := range dials {
		p.dial(ctx, t, rnd)
		due(t.next)
	}
	return wait
}

// backoff is how long to wait after n failures in a row: doubling from firstRedial to maxRedial, ± a quarter.
func backoff(n int, rnd *rand.Rand) time.Duration {
	return jitter(rnd, min(firstRedial<<min(n, 10), maxRedial*4/5))
}

// eager says whether a connection to t was lost a moment ago.
func (t *target) eager() bool { return !t.lost.IsZero() && time.Since(t.lost) < eagerFor }

// dial tries to reach t in a goroutine, if there is a place for it. Called with mu held.
func (p *peering) dial(ctx context.Context, t *target, rnd *rand.Rand) {
	if len(p.m.host.Peerstore().Addrs(t.id)) == 0 {
		t.lastErr = "no address of it is known"
		t.next = time.Now().Add(maxRedial)
		return
	}
	places := dialsAtOnce
	if t.fails >= failedOften && !t.eager() {
		places -= dialsKept
	}
	if p.mu.dialing >= places {
		return // the end of a dial is a nudge
	}
	p.mu.dialing++
	t.busy = true
	wait, most := backoff(t.fails, rnd), dialTime
	if t.eager() {
		wait, most = min(wait, jitter(rnd, eagerRedial)), min(eagerDial+8*p.m.host.Peerstore().LatencyEWMA(t.id), dialTime)
	}
	t.next = time.Now().Add(wait)
	t.fails++
	p.wg.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, most)
		defer cancel()
		err := p.m.connect(ctx, peer.AddrInfo{ID: t.id})
		p.mu.Lock()
		p.mu.dialing--
		t.busy = false
		if err != nil {
			t.lastErr = unreached(err).Error()
			p.m.log.Debug("couldn't reach a peer", "peer", t.id.String(), "err", err)
			p.m.stats.dials.WithLabelValues("failed").Inc()
		} else {
			t.lastErr = ""
			p.m.stats.dials.WithLabelValues("connected").Inc()
		}
		p.mu.Unlock()
		p.nudge()
	})
}

// connect dials with libp2p's own memory of failures cleared: the redial loop has its own.
func (m *Mesh) connect(ctx context.Context, info peer.AddrInfo) error {
	if s, ok := m.host.Network().(*swarm.Swarm); ok {
		s.Backoff().Clear(info.ID)
	}
	return m.host.Connect(ctx, info)
}

// open opens the streams to t that are missing, in a goroutine: governance first. Called with mu held.
func (p *peering) open(ctx context.Context, t *target, rnd *rand.Rand) {
	t.busy = true
	t.openNext = time.Now().Add(backoff(t.opens, rnd))
	t.opens++
	missing := [2]bool{p.missing(t, false), p.missing(t, true)}
	p.wg.Go(func() {
		for _, governance := range []bool{true, false} {
			if !missing[index(governance)] {
				continue
			}
			k, err := p.m.open(ctx, t.id, t.node, governance)
			if err != nil {
				p.m.log.Debug("couldn't open a stream", "peer", t.id.String(), "err", err)
				continue
			}
			p.mu.Lock()
			t.greeting[index(governance)] = k
			p.mu.Unlock()
		}
		p.mu.Lock()
		t.busy = false
		p.mu.Unlock()
		p.nudge()
	})
}

// missing says whether a stream to t should be opened: there is none, none whose greeting is under way, and it would be
// of use. Called with mu held.
func (p *peering) missing(t *target, governance bool) bool {
	i := index(governance)
	if k := t.greeting[i]; k != nil {
		select {
		case <-k.ended:
			t.greeting[i] = nil
		default:
			return false
		}
	}
	return t.link[i] == nil && p.m.who.useful(t.node, governance)
}

func index(governance bool) int {
	if governance {
		return 1
	}
	return 0
}

// linked and unlinked are told by the loop of streams that have come into use and gone.
func (p *peering) linked(k *link) {
	p.mu.Lock()
	t := p.mu.targets[k.peer]
	if t == nil && p.m.who.knows(k.node) { // on the way into a team, before the next look
		t = &target{id: k.peer, node: k.node, passive: p.m.who.isFormer(k.node)}
		p.mu.targets[k.peer] = t
	}
	if t != nil {
		t.link[index(k.governance)] = k
		t.worked, t.fails = true, 0
		if t.link[0] != nil && t.link[1] != nil {
			t.opens = 0
		}
		t.whys, t.nextWhy = 0, time.Time{}
	}
	p.mu.Unlock()
	if c := k.s.Conn(); k.governance && c.Stat().Direction == network.DirOutbound {
		p.wg.Go(func() { p.keepAddress(k.peer, c.RemoteMultiaddr()) })
	}
	p.links.nudge()
	p.nudge()
}

func (p *peering) unlinked(k *link) {
	p.mu.Lock()
	if t := p.mu.targets[k.peer]; t != nil && t.link[index(k.governance)] == k {
		t.link[index(k.governance)] = nil
	}
	p.mu.Unlock()
	p.links.nudge()
	p.nudge()
}

// connected is called by libp2p for each new connection; it must not wait.
func (p *peering) connected(_ network.Network, c network.Conn) {
	p.m.gate.connected(c)
	id := c.RemotePeer()
	p.mu.Lock()
	t := p.mu.targets[id]
	if t != nil {
		t.opens, t.openNext = 0, time.Time{}
	}
	p.mu.Unlock()
	if t != nil {
		p.signsOf(id).hear()
		p.overtaken(c)
	}
	p.nudge()
}

func (p *peering) disconnected(_ network.Network, c network.Conn) {
	p.m.gate.gone(c)
	id := c.RemotePeer()
	if p.m.host.Network().Connectedness(id) != network.Connected {
		p.m.subs.forget(id)
		p.mu.Lock()
		if t := p.mu.targets[id]; t != nil {
			// At once after a connection that was of use; one that was closed as soon as it was there counts as a failure.
			if t.worked {
				t.fails, t.next, t.lost = 0, time.Time{}, time.Now()
			}
			t.worked = false
		}
		p.mu.Unlock()
	}
	p.nudge()
}

// alive is evidence that a peer can be reached again: its dial waits no longer.
func (p *peering) alive(id peer.ID) {
	p.mu.Lock()
	if t := p.mu.targets[id]; t != nil {
		t.fails, t.next = 0, time.Time{}
	}
	p.mu.Unlock()
	p.nudge()
}

// networkChanged makes every dial due, looks which connections are still good, and tells teammates the new addresses.
func (p *peering) networkChanged() {
	p.mu.Lock()
	for _, t := range p.mu.targets {
		t.fails, t.next = 0, time.Time{}
	}
	p.mu.Unlock()
	p.askAll()
	p.m.step(recordsChanged{})
}

// changed is called by the loop when the teams' nodes may have changed.
func (p *peering) changed() {
	v := p.m.who.view.Load()
	everyone := p.m.who.everyone()
	isNode := make(map[peer.ID]bool, len(everyone))
	var known, gained []peer.ID // newly known; sharing more teams than before
	p.mu.Lock()
	for _, n := range everyone {
		id, err := PeerIDOf(n)
		if err != nil {
			continue
		}
		isNode[id] = true
		t := p.mu.targets[id]
		if t == nil {
			t = &target{id: id, node: n}
			p.mu.targets[id] = t
		}
		if !t.isNode {
			t.isNode = true
			known = append(known, id)
			t.openNext, t.opens = time.Time{}, 0
			p.m.host.ConnManager().Protect(id, "team")
		}
		if len(v.shared[n]) > p.mu.shares[n] {
			gained = append(gained, id)
			t.openNext, t.opens = time.Time{}, 0
		}
	}
	former := p.listen(v, isNode)
	for id, t := range p.mu.targets {
		if !isNode[id] && t.isNode {
			t.isNode = false
			p.m.host.ConnManager().Unprotect(id, "team")
		}
		if t.passive = former[id] && !t.static; !isNode[id] && !former[id] && !t.static && !t.trusted(p.m.who) {
			delete(p.mu.targets, id)
			p.signs.Delete(id)
		}
	}
	clear(p.mu.shares)
	for n, ts := range v.shared {
		p.mu.shares[n] = len(ts)
	}
	p.mu.Unlock()
	if len(known)+len(gained) > 0 {
		p.m.gate.upgrade()
		go p.introduce(known, gained)
	}
	p.nudge()
}

// introduce makes pubsub look again at peers that it refused to talk to while they were strangers.
func (p *peering) introduce(known, gained []peer.ID) {
	emit, err := p.m.host.EventBus().Emitter(new(event.EvtPeerProtocolsUpdated))
	if err != nil {
		return // the host is closing
	}
	defer emit.Close()
	for _, id := range known {
		if p.m.host.Network().Connectedness(id) == network.Connected {
			emit.Emit(event.EvtPeerProtocolsUpdated{Peer: id, Added: []protocol.ID{pubsub.GossipSubID_v12, pubsub.GossipSubID_v11}})
		}
	}
	for _, id := range gained {
		p.m.subs.gained(id)
	}
}
