package board

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

// Bound is up to which seq the records of epoch e count as far as the faults of its node say: All, or 0 for none.
func (c Chain) Bound(f *Fault, e Epoch) uint64 {
	if f == nil {
		return All
	}
	upTo := All
	for _, spots := range f.Denials {
		upTo = min(upTo, c.Within(spots, e))
	}
	for _, p := range f.Forks {
		switch reach := c.passes(p, e); {
		case p.Epoch == e:
			upTo = min(upTo, p.Seq-1)
		case reach:
			return 0
		}
	}
	return upTo
}

// passes says whether the chain that leads to epoch e goes through the record at p or one above it in p's epoch, as far
// as the chain is held.
func (c Chain) passes(p Point, e Epoch) bool {
	for {
		st, ok := c(e)
		if !ok || st.Lo != 1 || st.LoPrev == (Link{}) || st.LoPrev.Epoch.N >= e.N {
			return false
		}
		if e = st.LoPrev.Epoch; e == p.Epoch {
			return st.LoPrev.Seq >= p.Seq
		}
		if e.N < p.Epoch.N {
			return false
		}
	}
}

// Limit is up to which seq the records of epoch e count: All, or 0 for none. seals are the held epochs whose first record
// may seal e. Unless counting seals of e exist and all stand below it, a record within the bound of its node's faults
// counts; an epoch none of whose seals counts is as if not sealed.
func (c Chain) Limit(f *Fault, e Epoch, seals []Stretch) uint64 {
	bound := c.Bound(f, e)
	st, ok := c(e)
	if !ok || bound == 0 {
		return bound
	}
	var sealed uint64
	for _, s := range seals {
		if !st.sealedBy(s) || f != nil && c.Bound(f, s.Epoch) == 0 {
			continue
		}
		sealed = max(sealed, s.LoPrev.Seq)
	}
	if sealed == 0 {
		return bound
	}
	return min(bound, sealed)
}

// sealedBy says whether the first record of another held epoch seals a record of s that is held.
func (s Stretch) sealedBy(o Stretch) bool {
	p := o.LoPrev
	return o.Lo == 1 && p.Epoch == s.Epoch && p.Seq >= s.Lo && (p.Seq < s.Hi || p.Seq == s.Hi && p.Hash == s.HiHash)
}

// Limit is Chain.Limit with all that is held.
func (h *Holding) Limit(o Origin, f *Fault) uint64 {
	return h.Chain(o.Node).Limit(f, o.Epoch, h.Stretches(o.Node))
}
