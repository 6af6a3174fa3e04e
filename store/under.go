package store

import (
	"errors"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
	"weft/team"

	weftv1 "weft/api/weft/v1"
)

// Whether an entry stands under a cut is answered from the logs held here: one of its records, counting or not, stands at
// or below one of the cut's positions (trust §2). Only the committer asks, since only it knows what is held for sure.

// spots are the positions that cuts name on one node's log in a board.
type spots map[board.Position]*spot

// spot says whether the record that a position names is the one held there.
type spot struct {
	known bool // its seq is within what is held, and the hash was compared
	held  bool
}

// watchCuts notes the positions on message boards that an object's cuts name, whether it counts or not.
func (ts *teamState) watchCuts(o *team.Object) {
	switch {
	case o == nil:
	case o.Charter != nil:
		for _, c := range o.Charter.Cuts {
			ts.watchCut(c.Cut)
		}
	case o.Op != nil:
		ts.watchCut(o.Op.GetSet().GetCut())
		ts.watchCut(o.Op.GetNode().GetCut())
		for _, c := range o.Op.GetPresent().GetCuts() {
			ts.watchCut(c.Cut)
		}
	}
}

func (ts *teamState) watchCut(m *weftv1.Cut) {
	for _, w := range m.GetPositions() {
		p, err := board.ParsePosition(w)
		if err != nil || p.Board == ts.governance.id {
			continue
		}
		of := ts.spots[p.Board]
		if of == nil {
			of = map[board.NodeID]spots{}
			ts.spots[p.Board] = of
		}
		if of[p.Node] == nil {
			of[p.Node] = spots{}
		}
		if of[p.Node][p] == nil {
			of[p.Node][p] = &spot{}
		}
	}
}

// chain is what is held of a node's log, this group included.
func (g *group) chain(b *boardState, n board.NodeID) board.Chain {
	var changed []*logDelta
	for _, d := range g.logs {
		if d.log.board == b && d.log.origin.Node == n {
			changed = append(changed, d)
		}
	}
	return func(e board.Epoch) (board.Stretch, bool) {
		for _, d := range changed {
			if d.log.origin.Epoch == e {
				return d.st, d.st.Hi >= d.st.Lo
			}
		}
		return b.full.Get(board.Origin{Node: n, Epoch: e})
	}
}

// spotAt compares a cut's position with what is held there.
func (g *group) spotAt(b *boardState, p board.Position) (board.Spot, error) {
	out := board.Spot{Point: board.Point{Epoch: p.Epoch, Seq: p.Seq}}
	s := b.team.spots[b.id][p.Node][p]
	if s != nil && s.known {
		out.Held = s.held
		return out, nil
	}
	l := g.find(b, p.Origin())
	if l == nil {
		return out, nil
	}
	held, known, err := g.s.recordIs(g.txn, l, g.stretch(l), p)
	if s != nil {
		s.known, s.held = known, held
	}
	out.Held = held
	return out, err
}

// recordIs says whether the record held at a position's seq has its hash; known is false where none is held there.
func (s *Store) recordIs(txn *badger.Txn, l *logState, st board.Stretch, p board.Position) (is, known bool, err error) {
	if p.Seq < st.Lo || p.Seq > st.Hi {
		return false, false, nil
	}
	h, bad, err := chainHash(txn, l, st, p.Seq)
	if errors.Is(err, errDecode) {
		s.damaged(l, bad)
		return false, false, nil
	}
	return h == p.Hash, true, err
}

