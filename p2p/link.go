package p2p

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"golang.org/x/time/rate"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

// wireVersion of the sync protocol, said in hellos.
const wireVersion = 1

// maxControl bounds what waits to be sent to a peer beside answers; one that doesn't read so much is left.
const maxControl = 8 << 20

// link is one of the two streams to a peer: for governance boards or for message boards. Both ends ask and answer on it.
// One goroutine reads it and one writes it.
type link struct {
	m            *Mesh
	peer         peer.ID
	node         board.NodeID
	governance   bool
	s            network.Stream
	signs        *signs                     // of the peer's life
	slow         *rate.Limiter              // of frames without records; the reader's
	wake         chan struct{}              // capacity one: the writer has something to look at
	ended        chan struct{}              // closed when the reader has returned
	parting      []*weftv1.GovernanceObject // of a farewell that comes in several frames; the reader's, as is the next
	partingBytes int

	mu struct {
		sync.Mutex
		control []outFrame // frames that wait to be sent, before any answer
		bytes   int
		serving []*transfer // what this node was asked for, in turn
		closed  bool
		leaving bool // what is in control is the last to be sent
	}
}

// outFrame is an encoded frame and the team that it is about; without one it goes to anybody.
type outFrame struct {
	b       []byte
	team    board.TeamID
	records bool // only a node of the team may have it; else also who is asked for the team on the way into it
}

// linkUp and linkDown tell the loop of a link whose hello has come, and of its end.
type (
	linkUp   struct{ link *link }
	linkDown struct{ link *link }
	// lookAgain makes the loop look at the store's teams.
	lookAgain struct{}
)

func protocolID(s string) protocol.ID { return protocol.ID(s) }

// accept takes a stream that a peer opened. Who shares no team gets a reset and no byte.
func (m *Mesh) accept(s network.Stream, governance bool) {
	p := s.Conn().RemotePeer()
	defer m.guard(p, "accept")
	n, err := NodeIDOf(p)
	if err != nil || !m.who.knows(n) {
		m.stats.refused.WithLabelValues("stranger").Inc()
		s.Reset()
		return
	}
	m.asks.heard(n)
	m.untilUseful(n, governance)
	m.newLink(s, n, governance).run()
}

// untilUseful puts off the greeting while what the peer says after it could not be used yet (roster.useful).
func (m *Mesh) untilUseful(n board.NodeID, governance bool) {
	changed, stop := m.who.changed.watch()
	defer stop()
	patience := time.NewTimer(m.o.Limits.Idle / 2)
	defer patience.Stop()
	for !m.who.useful(n, governance) {
		select {
		case <-changed:
		case <-patience.C:
			return
		case <-m.ctx.Done():
			return
		}
	}
}

// open opens a stream to a peer and runs it in a goroutine of its own.
func (m *Mesh) open(ctx context.Context, p peer.ID, n board.NodeID, governance bool) (*link, error) {
	name := protocolSync
	if governance {
		name = protocolGovernance
	}
	ctx, cancel := context.WithTimeout(network.WithNoDial(ctx, "only over what is there"), m.o.Limits.Idle)
	defer cancel()
	s, err := m.host.NewStream(ctx, p, protocolID(name))
	if err != nil {
		return nil, fmt.Errorf("couldn't open a stream: %w", err)
	}
	k := m.newLink(s, n, governance)
	go func() {
		defer m.guard(p, "link")
		k.run()
	}()
	return k, nil
}

func (m *Mesh) newLink(s network.Stream, n board.NodeID, governance bool) *link {
	return &link{
		m: m, peer: s.Conn().RemotePeer(), node: n, governance: governance, s: s, signs: m.peers.signsOf(s.Conn().RemotePeer()), slow: newPace(),
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
}

// run says hello, hears one, and carries the stream until it ends.
func (k *link) run() {
	defer k.m.peers.nudge()
	defer close(k.ended)
	defer k.reset()
	r := newFrameReader(k.s, k.m.o.Limits.SyncFrame, k.m.o.Limits.Idle, k.m.o.Limits.MinRate)
	r.moving = func() {
		k.signs.hear()
		k.m.hint(board.Moving{Peer: k.node, Governance: k.governance})
	}
	if err := k.greet(r); err != nil {
		k.failed(err)
		return
	}
	k.m.stats.links.Inc()
	defer k.m.stats.links.Dec()
	k.m.step(linkUp{k})
	defer k.m.step(linkDown{k})
	writer := make(chan struct{})
	go func() {
		defer close(writer)
		defer k.m.guard(k.peer, "answering")
		k.write()
	}()
	k.failed(k.read(r))
	k.reset()
	<-writer
}

// greet exchanges hellos.
func (k *link) greet(r *frameReader) error {
	hello := &weftv1.SyncHello{Protocol: wireVersion, Agent: k.m.o.Agent, Boot: k.m.boot[:]}
	b, err := encodeFrame(&weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Hello{Hello: hello}})
	if err != nil {
		return err
	}
	if err := writeAll(k.s, b); err != nil {
		return err
	}
	// Until the hello is here the stream is worth nothing, so silence before it counts as silence within a frame.
	stop := time.AfterFunc(k.m.o.Limits.Idle, func() { k.s.Reset() })
	defer stop.Stop()
	start := time.Now()
	f, err := r.readSync()
	if err != nil {
		return err
	}
	if k.s.Stat().Direction == network.DirOutbound { // the greeting took a round trip
		k.m.host.Peerstore().RecordLatency(k.peer, time.Since(start))
	}
	if f.GetHello() == nil {
		return fmt.Errorf("%w: it is no hello", errFrameBad)
	}
	return nil
}

