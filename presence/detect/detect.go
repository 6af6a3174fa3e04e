package detect

import (
	"math/rand/v2"
	"slices"
	"time"

	"weft/board"
)

// Config is what a Detector is made with. Zero durations stand for the values that the field comments name.
type Config struct {
	Self   board.NodeID
	Boot   [16]byte // of this run
	BootMs uint64   // when it began, Unix milliseconds
	Rand   *rand.Rand

	Random    time.Duration // a random neighbour is probed so often; 1 s
	Circle    time.Duration // and the next one in each circle, where they are few; 2 s
	Slot      time.Duration // but two probes are so far apart; 333 ms
	MinWait   time.Duration // for an answer; 300 ms
	MaxWait   time.Duration // 5 s
	FirstWait time.Duration // before a round trip was measured; 1 s
	Patience  time.Duration // with a suspect, before it is dead; 1.5 s
	Redial    time.Duration // for which a lost connection may be found again before others are asked; 2 s
	Batch     time.Duration // for which what is to be told is collected at most; 200 ms
	Late      time.Duration // by which the own loop may be late before it is thought sick; 200 ms
	Suspend   time.Duration // by which it is late when it didn't run at all; 5 s
	Quiet     time.Duration // for which it accuses nobody after that, if it hears nobody; 10 s
	VouchFor  time.Duration // see the package's comment; 150 s
}

func (c *Config) setDefaults() {
	for _, d := range []struct {
		v *time.Duration
		d time.Duration
	}{
		{&c.Random, time.Second}, {&c.Circle, 2 * time.Second}, {&c.Slot, time.Second / 3},
		{&c.MinWait, 300 * time.Millisecond}, {&c.MaxWait, 5 * time.Second}, {&c.FirstWait, time.Second},
		{&c.Patience, 1500 * time.Millisecond}, {&c.Redial, 2 * time.Second}, {&c.Batch, 200 * time.Millisecond},
		{&c.Late, 200 * time.Millisecond}, {&c.Suspend, 5 * time.Second}, {&c.Quiet, 10 * time.Second}, {&c.VouchFor, 150 * time.Second},
	} {
		if *d.v == 0 {
			*d.v = d.d
		}
	}
}

// Detector says which neighbours run. It is not safe for concurrent use.
type Detector struct {
	c     Config
	own   Word
	peers map[board.NodeID]*peer
	order []*peer // by id
	wake  time.Time

	effects []Effect // of the step under way
}

// New makes a Detector that knows nobody yet.
func New(c Config) *Detector {
	c.setDefaults()
	return &Detector{c: c, peers: map[board.NodeID]*peer{}, own: Word{Node: c.Self, Boot: c.Boot, BootMs: c.BootMs, Incarnation: 1}}
}

// Own is this node's word as it would be said now, unsigned.
func (d *Detector) Own() Word { return d.own }

// Step tells what happened and returns what to do. now goes by a clock that never jumps, and that goes on while the
// machine sleeps if there is one.
func (d *Detector) Step(now time.Time, ev Event) []Effect {
	d.effects = nil
	return d.effects
}

// Wake is when Step wants a Tick if nothing happens before.
func (d *Detector) Wake() time.Time { return d.wake }

// Awaiting are the nodes of whom a sign of life is wanted now, also one that came otherwise than on the presence stream.
func (d *Detector) Awaiting() []board.NodeID { return nil }

// Health is what is thought of a node; false: it is no neighbour.
func (d *Detector) Health(n board.NodeID) (Health, bool) {
	p := d.peers[n]
	if p == nil {
		return Health{}, false
	}
	return p.health(), true
}

type peer struct {
	id    board.NodeID
	state State
	since time.Time
	by    []board.NodeID
	word  Word
}

func (p *peer) health() Health {
	return Health{Node: p.id, State: p.state, Since: p.since, By: slices.Clone(p.by), Boot: p.word.Boot, Incarnation: p.word.Incarnation}
}
