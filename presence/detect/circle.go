package detect

import (
	"slices"
	"time"

	"weft/board"
)

const (
	measureEvery  = 30 * time.Second // a round trip is measured at least, where signs of life come by themselves
	strangerPause = 3 * time.Second  // between two nodes that can't be reached
)

// fit says whether p is one to be probed in turn.
func (d *Detector) fit(p *peer) bool {
	return p.state == Alive && (p.check == nil || !p.check.wide) && (p.linked || !d.excused(p))
}

// circles finds out who is next to this node in each team's circle.
func (d *Detector) circles() {
	if !d.circleStale {
		return
	}
	d.circleStale = false
	d.circle = d.circle[:0]
	for _, ring := range d.rings {
		i, _ := slices.BinarySearchFunc(ring, d.c.Self, func(p *peer, self board.NodeID) int { return slices.Compare(p.id[:], self[:]) })
		for k := range ring {
			if p := ring[(i+k)%len(ring)]; d.fit(p) {
				if !slices.Contains(d.circle, p) {
					d.circle = append(d.circle, p)
				}
				break
			}
		}
	}
	slices.SortFunc(d.circle, func(a, b *peer) int { return slices.Compare(a.id[:], b.id[:]) })
}

// dueAt is when p, next in a circle, is to be probed. What it says by itself makes up for a probe.
func (d *Detector) dueAt(p *peer) time.Time {
	t := p.checked
	if p.last.After(t) && d.now.Sub(p.trips.at) < measureEvery && p.measureAt.IsZero() {
		t = p.last
	}
	return t.Add(p.pause)
}

// nextProbe is when probeNext may have something to do.
func (d *Detector) nextProbe() time.Time {
	d.circles()
	at := d.nextRandom
	for _, p := range d.circle {
		if t := d.dueAt(p); p.check == nil && t.Before(at) {
			at = t
		}
	}
	if at.Before(d.nextSlot) {
		return d.nextSlot
	}
	return at
}

// probeNext begins the check whose turn it is.
func (d *Detector) probeNext() {
	if d.now.Before(d.nextSlot) || len(d.order) == 0 {
		if len(d.order) == 0 {
			d.nextRandom = d.now.Add(d.c.Random)
		}
		return
	}
	d.circles()
	if !d.now.Before(d.nextRandom) {
		d.nextRandom = d.now.Add(d.between(d.c.Random*9/10, d.c.Random*11/10))
		if p := d.draw(); p != nil {
			d.startCheck(p)
			d.nextSlot = d.now.Add(d.c.Slot)
			return
		}
		if d.strangers() {
			return
		}
	}
	var next *peer
	for _, p := range d.circle {
		if p.check == nil && !d.now.Before(d.dueAt(p)) && (next == nil || d.dueAt(p).Before(d.dueAt(next))) {
			next = p
		}
	}
	if next != nil {
		d.startCheck(next)
		// Circles get two slots of three; where they are many each has to wait longer for its turn.
		most := max(d.c.Circle, time.Duration(len(d.circle))*d.c.Slot*3/2)
		next.pause = d.between(most*8/10, most-d.c.Slot/8)
		d.nextSlot = d.now.Add(d.c.Slot)
	}
}

// draw takes the next neighbour of a shuffled deck (SWIM, section 4.3) that isn't probed otherwise and wasn't heard a
// moment ago.
func (d *Detector) draw() *peer {
	for range len(d.order) {
		if len(d.deck) == 0 {
			d.deck = slices.Clone(d.order)
			d.c.Rand.Shuffle(len(d.deck), func(i, j int) { d.deck[i], d.deck[j] = d.deck[j], d.deck[i] })
		}
		p := d.deck[0]
		d.deck = d.deck[1:]
		if d.fit(p) && p.check == nil && d.now.Sub(p.last) >= d.c.Random && !slices.Contains(d.circle, p) {
			return p
		}
	}
	return nil
}

// strangers asks for a node that isn't held for alive and can't be reached, whoever was asked for longest ago: perhaps
// others reach it.
func (d *Detector) strangers() bool {
	if d.now.Before(d.nextStranger) {
		return false
	}
	d.nextStranger = d.now.Add(strangerPause)
	var who *peer
	for _, p := range d.order {
		if (p.state == Unknown || p.state == Dead) && !p.linked && p.check == nil && d.now.Sub(p.checked) >= d.c.Strangers && (who == nil || p.checked.Before(who.checked)) {
			who = p
		}
	}
	if who == nil {
		return false
	}
	who.check = &check{began: d.now, since: d.now, wide: true}
	who.checked = d.now
	d.askOthers(who, 1)
	if len(who.check.asked) == 0 {
		who.check = nil
		return false
	}
	return true
}
