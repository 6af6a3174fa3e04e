package board

import (
	"maps"
	"slices"
)

// Stretch is what is held of one epoch of a node's log in a board: the records Lo..Hi without a hole.
type Stretch struct {
	Epoch  Epoch
	Lo, Hi uint64
	HiHash Hash
	LoPrev Link // the record before Lo: a seal where Lo is 1, zero at the start of the log
}

// Point is a seq in an epoch.
type Point struct {
	Epoch Epoch
	Seq   uint64
}

// MaxLeaves is how many leaves of one node's log are kept and named at most. An honest node makes a second leaf only by
// being restored from a backup or cloned, so 64 is far more than is ever needed; docs/limits.md.
const MaxLeaves = 64

// Holding says what is held of one board: for each node the epochs of its log, each as one Stretch. The epochs of a
// node form a tree, since the first record of an epoch names the record that it seals. The zero Holding is empty and
// ready. It is not safe for concurrent use: its owner guards it.
type Holding struct {
	logs   map[NodeID]*nodeLog
	order  []NodeID           // keys of logs, ascending
	floors map[NodeID][]Point // below which nothing is to be had
}

// nodeLog is one node's epochs, ascending. An epoch seals only epochs with a smaller counter, so this order puts parents first.
type nodeLog struct {
	epochs []Stretch
	floors []Point
	tree   []branch // made from epochs when asked for; nil: not made
	leaves []Leaf   // made with tree
}

// branch is where an epoch stands in its node's tree.
type branch struct {
	parent int    // index of the epoch that it seals, where the sealed record is held; -1: none
	base   Point  // the first record held on the chain that ends here; zero: all of it is held
	sealed uint64 // the highest seq of this epoch that a held epoch seals; 0: no seal is held
}

// Set inserts the stretch held of an epoch of n's log, or replaces it; one with Hi == 0 removes the epoch.
func (h *Holding) Set(n NodeID, s Stretch) {
	l := h.logs[n]
	if l == nil {
		if s.Hi == 0 {
			return
		}
		if h.logs == nil {
			h.logs = map[NodeID]*nodeLog{}
		}
		l = &nodeLog{floors: h.floors[n]}
		h.logs[n] = l
		i, _ := slices.BinarySearchFunc(h.order, n, compareNodes)
		h.order = slices.Insert(h.order, i, n)
	}
	i, held := l.find(s.Epoch)
	switch {
	case held && s.Hi == 0:
		l.epochs = slices.Delete(l.epochs, i, i+1)
	case held:
		l.epochs[i] = s
	case s.Hi > 0:
		l.epochs = slices.Insert(l.epochs, i, s)
	}
	l.tree, l.leaves = nil, nil
	if len(l.epochs) == 0 {
		delete(h.logs, n)
		i, _ := slices.BinarySearchFunc(h.order, n, compareNodes)
		h.order = slices.Delete(h.order, i, i+1)
	}
}

// Clone is a copy that shares nothing with h that either could change.
func (h *Holding) Clone() *Holding {
	c := &Holding{order: slices.Clone(h.order), logs: make(map[NodeID]*nodeLog, len(h.logs)), floors: maps.Clone(h.floors)}
	for n, l := range h.logs {
		c.logs[n] = &nodeLog{epochs: slices.Clone(l.epochs), floors: l.floors}
	}
	return c
}

// Nodes are those of whose logs anything is held, ascending. The slice is h's: read it only, until the next Set.
func (h *Holding) Nodes() []NodeID { return h.order }

// Stretches is what is held of n's log, by epoch. The slice is h's: read it only, until the next Set.
func (h *Holding) Stretches(n NodeID) []Stretch {
	if l := h.logs[n]; l != nil {
		return l.epochs
	}
	return nil
}

// Get is what is held of one origin.
func (h *Holding) Get(o Origin) (Stretch, bool) {
	if l := h.logs[o.Node]; l != nil {
		if i, held := l.find(o.Epoch); held {
			return l.epochs[i], true
		}
	}
	return Stretch{}, false
}

// Holds says whether the record at seq of o is held.
func (h *Holding) Holds(o Origin, seq uint64) bool {
	s, ok := h.Get(o)
	return ok && s.Lo <= seq && seq <= s.Hi
}

// Vector is the leaves of all logs in their one order, at most MaxLeaves of a node: those of its latest epochs.
func (h *Holding) Vector() Vector {
	var v Vector
	for _, n := range h.order {
		v = append(v, h.Leaves(n)...)
	}
	return v
}

// Leaves is n's part of Vector. The slice is h's: read it only, until the next Set.
func (h *Holding) Leaves(n NodeID) []Leaf {
	l := h.logs[n]
	if l == nil {
		return nil
	}
	l.grow(n)
	return l.leaves
}

