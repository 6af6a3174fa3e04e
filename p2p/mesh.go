package p2p

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"golang.org/x/sync/errgroup"

	"weft/board"
)

// Mesh is this node's part in the network of its teams' nodes. It is safe for concurrent use.
type Mesh struct {
	o       Options
	log     *slog.Logger
	self    board.NodeID
	boot    [16]byte // of this start, in hellos and beats
	host    host.Host
	gate    *gater
	stats   *metrics
	kv      *settings
	book    *addressBook
	who     *roster   // who may be here, as of the last look at the store
	loop    *loop     // owns the Replica
	pool    *ingester // carries out Ingest
	chores  *chores   // and other effects that the store carries out
	subs    *topics
	peers   *peering
	lobby   *lobby
	asks    *asks
	voices  *presence
	probes  *probing                                  // owns the Detector
	hidden  atomic.Pointer[map[board.TeamID][]Hidden] // as last looked for
	clocks  skews                                     // of other nodes
	sent    *sent                                     // about each team
	traffic *traffic
	served  sentRanges

	farewells *ration[board.NodeID] // false ones, by who said them

	records *records // of peers' addresses

	ctx     context.Context // ends with Close; what handlers and goroutines run under
	cancel  context.CancelFunc
	running atomic.Bool
	done    chan struct{} // closed when Run has returned
	close   sync.Once
}

// New makes the node's host and listens. Nothing is sent or answered before Run. ctx bounds the start only.
func New(ctx context.Context, o Options) (*Mesh, error) {
	o.setDefaults()
	if o.Key.IsZero() || o.Store == nil {
		return nil, errors.New("couldn't start the mesh: it needs the node's key and a store")
	}
	if o.Seed == 0 {
		var b [8]byte
		rand.Read(b[:])
		o.Seed = binary.BigEndian.Uint64(b[:])
	}
	m := &Mesh{o: o, log: o.Log, self: o.Key.Public(), done: make(chan struct{})}
	if m.boot = o.Boot; m.boot == ([16]byte{}) {
		rand.Read(m.boot[:])
	}
	m.traffic = &traffic{}
	m.stats = newMetrics(o.Registerer, m.traffic)
	m.kv = &settings{store: o.Store, log: o.Log}
	m.book = openBook(o.Book, m.kv, o.Log)
	m.sent = newSent()
	m.farewells = newRation[board.NodeID](falseFarewells, falseFarewellsEvery)
	m.who = newRoster(m)
	m.asks = newAsks(m)
	m.hidden.Store(&map[board.TeamID][]Hidden{})
	m.gate = newGater(m)
	h, err := newHost(&m.o, m.gate)
	if err != nil {
		return nil, err
	}
	m.host = h
	if err := listen(h, o.Listen, keptPorts{kv: m.kv}, o.Log); err != nil {
		h.Close()
		return nil, err
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.pool, m.chores = newIngester(m), newChores()
	m.loop = newLoop(m)
	m.peers = newPeering(m)
	m.lobby = newLobby(m)
	m.records = newRecords()
	m.voices = newPresence(m)
	m.probes = newProbing(m)
	m.voices.prober = m.probes
	if m.subs, err = newTopics(m); err != nil {
		m.cancel()
		h.Close()
		return nil, err
	}
	m.warnOfBuffers()
	return m, nil
}

// warnOfBuffers says what quic-go only prints.
func (m *Mesh) warnOfBuffers() {
	receive, send := UDPBuffers()
	if receive > 0 && receive < UDPBuffersWanted || send > 0 && send < UDPBuffersWanted {
		m.log.Warn("the system's UDP buffers are small: QUIC loses packets under load; run: sysctl -w net.core.rmem_max=7340032 net.core.wmem_max=7340032",
			"rmem_max", receive, "wmem_max", send)
	}
}

// random is a source of choices of its own for one goroutine.
func (m *Mesh) random(stream uint64) *mathrand.Rand {
	return mathrand.New(mathrand.NewPCG(m.o.Seed, stream))
}

// Run takes part in the mesh until ctx ends or Close is called. It may be called once.
func (m *Mesh) Run(ctx context.Context) error {
	if !m.running.CompareAndSwap(false, true) {
		return errors.New("the mesh runs already")
	}
	defer close(m.done)
	defer context.AfterFunc(ctx, m.cancel)()
	g, ctx := errgroup.WithContext(m.ctx)
	m.loop.start()
	g.Go(func() error { return m.loop.run(ctx) })
	for range m.pool.workers {
		g.Go(func() error { return m.pool.work(ctx) })
	}
	for range choreWorkers {
		g.Go(func() error { return m.chores.work(ctx) })
	}
	g.Go(func() error { return m.subs.run(ctx) })
	g.Go(func() error { return m.peers.run(ctx) })
	g.Go(func() error { return m.voices.run(ctx) })
	g.Go(func() error { return m.probes.run(ctx) })
	g.Go(func() error { return m.book.run(ctx, m) })
	g.Go(func() error { return m.asks.run(ctx) })
	g.Go(func() error { return m.comeHomes(ctx) })
	g.Go(func() error { return m.watchHidden(ctx) })
	m.acceptStreams()
	err := g.Wait()
	m.cancel()
	m.refuseStreams()
	m.subs.close()
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("couldn't keep the mesh running: %w", err)
	}
	return nil
}

