package p2p

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence/detect"
	"weft/presence/hub"
	"weft/team"
)

// Presence goes over streams from each node to each of its teammates, not over gossip: a topic's mesh sends every message
// D-1 times more than there are readers, and tells a quarter of the others its name three times.

const (
	// pulseEvery is how often two nodes compare what they know of each other when nothing happens, ± a quarter.
	pulseEvery = 60 * time.Second
	// leaseEvery is how often hearing a node, by whatever message, is told to Presence as a renewed lease.
	leaseEvery = 20 * time.Second
	// askAgain is how often one team's state on one node is asked for.
	askAgain = 5 * time.Second
	// goodbyeTime bounds how long a stop waits until teammates have read the goodbye.
	goodbyeTime = 300 * time.Millisecond
	// knownAfter is how long one of two nodes may not have heard yet that both are in a team.
	knownAfter = 30 * time.Second
)

// Presence is who the mesh tells what it hears of people, and asks what to say of this node's own: hub.Hub. Its methods
// are called from any goroutine and must not wait. An error that wraps board.ErrMalformed is the sender's offence; others
// are counted only.
type Presence interface {
	// SetTeams says which teams there are.
	SetTeams(map[board.TeamID]*team.State)
	// Digests are of this node's own people in the teams, as n may know them. Teams of which nothing was said are left out.
	Digests(n board.NodeID, teams []board.TeamID) []*weftv1.TeamDigest
	// Agree compares what a boot of n says of its people in the teams, by a pulse's digest, with what is held.
	Agree(n board.NodeID, boot [16]byte, teams []board.TeamID, digest []byte) bool
	// Differ is Agree by team: those whose whole state is to be asked for.
	Differ(n board.NodeID, boot [16]byte, teams []board.TeamID, said []*weftv1.TeamDigest) []board.TeamID
	// Whole is the state of a node's people in a team, for another node of it: of this node itself as beats to sign, of
	// another one as it signed them.
	Whole(n board.NodeID, t board.TeamID, to board.NodeID) (own []*weftv1.PresenceBeat, signed []*weftv1.Signed)
	// SettingsFor is what people have set whose homes are both n and this node.
	SettingsFor(n board.NodeID) []*weftv1.OwnSetting
	// ReceiveBeat takes a beat whose form and signature are good and whose node is of the team.
	ReceiveBeat(from board.NodeID, raw *weftv1.Signed, b *weftv1.PresenceBeat) error
	// ReceiveLive takes live messages that are allowed, in time, and signed by their device.
	ReceiveLive(b *hub.Batch) error
	// ReceiveSetting takes what one of this node's people has set at another of their homes.
	ReceiveSetting(from board.NodeID, s *weftv1.OwnSetting) error
	// NodeHealth says what is thought of n now.
	NodeHealth(n board.NodeID, h detect.Health)
	// Lease says that n was heard, so that what it said of its people counts until then.
	Lease(n board.NodeID, until time.Time)
}

// presence keeps one outgoing stream to each connected node that shares a team, and reads theirs.
type presence struct {
	m      *Mesh
	people Presence      // nil: none
	prober *probing      // its methods don't wait
	wake   chan struct{} // capacity one
	wg     sync.WaitGroup

	mu struct {
		sync.Mutex
		mates  map[board.NodeID]*mate      // every node that shares a team, connected or not
		ended  bool                        // nothing is opened or taken any more
		word   *weftv1.Signed              // this node's own, of its incarnation
		bootMs uint64                      // that it names
		words  map[board.NodeID]*heardWord // the last verified one of each mate
		seen   map[seenKey]seenBeat        // the last beat of a node in a team
		asked  map[wholeKey]time.Time      // when a node's state in a team was asked for last
		wanted map[wholeKey]bool           // what is to be asked for as soon as it may be
		since  map[wholeKey]time.Time      // when a team came to be shared, if that was after the first look
		looked bool
	}
}

// wholeKey names a node's people in a team.
type wholeKey struct {
	node board.NodeID
	team board.TeamID
}

