package p2p

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/multiformats/go-multistream"

	"weft/board"
)

// A transport notices that a peer has gone after half a minute: too late for who writes to it. So what is sent to a peer
// begins a wait for any sign of life; if none comes, its connections are asked for one, and closed if they give none.
// Then the redial finds another way. A peer to which nothing is sent costs nothing.

// protocolAlive is asked for and spoken by nobody: any answer to it, also that it isn't spoken, shows that a connection
// carries bytes both ways.
const protocolAlive = protocol.ID("/weft/alive/1.0.0")

const (
	// answerTime for which something may have been sent without a sign of life.
	answerTime = 2 * time.Second
	// A connection that is asked has so long to answer, and four round trips: enough for QUIC to send a lost packet
	// some times again. It has less where another connection is there, and a mistake costs nothing.
	probeTime    = 2 * time.Second
	probeTimeTwo = time.Second
	// silentTime after which a peer that somebody looks at is asked, so that the next look shows how it is.
	silentTime = 5 * time.Second
	// maxProbeTime bounds what a measured round trip may add.
	maxProbeTime = 10 * time.Second
)

// signs are the signs of life of one peer. Safe for concurrent use.
type signs struct {
	began  time.Time    // what the times below count from; they go by the monotonic clock
	heard  atomic.Int64 // when it was heard last
	asked  atomic.Int64 // since when an answer is waited for; zero: none is
	asking atomic.Bool  // its connections are being asked
	timer  *time.Timer  // answerTime after asked
}

// signsOf are the signs of a peer.
func (p *peering) signsOf(id peer.ID) *signs {
	if s, ok := p.signs.Load(id); ok {
		return s.(*signs)
	}
	s := &signs{began: time.Now()}
	s.timer = time.AfterFunc(time.Hour, func() {
		if s.asked.Load() != 0 {
			p.ask(id, probeTime)
		}
	})
	s.timer.Stop()
	kept, _ := p.signs.LoadOrStore(id, s)
	return kept.(*signs)
}

func (s *signs) now() int64 { return int64(time.Since(s.began)) + 1 }

// hear notes that the peer was heard just now.
func (s *signs) hear() {
	s.heard.Store(s.now())
	s.asked.Store(0)
}

// sent notes that something was sent to which an answer should come.
func (s *signs) sent() {
	if s.asked.Load() == 0 && s.asked.CompareAndSwap(0, s.now()) {
		s.timer.Reset(answerTime)
	}
}

// silentFor is how long the peer was not heard.
func (s *signs) silentFor() time.Duration { return time.Duration(s.now() - s.heard.Load()) }

// last is how long ago the peer was heard; false: never.
func (s *signs) last() (ago time.Duration, ever bool) {
	at := s.heard.Load()
	return time.Duration(s.now() - at), at != 0
}

// lastSeen is when a peer was heard last, by the node's clock; zero: never since this start.
func (p *peering) lastSeen(id peer.ID) time.Time {
	s, ok := p.signs.Load(id)
	if !ok {
		return time.Time{}
	}
	ago, ever := s.(*signs).last()
	if !ever {
		return time.Time{}
	}
	return p.m.o.Now().Add(-ago)
}

// pushedTo notes that something was published on a team's topic, which each of its nodes answers with its vector.
func (p *peering) pushedTo(t board.TeamID) {
	shared := p.m.who.view.Load().shared
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.mu.targets {
		if x.link[0] != nil && slices.Contains(shared[x.node], t) {
			p.signsOf(x.id).sent()
		}
	}
}

// ask asks a peer's connections for a sign of life, in the background, and closes those that give none within d and four
// round trips. Those in spare are left alone.
func (p *peering) ask(id peer.ID, d time.Duration, spare ...network.Conn) {
	s := p.signsOf(id)
	if p.m.ctx.Err() != nil || !s.asking.CompareAndSwap(false, true) {
		return
	}
	d = min(d+4*p.m.host.Peerstore().LatencyEWMA(id), maxProbeTime)
	var wg sync.WaitGroup
	for _, c := range p.m.host.Network().ConnsToPeer(id) {
		if slices.Contains(spare, c) {
			continue
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(p.m.ctx, d)
			defer cancel()
			err := probe(ctx, c)
			switch {
			case err == nil:
				s.hear()
				p.m.stats.probes.WithLabelValues("answered").Inc()
			case p.m.ctx.Err() == nil && !c.IsClosed():
				p.m.stats.probes.WithLabelValues("silent").Inc()
				p.m.log.Info("a connection is dead; closing it", "peer", id.String(), "addr", c.RemoteMultiaddr().String(), "err", err)
				c.Close()
			}
		})
	}
	go func() {
		wg.Wait()
		s.asked.Store(0)
		s.asking.Store(false)
	}()
}

// probe waits until a connection's other end says anything.
func probe(ctx context.Context, c network.Conn) error {
	s, err := c.NewStream(network.WithNoDial(ctx, "only over what is there"))
	if err != nil {
		return err
	}
	defer s.Reset()
	defer context.AfterFunc(ctx, func() { s.Reset() })()
	err = multistream.SelectProtoOrFail(protocolAlive, s)
	if errors.As(err, new(multistream.ErrNotSupported[protocol.ID])) {
		return nil
	}
	return err
}

// overtaken is called for each new connection: an older one to the same peer may be one that the peer has lost.
func (p *peering) overtaken(c network.Conn) {
	id := c.RemotePeer()
	if !p.m.gate.known(id) || len(p.m.host.Network().ConnsToPeer(id)) < 2 {
		return
	}
	p.ask(id, probeTimeTwo, c)
}

// askAll closes connections that leave from an address which this machine has no longer, and asks all others to
// teammates for a sign of life.
func (p *peering) askAll() {
	gone := goneAddresses()
	asked := map[peer.ID]bool{}
	for _, c := range p.m.host.Network().Conns() {
		if gone(c) {
			p.m.log.Info("closing a connection from an address that is gone", "peer", c.RemotePeer().String(), "addr", c.LocalMultiaddr().String())
			c.Close()
			continue
		}
		if id := c.RemotePeer(); p.m.gate.known(id) && !asked[id] {
			asked[id] = true
			p.ask(id, probeTimeTwo)
		}
	}
}

// goneAddresses says of connections whether the machine has lost their own end's address.
func goneAddresses() func(network.Conn) bool {
	here, err := manet.InterfaceMultiaddrs()
	if err != nil || len(here) == 0 {
		return func(network.Conn) bool { return false }
	}
	have := map[string]bool{}
	for _, a := range here {
		if ip, err := manet.ToIP(a); err == nil {
			have[ip.String()] = true
		}
	}
	return func(c network.Conn) bool {
		ip, err := manet.ToIP(c.LocalMultiaddr())
		return err == nil && !ip.IsUnspecified() && !ip.IsLoopback() && !have[ip.String()]
	}
}
