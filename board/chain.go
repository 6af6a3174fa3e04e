package board

import "slices"

// Covers says whether everything at or below v's leaves is held. A leaf of v whose hash differs from the record held at
// its seq is not covered; where that record is not the last one held of its epoch its hash cannot be compared here.
func (h *Holding) Covers(v Vector) bool {
	for _, l := range v {
		if !h.coversLeaf(l) {
			return false
		}
	}
	return true
}

func (h *Holding) coversLeaf(l Leaf) bool {
	if Pruned(h.floors[l.Node], Point{l.Epoch, l.Seq}) {
		return true
	}
	log := h.logs[l.Node]
	if log == nil {
		return false
	}
	i, held := log.find(l.Epoch)
	if !held {
		return false
	}
	log.grow(l.Node)
	s, base := log.epochs[i], log.tree[i].base
	switch {
	case s.Hi < l.Seq, s.Hi == l.Seq && s.HiHash != l.Hash:
		return false
	case base == Point{}:
		return true
	case l.Base == Point{} || l.Seq < s.Lo:
		return false
	}
	return log.between(base, l.Base, i)
}

// between says whether point p lies on the chain that ends in epoch index i, at or above base.
func (l *nodeLog) between(base, p Point, i int) bool {
	for ; i >= 0; i = l.tree[i].parent {
		if l.epochs[i].Epoch == p.Epoch {
			return base.Epoch != p.Epoch || base.Seq <= p.Seq
		}
		if l.epochs[i].Epoch == base.Epoch {
			return false
		}
	}
	return false
}

// Behind is how many records at or below v's leaves are missing, at least: of epochs that nothing is known of, only
// what the leaf itself says.
func (h *Holding) Behind(v Vector) (missing uint64) {
	counted := map[Origin]bool{}
	for _, l := range v {
		s, held := h.Get(Origin{l.Node, l.Epoch})
		if !held {
			missing = add(missing, l.Seq-min(l.Seq, max(firstSeq(l)-1, FloorOf(h.floors[l.Node], l.Epoch))))
			continue
		}
		if l.Seq > s.Hi {
			missing = add(missing, l.Seq-s.Hi)
		}
		if h.coversLeaf(Leaf{l.Node, l.Epoch, min(l.Seq, s.Hi), s.HiHash, l.Base}) {
			continue
		}
		if base, ok := h.base(Origin{l.Node, l.Epoch}); ok && base != (Point{}) && !counted[Origin{l.Node, base.Epoch}] {
			counted[Origin{l.Node, base.Epoch}] = true
			missing = add(missing, h.below(l.Node, base))
		}
	}
	return missing
}

// add is a sum that stops at the largest number: hostile vectors name seqs up to 2^64-1.
func add(a, b uint64) uint64 {
	if a+b < a {
		return ^uint64(0)
	}
	return a + b
}

// firstSeq is the first seq of the leaf's own epoch that the leaf says is held.
func firstSeq(l Leaf) uint64 {
	if l.Base.Epoch == l.Epoch {
		return l.Base.Seq
	}
	return 1
}

// base is where what is held of the chain that ends in o begins; zero: at its start.
func (h *Holding) base(o Origin) (Point, bool) {
	log := h.logs[o.Node]
	if log == nil {
		return Point{}, false
	}
	i, held := log.find(o.Epoch)
	if !held {
		return Point{}, false
	}
	log.grow(o.Node)
	return log.tree[i].base, true
}

// below is how many records are known to stand below a base, at least.
func (h *Holding) below(n NodeID, base Point) uint64 {
	s, _ := h.Get(Origin{n, base.Epoch})
	if s.Lo > 1 {
		return s.Lo - 1
	}
	return s.LoPrev.Seq
}

// Base is the stretch with which the held part of the chain below o begins, where its start is not held: what stands
// before it (LoPrev) is what a backward catch-up asks for next. False where the chain is held from its start, or o is not held.
func (h *Holding) Base(o Origin) (Stretch, bool) {
	b, ok := h.base(o)
	if !ok || b == (Point{}) {
		return Stretch{}, false
	}
	return h.Get(Origin{o.Node, b.Epoch})
}

// maxFloors is how many floors Have names at most.
const maxFloors = 4

// Have names the newest epochs held of n's log, each with its last seq, oldest first, after the newest floors: nothing at
// or below them is wanted. At most MaxLeaves points.
func (h *Holding) Have(n NodeID) []Point {
	ss := h.Stretches(n)
	var out []Point
	for _, f := range h.floors[n] {
		if s, held := h.Get(Origin{n, f.Epoch}); !held || s.Hi < f.Seq {
			out = append(out, f)
		}
	}
	out = out[max(0, len(out)-maxFloors):]
	for _, s := range ss[max(0, len(ss)+len(out)-MaxLeaves):] {
		out = append(out, Point{s.Epoch, s.Hi})
	}
	return out
}

// Segment is a row of records of one epoch: First..Last.
type Segment struct {
	Epoch       Epoch
	First, Last uint64
}