// mate is another node of this node's teams. Guarded by presence.mu.
type mate struct {
	node    board.NodeID
	id      peer.ID
	teams   []board.TeamID // shared, in order
	out     *voice         // nil: no stream to it
	in      *ear           // nil: none from it
	opening bool
	openAt  time.Time // not opened again before
	fails   int
	pulseAt time.Time // when the next pulse is due
	cut     time.Time // since when there is no stream to it
	said    board.HLC // when it said the newest of what came through others, by its clock
	relayed time.Time // when something that it signed came through others last
	digests time.Time // when its digests were asked for last
	differs differs   // what they are to be asked for as soon as they may be
	caught  bool      // others were asked for what it said since the stream to it was lost; see heardThrough
	live    hub.Budget
}

// differs says what a teammate holds that is known to be otherwise here.
type differs struct{ people, boards bool }

func newPresence(m *Mesh) *presence {
	p := &presence{m: m, people: m.o.Presence, wake: make(chan struct{}, 1)}
	p.mu.mates = map[board.NodeID]*mate{}
	p.mu.words = map[board.NodeID]*heardWord{}
	p.mu.seen = map[seenKey]seenBeat{}
	p.mu.asked = map[wholeKey]time.Time{}
	p.mu.wanted = map[wholeKey]bool{}
	p.mu.since = map[wholeKey]time.Time{}
	p.mu.bootMs = m.bootTime()
	p.mu.word = p.sign(1, false)
	return p
}

func (p *presence) nudge() { nudge(p.wake) }

// run keeps the streams and pulses until ctx ends, and says goodbye then.
func (p *presence) run(ctx context.Context) error {
	notify := &network.NotifyBundle{
		ConnectedF:    func(_ network.Network, c network.Conn) { p.connected(c.RemotePeer()) },
		DisconnectedF: func(network.Network, network.Conn) { p.nudge() },
	}
	p.m.host.Network().Notify(notify)
	defer p.m.host.Network().StopNotify(notify)
	defer p.wg.Wait()
	rnd := p.m.random(randomPresence)
	timer := time.NewTimer(0)
	defer timer.Stop()
	leases := time.NewTicker(leaseEvery)
	defer leases.Stop()
	for {
		select {
		case <-ctx.Done():
			p.sayGoodbye()
			return nil
		case <-p.wake:
		case <-timer.C:
		case <-leases.C:
			p.renewLeases()
		}
		timer.Reset(max(p.round(ctx, rnd), 10*time.Millisecond))
	}
}

// connected is called by libp2p for each new connection; it must not wait.
func (p *presence) connected(id peer.ID) {
	if n, err := NodeIDOf(id); err == nil {
		p.mu.Lock()
		if x := p.mu.mates[n]; x != nil {
			x.fails, x.openAt = 0, time.Time{}
		}
		p.mu.Unlock()
	}
	p.nudge()
}

