package team

import "weft/board"

// spoil finds the governance records at which a node contradicted itself: they and all above them never count.
func (e *Evaluator) spoil(n *node) {
	n.spoilt = n.spoilt[:0]
	at := points(n.forks, e.logs.governance)
	if len(at) == 0 {
		return
	}
	for _, r := range e.logs.records {
		if r.seg != nil && r.epoch.log.id == n.id && forkedAt(at, r) {
			n.spoilt = append(n.spoilt, r)
		}
	}
}

func forkedAt(at []board.Point, r *record) bool {
	for _, p := range at {
		if p.Epoch == r.epoch.Epoch && p.Seq == r.seq {
			return true
		}
	}
	return false
}

// linked notes a further record in the node's governance log, and says whether it can change which others count.
func (n *node) linked(e *Evaluator, r *record) bool {
	if len(n.forks) > 0 && forkedAt(points(n.forks, e.logs.governance), r) {
		n.spoilt = append(n.spoilt, r)
	}
	// A seal changes nothing where it is its epoch's only one, and all of the epoch is at or below it.
	return r.seq == 1 && r.parent != nil && (len(r.parent.epoch.seals) > 1 || r.parent.epoch.records != r.parent.seq)
}

// counting says whether a linked record of the governance log of n counts: its chain passes no fork, it is under the cuts
// of the denials that hold, and counting seals of its epoch, if there are any, do not all stand below it (trust §2, §9).
func (e *Evaluator) counting(n *node, r *record) bool {
	if r.gen == n.gen+1 {
		return r.counted
	}
	r.gen, r.counted = n.gen+1, e.sound(n, r)
	if !r.counted {
		return false
	}
	sealed := false
	for _, s := range r.epoch.seals {
		if e.counting(n, s) {
			if below(r, s) {
				return true
			}
			sealed = true
		}
	}
	r.counted = !sealed
	return r.counted
}

// sound says whether a record counts, seals apart.
func (e *Evaluator) sound(n *node, r *record) bool {
	for _, s := range n.spoilt {
		if below(s, r) {
			return false
		}
	}
	for _, c := range n.cuts {
		if !e.logs.within(r, c) {
			return false
		}
	}
	return true
}
