package detect

import (
	"slices"
	"time"

	"weft/board"
)

// parcel is what is to be told to one node.
type parcel struct {
	suspects []board.NodeID // as they are when it is sent
	words    []board.NodeID
}

// partsAtOnce of one frame.
const partsAtOnce = 128

// flushSoon makes what waits be told within the time of a batch. The chance in it lets one of many that see the same
// speak first.
func (d *Detector) flushSoon() {
	if d.flush.IsZero() {
		d.flush = d.now.Add(d.between(d.c.Batch/10, d.c.Batch))
	}
}

func (d *Detector) parcel(to *peer) *parcel {
	x := d.out[to.id]
	if x == nil {
		x = &parcel{}
		d.out[to.id] = x
	}
	d.flushSoon()
	return x
}

// tellWord passes on the newest word of a node, to one that shares a team with it.
func (d *Detector) tellWord(to, of *peer) {
	if !to.linked || of.word.Signed == nil || to != of && !to.shares(of) {
		return
	}
	if x := d.parcel(to); !slices.Contains(x.words, of.id) {
		x.words = append(x.words, of.id)
	}
}

// tellSuspicion tells a node what is thought of another, or of itself.
func (d *Detector) tellSuspicion(to, of *peer) {
	if to.linked && of.word.Signed != nil {
		if x := d.parcel(to); !slices.Contains(x.suspects, of.id) {
			x.suspects = append(x.suspects, of.id)
		}
	}
}

// announce puts a suspicion of our own into the parcels of those that haven't heard of it from another, and of the
// suspect.
func (d *Detector) announce(p *peer) {
	p.announced = true
	for _, to := range d.order {
		if to.linked && to.shares(p) && !reachedBy(to, p.reached) && !slices.Contains(p.by, to.id) {
			d.tellSuspicion(to, p)
		}
	}
	for _, t := range p.teams {
		if !slices.Contains(p.reached, t) {
			p.reached = append(p.reached, t)
		}
	}
}

func reachedBy(p *peer, teams []board.TeamID) bool {
	return slices.ContainsFunc(p.teams, func(t board.TeamID) bool { return slices.Contains(teams, t) })
}

// tellAll sends the parcels: those with the same in them as one effect.
func (d *Detector) tellAll() {
	for _, p := range d.order {
		if p.state == Suspected && p.own && !p.announced {
			d.announce(p)
		}
	}
	var tells []*Tell
	same := map[string]*Tell{}
	for _, to := range d.order {
		x := d.out[to.id]
		if x == nil || !to.linked {
			continue
		}
		t, key := d.open(to, x)
		switch {
		case len(t.Suspicions)+len(t.Words) == 0:
		case same[key] != nil:
			same[key].Nodes = append(same[key].Nodes, to.id)
		default:
			t.Nodes = []board.NodeID{to.id}
			same[key] = t
			tells = append(tells, t)
		}
	}
	clear(d.out)
	d.flush = time.Time{}
	for _, t := range tells {
		for len(t.Suspicions)+len(t.Words) > 0 {
			part := Tell{Nodes: t.Nodes}
			n := min(len(t.Suspicions), partsAtOnce)
			part.Suspicions, t.Suspicions = t.Suspicions[:n:n], t.Suspicions[n:]
			n = min(len(t.Words), partsAtOnce)
			part.Words, t.Words = t.Words[:n:n], t.Words[n:]
			d.emit(part)
		}
	}
}

// open turns a parcel into what is still true of it.
func (d *Detector) open(to *peer, x *parcel) (*Tell, string) {
	t := &Tell{}
	var key []byte
	for _, n := range x.suspects {
		p := d.peers[n]
		if p == nil {
			continue
		}
		// A node that was dead is told so once it is heard again, if it hasn't said more since.
		back := p == to && p.state == Alive && p.lost.Signed != nil && p.lost.Compare(p.word) == 0
		if p.state != Suspected && !back {
			continue
		}
		t.Suspicions = append(t.Suspicions, Suspicion{Node: n, Boot: p.word.Boot, Incarnation: p.word.Incarnation, Dead: back})
		key = append(key, n[:]...)
	}
	key = append(key, '/')
	for _, n := range x.words {
		if p := d.peers[n]; p != nil {
			t.Words = append(t.Words, p.word)
			key = append(key, n[:]...)
		}
	}
	return t, string(key)
}
