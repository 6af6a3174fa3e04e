package board

import "slices"

// Stretch is what is held of one epoch of a node's log in a board: the records Lo..Hi without a hole.
type Stretch struct {
	Epoch  Epoch
	Lo, Hi uint64
	HiHash Hash
	LoPrev Link // the record before Lo: a seal where Lo is 1, zero at the start of the log
}

// Leaf is an end of a node's chain of epochs: everything on the chain below it is held, down to Base.
type Leaf struct {
	Node  NodeID
	Epoch Epoch
	Seq   uint64
	Hash  Hash
	Base  Point // the first record held, where the part below is not (yet, or no longer) held; zero: all of it is held
}

// Point is a seq in an epoch.
type Point struct {
	Epoch Epoch
	Seq   uint64
}

// Vector says which prefix of each log is held: the leaves, by node and epoch. A sealed epoch that is wholly held is
// implied by its successor, so a thousand restarts of a node cost one element.
type Vector []Leaf

// sortVector puts v into its one order.
func sortVector(v Vector) {
	slices.SortFunc(v, func(a, b Leaf) int {
		return Origin{a.Node, a.Epoch}.Compare(Origin{b.Node, b.Epoch})
	})
}
