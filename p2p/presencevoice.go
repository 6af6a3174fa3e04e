package p2p

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

const (
	// maxUrgent frames wait for a peer, which is more than it is ever sent in the time after which it counts as dead.
	maxUrgent = 256
	// maxSpoken bytes and frames of beats and live messages wait for a peer. What is dropped of live messages is gone; of
	// beats, the next pulse's digest tells.
	maxSpoken       = 4 << 20
	maxSpokenFrames = 4096
	maxSpokenLive   = maxSpoken / 2
)

// voice is the stream to a teammate, which only this node speaks on. One goroutine writes it, one waits for its end.
type voice struct {
	p     *presence
	node  board.NodeID
	peer  peer.ID
	s     network.Stream
	wake  chan struct{} // capacity one
	ended chan struct{} // closed when the peer has ended the stream

	mu struct {
		sync.Mutex
		first     *spoken       // the first pulse: nothing goes before it
		begun     bool          // first was set
		urgent    []spoken      // probes and answers: they go before all else
		rest      []spoken      // pulses, beats, live messages, in order
		bytes     int           // of rest
		room      chan struct{} // closed when half of rest is free again; nil: nobody waits
		patience  time.Duration // see voice.patience
		patientAt time.Time
		wholes    []wholeKey
		told      *weftv1.Signed // this node's own word, as the peer was told last
		closed    bool
		leaving   bool // what waits is the last to be said
	}
}

// spoken is an encoded frame that waits to be sent.
type spoken struct {
	b     []byte
	kind  trafficKind
	teams []board.TeamID // that it is about: only a node of all of them may have it; none: any teammate
	home  board.UserID   // whose home only may have it; zero: it is none of a person's own matters
	at    time.Time      // since when it waits
}

// open opens the stream to a teammate, if it doesn't refuse.
func (p *presence) open(ctx context.Context, id peer.ID, n board.NodeID) {
	defer p.m.guard(id, "presence")
	ctx, cancel := context.WithTimeout(network.WithNoDial(ctx, "only over what is there"), p.m.o.Limits.Idle)
	defer cancel()
	s, err := p.m.host.NewStream(ctx, id, protocolID(protocolPresence))
	p.mu.Lock()
	x := p.mu.mates[n]
	if x != nil {
		x.opening = false
	}
	if err != nil || x == nil || p.mu.ended {
		p.mu.Unlock()
		if err == nil {
			s.Reset()
		}
		p.nudge()
		return
	}
	v := &voice{p: p, node: n, peer: id, s: s, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	x.out = v
	x.caught, x.digests = false, time.Time{}                                          // what was asked on an earlier stream may be lost
	x.pulseAt = time.Now().Add(pulseEvery*3/4 + pulseEvery/2*time.Duration(n[0])/256) // after that which follows here
	p.wg.Go(v.wait)
	p.wg.Go(v.write)
	p.mu.Unlock()
	p.pulse(n)
	if p.people != nil {
		for _, set := range p.people.SettingsFor(n) {
			p.m.SendSetting([]board.NodeID{n}, set)
		}
	}
	p.prober.up(n)
	p.nudge()
}

// wait waits for the end of the stream. The peer has nothing to say on it.
func (v *voice) wait() {
	var one [1]byte
	switch k, err := v.s.Read(one[:]); {
	case k > 0:
		v.p.m.offend(v.node, "presence_talks_back")
		v.s.Reset()
	case err != nil && !errors.Is(err, io.EOF):
		v.p.m.log.Debug("a presence stream ended", "peer", v.peer.String(), "err", err)
	}
	v.mu.Lock()
	v.mu.closed = true
	v.mu.urgent, v.mu.rest, v.mu.wholes = nil, nil, nil
	v.mu.Unlock()
	close(v.ended)
	v.s.Reset()
	p := v.p
	p.mu.Lock()
	x := p.mu.mates[v.node]
	if x != nil && x.out == v {
		x.out, x.cut = nil, time.Now()
	}
	p.mu.Unlock()
	v.nudge()
	p.prober.down(v.node)
	p.nudge()
}

// reset ends the stream at once.
func (v *voice) reset() { v.s.Reset() }

func (v *voice) nudge() { nudge(v.wake) }

// queueing is what became of a frame.
type queueing uint8

const (
	queued queueing = iota
	queueFull
	queueEnded // the stream has ended, or what it says last was said
)

// say queues a frame. It never waits. False: it was dropped.
func (v *voice) say(f spoken, urgent bool) bool {
	q := queueFull
	if urgent {
		q = v.queueUrgent(f)
	} else {
		q = v.queue(f)
	}
	if q == queueFull {
		v.countFull(f)
	}
	return q == queued
}

func (v *voice) countFull(f spoken) {
	v.p.m.stats.refused.WithLabelValues("queue_full_" + f.kind.String()).Inc()
}

func (v *voice) queueUrgent(f spoken) queueing {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.mu.closed || v.mu.leaving:
		return queueEnded
	case len(v.mu.urgent) >= maxUrgent:
		return queueFull
	}
	v.mu.urgent = append(v.mu.urgent, f)
	v.nudge()
	return queued
}