// Admits says whether a run that begins with seq 1 of a new epoch and seals prev may be taken without giving its node
// more than MaxLeaves leaves.
func (h *Holding) Admits(n NodeID, prev Link) bool {
	leaves := h.Leaves(n)
	if len(leaves) < MaxLeaves {
		return true
	}
	return slices.ContainsFunc(leaves, func(f Leaf) bool { return f.Epoch == prev.Epoch && f.Seq == prev.Seq })
}

// Counting says whether a record counts with respect to seals: unless seals of its epoch are held and all stand below
// it (trust §2). A seal is the first record of its own epoch, below which no seal can stand, so each held seal counts.
// It does not ask whether the record itself is held.
func (h *Holding) Counting(o Origin, seq uint64) bool {
	l := h.logs[o.Node]
	if l == nil {
		return true
	}
	i, held := l.find(o.Epoch)
	if !held {
		return true
	}
	l.grow(o.Node)
	return l.tree[i].sealed == 0 || seq <= l.tree[i].sealed
}

// find is where an epoch stands or would stand in l.epochs.
func (l *nodeLog) find(e Epoch) (int, bool) {
	return slices.BinarySearchFunc(l.epochs, e, func(s Stretch, e Epoch) int { return s.Epoch.Compare(e) })
}

// grow makes tree and leaves if they are not made.
func (l *nodeLog) grow(n NodeID) {
	if l.tree != nil {
		return
	}
	l.tree = make([]branch, len(l.epochs))
	whole := make([]bool, len(l.epochs)) // sealed at its last held record
	for i, s := range l.epochs {
		b := branch{parent: -1, sealed: l.tree[i].sealed}
		if s.Lo == 1 && s.LoPrev != (Link{}) {
			b.parent = l.sealedBy(s.LoPrev)
			if i, held := l.find(s.LoPrev.Epoch); held && l.epochs[i].SealedBy(s) {
				l.tree[i].sealed = max(l.tree[i].sealed, s.LoPrev.Seq)
			}
		}
		switch {
		case b.parent >= 0:
			p := &l.tree[b.parent]
			b.base = p.base
			whole[b.parent] = whole[b.parent] || s.LoPrev.Seq == l.epochs[b.parent].Hi
		case !l.rooted(s):
			b.base = Point{s.Epoch, s.Lo}
		}
		l.tree[i] = b
	}
	for i := len(l.epochs) - 1; i >= 0 && len(l.leaves) < MaxLeaves; i-- {
		if s := l.epochs[i]; !whole[i] {
			l.leaves = append(l.leaves, Leaf{n, s.Epoch, s.Hi, s.HiHash, l.tree[i].base})
		}
	}
	slices.Reverse(l.leaves)
}

// rooted says whether nothing is missing below a stretch: it begins the log, or what stands before it is pruned.
func (l *nodeLog) rooted(s Stretch) bool {
	return s.Lo == 1 && s.LoPrev == (Link{}) || Pruned(l.floors, Point{s.LoPrev.Epoch, s.LoPrev.Seq})
}

// SetFloors says up to where n's log is pruned: what stands at or below is not missing. The slice must not be changed
// any more.
func (h *Holding) SetFloors(n NodeID, floors []Point) {
	if h.floors == nil {
		h.floors = map[NodeID][]Point{}
	}
	h.floors[n] = floors
	if l := h.logs[n]; l != nil {
		l.floors, l.tree, l.leaves = floors, nil, nil
	}
}

// Floors of n's log.
func (h *Holding) Floors(n NodeID) []Point { return h.floors[n] }

// Pruned says whether a record stands at or below one of the floors of its log. Those who come later never see what the
// chain below a floor was, so numbers alone decide: whatever has a lower epoch counter is below.
func Pruned(floors []Point, p Point) bool {
	return slices.ContainsFunc(floors, func(f Point) bool {
		return f.Epoch.N > p.Epoch.N || f.Epoch == p.Epoch && f.Seq >= p.Seq
	})
}

// FloorOf is up to which seq the records of epoch e are pruned: All, or 0 for none.
func FloorOf(floors []Point, e Epoch) (seq uint64) {
	for _, f := range floors {
		switch {
		case f.Epoch.N > e.N:
			return All
		case f.Epoch == e:
			seq = max(seq, f.Seq)
		}
	}
	return seq
}

// sealedBy is the index of the epoch of the record that a seal names, if that record is held; else -1.
func (l *nodeLog) sealedBy(prev Link) int {
	i, held := l.find(prev.Epoch)
	if !held {
		return -1
	}
	p := l.epochs[i]
	if prev.Seq < p.Lo || prev.Seq > p.Hi || prev.Seq == p.Hi && prev.Hash != p.HiHash {
		return -1
	}
	return i
}

func compareNodes(a, b NodeID) int { return Origin{Node: a}.Compare(Origin{Node: b}) }
