package team

import "weft/board"

// graph says which members of a register replace which others, by their parents. Parents that are no members, since they
// do not count, lead nowhere. It is free of cycles because a hash names what was there before.
type graph struct {
	parents [][]int
	above   [][]uint64 // of each member the set of its ancestors; nil: not made, or none
	order   []int      // members, ancestors first
	over    []uint64   // members that another one replaces
}

// newGraph of n members. also, if not nil, tells which others are named along with one.
func newGraph(n int, parents func(int) []board.Hash, hash func(int) board.Hash, also func(named int, also func(int))) *graph {
	g := &graph{parents: make([][]int, n)}
	var index map[board.Hash]int
	named := false
	for i := range n {
		for _, p := range parents(i) {
			if index == nil {
				index = make(map[board.Hash]int, n)
				for j := range n {
					index[hash(j)] = j
				}
			}
			j, held := index[p]
			if !held {
				continue
			}
			named = true
			g.parents[i] = append(g.parents[i], j)
			if also != nil {
				also(j, func(k int) { g.parents[i] = append(g.parents[i], k) })
			}
		}
	}
	if !named {
		return g
	}
	g.above, g.over = make([][]uint64, n), make([]uint64, (n+63)/64)
	done := make([]bool, n)
	for i := range n {
		g.close(i, done)
	}
	return g
}

// close computes the ancestors of i.
func (g *graph) close(i int, done []bool) {
	if done[i] {
		return
	}
	done[i] = true
	for _, p := range g.parents[i] {
		g.close(p, done)
		if g.above[i] == nil {
			g.above[i] = make([]uint64, len(g.over))
		}
		g.above[i][p/64] |= 1 << (p % 64)
		for w, bits := range g.above[p] {
			g.above[i][w] |= bits
		}
	}
	for w, bits := range g.above[i] {
		g.over[w] |= bits
	}
	g.order = append(g.order, i)
}

// ancestor says whether a is an ancestor of i.
func (g *graph) ancestor(a, i int) bool {
	return g.above != nil && g.above[i] != nil && g.above[i][a/64]&(1<<(a%64)) != 0
}

// replaced says whether another member replaces i.
func (g *graph) replaced(i int) bool { return g.over != nil && g.over[i/64]&(1<<(i%64)) != 0 }

// sorted are all members, ancestors first.
func (g *graph) sorted() []int {
	if g.order == nil {
		for i := range g.parents {
			g.order = append(g.order, i)
		}
	}
	return g.order
}