// queue queues a frame behind what waits already.
func (v *voice) queue(f spoken) queueing {
	v.mu.Lock()
	defer v.mu.Unlock()
	most, late := maxSpoken, false
	f.at = time.Now()
	if f.kind == trafficLive {
		most, late = maxSpokenLive, len(v.mu.rest) > 0 && f.at.Sub(v.mu.rest[0].at) > liveAge
	}
	switch {
	case v.mu.closed || v.mu.leaving:
		return queueEnded
	case v.mu.bytes+len(f.b) > most || len(v.mu.rest) >= maxSpokenFrames || late:
		return queueFull
	}
	v.mu.rest = append(v.mu.rest, f)
	v.mu.bytes += len(f.b)
	v.nudge()
	return queued
}

// begin lets a pulse be the first frame, if there was none yet. Other frames may wait already.
func (v *voice) begin(f spoken) bool {
	v.mu.Lock()
	first := !v.mu.begun && !v.mu.closed && !v.mu.leaving
	if first {
		v.mu.begun, v.mu.first = true, &f
	}
	v.mu.Unlock()
	v.nudge()
	return first
}

// sayWholes queues answers that are made when their turn comes, so that what waits is bounded by the teams.
func (v *voice) sayWholes(keys []wholeKey) {
	v.mu.Lock()
	for _, k := range keys {
		if !v.mu.closed && !v.mu.leaving && !slices.Contains(v.mu.wholes, k) {
			v.mu.wholes = append(v.mu.wholes, k)
		}
	}
	v.mu.Unlock()
	v.nudge()
}

// leave makes a frame the last that is said.
func (v *voice) leave(f spoken) {
	v.mu.Lock()
	if !v.mu.closed {
		v.mu.urgent, v.mu.rest, v.mu.wholes, v.mu.leaving = []spoken{f}, nil, nil, true
	}
	v.mu.Unlock()
	v.nudge()
}

func (v *voice) write() {
	defer v.p.m.guard(v.peer, "presence")
	defer v.s.Reset()
	for {
		frames, whole, closed, leaving := v.next()
		if closed {
			return
		}
		if whole != nil {
			frames = v.p.whole(*whole, v.node)
		}
		for _, f := range frames {
			if v.put(f) != nil {
				return
			}
		}
		if leaving {
			v.s.CloseWrite()
			select {
			case <-v.ended:
			case <-time.After(v.p.m.o.goodbye):
			}
			return
		}
		if len(frames) > 0 || whole != nil {
			continue
		}
		select {
		case <-v.wake:
		case <-v.ended:
			return
		}
	}
}

// next takes what is to be said next: frames, or else a state that was asked for.
func (v *voice) next() (frames []spoken, whole *wholeKey, closed, leaving bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	closed, leaving = v.mu.closed, v.mu.leaving
	switch {
	case leaving:
		frames, v.mu.urgent = v.mu.urgent, nil
	case !v.mu.begun:
	case v.mu.first != nil:
		frames, v.mu.first = []spoken{*v.mu.first}, nil
	case len(v.mu.urgent) > 0:
		frames, v.mu.urgent = v.mu.urgent, nil
	case len(v.mu.rest) > 0:
		frames = v.mu.rest[:1:1]
		v.mu.rest = v.mu.rest[1:]
		v.mu.bytes -= len(frames[0].b)
		if v.mu.room != nil && v.mu.bytes <= maxSpokenLive/2 && len(v.mu.rest) <= maxSpokenFrames/2 {
			close(v.mu.room)
			v.mu.room = nil
		}
	case len(v.mu.wholes) > 0:
		whole = &v.mu.wholes[0]
		v.mu.wholes = v.mu.wholes[1:]
	}
	return frames, whole, closed, leaving
}

