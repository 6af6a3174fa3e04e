package store

import (
	"errors"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
	"weft/team"
)

// rejudgePerGroup is how many records one commit judges again at most.
const rejudgePerGroup = 500

// Which records count is a prefix of each epoch: up to the highest seal, and what denials and forks leave (trust §2, §9).
// Where that moves, the rows between are noted (f) and settled anew, some in each commit.

// faultKey names a node's log in a board.
type faultKey struct {
	board *boardState
	node  board.NodeID
}

// faultOf is why records of a node's log do not count beside seals, as this group knows it; nil: no reason.
func (g *group) faultOf(b *boardState, n board.NodeID) *board.Fault {
	if f, ok := g.faults[faultKey{b, n}]; ok {
		return f
	}
	return b.faults[n]
}

// findFault asks the team's state anew why records of a node's log do not count, and has the log counted again.
func (g *group) findFault(b *boardState, n board.NodeID) error {
	if b.governance {
		return nil
	}
	f, err := findFault(g.stateOf(b.team), b, n, func(c *team.Cut) ([]board.Spot, error) { return g.spotsOf(b, n, c) })
	if err != nil {
		return err
	}
	if g.faults == nil {
		g.faults = map[faultKey]*board.Fault{}
	}
	g.faults[faultKey{b, n}] = f
	g.recounts[faultKey{b, n}] = true
	g.published = append(g.published, func() { b.setFault(n, f) })
	return nil
}

func findFault(st *team.State, b *boardState, n board.NodeID, spotsOf func(*team.Cut) ([]board.Spot, error)) (*board.Fault, error) {
	f := &board.Fault{Forks: st.Forks(b.id, n)}
	cuts, _ := st.Denial(n)
	for _, c := range cuts {
		ss, err := spotsOf(c)
		if err != nil {
			return nil, err
		}
		f.Denials = append(f.Denials, ss)
	}
	if len(f.Forks)+len(f.Denials) == 0 {
		return nil, nil
	}
	return f, nil
}

func (b *boardState) setFault(n board.NodeID, f *board.Fault) {
	if f == nil {
		delete(b.faults, n)
		return
	}
	if b.faults == nil {
		b.faults = map[board.NodeID]*board.Fault{}
	}
	b.faults[n] = f
}

// sealChildren finds out up to where a log counts, if a seal of it has come. Logs of nodes with faults are counted
// as a whole.
func (g *group) sealChildren(d *logDelta) error {
	b, n := d.log.board, d.log.origin.Node
	if b.governance {
		return nil
	}
	if g.faultOf(b, n) != nil {
		if g.joined(d, nil) {
			g.recounts[faultKey{b, n}] = true
		}
		return nil
	}
	if len(d.children) == 0 {
		return nil
	}
	limit := board.All
	var sealed uint64
	for _, c := range d.children {
		if st := g.stretch(c); d.st.SealedBy(st) {
			sealed = max(sealed, st.LoPrev.Seq)
		}
	}
	if sealed > 0 {
		limit = sealed
	}
	return g.setLimit(d.log, limit)
}

// limitNew finds out up to where a new log of a node with faults counts.
func (g *group) limitNew(f *board.Fault, d *logDelta) {
	logs := g.logsOf(d.log.board, d.log.origin.Node)
	if !slices.Contains(logs, d.log) { // it has no records yet
		logs = append(logs, d.log)
		slices.SortFunc(logs, func(x, y *logState) int { return x.origin.Epoch.Compare(y.origin.Epoch) })
	}
	held := make([]board.Stretch, len(logs))
	for i, l := range logs {
		held[i] = g.stretch(l)
	}
	d.limit = board.Limits(f, held)[slices.Index(logs, d.log)]
}

// recount finds out up to where each epoch of a node's log counts.
func (g *group) recount(k faultKey) error {
	logs := g.logsOf(k.board, k.node)
	held := make([]board.Stretch, len(logs))
	for i, l := range logs {
		held[i] = g.stretch(l)
	}
	for i, limit := range board.Limits(g.faultOf(k.board, k.node), held) {
		if err := g.setLimit(logs[i], limit); err != nil {
			return err
		}
	}
	return nil
}

// setLimit notes up to where a log counts, and has the records judged again for which that is new.
func (g *group) setLimit(l *logState, limit uint64) error {
	was, st := l.limit, g.stretch(l)
	d := g.byLog[l]
	if d != nil {
		was, d.limit = d.limit, limit
	}
	if was == limit {
		return nil
	}
	if d == nil {
		g.published = append(g.published, func() { l.setLimit(limit) })
	}
	from, to := max(min(was, limit)+1, st.Lo), min(max(was, limit), st.Hi)
	if from > to {
		return nil
	}
	if g.marked++; g.marked > maxMarks {
		return g.sweep(l.board.team)
	}
	g.rejudges.add(l, rows{from, to})
	return nil
}

