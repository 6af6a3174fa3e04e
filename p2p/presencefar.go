package p2p

import (
	"slices"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence/detect"
)

const (
	// linkTime is how long a connection may take. Who comes within it asks for what it missed.
	linkTime = 5 * time.Second
	// unsureFor is how long a node that can't be reached directly and of which nothing is known is spoken to through others.
	unsureFor = 3 * time.Minute
	// relayedFor is how old what comes through others may be, by both clocks, to be a sign of life.
	relayedFor = 2 * leaseTime
)

// renewLeases tells Presence who was heard.
func (p *presence) renewLeases() {
	if p.people == nil {
		return
	}
	type heard struct {
		n   board.NodeID
		ago time.Duration
	}
	var all []heard
	p.mu.Lock()
	for n, x := range p.mu.mates {
		if s, ok := p.m.peers.signs.Load(x.id); ok {
			if ago, ever := s.(*signs).last(); ever && ago < leaseTime {
				all = append(all, heard{n, ago})
			}
		}
	}
	p.mu.Unlock()
	now := p.m.o.Now()
	for _, h := range all {
		p.people.Lease(h.n, now.Add(leaseTime-h.ago))
	}
}

// far are the nodes of a team that run, as far as can be known, and that there is no stream to. Called with mu held.
func (p *presence) far(t board.TeamID) (out []*mate) {
	st := p.m.who.view.Load().teams[t]
	if st == nil {
		return nil
	}
	for _, n := range st.Nodes() {
		x := p.mu.mates[n]
		if x == nil || x.out != nil {
			continue
		}
		switch h, _ := p.prober.of(n); h.State {
		case detect.Alive, detect.Suspected:
		case detect.Unknown:
			cut := time.Since(x.cut)
			if (cut < linkTime || cut > unsureFor) && time.Since(x.relayed) > leaseTime {
				continue
			}
		default:
			if time.Since(x.relayed) > leaseTime || x.relayed.Before(x.cut) {
				continue
			}
		}
		out = append(out, x)
	}
	return out
}

// hasFar says whether some node of a team can be told things through others only.
func (p *presence) hasFar(t board.TeamID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.far(t)) > 0
}

// heardThrough notes that something that n has signed came through others. It is a sign of life if n said it a while ago at most
// and nothing later was heard of it: anybody can keep what a node has said, and say it again when that one is gone.
func (p *presence) heardThrough(n board.NodeID, said board.HLC) {
	p.mu.Lock()
	x := p.mu.mates[n]
	if x != nil && (said <= x.said || said < board.HLCAt(p.m.o.Now().Add(-relayedFor))) {
		p.mu.Unlock()
		p.m.stats.refused.WithLabelValues("old_sign_of_life").Inc()
		return
	}
	var ask []board.TeamID
	if x != nil {
		x.said = said
		now := time.Now()
		x.relayed = now
		if x.out == nil && !x.caught { // what it has said since it was cut off
			x.caught = true
			ask = slices.Clone(x.teams)
		}
	}
	p.mu.Unlock()
	if x == nil {
		return
	}
	p.prober.relayed(n)
	p.want(n, ask)
	if p.people != nil {
		p.people.Lease(n, p.m.o.Now().Add(leaseTime))
	}
}

// peopleDigest is what this node's beats on a team's topic say of its people there, for those that have no stream to it.
func (p *presence) peopleDigest(t board.TeamID) (number uint64, digest []byte) {
	if p.people != nil {
		for _, d := range p.people.Digests(p.m.self, []board.TeamID{t}) {
			return d.Number, d.Presence
		}
	}
	return 0, nil
}

// compareThrough compares what a node that there is no stream to says of its people in a team with what is held, and asks
// others for what is missing.
func (p *presence) compareThrough(n board.NodeID, boot [16]byte, said *weftv1.TeamDigest) {
	if p.people == nil || said.Number == 0 || len(said.Presence) != 16 || p.linked(n) {
		return
	}
	t := []board.TeamID{board.TeamID(said.Team)}
	p.want(n, p.people.Differ(n, boot, t, []*weftv1.TeamDigest{said}))
}
