package team

import (
	"slices"

	"weft/board"
)

// entry is a member of a person's register: a counting set, admission, or charter that takes power.
type entry struct {
	*fact
	role Role
}

// parents in the register. Leaving replaces nothing.
func (x entry) parents(u board.UserID) []board.Hash {
	switch k := x.says.(type) {
	case *setSays:
		if x.author != u {
			return k.parents
		}
	case *charterSays:
		return k.cutOf(u).parents
	}
	return nil
}

// cut of what takes rights; nil: nothing was accepted.
func (x entry) cut(u board.UserID) *Cut {
	switch k := x.says.(type) {
	case *setSays:
		return k.cut
	case *charterSays:
		return k.cutOf(u).cut
	}
	return nil
}

// recut says that its cut stands in the place of those of its parents.
func (x entry) recut(u board.UserID) bool {
	k, ok := x.says.(*setSays)
	return ok && k.recut && x.author != u
}

// register is a person's register, evaluated (trust §6, §7).
type register struct {
	user    board.UserID
	entries []entry // by hash
	graph   *graph
}

func newRegister(u board.UserID, entries []entry) *register {
	return &register{u, entries, newGraph(len(entries),
		func(i int) []board.Hash { return entries[i].parents(u) }, func(i int) board.Hash { return entries[i].hash }, nil)}
}

// heads are the entries that no other one replaces.
func (r *register) heads() (out []int) {
	for i := range r.entries {
		if !r.graph.replaced(i) {
			out = append(out, i)
		}
	}
	return out
}

// role is the most restrictive of the heads; None without any.
func (r *register) role() Role {
	role := None
	for _, i := range r.heads() {
		role = min(role, r.entries[i].role)
	}
	return role
}

// need is what an entry has to fulfil because somebody was restricted: to be under all of the cuts (one, unless several
// people mended it at once).
type need struct {
	cuts []*Cut
	rule rule
}

func (n need) equal(m need) bool { return n.rule == m.rule && slices.Equal(n.cuts, m.cuts) }

// credential is a right to write, and the role that it gives. needs are those of the restrictions that it does not descend from.
type credential struct {
	hash  board.Hash
	role  Role
	needs []need
}

func compareCredential(c credential, h board.Hash) int { return compareHashes(c.hash, h) }

// credentials are the rights that the register gives, by hash.
func (r *register) credentials() []credential {
	out := make([]credential, len(r.entries))
	var limits []int // restrictions, ancestors first
	for i, x := range r.entries {
		out[i] = credential{hash: x.hash, role: x.role}
	}
	for _, i := range r.graph.sorted() {
		if r.entries[i].role < Member {
			limits = append(limits, i)
		}
	}
	if len(limits) == 0 {
		return out
	}
	all := make([]need, len(limits))
	mended := r.mended()
	for n, i := range limits {
		all[n] = need{mended(i), removedBy(r.entries[i].role)}
	}
	for i := range out {
		if out[i].role >= Member {
			out[i].needs = r.needs(i, limits, all)
		}
	}
	return out
}

// needs of the right at i. Along a history in which each change names the one before they are the end of the list, which is
// then shared.
func (r *register) needs(i int, limits []int, all []need) (out []need) {
	n := 0
	for _, l := range limits {
		if !r.graph.ancestor(l, i) {
			n++
		}
	}
	tail := limits[len(limits)-n:]
	if !slices.ContainsFunc(tail, func(l int) bool { return r.graph.ancestor(l, i) }) {
		return all[len(limits)-n:]
	}
	for k, l := range limits {
		if !r.graph.ancestor(l, i) {
			out = append(out, all[k])
		}
	}
	return out
}

// mended gives the cuts that hold for an entry: its own, or those of the counting recuts that name it, mended likewise.
func (r *register) mended() func(i int) []*Cut {
	recuts := make([][]int, len(r.entries))
	any := false
	for k, x := range r.entries {
		if !x.recut(r.user) {
			continue
		}
		for _, p := range r.graph.parents[k] {
			recuts[p], any = append(recuts[p], k), true
		}
	}
	memo := make([][]*Cut, len(r.entries))
	var find func(i int) []*Cut
	find = func(i int) []*Cut {
		if memo[i] == nil {
			if len(recuts[i]) == 0 {
				memo[i] = []*Cut{r.entries[i].cut(r.user)}
			}
			for _, k := range recuts[i] {
				for _, c := range find(k) {
					if !slices.Contains(memo[i], c) {
						memo[i] = append(memo[i], c)
					}
				}
			}
		}
		return memo[i]
	}
	if !any {
		return func(i int) []*Cut { return []*Cut{r.entries[i].cut(r.user)} }
	}
	return find
}
