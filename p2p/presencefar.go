package p2p

import (
	"time"

	"weft/board"
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
		switch p.prober.health(n) {
		case healthAlive, healthSuspected:
		case healthUnknown:
			if time.Since(x.cut) > unsureFor && time.Since(x.relayed) > leaseTime {
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

// heardThrough notes that something signed by n came through others.
func (p *presence) heardThrough(n board.NodeID) {
	p.mu.Lock()
	x := p.mu.mates[n]
	if x != nil {
		x.relayed = time.Now()
	}
	p.mu.Unlock()
	if x == nil {
		return
	}
	p.prober.relayed(n)
	if p.people != nil {
		p.people.Lease(n, p.m.o.Now().Add(leaseTime))
	}
}
