package detect

import (
	"slices"
	"time"

	"weft/board"
)

// check is one look whether a peer runs: first it is asked itself, or through one other node where it can't be reached,
// then through three others at once.
type check struct {
	began  time.Time
	since  time.Time // when the step began
	direct bool      // in which it was asked itself
	wide   bool      // it is the second one
	asked  []asking
	before int // of them were asked in the first step
}

// asking is a node that was asked to probe the peer.
type asking struct {
	node   board.NodeID
	id     uint64
	silent bool // its answer
}

// asked is a probe that another node does for us.
type asked struct {
	target board.NodeID
	at     time.Time
}

const (
	askAtOnce    = 3                      // SWIM's k
	keptIDs      = 12                     // of one peer's indirect probes, whose answers count
	helpsAtOnce  = 64                     // askers of one peer
	proofFor     = 10 * time.Second       // for which a proof counts from when it was asked for; then it may have been kept for later
	checkAgain   = 500 * time.Millisecond // a suspect is checked again after so long at least
	tellDoubters = 8                      // about so many of those that hear a doubted node's new word pass it on to a doubter
	tellSuspect  = 5                      // about so many of those that heard of a suspicion say so to the suspect
)

func (d *Detector) startCheck(p *peer) {
	p.check = &check{began: d.now, since: d.now, direct: p.linked}
	p.checked, p.again = d.now, time.Time{}
	if p.linked {
		d.probe(p)
		return
	}
	d.askOthers(p, 1)
}

// deadline of the step of p's check that is under way. Where nobody could be asked it is over at once.
func (d *Detector) deadline(p *peer) time.Time {
	c := p.check
	if c.direct {
		return c.since.Add(d.wait(p))
	}
	var most time.Duration
	for _, a := range c.asked[c.before:] {
		if h := d.peers[a.node]; h != nil {
			most = max(most, d.wait(h)+d.wait(p))
		}
	}
	return c.since.Add(most)
}

// probe asks p itself.
func (d *Detector) probe(p *peer) {
	d.last++
	p.sent[p.nsent%len(p.sent)] = sentProbe{d.last, d.now}
	p.nsent++
	d.emit(Probe{Node: p.id, ID: d.last})
	d.count("direct")
}

// askOthers asks n random neighbours that may know p to probe it.
func (d *Detector) askOthers(p *peer, n int) {
	var can []*peer
	for _, h := range d.order {
		if h != p && h.linked && h.state == Alive && h.shares(p) && !p.check.hasAsked(h.id) {
			can = append(can, h)
		}
	}
	for ; n > 0 && len(can) > 0; n-- {
		i := d.c.Rand.IntN(len(can))
		h := can[i]
		can[i] = can[len(can)-1]
		can = can[:len(can)-1]
		d.last++
		p.check.asked = append(p.check.asked, asking{node: h.id, id: d.last})
		d.asked[d.last] = &asked{p.id, d.now}
		if p.ids = append(p.ids, d.last); len(p.ids) > keptIDs {
			delete(d.asked, p.ids[0])
			p.ids = p.ids[1:]
		}
		d.emit(Probe{Node: h.id, ID: d.last, Target: p.id})
		d.count("indirect")
	}
}

func (c *check) hasAsked(n board.NodeID) bool {
	for _, a := range c.asked {
		if a.node == n {
			return true
		}
	}
	return false
}

// look does what is due about p.
func (d *Detector) look(p *peer) {
	if d.now.Before(d.hold) {
		return
	}
	kept := p.helps[:0]
	for _, h := range p.helps {
		if d.isDue(h.deadline) {
			d.emit(Answer{Node: h.from, ID: h.id, Silent: true})
		} else {
			kept = append(kept, h)
		}
	}
	p.helps = kept
	if d.isDue(p.measureAt) {
		d.measure(p)
	}
	for p.check != nil && d.isDue(d.deadline(p)) {
		d.silent(p)
	}
	if p.check == nil && d.isDue(p.again) {
		d.startCheck(p)
	}
	if p.state == Suspected && p.own && d.isDue(d.until(p)) && !d.excused(p) {
		d.die(p)
	}
}

