package store

import (
	"slices"

	"weft/team"
)

// An entry that is on disk, judged, may be asked about again while what decides about it waits for something that is not
// here: the operation that gave its right acts under a charter that gave way to another one, say. It stays as it was
// judged until that is known. No flip needs to cover it then (State.Flips is about entries that were not pending), so its
// rows are noted (l) and judged again at each change of the team's state until there is a verdict.

// maxLater bounds what is noted of one log. With more, rows between are judged again too: that costs time, and changes nothing.
const maxLater = 64

// laterOf is what is noted of a log, to be changed by the group.
func (g *group) laterOf(l *logState) *[]rows {
	if g.laters == nil {
		g.laters = map[*logState]*[]rows{}
	}
	rs := g.laters[l]
	if rs == nil {
		c := slices.Clone(g.m.later[l])
		rs = &c
		g.laters[l] = rs
	}
	return rs
}

// noteLater notes a row whose entry is pending, or forgets it.
func (g *group) noteLater(p pos, l *logState, v team.Verdict) {
	rs := g.m.later[l]
	if now := g.laters[l]; now != nil {
		rs = *now
	}
	noted := slices.ContainsFunc(rs, func(r rows) bool { return r.from <= p.seq && p.seq <= r.to })
	switch pending := v.Status == team.Pending; {
	case pending == noted:
	case pending:
		to := g.laterOf(l)
		*to = fewer(addRow(*to, rows{p.seq, p.seq}), maxLater)
	default:
		to := g.laterOf(l)
		*to = fewer(cutRow(*to, p.seq), maxLater)
	}
}

// fewer joins ascending rows, those with the least between them first, until there are at most n.
func fewer(rs []rows, n int) []rows {
	for len(rs) > n {
		at := 1
		for i := 2; i < len(rs); i++ {
			if rs[i].from-rs[i-1].to < rs[at].from-rs[at-1].to {
				at = i
			}
		}
		rs[at-1].to = rs[at].to
		rs = slices.Delete(rs, at, at+1)
	}
	return rs
}

// reviewLater has what was pending judged again by a new state. It stays noted until there is a verdict.
func (g *group) reviewLater(ts *teamState, st *team.State) error {
	if st.UpgradeNeeded() { // all is pending
		return nil
	}
	logs := map[*logState]struct{}{}
	for l := range g.m.later {
		logs[l] = struct{}{}
	}
	for l := range g.laters {
		logs[l] = struct{}{}
	}
	for l := range logs {
		if l.board.team != ts {
			continue
		}
		rs := g.m.later[l]
		if now := g.laters[l]; now != nil {
			rs = *now
		}
		if rs = rowsFrom(rs, g.stretch(l).Lo); len(rs) == 0 {
			continue
		}
		if g.marked++; g.marked > maxMarks {
			return g.sweep(ts)
		}
		for _, r := range rs {
			g.review(l, r)
		}
	}
	return nil
}

// writeLaters writes what is pending.
func (g *group) writeLaters() error {
	for l, rs := range g.laters {
		left := rowsFrom(*rs, g.stretch(l).Lo)
		g.published = append(g.published, func() {
			if len(left) == 0 || g.m.logs[l.num] == nil { // pruned with this commit
				delete(g.m.later, l)
			} else {
				g.m.later[l] = left
			}
		})
		k := logKey(tLater, l.num)
		if d := g.byLog[l]; len(left) == 0 || d != nil && d.gone {
			if err := g.remove(k); err != nil {
				return err
			}
			continue
		}
		if err := g.put(k, appendRows(nil, left)); err != nil {
			return err
		}
	}
	return nil
}
