package board

import "slices"

// Chain looks up what is held of one node's log in a board, by epoch.
type Chain func(Epoch) (Stretch, bool)

// Chain of n's log, as h has it now.
func (h *Holding) Chain(n NodeID) Chain {
	l := h.logs[n]
	return func(e Epoch) (Stretch, bool) {
		if l != nil {
			if i, held := l.find(e); held {
				return l.epochs[i], true
			}
		}
		return Stretch{}, false
	}
}

// All is the answer "every seq of the epoch".
const All = ^uint64(0)

// Spot is a position of one node's log in one board, with whether the record held there is the one that it names.
type Spot struct {
	Point
	Held bool
}

// Reach is up to which seq the records of epoch e stand at or below a spot on the hash chain, seals included: All, or 0 for
// none. Where a record that the chain leads to is not held, (epoch counter, seq) stands for it (trust §2): whatever has a
// lower counter is taken to be below it.
func (c Chain) Reach(s Spot, e Epoch) uint64 {
	at, held := s.Point, s.Held
	for {
		switch {
		case at.Epoch == e:
			return at.Seq
		case at.Epoch.N <= e.N:
			return 0
		case !held:
			return All
		}
		st, ok := c(at.Epoch)
		if !ok || at.Seq < st.Lo || at.Seq > st.Hi || st.Lo != 1 {
			return All
		}
		if st.LoPrev == (Link{}) || st.LoPrev.Epoch.N >= at.Epoch.N {
			return 0
		}
		at = Point{st.LoPrev.Epoch, st.LoPrev.Seq}
	}
}

// Within is up to which seq the records of epoch e stand at or below one of the spots: All, or 0 for none.
func (c Chain) Within(spots []Spot, e Epoch) (upTo uint64) {
	for _, s := range spots {
		upTo = max(upTo, c.Reach(s, e))
	}
	return upTo
}

// Fault is why records of a node's log in one board do not count, seals apart (trust §9).
type Fault struct {
	Forks   []Point  // records of these epochs at or above the point, and chains through them, never count
	Denials [][]Spot // of a denied node only what stands at or below one of the spots of each of these counts
}

// Reaches is Reach for all epochs at once: the chain is followed down only once.
func (c Chain) Reaches(s Spot) func(Epoch) uint64 {
	seqs, at, held := map[Epoch]uint64{}, s.Point, s.Held
	below := uint64(0) // all of the epochs with lower counters
	for {
		seqs[at.Epoch] = at.Seq
		st, ok := c(at.Epoch)
		if !held || !ok || at.Seq < st.Lo || at.Seq > st.Hi || st.Lo != 1 {
			below = at.Epoch.N
			break
		}
		if st.LoPrev == (Link{}) || st.LoPrev.Epoch.N >= at.Epoch.N {
			break
		}
		at = Point{st.LoPrev.Epoch, st.LoPrev.Seq}
	}
	return func(e Epoch) uint64 {
		seq, on := seqs[e]
		if !on && e.N < below {
			return All
		}
		return seq
	}
}

// Limits says of each epoch held of a node's log up to which seq its records count: All, or 0 for none. held are the
// epochs in their order. Unless counting seals of an epoch exist and all stand below it, a record counts that the faults of
// its node leave; an epoch none of whose seals counts is as if not sealed (trust §2, §9). f may be nil.
func Limits(f *Fault, held []Stretch) []uint64 {
	c := Chain(func(e Epoch) (Stretch, bool) {
		i, ok := slices.BinarySearchFunc(held, e, func(s Stretch, e Epoch) int { return s.Epoch.Compare(e) })
		if !ok {
			return Stretch{}, false
		}
		return held[i], true
	})
	bounds := c.bounds(f, held)
	sealed := map[Epoch]uint64{}
	for i, s := range held {
		if p, ok := c(s.LoPrev.Epoch); ok && bounds[i] > 0 && p.SealedBy(s) {
			sealed[p.Epoch] = max(sealed[p.Epoch], s.LoPrev.Seq)
		}
	}
	for i, s := range held {
		if seq := sealed[s.Epoch]; seq > 0 {
			bounds[i] = min(bounds[i], seq)
		}
	}
	return bounds
}

// bounds is Limits as far as faults go.
func (c Chain) bounds(f *Fault, held []Stretch) []uint64 {
	out := make([]uint64, len(held))
	for i := range out {
		out[i] = All
	}
	if f == nil {
		return out
	}
	for _, spots := range f.Denials {
		upTo := make([]uint64, len(held))
		for _, s := range spots {
			reach := c.Reaches(s)
			for i := range held {
				upTo[i] = max(upTo[i], reach(held[i].Epoch))
			}
		}
		for i := range out {
			out[i] = min(out[i], upTo[i])
		}
	}
	forked := map[Epoch]uint64{} // the lowest seq that stands at or above a fork
	for _, p := range f.Forks {
		if at, ok := forked[p.Epoch]; !ok || p.Seq < at {
			forked[p.Epoch] = p.Seq
		}
	}
	for i, s := range held { // parents come first
		if at, ok := forked[s.LoPrev.Epoch]; ok && s.Lo == 1 && s.LoPrev.Seq >= at && s.LoPrev.Epoch.N < s.Epoch.N {
			forked[s.Epoch] = 1
		}
		if at, ok := forked[s.Epoch]; ok {
			out[i] = min(out[i], max(at, 1)-1)
		}
	}
	return out
}

// SealedBy says whether the first record of another held epoch seals s: the record that it names need not be held (yet, or
// any more), but where it is the last one held it must be that one.
func (s Stretch) SealedBy(o Stretch) bool {
	p := o.LoPrev
	return o.Lo == 1 && p.Epoch == s.Epoch && (p.Seq != s.Hi || p.Hash == s.HiHash)
}
