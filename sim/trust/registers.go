package trust

import (
	"bytes"
	"slices"

	"weft/board"
	"weft/team"

	weftv1 "weft/api/weft/v1"
)

// grant is a counting operation in the register of a user or node: it gives a role, or takes it.
type grant struct {
	hash    board.Hash
	role    team.Role // of nodes: Banned for denied, Member for allowed
	parents [][]byte
	cut     *weftv1.Cut
	recut   bool
	fork    *place // a denial by a fork: its cut is below the fork, and of that one log only
}

// ancestors of a grant: those that it names as parents and that count, and theirs.
func ancestors(register []grant, g grant, met Met) map[board.Hash]bool {
	out := map[board.Hash]bool{}
	for todo := []grant{g}; len(todo) > 0; todo = todo[1:] {
		for _, p := range todo[0].parents {
			for _, x := range register {
				if bytes.Equal(x.hash[:], p) && !out[x.hash] {
					out[x.hash] = true
					todo = append(todo, x)
					for _, y := range register {
						if x.fork != nil && y.proves(x.fork) {
							if y.hash != x.hash {
								met.mark("another proof of a named fork")
							}
							out[y.hash] = true
						}
					}
				}
			}
		}
	}
	return out
}

// proves says whether g is a proof of the same fork: who names one names all, or the same contradiction under another nonce
// would throw the node out again.
func (g grant) proves(f *place) bool {
	return g.fork != nil && g.fork.board == f.board && g.fork.Origin == f.Origin && g.fork.seq >= f.seq
}

// heads of a register are those that no other replaces.
func heads(register []grant, met Met) (out []grant) {
	replaced := map[board.Hash]bool{}
	for _, g := range register {
		for h := range ancestors(register, g, met) {
			replaced[h] = true
		}
	}
	for _, g := range register {
		if !replaced[g.hash] {
			out = append(out, g)
		}
	}
	return out
}

// nodeRegisters gathers what counts about nodes.
func (e *evaluation) nodeRegisters() {
	for _, o := range sorted(e.ops) {
		if e.st.Objects[o.hash] != valid {
			continue
		}
		if n := o.GetNode(); n != nil {
			g := grant{hash: o.hash, role: team.Member, parents: n.Parents, cut: n.Cut}
			if !n.Allowed {
				g.role = team.Banned
			}
			e.nodes[board.NodeID(n.Node)] = append(e.nodes[board.NodeID(n.Node)], g)
		}
		if f := o.GetFork(); f != nil {
			at, _ := forked(f)
			e.nodes[at.Node] = append(e.nodes[at.Node], grant{hash: o.hash, role: team.Banned, fork: &at, cut: at.below})
		}
	}
}

// denials of a node that hold.
func (e *evaluation) denials(n board.NodeID) (out []grant) {
	for _, g := range heads(e.nodes[n], e.met) {
		if g.role == team.Banned {
			out = append(out, g)
		}
	}
	return out
}

// spoiled says whether a record stands at or above a proven fork of its log: lifting the denial doesn't heal it.
func (e *evaluation) spoiled(h *Held) bool {
	for ; h != nil; h = e.held[h.Record.Prev.Hash] {
		for _, g := range e.nodes[h.Record.Node] {
			if g.fork != nil && g.fork.board == h.Record.Board && g.fork.Origin == h.Record.Origin && h.Record.Seq >= g.fork.seq {
				return true
			}
		}
	}
	return false
}

// recordCounts: not above a fork, under the cut of every denial, and at or below a counting seal of its epoch if there
// is any.
func (e *evaluation) recordCounts(h *Held) bool {
	counts, known := e.st.Counting[h.Hash]
	if !known {
		counts = e.weigh(h)
		e.st.Counting[h.Hash] = counts
	}
	return counts
}

func (e *evaluation) weigh(h *Held) bool {
	if e.spoiled(h) {
		if len(e.denials(h.Record.Node)) == 0 {
			e.met.mark("record above a fork of a node let in again")
		}
		return false
	}
	for _, g := range e.denials(h.Record.Node) {
		if g.fork == nil && !e.within(h, g.cut) {
			e.met.mark("record of a denied node above the cut")
			return false
		}
	}
	sealed := false
	for _, at := range e.held {
		if at.stretch() != h.stretch() {
			continue
		}
		for _, s := range e.seals[at.Hash] {
			if !e.recordCounts(s) {
				e.met.mark("seal by a record that does not count")
				continue
			}
			if sealed = true; e.below(h, at) {
				return true
			}
		}
	}
	if sealed {
		e.met.mark("record beyond a seal")
	}
	return !sealed
}

// userRegisters gathers what counts about people, admissions apart.
func (e *evaluation) userRegisters() {
	for _, o := range sorted(e.ops) {
		s := o.GetSet()
		if s == nil || e.st.Objects[o.hash] != valid {
			continue
		}
		g := grant{hash: o.hash, role: team.Role(s.Role), cut: s.Cut}
		if !o.leaves() { // a leave replaces nothing
			g.parents, g.recut = s.Parents, s.Recut
		}
		e.register[board.UserID(s.User)] = append(e.register[board.UserID(s.User)], g)
	}
	for _, c := range e.chain[1:] {
		for _, p := range c.Cuts {
			if u := board.UserID(p.User); c.takes(u) {
				e.register[u] = append(e.register[u], grant{hash: c.hash, role: team.Role(p.KeepAs), parents: p.Parents, cut: p.Cut})
			}
		}
	}
}

// accepts says whether an item is under a grant's cut, or under those that others put in its place.
func (e *evaluation) accepts(register []grant, g grant, i item) bool {
	mended := false
	for _, r := range register {
		if !r.recut || !slices.ContainsFunc(r.parents, func(p []byte) bool { return bytes.Equal(p, g.hash[:]) }) {
			continue
		}
		if mended = true; !e.accepts(register, r, i) {
			if e.under(i, g.cut) {
				e.met.mark("recut takes away")
			}
			return false
		}
	}
	if mended && !e.under(i, g.cut) {
		e.met.mark("recut gives back")
	}
	return mended || e.under(i, g.cut)
}

// roles of everybody, and from them who may receive.
func (e *evaluation) roles() {
	for u, register := range e.register {
		role := team.None
		for _, g := range heads(register, e.met) {
			role = min(role, g.role)
		}
		e.st.Roles[u] = role
	}
	head := e.chain[len(e.chain)-1]
	for _, u := range head.powers() {
		e.st.Roles[u] = head.role(u)
	}
	in := map[board.NodeID]bool{}
	for _, n := range head.Relays {
		in[board.NodeID(n)] = true
	}
	for u, r := range e.st.Roles {
		p := e.person(u)
		if r < team.Reader || p.head() == nil {
			continue
		}
		for _, n := range p.head().Homes {
			in[board.NodeID(n)] = in[board.NodeID(n)] || p.accepted[key(n)]
		}
	}
	for n := range in {
		if in[n] && len(e.denials(n)) == 0 {
			e.st.Nodes = append(e.st.Nodes, n)
		}
	}
	slices.SortFunc(e.st.Nodes, func(a, b board.NodeID) int { return bytes.Compare(a[:], b[:]) })
}
