package p2p

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence/detect"
)

// maxProbeEvents wait for the detector. What more comes is dropped: a probe that isn't answered is asked again.
const maxProbeEvents = 4096

// probeNonce bytes are signed by a node that is probed for another one.
const probeNonce = 16

// probing finds out which teammates run: one goroutine owns the Detector and carries out what it says. Other goroutines
// hand it events and read what it last said of a node. Nothing is called with mu held.
type probing struct {
	m    *Mesh
	d    *detect.Detector // the goroutine's
	word *weftv1.Signed   // this node's own, as told last; the goroutine's
	own  detect.Word      // what it says
	salt [16]byte         // secret; see nonce

	wake chan struct{} // capacity one: there are events

	mu struct {
		sync.Mutex
		events []detect.Event
		health map[board.NodeID]detect.Health
		trips  map[board.NodeID]time.Duration // how far they are, where that was measured
	}
}

func newProbing(m *Mesh) *probing {
	m.voices.mu.Lock()
	bootMs, word := m.voices.mu.bootMs, m.voices.mu.word
	m.voices.mu.Unlock()
	p := &probing{m: m, wake: make(chan struct{}, 1), word: word, salt: newSalt()}
	p.d = detect.New(detect.Config{Self: m.self, Boot: m.boot, BootMs: bootMs, Rand: m.random(randomProbing), Proof: p.proved})
	p.own = p.d.Own()
	p.mu.health, p.mu.trips = map[board.NodeID]detect.Health{}, map[board.NodeID]time.Duration{}
	return p
}

func newSalt() (s [16]byte) { rand.Read(s[:]); return s }

// tell hands over events in order. Those that aren't needed are dropped while too many wait.
func (p *probing) tell(needed bool, evs ...detect.Event) {
	p.mu.Lock()
	full := !needed && len(p.mu.events) >= maxProbeEvents
	if !full {
		p.mu.events = append(p.mu.events, evs...)
	}
	p.mu.Unlock()
	if full {
		p.m.stats.refused.WithLabelValues("probe_queue_full").Inc()
		return
	}
	nudge(p.wake)
}

// up: a stream to n can be used; down: no more; relayed: something new that n signed came through others.
func (p *probing) up(n board.NodeID)      { p.tell(true, detect.Connected{Node: n}) }
func (p *probing) down(n board.NodeID)    { p.tell(true, detect.Disconnected{Node: n}) }
func (p *probing) relayed(n board.NodeID) { p.tell(false, detect.Relayed{Node: n}) }

// changed makes the detector learn anew who there is. Who is connected already is said again: it may not have known them.
func (p *probing) changed() {
	teams := p.m.voices.neighbours()
	evs := []detect.Event{detect.Neighbours{Teams: teams}}
	for n := range teams {
		if p.m.voices.linked(n) {
			evs = append(evs, detect.Connected{Node: n})
		}
	}
	p.tell(true, evs...)
}

// of is what is thought of a node.
func (p *probing) of(n board.NodeID) (detect.Health, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h, ok := p.mu.health[n]
	return h, ok
}

// now goes on while the machine sleeps, where that can be had.
func (p *probing) now() time.Time { return p.m.o.Awake() }

func (p *probing) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.wake:
			p.mu.Lock()
			evs := p.mu.events
			p.mu.events = nil
			p.mu.Unlock()
			for _, ev := range evs {
				p.step(ev)
			}
		case <-timer.C:
			p.step(detect.Tick{})
		}
		timer.Reset(max(p.d.Wake().Sub(p.now()), time.Millisecond))
	}
}

// step tells the detector of one event. Before it concludes anything from silence it hears who was heard otherwise: by
// sync streams and on topics.
func (p *probing) step(ev detect.Event) {
	now := p.now()
	if w := p.d.Wake(); !w.IsZero() && !now.Before(w) {
		var heard detect.HeardSome
		for _, n := range p.d.Awaiting() {
			id, err := PeerIDOf(n)
			if err != nil {
				continue
			}
			if s, ok := p.m.peers.signs.Load(id); ok {
				if ago, ever := s.(*signs).last(); ever {
					heard = append(heard, detect.Heard{Node: n, Ago: ago})
				}
			}
		}
		p.carryOut(p.d.Step(now, heard))
	}
	if _, tick := ev.(detect.Tick); !tick {
		p.carryOut(p.d.Step(now, ev))
	}
	if ev, ok := ev.(detect.Neighbours); ok {
		p.mu.Lock()
		maps.DeleteFunc(p.mu.health, func(n board.NodeID, _ detect.Health) bool { return ev.Teams[n] == nil })
		maps.DeleteFunc(p.mu.trips, func(n board.NodeID, _ time.Duration) bool { return ev.Teams[n] == nil })
		p.mu.Unlock()
	}
}

