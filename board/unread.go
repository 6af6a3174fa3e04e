package board

import "slices"

// Listed is an entry as marks and unread counts see it.
type Listed struct {
	Entry   Hash
	Order   OrderKey
	Author  UserID
	Post    PostID
	Kind    Kind
	Shown   bool         // valid, with a counting record
	Records []RecordSpot // all records of it that are held, counting or not
}

// RecordSpot is where a record stands.
type RecordSpot struct {
	Node NodeID
	Point
}

// Unread counts what a reader has not read, by looking at each entry: shown entries of a kind that counts, not the
// reader's own, none of whose records the mark includes; of entries with one PostID only the first in display order.
// It is the plain meaning of unread; what a store keeps running must always agree with it.
func Unread(h *Holding, entries []Listed, reader UserID, mark Vector) (n uint64) {
	first := map[PostID]OrderKey{}
	for _, e := range entries {
		if k, ok := first[e.Post]; e.Shown && (!ok || e.Order.Compare(k) < 0) {
			first[e.Post] = e.Order
		}
	}
	for _, e := range entries {
		if e.Shown && e.Kind.Counts() && e.Author != reader && first[e.Post] == e.Order && !read(h, e, mark) {
			n++
		}
	}
	return n
}

func read(h *Holding, e Listed, mark Vector) bool {
	return slices.ContainsFunc(e.Records, func(r RecordSpot) bool { return h.Includes(mark, r.Node, r.Point) })
}

// MarkUpTo is the mark "all up to and with key": in each log the longest prefix whose entries all stand at or before
// it in display order. Records below the part that is held of a log are taken to stand before it.
func MarkUpTo(h *Holding, entries []Listed, key OrderKey) Vector {
	after := map[Origin]uint64{} // the first seq that stands after key
	for _, e := range entries {
		if e.Order.Compare(key) <= 0 {
			continue
		}
		for _, r := range e.Records {
			o := Origin{r.Node, r.Epoch}
			if old, ok := after[o]; !ok || r.Seq < old {
				after[o] = r.Seq
			}
		}
	}
	var mark Vector
	for _, n := range h.Nodes() {
		upTo := map[Epoch]uint64{}
		for _, s := range h.Stretches(n) { // parents first
			if s.Lo == 1 && s.LoPrev != (Link{}) && h.Holds(Origin{n, s.LoPrev.Epoch}, s.LoPrev.Seq) && upTo[s.LoPrev.Epoch] < s.LoPrev.Seq {
				continue // something before this epoch stands after key
			}
			last := s.Hi
			if a, ok := after[Origin{n, s.Epoch}]; ok {
				last = a - 1
			}
			if upTo[s.Epoch] = last; last >= s.Lo {
				mark = append(mark, Leaf{Node: n, Epoch: s.Epoch, Seq: last, Hash: hashAt(s, last)})
			}
		}
	}
	return MergeMax(h, mark, nil)
}

// hashAt is the hash of a stretch's record where it is known: its last.
func hashAt(s Stretch, seq uint64) Hash {
	if seq == s.Hi {
		return s.HiHash
	}
	return Hash{}
}