func (l *logState) setLimit(limit uint64) {
	l.board.mu.Lock()
	l.limit = limit
	l.board.mu.Unlock()
}

// countAll finds out at Open which records count.
func (s *Store) countAll(m *memory) error {
	for _, b := range m.boards {
		if b.governance || b.team == nil {
			continue
		}
		for n := range b.byNode {
			err := s.view(func(_ *memory, txn *badger.Txn) error { return s.countLog(txn, b, n) })
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) countLog(txn *badger.Txn, b *boardState, n board.NodeID) error {
	st := b.team.state.Load()
	f, err := findFault(st, b, n, func(c *team.Cut) (out []board.Spot, err error) {
		for _, p := range c.At(b.id) {
			if p.Node != n {
				continue
			}
			is := false
			if l := b.logOf(p.Origin()); l != nil {
				if is, _, err = s.recordIs(txn, l, l.st, p); err != nil {
					return nil, err
				}
			}
			out = append(out, board.Spot{Point: board.Point{Epoch: p.Epoch, Seq: p.Seq}, Held: is})
		}
		return out, nil
	})
	if err != nil {
		return err
	}
	b.setFault(n, f)
	logs := slices.Clone(b.byNode[n])
	slices.SortFunc(logs, func(x, y *logState) int { return x.origin.Epoch.Compare(y.origin.Epoch) })
	held := make([]board.Stretch, len(logs))
	for i, l := range logs {
		held[i] = l.st
	}
	for i, limit := range board.Limits(f, held) {
		logs[i].limit = limit
	}
	return nil
}

// pendingRejudge says whether records wait to be judged again.
func (s *Store) pendingRejudge() bool { return s.memory().pending() }

func (m *memory) pending() bool { return len(m.rejudge)+len(m.review)+len(m.sweeps)+len(m.pruning) > 0 }

// forgetJudging leaves what could not be judged again for the next start.
func (m *memory) forgetJudging() {
	m.rejudge, m.review, m.sweeps = map[*logState][]rows{}, map[*logState][]rows{}, map[*teamState]pos{}
	m.pruning = map[*logState]struct{}{}
}

// judgeAgain does some of what waits to be judged again.
func (g *group) judgeAgain() error {
	if err := g.rejudgeSome(); err != nil {
		return err
	}
	if err := g.reviewSome(); err != nil {
		return err
	}
	if err := g.sweepSome(); err != nil {
		return err
	}
	return g.pruneSome()
}

// follow follows up a change of how a log hangs together.
func (g *group) follow(d *logDelta) error {
	if err := g.reviewBranches(d); err != nil {
		return err
	}
	return g.sealChildren(d)
}

// stateOf is what a team's objects mean, those of this group included.
func (g *group) stateOf(ts *teamState) *team.State {
	if st := g.states[ts]; st != nil {
		return st
	}
	return ts.state.Load()
}

// rejudgeSome judges some of the records again that wait for it. What is left is on disk in the same transaction.
func (g *group) rejudgeSome() error {
	left := rejudgePerGroup
	if g.beside {
		left /= 4
	}
	for l := range g.m.rejudge {
		if left == 0 {
			return nil
		}
		rs := g.rejudges.edit(l)
		*rs = rowsFrom(*rs, l.st.Lo)
		for len(*rs) > 0 && left > 0 {
			at := (*rs)[0].from
			if err := g.rejudgeOne(l, at); err != nil {
				return err
			}
			left--
			*rs = rowsFrom(*rs, at+1)
		}
	}
	return nil
}

// rejudgeOne settles the post of one record anew.
func (g *group) rejudgeOne(l *logState, seq uint64) error {
	if seq < l.st.Lo || seq > l.st.Hi {
		return nil
	}
	p := pos{l.num, seq}
	r, err := g.load(p)
	if errors.Is(err, errDecode) {
		g.s.damaged(l, seq)
		return nil
	}
	if err != nil {
		return err
	}
	g.delta(l)
	key := postKey{l.board.id, r.entry.Header.PostID()}
	list, err := g.postList(key)
	if err != nil {
		return err
	}
	if !slices.Contains(list.recs, p) {
		return g.extend(l.board, key, list, p)
	}
	return g.settle(l.board, key, list, list.recs, pos{})
}