// failed says why a link ended, and whose fault it was.
func (k *link) failed(err error) {
	if badFrame(err) {
		reason := "frame"
		switch {
		case errors.Is(err, errFrameTooLarge):
			reason = "frame_too_large"
		case errors.Is(err, errFrameSlow):
			reason = "frame_slow"
		}
		k.m.log.Warn("a peer's stream was closed", "peer", k.peer.String(), "governance", k.governance, "err", err)
		k.m.offend(k.node, reason)
		return
	}
	k.m.log.Debug("a stream ended", "peer", k.peer.String(), "governance", k.governance, "err", err)
}

// reset ends the stream at once. It may be called from any goroutine, more than once.
func (k *link) reset() {
	k.mu.Lock()
	k.mu.closed = true
	k.mu.control, k.mu.serving = nil, nil
	k.mu.Unlock()
	k.s.Reset()
	k.nudge()
}

func (k *link) nudge() { nudge(k.wake) }

// send queues a frame before all answers. It never waits; a peer that lets too much pile up is left.
func (k *link) send(f *weftv1.SyncFrame) {
	b, err := encodeFrame(f)
	if err != nil {
		k.m.log.Error("couldn't encode a frame", "err", err)
		return
	}
	k.m.stats.frames.WithLabelValues("out", kindOf(f)).Inc()
	k.mu.Lock()
	if k.mu.closed || k.mu.leaving {
		k.mu.Unlock()
		return
	}
	k.mu.control = append(k.mu.control, outFrame{b: b, team: teamOf(f)})
	k.mu.bytes += len(b)
	full := k.mu.bytes > maxControl
	k.mu.Unlock()
	if full {
		k.m.stats.refused.WithLabelValues("slow_reader").Inc()
		k.reset()
		return
	}
	k.nudge()
}

// write is the writer: control frames first, then answers, one at a time.
func (k *link) write() {
	defer k.s.Reset()
	for {
		k.mu.Lock()
		frames, closed, leaving := k.mu.control, k.mu.closed, k.mu.leaving
		k.mu.control, k.mu.bytes = nil, 0
		k.mu.Unlock()
		if closed {
			return
		}
		for _, f := range frames {
			if err := k.put(f); err != nil {
				return
			}
		}
		if leaving {
			k.takeLeave()
			return
		}
		if len(frames) > 0 {
			continue
		}
		switch sent, err := k.serveNext(); {
		case err != nil:
			return
		case sent:
			continue
		}
		select {
		case <-k.wake:
		case <-k.m.ctx.Done():
			return
		}
	}
}

// put writes a frame, if its reader may still have it: it may have left the team while the frame waited.
func (k *link) put(f outFrame) error {
	if f.team != (board.TeamID{}) {
		if may := k.m.who.mayReceive(k.node, f.team) || !f.records && k.m.who.mayAsk(k.node, f.team); !may {
			k.m.stats.refused.WithLabelValues("frame_to_former_node").Inc()
			return nil
		}
		k.m.sent.add(k.node, f.team, len(f.b))
	}
	k.signs.sent()
	if err := writeAll(k.s, f.b); err != nil {
		return err
	}
	k.m.stats.bytes.WithLabelValues("out").Add(float64(len(f.b)))
	k.m.traffic.sent(trafficSync, len(f.b))
	return nil
}

// read is the reader; it returns why the stream can't go on.
func (k *link) read(r *frameReader) error {
	for {
		f, err := r.readSync()
		if err != nil {
			return err
		}
		k.signs.hear()
		k.m.stats.frames.WithLabelValues("in", kindOf(f)).Inc()
		k.m.stats.bytes.WithLabelValues("in").Add(float64(r.bytes))
		k.m.traffic.received(trafficSync, r.bytes)
		if err := k.pace(f); err != nil {
			return err
		}
		if err := k.take(f); err != nil {
			return err
		}
	}
}

