package store

import "slices"

// noted are rows of logs about which something is still to be done, under one table on disk: as they are since the last
// commit, and as a group changes them. The committer's alone.
type noted struct {
	table   byte
	was     map[*logState][]rows // memory's
	changed map[*logState]*[]rows
}

// of is what is noted of a log.
func (n *noted) of(l *logState) []rows {
	if rs := n.changed[l]; rs != nil {
		return *rs
	}
	return n.was[l]
}

// edit is what is noted of a log, to be changed.
func (n *noted) edit(l *logState) *[]rows {
	rs := n.changed[l]
	if rs == nil {
		if n.changed == nil {
			n.changed = map[*logState]*[]rows{}
		}
		c := slices.Clone(n.was[l])
		rs = &c
		n.changed[l] = rs
	}
	return rs
}

// add notes further rows of a log.
func (n *noted) add(l *logState, r rows) {
	rs := n.edit(l)
	*rs = addRow(*rs, r)
}

// writeNoted writes what the group changed: of logs of which nothing is left, nothing stays noted.
func (g *group) writeNoted(n *noted) error {
	for l, rs := range n.changed {
		left := rowsFrom(*rs, g.stretch(l).Lo)
		if d := g.byLog[l]; d != nil && d.gone {
			left = nil
		}
		k := logKey(n.table, l.num)
		if len(left) == 0 {
			g.published = append(g.published, func() { delete(n.was, l) })
			if err := g.remove(k); err != nil {
				return err
			}
			continue
		}
		g.published = append(g.published, func() { n.was[l] = left })
		if err := g.put(k, appendRows(nil, left)); err != nil {
			return err
		}
	}
	return nil
}
