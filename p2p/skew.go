package p2p

import (
	"slices"
	"sync"
	"time"

	"weft/board"
)

// skewAge is how long what a beat said of a clock is believed: clocks get corrected.
const skewAge = 10 * time.Minute

// skews are how far other nodes' clocks are ahead of this one's, by their last beats. A beat's way is counted in, which
// is milliseconds. The zero skews is ready; safe for concurrent use.
type skews struct {
	mu sync.Mutex
	of map[board.NodeID]skew // guarded by mu; nodes of teams only, so bounded
}

type skew struct {
	ahead time.Duration
	at    time.Time
}

func (s *skews) heard(n board.NodeID, sent board.HLC, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[board.NodeID]skew{}
	}
	s.of[n] = skew{sent.Time().Sub(now), now}
}

// median is the skew in the middle, and of how many nodes.
func (s *skews) median(now time.Time) (ahead time.Duration, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []time.Duration
	for n, k := range s.of {
		if now.Sub(k.at) > skewAge {
			delete(s.of, n)
			continue
		}
		all = append(all, k.ahead)
	}
	if len(all) == 0 {
		return 0, 0
	}
	slices.Sort(all)
	return all[(len(all)-1)/2], len(all)
}

// ClockSkew is how far the clocks of other nodes are ahead of this node's: the median of those heard in the last minutes,
// and how many these are. It is as exact as a beat is quick, about 10 ms to a second.
func (m *Mesh) ClockSkew() (ahead time.Duration, nodes int) { return m.clocks.median(m.o.Now()) }
