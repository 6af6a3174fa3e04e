package p2p

import (
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence/detect"
)

func (f *fakePeople) NodeHealth(board.NodeID, detect.Health) {}

func (n *testNode) thinks(o board.NodeID) detect.Health {
	h, _ := n.mesh.probes.of(o)
	return h
}

// A node whose program hangs is dead for its teammates, though its connections aren't lost, and is back with a higher
// incarnation when it goes on.
func TestANodeThatHangsIsDeadUntilItGoesOn(t *testing.T) {
	a, b, c := newNode(t, "ada", withPeople), newNode(t, "bob", withPeople), newNode(t, "cyd", withPeople)
	crew := a.found("crew")
	a.letIn(crew, b, c)
	linkUpAll(t, a, b, c)
	bob := b.mesh.self
	eventually(t, "all hold all for alive", func() bool {
		for _, x := range []*testNode{a, b, c} {
			for _, y := range []*testNode{a, b, c} {
				if x != y && x.thinks(y.mesh.self).State != detect.Alive {
					return false
				}
			}
		}
		return true
	}, a, b, c)
	before := a.thinks(bob)
	eventually(t, "ada knows how far it is, also where the transport measures nothing", func() bool {
		var shown PeerInfo
		a.mesh.probes.show(bob, &shown)
		return shown.RTT > 0
	}, a)
	start := time.Now()
	b.mesh.voices.mu.Lock() // in which its detector waits as soon as it has anything to say
	eventually(t, "it is dead for both", func() bool {
		return a.thinks(bob).State == detect.Dead && c.thinks(bob).State == detect.Dead
	}, a, c)
	t.Logf("dead after %v", time.Since(start))
	for _, p := range a.mesh.Peers() {
		if p.ID == b.mesh.ID() && (p.Health != "dead" || time.Since(p.HealthSince) > time.Minute || p.Incarnation != before.Incarnation) {
			t.Errorf("ada shows %+v", p)
		}
	}
	if x := a.counters(); x["presence_deaths_total"] != 1 || x["presence_nodes/dead"] != 1 || x["presence_nodes/alive"] != 1 {
		t.Errorf("deaths are counted as %v, nodes as %v dead, %v alive", x["presence_deaths_total"], x["presence_nodes/dead"], x["presence_nodes/alive"])
	}
	b.mesh.voices.mu.Unlock()
	eventually(t, "it is back", func() bool {
		return a.thinks(bob).State == detect.Alive && c.thinks(bob).State == detect.Alive && a.thinks(bob).Incarnation > before.Incarnation
	}, a, b, c)
	if h := b.thinks(a.mesh.self); h.State != detect.Alive {
		t.Errorf("it holds ada for %s", h.State)
	}
	if h := c.thinks(a.mesh.self); h.State != detect.Alive {
		t.Errorf("cyd holds ada for %s", h.State)
	}
}

func TestAGoodbyeAndANewStartAreNoDeath(t *testing.T) {
	a, b := newNode(t, "ada", withPeople), newNode(t, "bob", withPeople, patiently)
	crew := a.found("crew")
	a.letIn(crew, b)
	linkUpAll(t, a, b)
	bob := b.mesh.self
	eventually(t, "bob is alive", func() bool { return a.thinks(bob).State == detect.Alive && a.thinks(bob).Incarnation > 0 }, a, b)
	boot := a.thinks(bob).Boot
	b.stop()
	eventually(t, "bob has left", func() bool { return a.thinks(bob).State == detect.Left }, a)
	b.start()
	eventually(t, "bob is back", func() bool { return a.thinks(bob).State == detect.Alive }, a, b)
	if a.thinks(bob).Boot == boot || a.counters()["presence_deaths_total"] != 0 {
		t.Errorf("after a new start: %+v", a.thinks(bob))
	}
}

// Who can't be reached is alive by what a third says.
func TestWhoCantBeReachedIsAskedForThroughOthers(t *testing.T) {
	a, b, c := newNode(t, "ada", withPeople), newNode(t, "bob", withPeople), newNode(t, "cyd", withPeople)
	crew := b.found("crew")
	b.letIn(crew, a, c)
	linkUpAll(t, a, b, c)
	cyd := c.mesh.self
	eventually(t, "cyd is alive", func() bool { return a.thinks(cyd).State == detect.Alive }, a, c)
	a.apart(c)
	asked := func() float64 { return a.counters()["presence_probes_total/indirect"] }
	eventually(t, "ada asks others", func() bool { return asked() >= 5 }, a, b, c)
	if h := a.thinks(cyd); h.State != detect.Alive {
		t.Errorf("ada holds cyd for %s", h.State)
	}
}

