package team

import (
	"slices"

	"weft/board"
)

// node is what an Evaluator knows of a node.
type node struct {
	id       board.NodeID
	ops      []*item                // on this node, whether or not they count: its register, once they do
	tickets  map[board.Hash]*ticket // invites that it answers for
	denied   bool
	cuts     []*Cut  // of the denials that hold: a record counts only under all of them
	accepted []*Cut  // likewise of admissions; forks of the governance log say something about these
	forks    []*fact // counting proofs, by board, epoch, seq and hash
	heads    []board.Hash
	spoilt   []*record // linked governance records at the lowest fork of each epoch
	gen      uint32    // of what is remembered of which records count
}

// admits notes an invite that the node answers for.
func (n *node) admits(invite board.Hash, t *ticket) {
	if n.tickets == nil {
		n.tickets = map[board.Hash]*ticket{}
	}
	n.tickets[invite] = t
}

// recount has the admissions of the node put in order again, since other records of it may count.
func (n *node) recount(e *Evaluator) {
	n.gen++
	for _, t := range n.tickets {
		t.again = true
		e.stale.tickets[t] = struct{}{}
		e.stale.any = true
	}
}

// judgeNode evaluates a node's register: of the counting operations on it and proofs against it, those that no other
// names hold. Who names a proof names the contradiction: all proofs of it at or above that place.
func (e *Evaluator) judgeNode(n *node) {
	var l []*item
	n.forks = nil
	for _, it := range n.ops {
		if it.valid() {
			l = append(l, it)
			if it.act == actFork {
				n.forks = append(n.forks, it.fact)
			}
		}
	}
	slices.SortFunc(l, compareItems)
	slices.SortFunc(n.forks, compareForks)
	g := newGraph(len(l), func(i int) []board.Hash {
		if k, ok := l[i].says.(*nodeSays); ok {
			return k.parents
		}
		return nil
	}, func(i int) board.Hash { return l[i].hash }, func(named int, also func(int)) {
		f, ok := l[named].says.(*forkSays)
		if !ok {
			return
		}
		for i, it := range l {
			if o, ok := it.says.(*forkSays); ok && o.Board == f.Board && o.Epoch == f.Epoch && o.Seq >= f.Seq {
				also(i)
			}
		}
	})
	n.denied, n.cuts, n.accepted, n.heads = false, nil, nil, nil
	for i, it := range l {
		if g.replaced(i) {
			continue
		}
		n.heads = append(n.heads, it.hash)
		switch k := it.says.(type) {
		case *nodeSays:
			if !k.allowed {
				n.denied = true
				n.cuts, n.accepted = append(n.cuts, k.cut), append(n.accepted, k.cut)
			}
		case *forkSays:
			n.denied = true
			if k.Board == e.logs.governance {
				n.accepted = append(n.accepted, k.below)
			}
		}
	}
	e.spoil(n)
	n.recount(e)
	e.renewed.nodes = true
}

func compareForks(a, b *fact) int {
	x, y := &a.says.(*forkSays).Fork, &b.says.(*forkSays).Fork
	p := func(f *Fork) board.Position {
		return board.Position{Board: f.Board, Node: f.Node, Epoch: f.Epoch, Seq: f.Seq, Hash: f.Op}
	}
	return comparePositions(p(x), p(y))
}

// points are the lowest proven forks of each epoch in a board, by epoch.
func points(forks []*fact, b board.ID) (out []board.Point) {
	for _, f := range forks {
		k := f.says.(*forkSays)
		if k.Board != b || len(out) > 0 && out[len(out)-1].Epoch == k.Epoch {
			continue
		}
		out = append(out, board.Point{Epoch: k.Epoch, Seq: k.Seq})
	}
	return out
}