// spotsOf are the positions of a cut on a node's log in a board.
func (g *group) spotsOf(b *boardState, n board.NodeID, c *team.Cut) (out []board.Spot, err error) {
	for _, p := range c.At(b.id) {
		if p.Node != n {
			continue
		}
		s, err := g.spotAt(b, p)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// under says whether one of these records stands under a cut.
func (g *group) under(b *boardState, c *team.Cut, recs []pos) (bool, error) {
	for _, p := range recs {
		l := g.logNumbered(p.log)
		if l == nil {
			continue
		}
		ss, err := g.spotsOf(b, l.origin.Node, c)
		if err != nil {
			return false, err
		}
		if len(ss) > 0 && p.seq <= g.chain(b, l.origin.Node).Within(ss, l.origin.Epoch) {
			return true, nil
		}
	}
	return false, nil
}

// logNumbered is a log by its number, new ones of this group included.
func (g *group) logNumbered(n logNum) *logState {
	if int(n) < len(g.m.logs) {
		return g.m.logs[n]
	}
	for _, d := range g.logs {
		if d.log.num == n {
			return d.log
		}
	}
	return nil
}

// joined says whether a group changed how the records of a log hang together: a new epoch, older records, a record that
// a seal or a cut names.
func (g *group) joined(d *logDelta, named spots) bool {
	was := d.log.st // as before the group
	if d.fresh || d.st.Lo != was.Lo {
		return true
	}
	reached := func(seq uint64) bool { return was.Hi < seq && seq <= d.st.Hi }
	for _, c := range d.children {
		if reached(g.stretch(c).LoPrev.Seq) {
			return true
		}
	}
	for p := range named {
		if p.Epoch == d.log.origin.Epoch && reached(p.Seq) {
			return true
		}
	}
	return false
}

// reviewBranches has entries judged again for which numbers stood in a cut while its records were not held: on an
// unbranched log numbers and the chain say the same, so only what is off the chain can change.
func (g *group) reviewBranches(d *logDelta) error {
	b, n := d.log.board, d.log.origin.Node
	if b.governance || d.st.Hi < d.st.Lo || b.team == nil {
		return nil
	}
	named := b.team.spots[b.id][n]
	if len(named) == 0 || !g.joined(d, named) {
		return nil
	}
	chain, logs := g.chain(b, n), g.logsOf(b, n)
	for p := range named {
		if p.Epoch.N < d.log.origin.Epoch.N {
			continue
		}
		s, err := g.spotAt(b, p)
		if err != nil {
			return err
		}
		for _, l := range logs {
			if l.origin.Epoch.N >= p.Epoch.N {
				continue
			}
			if st, r := g.stretch(l), chain.Reach(s, l.origin.Epoch); r < st.Hi {
				g.review(l, rows{max(r+1, st.Lo), st.Hi})
			}
		}
	}
	if b.faults[n] != nil {
		return g.findFault(b, n)
	}
	return nil
}

// sameEntry are the records of a post's list that are of one entry.
func (g *group) sameEntry(list postList, id board.Hash) (out []pos, err error) {
	for _, p := range list.recs {
		r, err := g.load(p)
		if err != nil && !errors.Is(err, errDecode) {
			return nil, err
		}
		if err == nil && r.entry.ID == id {
			out = append(out, p)
		}
	}
	return out, nil
}

// verdict asks the team's rules about an entry with these records. recs is only called where a cut decides.
func (g *group) verdict(b *boardState, h *board.Header, recs func() ([]pos, error)) (team.Verdict, error) {
	var failed error
	var of []pos
	v := b.team.state.Load().CheckEntry(h, func(c *team.Cut) bool {
		if of == nil && failed == nil {
			of, failed = recs()
		}
		if failed != nil {
			return false
		}
		is, err := g.under(b, c, of)
		failed = errors.Join(failed, err)
		return is
	})
	return v, failed
}

// judgeNew judges an entry whose record is being written by the state that holds now.
func (g *group) judgeNew(d *logDelta, seq uint64, in *incoming) error {
	cut := false
	v := d.log.board.team.state.Load().CheckEntry(&in.entry.Header, func(*team.Cut) bool { cut = true; return false })
	switch {
	case cut:
		return g.decide(d, seq, in)
	case v.Status == team.Pending: // it was not when it came: it stays as it was judged then
		g.noteLater(pos{d.log.num, seq}, d.log, v)
	default:
		in.void = voidText(v)
	}
	return nil
}

// decide judges an entry whose record at p is being written, where a cut decides. Its other records follow.
func (g *group) decide(d *logDelta, seq uint64, in *incoming) error {
	b, e, p := d.log.board, in.entry, pos{d.log.num, seq}
	key := postKey{b.id, e.Header.PostID()}
	list, err := g.postList(key)
	if err != nil {
		return err
	}
	others, err := g.sameEntry(list, e.ID)
	if err != nil {
		return err
	}
	v, err := g.verdict(b, &e.Header, func() ([]pos, error) { return append(slices.Clip(others), p), nil })
	if err != nil {
		return err
	}
	if v.Status == team.Pending { // likewise
		g.noteLater(p, d.log, v)
		return nil
	}
	if in.void = voidText(v); in.void == "" && len(others) > 0 {
		if in.void, err = g.orderOf(b, e); err != nil {
			return err
		}
	}
	for _, q := range others {
		if err := g.revise(b, q, in.void); err != nil {
			return err
		}
	}
	return nil
}