// Path is what somebody who asks for n's log toward a point is sent, oldest first: along the chain of epochs, from
// after the last point of it that have covers. toward.Seq 0, or more than is held, means as far as its epoch is held.
// The rows are empty where have covers the point. joined is false where the chain could not be followed down to have
// or to its start: then what is returned begins where the held part begins (of use newest first), or is empty where
// toward's epoch is not held at all.
func (h *Holding) Path(n NodeID, have []Point, toward Point) (rows []Segment, joined bool) {
	log := h.logs[n]
	if log == nil {
		return nil, false
	}
	i, held := log.find(toward.Epoch)
	if !held {
		return nil, false
	}
	log.grow(n)
	last := log.epochs[i].Hi
	if toward.Seq > 0 && toward.Seq < last {
		last = toward.Seq
	}
	covered := make(map[Epoch]uint64, len(have))
	for _, p := range have {
		covered[p.Epoch] = max(covered[p.Epoch], p.Seq)
	}
	for {
		s := log.epochs[i]
		first := s.Lo
		if c := covered[s.Epoch]; c > 0 && c+1 >= s.Lo {
			first, joined = max(first, c+1), true
		}
		if first <= last {
			rows = append(rows, Segment{s.Epoch, first, last})
		}
		if joined || log.tree[i].parent < 0 {
			break
		}
		i, last = log.tree[i].parent, s.LoPrev.Seq
	}
	slices.Reverse(rows)
	return rows, joined || log.tree[i].base == Point{}
}

// Includes says whether record (n, p) stands at or below one of v's leaves and not below its base, as far as the
// chain that is held here tells: a leaf in an epoch of which nothing is held includes only that epoch.
func (h *Holding) Includes(v Vector, n NodeID, p Point) bool {
	for _, l := range v.Node(n) {
		if h.includes(l, p) {
			return true
		}
	}
	return false
}

func (h *Holding) includes(l Leaf, p Point) bool {
	if l.Epoch.N < p.Epoch.N {
		return false
	}
	at := Point{l.Epoch, l.Seq}
	for {
		if at.Epoch == p.Epoch {
			return p.Seq <= at.Seq && (l.Base.Epoch != p.Epoch || l.Base.Seq <= p.Seq)
		}
		if at.Epoch == l.Base.Epoch {
			return false
		}
		s, held := h.Get(Origin{l.Node, at.Epoch})
		if !held || s.Lo != 1 || s.LoPrev == (Link{}) || s.LoPrev.Epoch.N >= at.Epoch.N {
			return false
		}
		at = Point{s.LoPrev.Epoch, s.LoPrev.Seq}
	}
}

// Covered says, for each epoch held of n's log of which v includes anything, up to which seq, by epoch. Bases in v
// are not looked at: marks have none. This is Includes for a whole log at once.
func (h *Holding) Covered(v Vector, n NodeID) []Point {
	log, leaves := h.logs[n], v.Node(n)
	if log == nil || len(leaves) == 0 {
		return nil
	}
	upTo := make([]uint64, len(log.epochs))
	for _, l := range leaves {
		if i, held := log.find(l.Epoch); held {
			upTo[i] = l.Seq
		}
	}
	var out []Point
	for i := len(log.epochs) - 1; i >= 0; i-- {
		s := log.epochs[i]
		if upTo[i] == 0 {
			continue
		}
		out = append(out, Point{s.Epoch, upTo[i]})
		if s.Lo == 1 && s.LoPrev != (Link{}) {
			if p, held := log.find(s.LoPrev.Epoch); held && p < i {
				upTo[p] = max(upTo[p], s.LoPrev.Seq)
			}
		}
	}
	slices.Reverse(out)
	return out
}

// MergeMax joins two marks: the leaves of both, less those that another one includes. It is commutative, associative
// and idempotent. Where a node has more than MaxLeaves leaves, those of its latest epochs stay.
func MergeMax(h *Holding, a, b Vector) Vector {
	all := slices.Concat(a, b)
	for i := range all {
		all[i].Base = Point{}
	}
	slices.SortFunc(all, func(x, y Leaf) int { // the greatest of an origin first
		if c := (Origin{x.Node, x.Epoch}).Compare(Origin{y.Node, y.Epoch}); c != 0 {
			return c
		}
		if c := cmpUint(y.Seq, x.Seq); c != 0 {
			return c
		}
		return slices.Compare(y.Hash[:], x.Hash[:])
	})
	all = slices.CompactFunc(all, func(x, y Leaf) bool { return x.Node == y.Node && x.Epoch == y.Epoch })
	out := make(Vector, 0, len(all))
	kept := 0
	for i := len(all) - 1; i >= 0; i-- { // the latest epochs first: only they can include others
		l := all[i]
		if i+1 < len(all) && all[i+1].Node != l.Node {
			kept = 0
		}
		if kept == MaxLeaves || slices.ContainsFunc(out[len(out)-kept:], func(k Leaf) bool { return h.includes(k, Point{l.Epoch, l.Seq}) }) {
			continue
		}
		out, kept = append(out, l), kept+1
	}
	slices.Reverse(out)
	return out
}
