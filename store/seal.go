package store

import (
	"errors"
	"slices"
)

// rejudgePerGroup is how many records one commit judges again at most.
const rejudgePerGroup = 500

// sealChildren finds the highest seal held of a log's epoch, and has the records judged again for which that changes
// whether they count.
func (g *group) sealChildren(d *logDelta) error {
	if len(d.children) == 0 || d.log.board.governance {
		return nil
	}
	var limit uint64
	for _, c := range d.children {
		st := g.stretch(c)
		if seq := st.LoPrev.Seq; st.Lo == 1 && seq >= d.st.Lo && (seq < d.st.Hi || seq == d.st.Hi && st.LoPrev.Hash == d.st.HiHash) {
			limit = max(limit, seq)
		}
	}
	if limit == d.limit {
		return nil
	}
	from := limit + 1
	if d.limit != 0 {
		from = min(limit, d.limit) + 1
	}
	d.limit = limit
	if from > d.st.Hi {
		return nil
	}
	l := d.log
	rs := addRow(slices.Clone(g.m.rejudge[l]), rows{max(from, d.st.Lo), d.st.Hi})
	g.published = append(g.published, func() { g.m.rejudge[l] = rs })
	return g.put(logKey(tRejudge, l.num), appendRows(nil, rs))
}

// pendingRejudge says whether records wait to be judged again.
func (s *Store) pendingRejudge() bool { return len(s.memory().rejudge) > 0 }

// rejudgeSome judges some of the records again that wait for it. What is left is on disk in the same transaction.
func (g *group) rejudgeSome() error {
	left := rejudgePerGroup
	for l, rs := range g.m.rejudge {
		rest := slices.Clone(rs)
		for len(rest) > 0 && left > 0 {
			if err := g.rejudgeOne(l, rest[0].from); err != nil {
				return err
			}
			left--
			if rest[0].from++; rest[0].from > rest[0].to {
				rest = rest[1:]
			}
		}
		var err error
		if len(rest) == 0 {
			g.published = append(g.published, func() { delete(g.m.rejudge, l) })
			err = g.remove(logKey(tRejudge, l.num))
		} else {
			g.published = append(g.published, func() { g.m.rejudge[l] = rest })
			err = g.put(logKey(tRejudge, l.num), appendRows(nil, rest))
		}
		if err != nil || left == 0 {
			return err
		}
	}
	return nil
}

// rejudgeOne settles the post of one record anew.
func (g *group) rejudgeOne(l *logState, seq uint64) error {
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