// silent goes on to a check's next step, or to its end.
func (d *Detector) silent(p *peer) {
	if c := p.check; !c.wide {
		c.wide, c.direct, c.since, c.before = true, false, d.now, len(c.asked)
		d.circleStale = true // whoever is behind it in the circle isn't left alone meanwhile
		d.askOthers(p, askAtOnce)
		return
	}
	if n := len(p.check.asked); n > 0 {
		heard := 0
		for _, a := range p.check.asked {
			if a.silent {
				heard++
			}
		}
		if heard == 0 && d.deafSince(p.check.began) {
			d.ail(1)
		}
	}
	p.check = nil
	d.failed(p)
}

// deafSince says whether nobody at all was heard since a time: then it is probably us (Lifeguard takes silence of those
// that were asked to help for that; but where half a mesh is cut off they are just as far away as who they are to ask).
func (d *Detector) deafSince(t time.Time) bool {
	return !slices.ContainsFunc(d.order, func(p *peer) bool { return !p.last.Before(t) })
}

// excused says whether nothing may be concluded from p's silence.
func (d *Detector) excused(p *peer) bool { return d.now.Before(p.grace) }

// failed takes the end of a check without a sign of life.
func (d *Detector) failed(p *peer) {
	switch p.state {
	case Alive, Suspected:
		p.again = d.now.Add(max(d.wait(p), checkAgain))
		if d.excused(p) {
			return
		}
		d.accuse(p)
	}
}

// passed takes the end of a check with a sign of life.
func (d *Detector) passed(p *peer) {
	d.sick = max(0, d.sick-1)
	p.check = nil
	d.circleStale = true
}

// answered takes an answer to a probe.
func (d *Detector) answered(from *peer, ev Answered) {
	if from == nil {
		return
	}
	d.heard(from, d.now)
	for i, s := range from.sent {
		if s.id == ev.ID && s.id != 0 {
			d.measured(from, d.now.Sub(s.at), ev.Late, s.at.Before(d.late))
			from.sent[i] = sentProbe{}
		}
	}
	d.helped(from, ev)
	ask := d.asked[ev.ID]
	if ask == nil || d.peers[ask.target] == nil || ask.target == from.id {
		return
	}
	p := d.peers[ask.target]
	if !ev.Silent {
		d.proved(p, ask, ev)
		return
	}
	if p.check == nil {
		return
	}
	all := true
	for i := range p.check.asked {
		a := &p.check.asked[i]
		if a.id == ev.ID && a.node == from.id {
			a.silent = true
		}
		all = all && a.silent
	}
	if all && (p.check.wide || !p.linked) {
		d.silent(p)
	}
}

// askedFor probes target for another node.
func (d *Detector) askedFor(from, target *peer, ev AskedFor) {
	switch {
	case from == nil:
	case target == nil || !from.shares(target):
		d.count("asked_for_stranger")
	case !target.linked || len(target.helps) >= helpsAtOnce:
		d.emit(Answer{Node: from.id, ID: ev.ID, Silent: true})
	default:
		d.last++
		target.helps = append(target.helps, help{from: from.id, id: ev.ID, probe: d.last, deadline: d.now.Add(d.wait(target))})
		d.emit(Probe{Node: target.id, ID: d.last, Nonce: ev.Nonce})
		d.count("direct")
	}
}

// helped passes on what a node has answered to a probe for another one.
func (d *Detector) helped(p *peer, ev Answered) {
	p.helps = slices.DeleteFunc(p.helps, func(h help) bool {
		if h.probe != ev.ID {
			return false
		}
		a := Answer{Node: h.from, ID: h.id, Proof: ev.Proof}
		if p.word.Signed != nil {
			a.Word = &p.word
		}
		d.emit(a)
		return true
	})
}

// proved: another node says that p answers, which counts if p has signed it.
func (d *Detector) proved(p *peer, ask *asked, ev Answered) {
	switch {
	case d.c.Proof == nil || !d.c.Proof(p.id, ev.ID, ev.Proof):
		d.count("unproved")
	case d.now.Sub(ask.at) <= proofFor:
		d.heard(p, d.now)
	}
}
