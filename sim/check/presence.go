package check

import (
	"maps"
	"slices"
	"time"
)

// Presence is the judge of I8: what watchers are shown of people, held against what is true. It is fed in the order of
// time; violations go to its Checker. Not safe for concurrent use.
type Presence struct {
	c *Checker

	MostStale   time.Duration // somebody who isn't there may be shown as there: lease and grace
	MostMissing time.Duration // somebody who is there may be shown as offline; negative: it is only summed up
	FlapEvery   time.Duration // between two changes of state that neither a person nor a node's end or return caused

	truth  map[string]bool // people who are there
	sights map[sightOf]*sight
	past   Accuracy // of watchers that are gone
}

type sightOf struct{ watcher, user string }

// sight is what one watcher is shown of one person.
type sight struct {
	state string
	wrong time.Time // since when it differs from the truth; zero: it doesn't
	flap  time.Time // the last change that counts as a flap
	known bool      // it was shown once that the person is there
	sum   Accuracy
}

// Accuracy is what was shown wrongly, summed up over watchers and people.
type Accuracy struct {
	Sights         int           // pairs of a watcher and a person
	Changes        int           // of state, as shown
	Finding        time.Duration // not shown yet by a watcher that has begun to look
	FalseOffline   time.Duration // shown as offline while there
	FalseOfflines  int           // how often
	LongestOffline time.Duration
	StaleOnline    time.Duration // shown as there while not
	LongestStale   time.Duration
}

func (a *Accuracy) add(b Accuracy) {
	a.Sights += b.Sights
	a.Changes += b.Changes
	a.Finding += b.Finding
	a.FalseOffline += b.FalseOffline
	a.FalseOfflines += b.FalseOfflines
	a.LongestOffline = max(a.LongestOffline, b.LongestOffline)
	a.StaleOnline += b.StaleOnline
	a.LongestStale = max(a.LongestStale, b.LongestStale)
}

// offline is the only state in which a person isn't there.
const offline = "offline"

// NewPresence is a judge that knows of nobody, with the bounds of docs/PROTOCOL.md: a lease of 150 s, a grace of 30 s, a change in 10 s.
func NewPresence(c *Checker) *Presence {
	return &Presence{
		c: c, MostStale: 180 * time.Second, MostMissing: -1, FlapEvery: 10 * time.Second,
		truth: map[string]bool{}, sights: map[sightOf]*sight{},
	}
}

// There says whether a person is there from now on.
func (p *Presence) There(now time.Time, user string, there bool) {
	if p.truth[user] == there {
		return
	}
	for k, s := range p.sights {
		if k.user == user {
			p.close(k, s, now)
		}
	}
	p.truth[user] = there
	for k, s := range p.sights {
		if k.user == user && p.differs(k, s) {
			s.wrong = now
		}
	}
}

// Shown says what a watcher is shown of a person from now on. caused: the person set it, or a node ended or returned.
func (p *Presence) Shown(now time.Time, watcher, user, state string, caused bool) {
	k := sightOf{watcher, user}
	s := p.sights[k]
	if s == nil {
		s = &sight{state: offline, sum: Accuracy{Sights: 1}}
		p.sights[k] = s
		if p.differs(k, s) {
			s.wrong = now
		}
		caused = true // it begins to look
	}
	if s.state == state {
		return
	}
	if (s.state == offline) != (state == offline) { // else what was wrong stays so
		p.close(k, s, now)
	}
	s.sum.Changes++
	if !caused {
		if d := now.Sub(s.flap); !s.flap.IsZero() && d < p.FlapEvery-time.Millisecond { // presence counts whole milliseconds
			p.c.violate("I8", "%s is shown %s %v after it was shown another change of %s, at most one in %v is right", watcher, state, d, user, p.FlapEvery)
		}
		s.flap = now
	}
	s.state, s.known = state, s.known || state != offline
	if p.differs(k, s) && s.wrong.IsZero() {
		s.wrong = now
		if state == offline {
			s.sum.FalseOfflines++
		}
	}
}

// Gone says that a watcher looks no more, or begins anew.
func (p *Presence) Gone(now time.Time, watcher string) {
	maps.DeleteFunc(p.sights, func(k sightOf, s *sight) bool {
		if k.watcher != watcher {
			return false
		}
		p.close(k, s, now)
		p.past.add(s.sum)
		return true
	})
}

// Report is the sum up to now.
func (p *Presence) Report(now time.Time) Accuracy {
	out := p.past
	for k, s := range p.sights {
		until := *s
		p.close(k, &until, now)
		out.add(until.sum)
	}
	return out
}

// Settle demands that by now everybody is shown as they are. It returns whoever isn't, as a sentence each.
func (p *Presence) Settle() (wrong []string) {
	for k, s := range p.sights {
		if p.differs(k, s) {
			wrong = append(wrong, k.watcher+" is shown "+k.user+" as "+s.state)
		}
	}
	slices.Sort(wrong)
	for _, w := range wrong {
		p.c.violate("I8", "in the end %s", w)
	}
	return wrong
}

func (p *Presence) differs(k sightOf, s *sight) bool { return p.truth[k.user] != (s.state != offline) }

// close ends a stretch in which what is shown was wrong.
func (p *Presence) close(k sightOf, s *sight, now time.Time) {
	if s.wrong.IsZero() {
		return
	}
	d := now.Sub(s.wrong)
	s.wrong = time.Time{}
	if s.state == offline {
		if s.known {
			s.sum.FalseOffline += d
		} else {
			s.sum.Finding += d
		}
		s.sum.LongestOffline = max(s.sum.LongestOffline, d)
		if p.MostMissing >= 0 && d > p.MostMissing {
			p.c.violate("I8", "%s was shown %s as offline for %v while they were there, %v is the most", k.watcher, k.user, d, p.MostMissing)
		}
		return
	}
	s.sum.StaleOnline += d
	s.sum.LongestStale = max(s.sum.LongestStale, d)
	if d > p.MostStale {
		p.c.violate("I8", "%s was shown %s as %s for %v after they had gone, %v is the most", k.watcher, k.user, s.state, d, p.MostStale)
	}
}
