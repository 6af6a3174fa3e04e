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

// noteLater notes a row whose entry is pending, or forgets it.
func (g *group) noteLater(p pos, l *logState, v team.Verdict) {
	pending := v.Status == team.Pending
	if pending == inRows(g.laters.of(l), p.seq) {
		return
	}
	rs := g.laters.edit(l)
	if pending {
		*rs = addRow(*rs, rows{p.seq, p.seq})
	} else {
		*rs = cutRow(*rs, p.seq)
	}
	*rs = fewer(*rs, maxLater)
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
	for l := range g.laters.changed {
		logs[l] = struct{}{}
	}
	for l := range logs {
		if l.board.team != ts {
			continue
		}
		rs := rowsFrom(g.laters.of(l), g.stretch(l).Lo)
		if len(rs) == 0 {
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
