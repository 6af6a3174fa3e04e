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
	// Proof says whether a node has signed what the Probe of this ID asked it to sign. nil: nobody has.
	Proof func(n board.NodeID, id uint64, proof []byte) bool

	Random    time.Duration // a random neighbour is probed so often; 1 s
	Circle    time.Duration // and the next one in each circle, where they are few; 2 s
	Slot      time.Duration // but two probes are so far apart; 333 ms
	Strangers time.Duration // nodes that can't be reached are asked for through others so often; 30 s
	MinWait   time.Duration // for an answer; 300 ms
	MaxWait   time.Duration // 5 s
	FirstWait time.Duration // before a round trip was measured; 1 s
	Patience  time.Duration // with a suspect, before it is dead; 1.5 s
	Redial    time.Duration // for which a lost connection may be found again before others are asked; 2 s
	Batch     time.Duration // for which what is to be told is collected at most; 200 ms
	Drain     time.Duration // in which a loop that was late hears what has come meanwhile; 50 ms
	Late      time.Duration // by which the own loop may be late before it is thought sick; 200 ms
	Suspend   time.Duration // by which it is late when it didn't run at all; 5 s
	Quiet     time.Duration // for which after that nobody is accused who wasn't heard again; 10 s
}

func (c *Config) setDefaults() {
	for _, d := range []struct {
		v *time.Duration
		d time.Duration
	}{
		{&c.Random, time.Second}, {&c.Circle, 2 * time.Second}, {&c.Slot, time.Second / 3}, {&c.Strangers, 30 * time.Second},
		{&c.MinWait, 300 * time.Millisecond}, {&c.MaxWait, 5 * time.Second}, {&c.FirstWait, time.Second},
		{&c.Patience, 1500 * time.Millisecond}, {&c.Redial, 2 * time.Second}, {&c.Batch, 200 * time.Millisecond},
		{&c.Drain, 50 * time.Millisecond}, {&c.Late, 200 * time.Millisecond}, {&c.Suspend, 5 * time.Second}, {&c.Quiet, 10 * time.Second},
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
	order []*peer                  // by id
	rings map[board.TeamID][]*peer // each team's nodes, by id
	asked map[uint64]*asked        // probes that others do for us
	last  uint64                   // id of a probe
	sick  int                      // how poor our own health is, 0 to maxSick
	ill   time.Time                // since when it has been so poor; it mends by one each healEvery
	late  time.Time                // when the own loop was late last
	hold  time.Time                // nothing is concluded before, since what came meanwhile is still to be heard
	lossy float64                  // how many answers of all neighbours come late
	out   map[board.NodeID]*parcel // to be told
	flush time.Time                // when; zero: nothing is to be told
	now   time.Time                // of the step under way
	wake  time.Time

	circle       []*peer // next in the teams' circles; see circles
	circleStale  bool
	deck         []*peer // neighbours in the order in which they are probed at random
	nextSlot     time.Time
	nextRandom   time.Time
	nextStranger time.Time

	effects []Effect // of the step under way
}

const (
	// maxSick bounds by how much poor health of our own stretches our patience: to eight times, as in Lifeguard.
	maxSick = 7
	// maxLateSick is how much of it lateness alone makes, which is also taken off what others have to answer in.
	maxLateSick = 2
	// healEvery: a loop that is on time makes up for one that was late, also where there is nobody to prove it.
	healEvery = 500 * time.Millisecond
	// lateFor is how long after it was late an answer may still be one that had to wait for it.
	lateFor = 2 * time.Second
)

// New makes a Detector that knows nobody yet.
func New(c Config) *Detector {
	c.setDefaults()
	return &Detector{
		c: c, peers: map[board.NodeID]*peer{}, rings: map[board.TeamID][]*peer{}, asked: map[uint64]*asked{},
		out: map[board.NodeID]*parcel{}, own: Word{Node: c.Self, Boot: c.Boot, BootMs: c.BootMs, Incarnation: 1},
	}
}

// Own is this node's word as it would be said now, unsigned.
func (d *Detector) Own() Word { return d.own }

// Awaiting are the nodes of whom a sign of life is wanted now, also one that came otherwise than on the presence stream.
func (d *Detector) Awaiting() []board.NodeID {
	var out []board.NodeID
	for _, p := range d.order {
		if p.check != nil || p.state == Suspected {
			out = append(out, p.id)
		}
	}
	return out
}

// Step tells what happened and returns what to do. now goes by a clock that never jumps, and that goes on while the
// machine sleeps if there is one.
func (d *Detector) Step(now time.Time, ev Event) []Effect {
	d.effects, d.now = nil, now
	d.heal()
	if late := now.Sub(d.wake); !d.wake.IsZero() && late > d.c.Late {
		d.overslept(late)
	}
	d.take(ev) // before anything is concluded from what didn't happen
	for _, p := range d.order {
		d.look(p)
	}
	d.probeNext()
	if d.isDue(d.flush) {
		d.tellAll()
	}
	d.plan()
	return d.effects
}

// Wake is when Step wants a Tick if nothing happens before.
func (d *Detector) Wake() time.Time { return d.wake }

// idleWake: even who waits for nothing looks at the clock so often, to notice that it slept.
const idleWake = 2 * time.Second

// lateWake is the same after it was late, so that it knows when it is so again.
const lateWake = 100 * time.Millisecond

// plan sets the time of the next Tick.
func (d *Detector) plan() {
	d.wake = d.now.Add(idleWake)
	if d.isLate() {
		d.wake = d.now.Add(lateWake)
	}
	d.wakeAt(d.flush)
	d.wakeAt(d.nextProbe())
	if d.now.Before(d.hold) {
		d.wake = d.hold
		return
	}
	if d.sick > 0 { // deadlines come nearer then
		d.wakeAt(d.ill.Add(healEvery))
	}
	for _, p := range d.order {
		if (p.check != nil || p.state == Suspected) && d.tardy(p) > 0 {
			d.wakeAt(p.trips.tardyAt.Add(tardyFor + 1))
		}
		if p.check != nil {
			d.wakeAt(d.deadline(p))
		} else {
			d.wakeAt(p.again)
		}
		if p.state == Suspected && p.own {
			if until := d.until(p); until.Before(p.grace) {
				d.wakeAt(p.grace)
			} else {
				d.wakeAt(until)
			}
		}
		d.wakeAt(p.measureAt)
		for _, h := range p.helps {
			d.wakeAt(h.deadline)
		}
	}
}

func (d *Detector) wakeAt(t time.Time) {
	if !t.IsZero() && t.Before(d.wake) {
		d.wake = t
	}
}

// isDue says whether t is set and has come.
func (d *Detector) isDue(t time.Time) bool { return !t.IsZero() && !d.now.Before(t) }

func (d *Detector) emit(e Effect) { d.effects = append(d.effects, e) }

func (d *Detector) count(name string) { d.emit(Count{name}) }

// between is a random time from a to b.
func (d *Detector) between(a, b time.Duration) time.Duration {
	return a + time.Duration(d.c.Rand.Int64N(int64(b-a)+1))
}

func (d *Detector) take(ev Event) {
	switch ev := ev.(type) {
	case Neighbours:
		d.neighbours(ev.Teams)
	case Connected:
		d.connected(d.peers[ev.Node])
	case Disconnected:
		d.disconnected(d.peers[ev.Node])
	case Heard:
		d.heard(d.peers[ev.Node], d.now.Add(-ev.Ago))
	case HeardSome:
		for _, h := range ev {
			d.heard(d.peers[h.Node], d.now.Add(-h.Ago))
		}
	case Relayed:
		d.relayed(d.peers[ev.Node])
	case Probed:
		d.heard(d.peers[ev.From], d.now)
		if d.peers[ev.From] != nil {
			d.emit(Answer{Node: ev.From, ID: ev.ID, Late: d.isLate(), Nonce: ev.Nonce})
		}
	case AskedFor:
		d.heard(d.peers[ev.From], d.now)
		d.askedFor(d.peers[ev.From], d.peers[ev.Target], ev)
	case Answered:
		d.answered(d.peers[ev.From], ev)
	case Told:
		d.heard(d.peers[ev.From], d.now)
		d.told(d.peers[ev.From], ev.Suspicions)
	case Said:
		d.said(ev.From, ev.Word)
	case Leaving:
		d.own.Incarnation++
		d.own.Goodbye = true
		d.sayAlive()
	}
}

// overslept makes up for time in which this node didn't run: nobody else can be blamed for it (Lifeguard). After a long
// one it says that it runs before others ask, and concludes nothing about anybody whom it hasn't heard again.
func (d *Detector) overslept(late time.Duration) {
	switch {
	case late >= d.c.Suspend:
		d.ail(maxSick)
	case d.sick < maxLateSick:
		d.ail(1)
	}
	d.late, d.hold = d.now, d.now.Add(d.c.Drain)
	for _, p := range d.order {
		if p.check != nil {
			p.check.since = p.check.since.Add(late)
		}
		for i := range p.helps {
			p.helps[i].deadline = p.helps[i].deadline.Add(late)
		}
		p.from, p.again, p.grace = later(p.from, late), later(p.again, late), later(p.grace, late)
	}
	if late < d.c.Suspend {
		d.count("late")
		return
	}
	d.count("suspended")
	for _, p := range d.order {
		p.check, p.helps = nil, nil
		p.grace = d.now.Add(d.c.Quiet)
		if p.again = (time.Time{}); !p.linked || p.state == Suspected {
			p.again = p.grace
		}
		p.from = p.grace
	}
	d.circleStale = true
	d.own.Incarnation++
	d.sayAlive()
}

// ail makes our own health poorer.
func (d *Detector) ail(by int) { d.sick, d.ill = min(maxSick, d.sick+by), d.now }

// heal makes up for what was late before. Deadlines go by our health at their time: who was late a while ago isn't slow to accuse.
func (d *Detector) heal() {
	if n := int(d.now.Sub(d.ill) / healEvery); d.sick > 0 && n > 0 {
		d.sick, d.ill = max(0, d.sick-n), d.ill.Add(time.Duration(n)*healEvery)
	}
}

// isLate says whether what happens now had to wait for our own loop.
func (d *Detector) isLate() bool { return !d.late.IsZero() && d.now.Sub(d.late) < lateFor }

// later is t and d, if t is set.
func later(t time.Time, d time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(d)
}

// neighbours takes the nodes that there are.
func (d *Detector) neighbours(teams map[board.NodeID][]board.TeamID) {
	for n, p := range d.peers {
		if len(teams[n]) == 0 {
			for _, id := range p.ids {
				delete(d.asked, id)
			}
			delete(d.peers, n)
			delete(d.out, n)
		}
	}
	for n, ts := range teams {
		if n == d.c.Self || len(ts) == 0 {
			continue
		}
		p := d.peers[n]
		if p == nil {
			p = &peer{id: n, since: d.now}
			d.peers[n] = p
		}
		p.teams = slices.SortedFunc(slices.Values(ts), func(a, b board.TeamID) int { return slices.Compare(a[:], b[:]) })
	}
	d.order = d.order[:0]
	for _, p := range d.peers {
		d.order = append(d.order, p)
	}
	slices.SortFunc(d.order, func(a, b *peer) int { return slices.Compare(a.id[:], b.id[:]) })
	clear(d.rings)
	for _, p := range d.order {
		for _, t := range p.teams {
			d.rings[t] = append(d.rings[t], p)
		}
		gone := func(n board.NodeID) bool { return n != d.c.Self && d.peers[n] == nil }
		p.by, p.doubters = slices.DeleteFunc(p.by, gone), slices.DeleteFunc(p.doubters, gone)
		p.helps = slices.DeleteFunc(p.helps, func(h help) bool { return gone(h.from) })
	}
	d.deck, d.circleStale = nil, true
}

func (d *Detector) connected(p *peer) {
	if p == nil || p.linked {
		return
	}
	p.linked, p.heardOwn = true, d.own.Incarnation
	if p.trips.at.IsZero() {
		d.probe(p) // how far it is should be known before it matters
		p.measures = 0
		d.measureSoon(p)
	}
	switch p.state {
	case Suspected:
		d.startCheck(p)
	case Alive:
		p.again = d.now.Add(d.wait(p)) // if it says nothing until then
	}
}

func (d *Detector) disconnected(p *peer) {
	if p == nil || !p.linked {
		return
	}
	p.linked = false
	for _, h := range p.helps {
		d.emit(Answer{Node: h.from, ID: h.id, Silent: true})
	}
	p.helps = nil
	d.circleStale = true
	if p.state == Left {
		return
	}
	d.emit(Redial{p.id})
	switch {
	case p.check != nil && p.check.wide: // it didn't answer before, either
	case p.state == Suspected:
		p.check, p.again = nil, d.now
	default:
		// Whoever has lost it, too, waits a little more or less than we do, and needn't say what another has said.
		p.grace = d.now.Add(d.between(d.c.Redial, d.c.Redial*6/5))
		p.check, p.again = nil, p.grace
	}
}

// sayAlive says this node's word to everybody who can be reached.
func (d *Detector) sayAlive() {
	var to []board.NodeID
	for _, p := range d.order {
		if p.linked {
			to = append(to, p.id)
			p.heardOwn = d.own.Incarnation
		}
	}
	d.emit(SayAlive{Nodes: to, Word: d.own})
}