// take handles one frame. An error ends the stream.
func (k *link) take(f *weftv1.SyncFrame) error {
	switch f := f.Frame.(type) {
	case *weftv1.SyncFrame_Vector:
		return k.takeVector(f.Vector)
	case *weftv1.SyncFrame_AskVector:
		t, err := teamID(f.AskVector)
		if err == nil && k.m.who.mayReceive(k.node, t) {
			k.m.step(board.AskedVector{Peer: k.node, Governance: k.governance, Team: t})
		}
		return err
	case *weftv1.SyncFrame_Want:
		return k.takeWant(f.Want)
	case *weftv1.SyncFrame_Credit:
		k.credit(f.Credit.Id, int(min(f.Credit.Bytes, maxCredit)))
	case *weftv1.SyncFrame_Cancel:
		k.cancel(f.Cancel.Id)
	case *weftv1.SyncFrame_Answer:
		return k.takeAnswer(f.Answer)
	case *weftv1.SyncFrame_Peers:
		return k.takePeers(f.Peers)
	case *weftv1.SyncFrame_Farewell:
		return k.takeFarewell(f.Farewell)
	case *weftv1.SyncFrame_Hello:
		return fmt.Errorf("%w: a second hello", errFrameBad)
	}
	return nil // marks come in a later version of this program
}

func teamID(b []byte) (t board.TeamID, err error) {
	if len(b) != copy(t[:], b) || len(b) != len(t) {
		return t, fmt.Errorf("%w: wrong length of a team's id", errFrameBad)
	}
	return t, nil
}

// takeVector passes on what a peer says it holds.
func (k *link) takeVector(v *weftv1.TeamVector) error {
	t, err := teamID(v.Team)
	if err != nil {
		return err
	}
	if !k.m.who.mayAsk(k.node, t) {
		k.m.stats.refused.WithLabelValues("vector_of_stranger").Inc()
		return nil
	}
	ev := board.PeerVector{Peer: k.node, Governance: k.governance, Team: t, Whole: v.Whole, More: v.More}
	if len(v.Digest) != 0 && len(v.Digest) != len(ev.Digest) {
		return fmt.Errorf("%w: wrong length of a digest", errFrameBad)
	}
	copy(ev.Digest[:], v.Digest)
	for _, b := range v.Boards {
		if len(b.Board) != 16 {
			return fmt.Errorf("%w: wrong length of a board's id", errFrameBad)
		}
		vector, err := board.ParseVector(b.Elements, board.MaxVector)
		if err != nil {
			return fmt.Errorf("%w: %v", errFrameBad, err)
		}
		ev.Boards = append(ev.Boards, board.BoardVector{Board: board.ID(b.Board), Vector: vector})
	}
	k.m.step(ev)
	return nil
}

// takeAnswer passes on a part of a transfer. A run that can't be read breaks the stream: its sender has it in this form
// from nowhere.
func (k *link) takeAnswer(a *weftv1.Answer) error {
	ev := board.Answered{Peer: k.node, Governance: k.governance, ID: a.Id, Status: board.AnswerStatus(a.Status), Done: a.Done}
	if a.Run != nil {
		run, err := board.ParseRun(a.Run)
		if err != nil {
			return fmt.Errorf("%w: %v", errFrameBad, err)
		}
		if len(run.Items) > liveRun { // bulk: the store is busy with the runs before it meanwhile
			run.CheckSignatures(runtime.Gosched)
		}
		ev.Run = run
	}
	k.m.step(ev)
	return nil
}

func kindOf(f *weftv1.SyncFrame) string {
	switch f.Frame.(type) {
	case *weftv1.SyncFrame_Hello:
		return "hello"
	case *weftv1.SyncFrame_Vector:
		return "vector"
	case *weftv1.SyncFrame_Want:
		return "want"
	case *weftv1.SyncFrame_Answer:
		return "answer"
	case *weftv1.SyncFrame_AskVector:
		return "ask_vector"
	case *weftv1.SyncFrame_Marks:
		return "marks"
	case *weftv1.SyncFrame_Peers:
		return "peers"
	case *weftv1.SyncFrame_Credit:
		return "credit"
	case *weftv1.SyncFrame_Cancel:
		return "cancel"
	case *weftv1.SyncFrame_Farewell:
		return "farewell"
	}
	return "unknown"
}

// teamOf is the team that a frame is about; zero for those that tell nothing of any.
func teamOf(f *weftv1.SyncFrame) (t board.TeamID) {
	switch f := f.Frame.(type) {
	case *weftv1.SyncFrame_Vector:
		copy(t[:], f.Vector.Team)
	case *weftv1.SyncFrame_Want:
		copy(t[:], f.Want.Team)
	case *weftv1.SyncFrame_AskVector:
		copy(t[:], f.AskVector)
	case *weftv1.SyncFrame_Peers:
		copy(t[:], f.Peers.Team)
	}
	return t
}
