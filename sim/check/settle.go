package check

import (
	"maps"
	"slices"
)

// Settle is called in the end, when the network is whole and every node has had the time to catch up, after a List of
// each board at each of these nodes: now all of them must show the same, with all in it that was acknowledged and that one
// of these nodes vouches for. What only a node acknowledged that is not there cannot be asked for.
func (c *Checker) Settle(nodes ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick++
	boards := map[string]bool{}
	for k := range c.lists {
		boards[k.board] = true
	}
	for k := range c.posts {
		boards[k.board] = true
	}
	for _, board := range slices.Sorted(maps.Keys(boards)) {
		for i, n := range nodes {
			if i > 0 {
				c.sameAs(place{nodes[0], board}, place{n, board})
			}
			c.whole(place{n, board}, nodes)
		}
	}
	for k, n := range c.counted {
		if told := c.refused[k]; told > n {
			c.violate("I10", "node %s refused %d posts (%s) and counted %d", k.node, told, k.reason, n)
		}
	}
}

// whole checks that a node shows what was acknowledged anywhere. Called with mu held.
func (c *Checker) whole(at place, nodes []string) {
	l := c.lists[at]
	for _, p := range c.posts {
		if p.Board != at.board {
			continue
		}
		must := c.mustSurvive(p, nodes...)
		switch {
		case !must:
		case l == nil:
			c.violate("I1", "node %s was not asked for %s", at.node, at.board)
			return
		case p.ackedAt > l.at:
			c.violate("I1", "node %s was asked for %s before its last post was acknowledged: list it again", at.node, at.board)
			return
		case !l.posts[p]:
			c.violate("I1", "node %s never got %q of %s in %s, which was acknowledged", at.node, p.MsgID, short(p.Author), at.board)
		}
		if p.ackedAt == 0 && p.refused && l != nil && l.posts[p] {
			c.violate("I10", "node %s shows %q of %s in %s, which was refused", at.node, p.MsgID, short(p.Author), at.board)
		}
	}
}

// Report is a run in numbers.
type Report struct {
	Posted     int `json:"posted"`
	Acked      int `json:"acked"`
	Refused    int `json:"refused"`
	Unknown    int `json:"unknown"` // neither acknowledged nor refused: the caller does not know
	Visible    int `json:"visible"` // acknowledged posts that some list or reader has shown
	Lost       int `json:"lost"`    // acknowledged and missing in the newest list of a node, or from a complete reader
	Duplicates int `json:"duplicates"`
	OutOfOrder int `json:"out_of_order"`
	Late       int `json:"late"` // shown late, and said so
	Violations int `json:"violations"`
}

// Report counts what happened so far. Lost counts (post, node) pairs over all nodes that gave a list after the post was
// acknowledged, and (post, reader) pairs of Complete.
func (c *Checker) Report() Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := Report{Posted: len(c.posts), Lost: c.missed, Duplicates: c.duplicates, OutOfOrder: c.outOfOrder, Late: c.late, Violations: len(c.violations) + c.dropped}
	for _, p := range c.posts {
		switch {
		case p.ackedAt > 0:
			r.Acked++
			if len(p.seenBy) > 0 {
				r.Visible++
			}
		case p.refused:
			r.Refused++
		default:
			r.Unknown++
		}
	}
	for k, l := range c.lists {
		for _, p := range c.posts {
			if p.Board == k.board && p.ackedAt > 0 && p.ackedAt < l.at && c.mustSurvive(p) && !l.posts[p] {
				r.Lost++
			}
		}
	}
	return r
}