// Close ends Run, says goodbye to peers and frees the ports. It may be called more than once.
func (m *Mesh) Close() (err error) {
	m.close.Do(func() {
		m.cancel()
		if m.running.Load() {
			<-m.done
		}
		m.loop.closeLinks()
		err = m.host.Close()
		m.stats.unregister()
	})
	if err != nil {
		return fmt.Errorf("couldn't close the network: %w", err)
	}
	return nil
}

func (m *Mesh) acceptStreams() {
	m.host.SetStreamHandler(protocolGovernance, func(s network.Stream) { m.accept(s, true) })
	m.host.SetStreamHandler(protocolSync, func(s network.Stream) { m.accept(s, false) })
	m.host.SetStreamHandler(protocolPresence, m.voices.accept)
	m.host.SetStreamHandler(protocolLobby, m.lobby.handle)
}

func (m *Mesh) refuseStreams() {
	for _, p := range []protocol.ID{protocolGovernance, protocolSync, protocolPresence, protocolLobby} {
		m.host.RemoveStreamHandler(p)
	}
}

// ID is this node's libp2p peer id.
func (m *Mesh) ID() peer.ID { return m.host.ID() }

// step hands an event to the goroutine that owns the Replica. It waits while that one is behind, which is what makes a
// flood of events wait in the network.
func (m *Mesh) step(ev any) {
	select {
	case m.loop.events <- ev:
	case <-m.ctx.Done():
	}
}

// offend says that a peer broke the protocol. It never waits.
func (m *Mesh) offend(n board.NodeID, reason string) {
	m.stats.offences.WithLabelValues(reason).Inc()
	m.hint(board.Offended{Peer: n, Reason: reason})
}

// hint is step for what may be lost when the loop is behind.
func (m *Mesh) hint(ev any) {
	select {
	case m.loop.events <- ev:
	default:
	}
}

// guard counts a panic of what a peer made happen and closes the peer, so that it cannot take the node down.
func (m *Mesh) guard(p peer.ID, what string) {
	if e := recover(); e != nil {
		m.stats.panics.Inc()
		m.log.Error("a peer's message made this node fail; closing the peer", "peer", p.String(), "in", what, "panic", fmt.Sprint(e))
		m.gate.ban(p, m.o.Limits.BanTime, "panic")
		go m.host.Network().ClosePeer(p)
	}
}

// jitter is d ± a quarter.
func jitter(r *mathrand.Rand, d time.Duration) time.Duration {
	return d*3/4 + time.Duration(r.Int64N(int64(d)/2+1))
}