// nonce is what a node is to sign if another one asks it in this one's place: each time something else, which nobody can know
// before, so that it was signed after it was asked for.
func (p *probing) nonce(n board.NodeID, id uint64) []byte {
	b := binary.BigEndian.AppendUint64(append(p.salt[:len(p.salt):len(p.salt)], n[:]...), id)
	h := sha256.Sum256(b)
	return h[:probeNonce]
}

func (p *probing) proved(n board.NodeID, id uint64, proof []byte) bool {
	return board.Verify(n, board.SignProbe, p.nonce(n, id), proof)
}

func (p *probing) carryOut(effects []detect.Effect) {
	for _, e := range effects {
		switch e := e.(type) {
		case detect.Probe:
			f := &weftv1.Probe{Id: e.ID, Nonce: e.Nonce}
			if e.Target != (board.NodeID{}) {
				f.Target, f.Nonce = e.Target[:], p.nonce(e.Target, e.ID)
			}
			p.m.voices.send(e.Node, &weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Probe{Probe: f}})
		case detect.Answer:
			f := &weftv1.ProbeAnswer{Id: e.ID, Silent: e.Silent, Late: e.Late, Proof: e.Proof}
			if e.Nonce != nil {
				proof := p.m.o.Key.Sign(board.SignProbe, e.Nonce)
				f.Proof = proof[:]
			}
			if e.Word != nil {
				f.Alive = e.Word.Signed
			}
			p.m.voices.send(e.Node, &weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Answer{Answer: f}})
		case detect.Tell:
			f := &weftv1.Suspicions{}
			for _, s := range e.Suspicions {
				f.Nodes = append(f.Nodes, &weftv1.Suspicion{Node: s.Node[:], Boot: s.Boot[:], Incarnation: s.Incarnation, Dead: s.Dead})
			}
			for _, w := range e.Words {
				f.Alive = append(f.Alive, w.Signed)
			}
			p.say(e.Nodes, f)
		case detect.SayAlive:
			if p.word == nil || e.Word != p.own {
				p.word, p.own = p.m.voices.setWord(e.Word.BootMs, e.Word.Incarnation, e.Word.Goodbye), e.Word
			}
			p.say(e.Nodes, &weftv1.Suspicions{Alive: []*weftv1.Signed{p.word}})
		case detect.Redial:
			if id, err := PeerIDOf(e.Node); err == nil {
				p.m.peers.alive(id)
			}
		case detect.Health:
			p.changeHealth(e)
		case detect.Distance:
			p.mu.Lock()
			p.mu.trips[e.Node] = e.RoundTrip
			p.mu.Unlock()
		case detect.Count:
			p.m.stats.counted(e.Name)
		}
	}
}

// say sends one frame to several nodes.
func (p *probing) say(to []board.NodeID, f *weftv1.Suspicions) {
	s, ok := p.m.voices.encodeSpoken(&weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Suspicions{Suspicions: f}})
	if !ok {
		return
	}
	for _, n := range to {
		if v := p.m.voices.voiceTo(n); v != nil {
			v.say(s, true)
		}
	}
}

func (p *probing) changeHealth(h detect.Health) {
	p.mu.Lock()
	before := p.mu.health[h.Node]
	p.mu.health[h.Node] = h
	p.mu.Unlock()
	p.m.stats.healthChanged(before.State, h.State)
	if p.m.o.Presence != nil {
		p.m.o.Presence.NodeHealth(h.Node, h)
	}
	id, err := PeerIDOf(h.Node)
	if err != nil || before.State == h.State {
		return
	}
	switch h.State {
	case detect.Dead:
		p.m.log.Info("a teammate's node doesn't answer any more", "peer", id.String())
		p.m.peers.ask(id, probeTime) // a connection that is left of it is of no use
	case detect.Alive:
		if before.State != detect.Unknown && before.State != detect.Suspected {
			p.m.log.Info("a teammate's node is back", "peer", id.String())
			p.m.voices.compare(h.Node, differs{people: true}) // what it said counts again once it says that it still holds; its next pulse may be a minute away
		}
	}
}

// show fills in what is thought of a peer, for people.
func (p *probing) show(n board.NodeID, i *PeerInfo) {
	p.mu.Lock()
	h := p.mu.health[n]
	i.RTT = p.mu.trips[n]
	p.mu.Unlock()
	if h.State == detect.Unknown {
		return
	}
	i.Health, i.Incarnation, i.SuspectedBy = h.State.String(), h.Incarnation, slices.Clone(h.By)
	i.HealthSince = p.m.o.Now().Add(-p.now().Sub(h.Since))
}