// put writes a frame, if its reader may still have it: it may have left the team while the frame waited.
func (v *voice) put(f spoken) error {
	if !v.may(f) {
		v.p.m.stats.refused.WithLabelValues("presence_to_former_node").Inc()
		return nil
	}
	for _, t := range f.teams {
		v.p.m.sent.add(v.node, t, len(f.b)/len(f.teams))
	}
	if err := writeAll(v.s, f.b); err != nil {
		return err
	}
	v.p.m.traffic.sent(f.kind, len(f.b))
	return nil
}

func (v *voice) may(f spoken) bool {
	if f.home != (board.UserID{}) {
		return v.p.isHome(f.home, v.node)
	}
	if len(f.teams) == 0 {
		return v.p.shares(v.node)
	}
	return !slices.ContainsFunc(f.teams, func(t board.TeamID) bool { return !v.p.m.who.mayReceive(v.node, t) })
}

// shares says whether n is a node of one of this node's teams, by the store's newest state.
func (p *presence) shares(n board.NodeID) bool {
	return slices.ContainsFunc(p.m.who.view.Load().shared[n], func(t board.TeamID) bool {
		return p.m.who.mayReceive(n, t) && p.m.who.mayReceive(p.m.self, t)
	})
}

// isHome says whether n is one of a person's homes, by some team that both nodes are in.
func (p *presence) isHome(u board.UserID, n board.NodeID) bool {
	return slices.ContainsFunc(p.m.who.view.Load().shared[n], func(t board.TeamID) bool {
		st, ok := p.m.o.Store.Team(t)
		return ok && st.IsNode(n) && st.IsNode(p.m.self) && slices.Contains(st.Homes(u), n)
	})
}

// encodeSpoken is a frame ready to be queued.
func (p *presence) encodeSpoken(f *weftv1.PresenceFrame, teams ...board.TeamID) (spoken, bool) {
	b, err := encodeFrame(f)
	if err == nil && len(b) > p.m.o.Limits.SyncFrame {
		err = errFrameTooLarge
	}
	if err != nil {
		p.m.log.Error("couldn't encode a presence frame", "kind", presenceKind(f), "size", proto.Size(f), "err", err)
		return spoken{}, false
	}
	return spoken{b: b, kind: trafficOf(f), teams: teams}, true
}

// send queues a frame that is about no team, before beats and live messages. False: there is no stream to n, or too much
// waits for it.
func (p *presence) send(n board.NodeID, f *weftv1.PresenceFrame) bool {
	v := p.voiceTo(n)
	if v == nil {
		return false
	}
	s, ok := p.encodeSpoken(f)
	return ok && v.say(s, true)
}

// sayGoodbye tells every teammate that this node stops now, and ends all streams.
func (p *presence) sayGoodbye() {
	p.mu.Lock()
	p.mu.ended = true
	p.mu.word = p.sign(p.incarnation(), true)
	f := &weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Pulse{Pulse: p.bareMu()}}
	var voices []*voice
	var ears []*ear
	for _, x := range p.mu.mates {
		if x.out != nil {
			voices = append(voices, x.out)
		}
		if x.in != nil {
			ears = append(ears, x.in)
		}
	}
	p.mu.Unlock()
	s, ok := p.encodeSpoken(f)
	for _, v := range voices {
		if !ok {
			v.reset()
			continue
		}
		v.leave(s)
	}
	patience := time.NewTimer(p.m.o.goodbye)
	defer patience.Stop()
	for _, v := range voices {
		select {
		case <-v.ended:
			continue
		case <-patience.C:
		}
		break
	}
	for _, v := range voices {
		v.reset()
	}
	for _, e := range ears {
		e.s.Reset()
	}
}
