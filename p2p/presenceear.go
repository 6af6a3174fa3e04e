package p2p

import (
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"golang.org/x/time/rate"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

// What a teammate may say on its stream. Beats and their bytes come no faster than this: the stream isn't read meanwhile.
// Of the rest, what comes faster is dropped before it is looked at.
const (
	heardBeats      = 200 // a second
	heardBeatsBurst = 4096
	heardBytes      = 4 << 20 // of beats, a second
	heardBytesBurst = 16 << 20
	heardProbes     = 20
	heardProbesMost = 256 // after a cut each node is asked for half of the others
	heardDoubts     = 2
	heardDoubtsMost = 32
	heardAsks       = 5
	heardAsksMost   = 64
	heardPulses     = 1
	heardPulsesMost = 8
	heardSets       = 1
	heardSetsMost   = 32
	// maxDoubts nodes, and words of nodes, in one frame of suspicions.
	maxDoubts = 256
	// maxDigests teams in one frame.
	maxDigests = 1024
	// askTolerance: an ask that waited on the way comes closer to the one after it.
	askTolerance = askAgain * 3 / 4
)

// ear is the stream from a teammate, which only that one speaks on. Its fields belong to the one goroutine that reads it.
type ear struct {
	p     *presence
	node  board.NodeID
	s     network.Stream
	signs *signs
	boot  [16]byte // of the word that it said last; zero: none

	beats, bytes, probes, doubts, asks, pulses, sets *rate.Limiter

	asked map[wholeKey]time.Time // when it asked for what; bounded by the teams that it may ask for
	told  []board.TeamID         // teams that an answer has named so far, which comes in several frames
}

func newEar(p *presence, s network.Stream, n board.NodeID) *ear {
	limit := func(each float64, most int) *rate.Limiter { return rate.NewLimiter(rate.Limit(each), most) }
	e := &ear{
		p: p, node: n, s: s, beats: limit(heardBeats, heardBeatsBurst), bytes: limit(heardBytes, heardBytesBurst),
		probes: limit(heardProbes, heardProbesMost), doubts: limit(heardDoubts, heardDoubtsMost), asks: limit(heardAsks, heardAsksMost),
		pulses: limit(heardPulses, heardPulsesMost), sets: limit(heardSets, heardSetsMost), asked: map[wholeKey]time.Time{},
	}
	if s != nil {
		e.signs = p.m.peers.signsOf(s.Conn().RemotePeer())
	}
	return e
}

// accept takes a stream that a teammate opened. Who shares no team gets a reset and no byte.
func (p *presence) accept(s network.Stream) {
	id := s.Conn().RemotePeer()
	defer p.m.guard(id, "presence")
	n, err := NodeIDOf(id)
	if err != nil || !p.shares(n) {
		p.m.stats.refused.WithLabelValues("stranger").Inc()
		s.Reset()
		return
	}
	e := newEar(p, s, n)
	p.mu.Lock()
	x := p.mu.mates[n]
	if x == nil || p.mu.ended {
		p.mu.Unlock()
		s.Reset()
		return
	}
	old := x.in
	x.in = e
	x.fails, x.openAt = 0, time.Time{} // it knows this node as a teammate
	p.wg.Add(1)
	p.mu.Unlock()
	defer p.wg.Done()
	if old != nil { // the peer has lost that one
		old.s.Reset()
	}
	p.nudge()
	err = e.read()
	p.mu.Lock()
	if x := p.mu.mates[n]; x != nil && x.in == e {
		x.in = nil
	}
	p.mu.Unlock()
	if badFrame(err) {
		p.m.log.Warn("a peer's presence stream was closed", "peer", id.String(), "err", err)
		reason := "presence_frame"
		if errors.Is(err, errFrameTooLarge) {
			reason = "presence_frame_too_large"
		}
		p.m.offend(n, reason)
		s.Reset()
		return
	}
	p.m.log.Debug("a peer's presence stream ended", "peer", id.String(), "err", err)
	s.Close() // so that a peer that says goodbye sees that it was read
	s.Reset()
}

var errNoPulse = fmt.Errorf("%w: a presence stream begins with a pulse", errFrameBad)

// read takes frames until the stream can't go on.
func (e *ear) read() error {
	r := newFrameReader(e.s, e.p.m.o.Limits.SyncFrame, e.p.m.o.Limits.Idle, e.p.m.o.Limits.MinRate)
	r.moving = e.signs.hear
	first := time.AfterFunc(e.p.m.o.Limits.Idle, func() { e.s.Reset() })
	defer first.Stop()
	for begun := false; ; begun = true {
		b, err := r.next()
		if err != nil {
			return err
		}
		f := new(weftv1.PresenceFrame)
		if err := decode(b, f); err != nil {
			return err
		}
		if !begun {
			if first.Stop(); f.GetPulse() == nil {
				return errNoPulse
			}
		}
		e.p.m.traffic.received(trafficOf(f), r.bytes)
		e.signs.hear()
		if !e.p.shares(e.node) {
			e.p.m.stats.refused.WithLabelValues("presence_of_former_node").Inc()
			return errFarewell
		}
		if err := e.take(f, r.bytes); err != nil {
			return err
		}
	}
}

// take handles one frame. An error ends the stream.
func (e *ear) take(f *weftv1.PresenceFrame, size int) error {
	kind := presenceKind(f)
	may := func(l *rate.Limiter) bool {
		ok := l.Allow()
		if !ok {
			e.p.m.stats.refused.WithLabelValues("too_often_" + kind).Inc()
		}
		return ok
	}
	var err error
	switch f := f.Frame.(type) {
	case *weftv1.PresenceFrame_Pulse:
		if may(e.pulses) {
			err = e.p.takePulse(e, f.Pulse)
		}
	case *weftv1.PresenceFrame_Beat:
		if err := e.wait(size); err != nil {
			return err
		}
		err = e.p.takeBeat(e.node, board.TeamID{}, e.long(f.Beat))
	case *weftv1.PresenceFrame_Ask:
		if may(e.asks) {
			err = e.p.takeAsk(e, f.Ask)
		}
	case *weftv1.PresenceFrame_Digests:
		if may(e.asks) {
			err = e.p.takeDigests(e, f.Digests)
		}
	case *weftv1.PresenceFrame_Live:
		err = e.p.takeLive(e.node, board.TeamID{}, f.Live)
		e.restAfter(err)
	case *weftv1.PresenceFrame_Setting:
		if may(e.sets) {
			err = e.p.takeSetting(e, f.Setting)
		}
	case *weftv1.PresenceFrame_Probe, *weftv1.PresenceFrame_Answer:
		if may(e.probes) {
			e.p.prober.receive(e.node, &weftv1.PresenceFrame{Frame: f})
		}
	case *weftv1.PresenceFrame_Suspicions:
		if len(f.Suspicions.GetNodes()) > maxDoubts || len(f.Suspicions.GetAlive()) > maxDoubts {
			return errFrameTooLarge
		}
		if may(e.doubts) {
			e.p.prober.receive(e.node, &weftv1.PresenceFrame{Frame: f})
		}
	default: // of a later version
		e.p.m.stats.refused.WithLabelValues("presence_unknown_kind").Inc()
	}
	return e.judged(kind, err)
}

// judged counts why something wasn't taken, and whose fault it was. What can't be read ends the stream.
func (e *ear) judged(kind string, err error) error {
	var why rejected
	switch {
	case err == nil:
		return nil
	case errors.As(err, &why):
		e.p.m.stats.refused.WithLabelValues(kind + "_" + why.outcome).Inc()
		if why.fault {
			e.p.m.offend(e.node, kind+"_"+why.outcome)
		}
		return nil
	case badFrame(err):
		return err
	case errors.Is(err, board.ErrMalformed):
		e.p.m.offend(e.node, kind+"_malformed")
		return nil
	}
	e.p.m.stats.refused.WithLabelValues(kind + "_not_taken").Inc()
	return nil
}

// wait puts off reading until beats so large may come.
func (e *ear) wait(size int) error {
	if e.beats.Allow() && e.bytes.AllowN(time.Now(), size) {
		return nil
	}
	e.p.m.stats.refused.WithLabelValues("beats_too_fast").Inc()
	if err := e.beats.Wait(e.p.m.ctx); err != nil {
		return err
	}
	return e.bytes.WaitN(e.p.m.ctx, size)
}

// restAfter puts off reading for a moment after live messages that were too many: even to refuse them costs something.
func (e *ear) restAfter(err error) {
	if !errors.Is(err, errLiveTooOften) {
		return
	}
	select {
	case <-time.After(liveRest):
	case <-e.p.m.ctx.Done():
	}
}

// mayAsk says whether the peer may be told a state that it asked for, which is so once in a while for each.
func (e *ear) mayAsk(k wholeKey) bool {
	now := time.Now()
	if at, ok := e.asked[k]; ok && now.Sub(at) < askTolerance {
		e.p.m.stats.refused.WithLabelValues("too_often_ask").Inc()
		return false
	}
	if len(e.asked) >= maxDigests {
		for k, at := range e.asked {
			if now.Sub(at) >= askAgain {
				delete(e.asked, k)
			}
		}
		if len(e.asked) >= 64*maxDigests { // more than 64 nodes of each of its teams within seconds
			return false
		}
	}
	e.asked[k] = now
	return true
}

func presenceKind(f *weftv1.PresenceFrame) string {
	switch f.Frame.(type) {
	case *weftv1.PresenceFrame_Pulse:
		return "pulse"
	case *weftv1.PresenceFrame_Beat:
		return "presence"
	case *weftv1.PresenceFrame_Ask:
		return "ask"
	case *weftv1.PresenceFrame_Digests:
		return "digests"
	case *weftv1.PresenceFrame_Probe:
		return "probe"
	case *weftv1.PresenceFrame_Answer:
		return "probe_answer"
	case *weftv1.PresenceFrame_Suspicions:
		return "suspicions"
	case *weftv1.PresenceFrame_Live:
		return "live"
	case *weftv1.PresenceFrame_Setting:
		return "setting"
	}
	return "unknown"
}