// follow takes over who shares which team. The loop calls it after each look.
func (p *presence) follow(v *view) {
	if p.people != nil {
		p.people.SetTeams(v.here(p.m.self))
	}
	var silent []*voice
	var deaf []*ear
	p.mu.Lock()
	for n, teams := range v.shared {
		teams = slices.DeleteFunc(slices.Clone(teams), func(t board.TeamID) bool { return !v.teams[t].IsNode(p.m.self) })
		if n == p.m.self || len(teams) == 0 {
			continue
		}
		x := p.mu.mates[n]
		if x == nil {
			id, err := PeerIDOf(n)
			if err != nil {
				continue
			}
			x = &mate{node: n, id: id, cut: time.Now()}
			p.mu.mates[n] = x
		}
		if len(teams) > len(x.teams) { // it may have refused for want of one
			x.fails, x.openAt = 0, time.Time{}
			if x.out != nil {
				x.pulseAt = earliest(x.pulseAt, time.Now().Add(time.Second))
			}
			x.differs.people = x.in != nil // what it has said of a team that wasn't known to be shared wasn't heard
		}
		for _, t := range teams {
			if p.mu.looked && !slices.Contains(x.teams, t) {
				p.mu.since[wholeKey{n, t}] = time.Now()
			}
		}
		x.teams = teams
	}
	p.mu.looked = true
	for n, x := range p.mu.mates {
		teams := v.shared[n]
		x.teams = slices.DeleteFunc(x.teams, func(t board.TeamID) bool { return !slices.Contains(teams, t) || !v.teams[t].IsNode(p.m.self) })
		if len(x.teams) > 0 {
			continue
		}
		if x.out != nil {
			silent = append(silent, x.out)
		}
		if x.in != nil {
			deaf = append(deaf, x.in)
		}
		delete(p.mu.mates, n)
		delete(p.mu.words, n)
	}
	lost := func(k wholeKey) bool {
		return p.mu.mates[k.node] == nil || !slices.Contains(p.mu.mates[k.node].teams, k.team)
	}
	maps.DeleteFunc(p.mu.seen, func(k seenKey, _ seenBeat) bool { return lost(k.wholeKey) })
	maps.DeleteFunc(p.mu.asked, func(k wholeKey, _ time.Time) bool { return lost(k) })
	maps.DeleteFunc(p.mu.wanted, func(k wholeKey, _ bool) bool { return lost(k) })
	maps.DeleteFunc(p.mu.since, func(k wholeKey, _ time.Time) bool { return lost(k) })
	p.mu.Unlock()
	for _, v := range silent {
		v.reset()
	}
	for _, e := range deaf {
		e.s.Reset()
	}
	p.prober.changed()
	p.nudge()
}

// here are the teams that a node is in.
func (v *view) here(n board.NodeID) map[board.TeamID]*team.State {
	out := map[board.TeamID]*team.State{}
	for t, st := range v.teams {
		if st.IsNode(n) {
			out[t] = st
		}
	}
	return out
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// neighbours are the nodes that share teams with this one, connected or not, and which.
func (p *presence) neighbours() map[board.NodeID][]board.TeamID {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[board.NodeID][]board.TeamID, len(p.mu.mates))
	for n, x := range p.mu.mates {
		out[n] = slices.Clone(x.teams)
	}
	return out
}

// linked says whether there is a stream to n.
func (p *presence) linked(n board.NodeID) bool { return p.voiceTo(n) != nil }

func (p *presence) voiceTo(n board.NodeID) *voice {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x := p.mu.mates[n]; x != nil {
		return x.out
	}
	return nil
}

// teamsWith are the teams shared with n.
func (p *presence) teamsWith(n board.NodeID) []board.TeamID {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x := p.mu.mates[n]; x != nil {
		return slices.Clone(x.teams)
	}
	return nil
}

// round starts what is due and returns how long there is nothing to do.
func (p *presence) round(ctx context.Context, rnd *rand.Rand) time.Duration {
	now, wait := time.Now(), pulseEvery
	due := func(at time.Time) bool {
		if d := at.Sub(now); d > 0 {
			wait = min(wait, d)
			return false
		}
		return true
	}
	var pulses []board.NodeID
	compare := map[board.NodeID]differs{}
	p.mu.Lock()
	for n, x := range p.mu.mates {
		switch {
		case x.out != nil:
			if x.differs != (differs{}) && due(x.digests.Add(askAgain)) {
				compare[n] = x.differs
				x.digests, x.differs = now, differs{}
			}
			if due(x.pulseAt) {
				x.pulseAt = now.Add(jitter(rnd, pulseEvery))
				due(x.pulseAt)
				pulses = append(pulses, n)
			}
		case !x.opening && !p.mu.ended && p.m.host.Network().Connectedness(x.id) == network.Connected && due(x.openAt):
			x.opening = true
			x.openAt = now.Add(backoff(x.fails, rnd))
			x.fails++
			p.wg.Go(func() { p.open(ctx, x.id, n) })
		}
	}
	asks := p.dueAsks(now, due)
	p.mu.Unlock()
	for _, n := range pulses {
		p.pulse(n)
	}
	for n, d := range compare {
		p.send(n, askFrame(&weftv1.PresenceAsk{Vectors: d.boards}))
	}
	for _, a := range asks {
		p.sendAsk(a)
	}
	return wait
}