func TestProbesAreSmall(t *testing.T) {
	for _, f := range []*weftv1.PresenceFrame{
		{Frame: &weftv1.PresenceFrame_Probe{Probe: &weftv1.Probe{Id: math.MaxUint32}}},
		{Frame: &weftv1.PresenceFrame_Answer{Answer: &weftv1.ProbeAnswer{Id: math.MaxUint32, Silent: true}}},
	} {
		if b, err := encodeFrame(f); err != nil || len(b) > 16 {
			t.Errorf("%v takes %d bytes, %v", f, len(b), err)
		}
	}
}

func TestBadProbesAndWords(t *testing.T) {
	a, b, c, d := newNode(t, "ada", withPeople), newNode(t, "bob"), newNode(t, "cyd"), newNode(t, "dee")
	crew := a.found("crew")
	a.letIn(crew, b, c, d)
	r, other := insider(t, a, b), insider(t, a, d)
	word := func(key, signer board.Key, change func(*weftv1.NodeAlive)) *weftv1.Signed {
		boot, public := nonce(), key.Public()
		w := &weftv1.NodeAlive{Node: public[:], Boot: boot[:], BootMs: uint64(time.Now().UnixMilli()), Incarnation: 9}
		if change != nil {
			change(w)
		}
		s := signed(t, signer, board.SignAlive, w)
		s.Key = public[:]
		return s
	}
	told := func(s *weftv1.Suspicions) *weftv1.PresenceFrame {
		return &weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Suspicions{Suspicions: s}}
	}
	alive := func(s *weftv1.Signed) *weftv1.PresenceFrame {
		return told(&weftv1.Suspicions{Alive: []*weftv1.Signed{s}})
	}
	for i, x := range []struct {
		name  string
		frame *weftv1.PresenceFrame
		count string
	}{
		{"probe of half a node", &weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Probe{Probe: &weftv1.Probe{Target: make([]byte, 16)}}}, "offences_total/probe_malformed"},
		{"ask that wants no proof", &weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Probe{Probe: &weftv1.Probe{Target: make([]byte, 32)}}}, "offences_total/probe_malformed"},
		{"half a proof", &weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Answer{Answer: &weftv1.ProbeAnswer{Proof: make([]byte, 32)}}}, "offences_total/probe_malformed"},
		{"suspicion without a boot", told(&weftv1.Suspicions{Nodes: []*weftv1.Suspicion{{Node: make([]byte, 32)}}}), "offences_total/suspicion_malformed"},
		{"suspicion of a stranger", told(&weftv1.Suspicions{Nodes: []*weftv1.Suspicion{{Node: make([]byte, 32), Boot: make([]byte, 16)}}}), "presence_suspicions_total/accuser_foreign"},
		{"ask for a stranger", &weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Probe{Probe: &weftv1.Probe{Id: 1, Target: make([]byte, 32), Nonce: make([]byte, 16)}}}, "presence_suspicions_total/asked_for_stranger"},
		{"forged word", alive(word(c.key, b.key, nil)), "offences_total/word_bad_signature"},
		{"word without incarnation", alive(word(c.key, c.key, func(w *weftv1.NodeAlive) { w.Incarnation = 0 })), "offences_total/word_malformed"},
		{"word of a stranger", alive(func() *weftv1.Signed { k := randomKey(); return word(k, k, nil) }()), "refused_total/word_of_stranger"},
		{"empty word", alive(&weftv1.Signed{}), "offences_total/word_malformed"},
	} {
		by, member := r, b
		if i < 3 { // so that one's offences don't add up to a ban
			by, member = other, d
		}
		s := by.speaks(member)
		before := a.counters()[x.count]
		say(t, s, proto.Clone(x.frame).(*weftv1.PresenceFrame))
		eventually(t, x.name+" is counted as "+x.count, func() bool { return a.counters()[x.count] > before }, a)
		s.Reset()
	}
}
