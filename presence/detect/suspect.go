package detect

import (
	"slices"
	"time"

	"weft/board"
)

const (
	maxBy = 8 // accusers of one node that are kept
	// What one node may accuse others of: each of its neighbours twice at once, and in the long run one in blameEvery.
	blameEvery = 5 * time.Second
	blameBase  = 16
)

func (d *Detector) set(p *peer, s State) {
	p.state, p.since = s, d.now
	d.circleStale = true
	if s != Suspected {
		p.by, p.own, p.announced, p.reached = nil, false, false, nil
		p.from, p.again = time.Time{}, time.Time{}
	}
	if s == Dead || s == Left {
		p.check = nil
		for _, h := range p.helps {
			d.emit(Answer{Node: h.from, ID: h.id, Silent: true})
		}
		p.helps = nil
	}
	d.emit(p.health())
	d.count(s.String())
}

// accuse: a check of our own has failed.
func (d *Detector) accuse(p *peer) {
	if p.own {
		return
	}
	if p.state != Suspected {
		p.from = d.now
		p.by = []board.NodeID{d.c.Self}
		p.own = true
		d.count("accused")
		d.set(p, Suspected)
	} else {
		p.own = true
		d.addAccuser(p, d.c.Self)
	}
	d.flushSoon()
}

func (d *Detector) addAccuser(p *peer, n board.NodeID) {
	if !slices.Contains(p.by, n) && len(p.by) < maxBy {
		p.by = append(p.by, n)
		d.emit(p.health())
	}
}

// die: it had its time.
func (d *Detector) die(p *peer) {
	p.lost = p.word
	d.set(p, Dead)
}

// heard takes a sign of life of p itself, or one that it has signed just for us.
func (d *Detector) heard(p *peer, at time.Time) {
	if p == nil {
		return
	}
	if at.After(p.last) {
		p.last = at
	}
	if p.state == Left {
		return // what was on its way; a new start says so
	}
	if p.check != nil && !at.Before(p.check.began) {
		d.passed(p)
	}
	if p.linked && p.state != Suspected {
		p.grace, p.again = time.Time{}, time.Time{}
	}
	switch p.state {
	case Unknown:
		d.set(p, Alive)
	case Suspected:
		if at.After(p.since) {
			p.grace = time.Time{}
			d.clear(p)
		}
	case Dead:
		if at.After(p.since) {
			d.revive(p)
		}
	}
}

// relayed takes a sign of life that p signed and others passed on.
func (d *Detector) relayed(p *peer) {
	if p == nil || p.state == Left {
		return
	}
	switch p.state {
	case Unknown:
		d.set(p, Alive)
	case Dead: // not by what was on its way when it died
		if d.now.Sub(p.since) > 2*shortDeath {
			d.revive(p)
		}
	default:
		if p.check != nil {
			d.passed(p)
		}
		if p.state == Suspected {
			d.clear(p)
		}
	}
}

// clear ends a suspicion.
func (d *Detector) clear(p *peer) {
	d.count("cleared")
	d.set(p, Alive)
}

// some is true for about n of the neighbours.
func (d *Detector) some(n int) bool { return d.c.Rand.IntN(max(len(d.order), 1)) < n }

// revive: it wasn't dead, or it is back.
func (d *Detector) revive(p *peer) {
	d.wasFooled(p)
	d.count("revived")
	d.set(p, Alive)
	if p.linked {
		d.tellSuspicion(p, p) // its answer is for those that can't hear it themselves
	}
}

func (d *Detector) wasFooled(p *peer) {
	if d.now.Sub(p.since) < shortDeath && p.word.Boot == p.lost.Boot {
		p.fooled = min(maxFooled, max(0, p.fooled-int(d.now.Sub(p.fooledAt)/fooledFor))+1)
		p.fooledAt = d.now
	}
}

// told takes what another node suspects.
func (d *Detector) told(from *peer, list []Suspicion) {
	if from == nil {
		return
	}
	for _, s := range list {
		p := d.peers[s.Node]
		switch {
		case s.Node == d.c.Self:
		case p == nil || p == from || !p.shares(from):
			d.count("accuser_foreign")
			continue
		}
		if !from.blame.take(d.now, float64(blameBase+2*len(d.order)), blameEvery) {
			d.count("accuser_flood")
			continue
		}
		if p == nil {
			d.doubted(from, s)
			continue
		}
		d.toldOf(from, p, s)
	}
}

// toldOf takes one suspicion of a neighbour.
func (d *Detector) toldOf(from, p *peer, s Suspicion) {
	if p.word.Signed == nil || p.state == Unknown || p.state == Left {
		return
	}
	// An incarnation that we haven't heard of may be a lie: the suspicion is about what we know.
	if s.Boot != p.word.Boot || s.Incarnation < p.word.Incarnation {
		if p.state != Dead {
			d.tellWord(from, p)
		}
		return
	}
	if p.state == Dead {
		return
	}
	for _, t := range from.teams {
		if _, in := slices.BinarySearchFunc(p.teams, t, func(a, b board.TeamID) int { return slices.Compare(a[:], b[:]) }); in && !slices.Contains(p.reached, t) {
			p.reached = append(p.reached, t)
		}
	}
	if !slices.Contains(p.doubters, from.id) && len(p.doubters) < maxBy {
		p.doubters = append(p.doubters, from.id)
	}
	if p.state == Suspected {
		d.addAccuser(p, from.id)
		return
	}
	p.by, p.own = []board.NodeID{from.id}, false
	p.from = d.now
	d.set(p, Suspected)
	if p.check == nil {
		d.startCheck(p)
	}
	if p.linked && d.some(tellSuspect) { // at once: it is no secret what is thought of it, even if it turns out to be wrong
		d.emit(Tell{Nodes: []board.NodeID{p.id}, Suspicions: []Suspicion{{Node: p.id, Boot: p.word.Boot, Incarnation: p.word.Incarnation}}})
	}
}

// doubted: another node suspects this one.
func (d *Detector) doubted(from *peer, s Suspicion) {
	if s.Boot == d.own.Boot && s.Incarnation >= d.own.Incarnation {
		d.count("refuted")
		if !s.Dead {
			d.ail(1)
		}
		d.own.Incarnation++
		d.sayAlive()
		return
	}
	if from.linked && from.heardOwn < d.own.Incarnation {
		from.heardOwn = d.own.Incarnation
		d.emit(SayAlive{Nodes: []board.NodeID{from.id}, Word: d.own})
	}
}
