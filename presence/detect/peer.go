package detect

import (
	"slices"
	"time"

	"weft/board"
)

// peer is one neighbour.
type peer struct {
	id     board.NodeID
	teams  []board.TeamID // that it shares with this node, in order
	state  State
	since  time.Time // of the state
	word   Word      // the newest that is known; Signed is nil: none is
	linked bool
	grace  time.Time // nothing is concluded from its silence before; zero: it is judged as ever

	last    time.Time // when it was heard itself
	trips   roundTrips
	sent    [4]sentProbe // to it directly; the last ones
	nsent   int
	check   *check
	checked time.Time     // when the last check began
	pause   time.Duration // to the next one, as next in a circle
	again   time.Time     // when the next check begins without anybody's turn; zero: there is no reason to
	ids     []uint64      // in Detector.asked, oldest first

	by        []board.NodeID // who suspects it
	doubters  []board.NodeID // who has suspected it since it said its newest word
	own       bool           // this node is one of them: a check of its own has failed
	announced bool           // and has said so
	from      time.Time      // from when on patience with it counts
	reached   []board.TeamID // whose nodes have heard of the suspicion, from whoever
	lost      Word           // the word it had when it died
	fooled    int            // how often it wasn't dead after all
	fooledAt  time.Time

	measureAt time.Time // when it is asked how far it is, but for checks; zero: that is known
	measures  int       // how often it was

	helps    []help // others that wait for its sign of life
	heardOwn uint64 // incarnation of this node's word that it was sent last
	blame    allowance
}

// help is what one that asks for a peer waits for: the answer to our probe.
type help struct {
	from     board.NodeID
	id       uint64
	probe    uint64
	deadline time.Time
}

type sentProbe struct {
	id uint64
	at time.Time
}

func (p *peer) health() Health {
	return Health{Node: p.id, State: p.state, Since: p.since, By: slices.Clone(p.by), Boot: p.word.Boot, Incarnation: p.word.Incarnation}
}

// shares says whether p and o are both in a team that this node is in, too.
func (p *peer) shares(o *peer) bool {
	a, b := p.teams, o.teams
	for len(a) > 0 && len(b) > 0 {
		switch c := slices.Compare(a[0][:], b[0][:]); {
		case c == 0:
			return true
		case c < 0:
			a = a[1:]
		default:
			b = b[1:]
		}
	}
	return false
}

// roundTrips are what was measured of the way to a peer and back. The estimate is that of RFC 6298, section 2.
type roundTrips struct {
	smoothed, variation time.Duration
	least               time.Duration // about the shortest; creeps up where the way gets longer
	late                float64       // how many of the last some came so late that something was sent twice
	n                   int           // how many
	at                  time.Time     // of the last one
	tardy               time.Duration // one that came later, at tardyAt, since the peer itself was late
	tardyAt             time.Time
}

func (r *roundTrips) add(now time.Time, d time.Duration) (late bool) {
	d = max(d, 1)
	if r.at.IsZero() || d < r.smoothed/4 { // what came before it had to wait for something else, as at a start
		r.smoothed, r.variation, r.least, r.n = d, d/2, d, 0
	}
	r.at, r.tardy, r.n = now, 0, r.n+1
	diff := r.smoothed - d
	if diff < 0 {
		diff = -diff
	}
	r.variation += (diff - r.variation) / 4
	r.smoothed += (d - r.smoothed) / 8
	late = d > 2*r.least+lateBy
	if r.least += (d - r.least) / 256; d < r.least {
		r.least = d
	}
	r.late = moved(r.late, late, 16)
	return late
}

// measured takes how long an answer of p took. Where p was late it counts for a while only, and where this node was, which is
// made up for otherwise, not at all: the nodes of a machine that has just been started would be waited for as if they were far.
func (d *Detector) measured(p *peer, took time.Duration, late, mine bool) {
	r, most := &p.trips, d.c.MinWait/3
	if !r.at.IsZero() {
		most = r.smoothed
	}
	switch {
	case took <= most || !late && !mine: // what was late can have been sooner only
		d.lossy = moved(d.lossy, r.add(d.now, took), 64)
		d.emit(Distance{p.id, r.smoothed})
	case !mine:
		r.tardy, r.tardyAt = took, d.now
	}
	if !d.isKnown(p) && p.measureAt.IsZero() {
		d.measureSoon(p)
	}
}

