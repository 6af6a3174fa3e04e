package store

import (
	"errors"
	"slices"

	"weft/board"
	"weft/team"
)

// When a team's state changes, entries that are on disk may become void, or valid after all. Which rows that can be is
// noted with the commit that changes the state (y); the committer judges them again, some in each commit, so that posts
// go on meanwhile and nothing is forgotten if the node dies in the middle.

// Bounds of what one commit judges again.
const (
	reviewScan  = 4000 // rows looked at
	reviewFlips = 250  // entries that become void or valid
)

// reviewBounds are they, less where somebody waits; tests make them small.
func (g *group) reviewBounds() (scan, flips int) {
	n := g.s.opts.reviewAtOnce
	switch {
	case n > 0:
		return n, n
	case g.beside:
		return reviewScan / 8, reviewFlips / 8
	}
	return reviewScan, reviewFlips
}

// review notes rows whose entries are to be judged again.
func (g *group) review(l *logState, r rows) {
	if r.from <= r.to {
		g.reviews.add(l, r)
	}
}

// reviewSome judges some of the rows that wait for it.
func (g *group) reviewSome() error {
	scan, flips := g.reviewBounds()
	for l := range g.m.review {
		if scan <= 0 || flips <= 0 {
			return nil
		}
		if err := g.reviewLog(l, &scan, &flips); err != nil {
			return err
		}
	}
	return nil
}

// reviewLog goes on with the rows of one log.
func (g *group) reviewLog(l *logState, scan, flips *int) error {
	rs := g.reviews.edit(l)
	for len(*rs) > 0 && *scan > 0 && *flips > 0 {
		from, to := (*rs)[0].from, min((*rs)[0].to, l.st.Hi)
		if from < l.st.Lo {
			from = l.st.Lo
		}
		next, err := g.reviewRows(l, from, min(to, from+uint64(*scan)-1), flips)
		if err != nil {
			return err
		}
		*scan -= int(next-from) + 1
		if next > to {
			*rs = (*rs)[1:]
			continue
		}
		(*rs)[0].from = next
	}
	return nil
}

// reviewRows judges rows from..to again until flips is used up, and returns where to go on. It reads what was committed:
// records of this group were judged by the state that holds now.
func (g *group) reviewRows(l *logState, from, to uint64, flips *int) (next uint64, err error) {
	txn := g.s.db.NewTransactionAt(g.s.snaps.last(), false)
	defer txn.Discard()
	for next = from; next <= to && *flips > 0; {
		var failed error
		bad, err := eachRecord(txn, l.num, next, to, func(seq uint64, r stored) bool {
			next = seq + 1
			var flipped bool
			if flipped, failed = g.reviewOne(l, pos{l.num, seq}, &r); flipped {
				*flips--
			}
			return failed == nil && *flips > 0
		})
		if failed != nil {
			return next, failed
		}
		if errors.Is(err, errDecode) { // it is judged when it is mended
			g.s.damaged(l, bad)
			next = bad + 1
			continue
		}
		if err != nil {
			return next, err
		}
	}
	return next, nil
}

// reviewOne judges the entry of a record again and, if the verdict is another one, has its records say so and settles
// what shows.
func (g *group) reviewOne(l *logState, p pos, r *stored) (flipped bool, err error) {
	b, e := l.board, r.entry
	key := postKey{b.id, e.Header.PostID()}
	var list *postList
	var same []pos
	recs := func() ([]pos, error) {
		if list != nil {
			return same, nil
		}
		ps, err := g.postList(key)
		if err == nil {
			same, err = g.sameEntry(ps, e.ID)
		}
		if !slices.Contains(same, p) { // of more records than a post's list has
			same = append(same, p)
		}
		list = &ps
		return same, err
	}
	v, err := g.verdict(b, &e.Header, recs)
	if err != nil {
		return false, err
	}
	if g.noteLater(p, l, v); v.Status == team.Pending {
		return false, nil
	}
	void := voidText(v)
	if void == "" && r.void != "" {
		if void, err = g.orderOf(b, e); err != nil {
			return false, err
		}
	}
	if void == r.void {
		return false, nil
	}
	if _, err := recs(); err != nil {
		return false, err
	}
	for _, q := range same {
		if err := g.revise(b, q, void); err != nil {
			return false, err
		}
	}
	g.revived = void == "" && r.void != ""
	g.s.metrics.reviewed(void == "")
	err = g.settle(b, key, *list, list.recs, pos{})
	g.revived = false
	return true, err
}

