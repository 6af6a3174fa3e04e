package detect

import (
	"cmp"
	"slices"

	"weft/board"
)

// Compare orders two words of one node.
func (w Word) Compare(o Word) int {
	if c := cmp.Or(cmp.Compare(w.BootMs, o.BootMs), slices.Compare(w.Boot[:], o.Boot[:]), cmp.Compare(w.Incarnation, o.Incarnation)); c != 0 {
		return c
	}
	switch {
	case w.Goodbye == o.Goodbye:
		return 0
	case w.Goodbye:
		return 1
	}
	return -1
}

// said takes a node's word, from itself or passed on.
func (d *Detector) said(from board.NodeID, w Word) {
	if w.Node == d.c.Self {
		// Of an earlier run, whose clock was ahead of ours: others would hold it for the later one.
		if w.Boot != d.own.Boot && w.BootMs >= d.own.BootMs {
			d.own.BootMs = w.BootMs + 1
			d.sayAlive()
		}
		return
	}
	p := d.peers[w.Node]
	if p == nil {
		return
	}
	direct := from == w.Node
	if direct {
		defer d.heard(p, d.now)
	}
	c := 1
	if p.word.Signed != nil {
		c = w.Compare(p.word)
	}
	switch {
	case c < 0:
		if direct && w.Boot != p.word.Boot {
			d.tellWord(p, p)
		}
	case c > 0:
		d.newer(p, w, direct)
	}
}

// newer takes a word that is newer than what was known.
func (d *Detector) newer(p *peer, w Word, direct bool) {
	otherBoot := p.word.Boot != w.Boot
	p.word = w
	if !w.Goodbye {
		for _, n := range p.doubters { // about so many of all that could say so are enough
			if a := d.peers[n]; a != nil && d.some(tellDoubters) {
				d.tellWord(a, p)
			}
		}
	}
	p.doubters = nil
	if w.Goodbye {
		if p.state != Left {
			d.set(p, Left)
		}
		return
	}
	if p.check != nil && !direct {
		d.passed(p)
	}
	switch p.state {
	case Suspected:
		d.clear(p)
	case Dead:
		d.wasFooled(p)
		d.count("revived")
		d.set(p, Alive)
	case Unknown, Left:
		d.set(p, Alive)
	case Alive:
		if otherBoot {
			p.since = d.now
		}
		d.emit(p.health())
	}
}