// isKnown says whether there is no need to measure how far p is at other times than it is probed anyway. What looks far may
// have been late without anybody's knowing.
func (d *Detector) isKnown(p *peer) bool {
	if p.trips.n < enough {
		return false
	}
	if d.estimate(p) <= d.c.MinWait {
		p.measures = 0
		return true
	}
	return p.measures >= 4*enough
}

// measure asks p once more how far it is, where that isn't known well, at a time at which it can be found out.
func (d *Detector) measure(p *peer) {
	if p.measureAt = (time.Time{}); p.state != Alive || !p.linked || d.isKnown(p) {
		return
	}
	if p.check == nil && !d.isLate() {
		p.measures++
		d.startCheck(p)
	}
	d.measureSoon(p)
}

func (d *Detector) measureSoon(p *peer) {
	wait := d.c.Random << min(p.measures/enough, 4)
	p.measureAt = d.now.Add(d.between(wait, 2*wait))
}

const (
	enough   = 3               // round trips say how far a peer is
	tardyFor = 3 * time.Second // for which a late answer counts
)

// lateBy: an answer that comes so much later than twice the shortest way, or more, had something lost on its way.
const lateBy = 50 * time.Millisecond

// moved moves an average over about n last cases.
func moved(avg float64, hit bool, n float64) float64 {
	if hit {
		return avg + (1-avg)/n
	}
	return avg - avg/n
}

// wait is how long an answer of p may take: RFC 6298's retransmission time-out, within bounds, longer if we are sick.
func (d *Detector) wait(p *peer) time.Duration {
	return min(d.timeout(p)*time.Duration(1+d.sick), 2*d.c.MaxWait)
}

func (d *Detector) timeout(p *peer) time.Duration {
	return min(max(d.estimate(p), d.tardy(p)), d.c.MaxWait)
}

func (d *Detector) estimate(p *peer) time.Duration {
	if p.trips.at.IsZero() {
		return d.c.FirstWait
	}
	return min(max(p.trips.smoothed+4*p.trips.variation, d.c.MinWait), d.c.MaxWait)
}

// tardy is what a late answer of a moment ago asks for.
func (d *Detector) tardy(p *peer) time.Duration {
	if p.trips.tardy == 0 || d.now.Sub(p.trips.tardyAt) > tardyFor {
		return 0
	}
	return p.trips.tardy * 3 / 2
}

// maxPatience bounds what loss, our own health and old mistakes make of it.
const maxPatience = time.Minute

// until when p, who is suspected, may show that it runs.
func (d *Detector) until(p *peer) time.Time { return p.from.Add(d.patience(p)) }

// patience is how long p may be suspected before it is dead. On a path that loses nothing it is what Config says; where
// answers often come late, as loss makes them, so much more that a few lost in a row are no death.
func (d *Detector) patience(p *peer) time.Duration {
	base := max(d.c.Patience, d.tardy(p))
	if p.trips.at.IsZero() {
		base = max(base, 2*d.c.FirstWait)
	} else {
		base = max(base, 3*d.estimate(p))
	}
	loss := max(0, max(p.trips.late, d.lossy)-usualLate)
	base += time.Duration(float64(base) * lossWeight * loss)
	fooled := max(0, p.fooled-int(d.now.Sub(p.fooledAt)/fooledFor))
	return min(base*time.Duration(1+d.sick)<<fooled, maxPatience)
}

const (
	usualLate  = 0.1 // late answers that a good network has now and then
	lossWeight = 8
	// A death that turned out to be none doubles the patience with that node, for fooledFor.
	fooledFor = 5 * time.Minute
	maxFooled = 2
	// shortDeath is one that a longer patience would have spared us; after a longer one the node was away.
	shortDeath = 5 * time.Second
)

// allowance lets something happen so often at once and so often in time.
type allowance struct {
	left float64
	at   time.Time
	init bool
}

func (a *allowance) take(now time.Time, burst float64, every time.Duration) bool {
	if !a.init {
		a.left, a.at, a.init = burst, now, true
	}
	a.left = min(burst, a.left+float64(now.Sub(a.at))/float64(every))
	a.at = now
	if a.left < 1 {
		return false
	}
	a.left--
	return true
}