// orderOf says whether an entry is void by its order, where the one before it is held.
func (g *group) orderOf(b *boardState, e *board.Entry) (string, error) {
	if e.Header.DevSeq <= 1 {
		return "", nil
	}
	prev, known, err := g.stampOf(b, e.Header.DevPrev)
	switch {
	case err != nil:
		return "", err
	case !known: // pruned, or damaged: then it is looked at again when it is mended
		return "", g.wait(e.Header.DevPrev, e.ID)
	case e.Header.HLC > prev:
		return "", nil
	}
	return reasonOrder, nil
}

// markFlip notes the rows that a change of the team's state may make void or valid.
func (g *group) markFlip(ts *teamState, f team.Flip) error {
	for _, b := range g.m.boards {
		if b.team != ts || b.governance || f.Board != (board.ID{}) && f.Board != b.id {
			continue
		}
		nodes := b.full.Nodes()
		if f.Node != (board.NodeID{}) {
			nodes = []board.NodeID{f.Node}
		}
		for _, n := range nodes {
			if f.Node != (board.NodeID{}) {
				if err := g.findFault(b, n); err != nil {
					return err
				}
			}
			if f.User == (board.UserID{}) && f.Node != (board.NodeID{}) || !g.holdsOf(b, n, f.User) {
				continue
			}
			if err := g.markAbove(b, n, f.Above); err != nil {
				return err
			}
		}
	}
	return nil
}

// holdsOf says whether a node's log in a board has something of a user; zero: of anybody.
func (g *group) holdsOf(b *boardState, n board.NodeID, u board.UserID) bool {
	if u == (board.UserID{}) {
		return true
	}
	who := signerOf(byUser, u)
	_, known := b.signers[n][who]
	_, found := g.signers[newSigner{b, n, who}]
	return known || found
}

// markAbove notes the rows of a node's log that do not stand under all of these cuts.
func (g *group) markAbove(b *boardState, n board.NodeID, cuts []*team.Cut) error {
	var under [][]board.Spot
	for _, c := range cuts {
		ss, err := g.spotsOf(b, n, c)
		if err != nil {
			return err
		}
		under = append(under, ss)
	}
	chain := g.chain(b, n)
	for _, l := range g.logsOf(b, n) {
		st := g.stretch(l)
		from := st.Lo
		if len(under) > 0 {
			upTo := board.All
			for _, ss := range under {
				upTo = min(upTo, chain.Within(ss, l.origin.Epoch))
			}
			if upTo >= st.Hi {
				continue
			}
			from = max(from, upTo+1)
		}
		g.review(l, rows{from, st.Hi})
	}
	return nil
}

// rowsInto reads a table that has rows of logs.
func (ld *loader) rowsInto(m map[*logState][]rows) func(key, c []byte) error {
	return func(key, c []byte) error {
		l, err := ld.log(key)
		if err != nil {
			return err
		}
		rs, err := parseRows(c)
		if len(rs) > 0 {
			m[l] = rs
		}
		return err
	}
}

// reviewAll has everything judged again: after what may have changed is not known any more.
func (s *Store) reviewAll(m *memory, put func(k, c []byte) error) error {
	for _, l := range m.logs {
		if l == nil || l.board == nil || l.board.governance {
			continue
		}
		rs := []rows{{l.st.Lo, l.st.Hi}}
		m.review[l] = rs
		if err := put(logKey(tReview, l.num), appendRows(nil, rs)); err != nil {
			return err
		}
	}
	return nil
}
