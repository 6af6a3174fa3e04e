package trust

import (
	"bytes"
	"slices"

	"weft/board"
	"weft/team"

	weftv1 "weft/api/weft/v1"
)

// What somebody at a replica sees and would go by. It is guesswork on the structure alone: nobody here asks an evaluator,
// so that a wrong one can't lead the histories away from what would show it.

// objects that a replica holds, oldest first.
func (r *replica) objects() (out []*team.Object) {
	for _, h := range r.order {
		if h.Object != nil {
			out = append(out, h.Object)
		}
	}
	return out
}

// guess is the charter that a replica takes for the one that counts: of children the one that most have acked.
func (w *world) guess(r *replica) *team.Object {
	best := w.founding
	objects := r.objects()
	for {
		var next *team.Object
		most := 0
		for _, o := range objects {
			if o.Charter == nil || !bytes.Equal(o.Charter.Prev, best.Hash[:]) || o.Charter.Ver != best.Charter.Ver+1 {
				continue
			}
			by := map[string]bool{}
			for _, a := range objects {
				if a.Ack != nil && bytes.Equal(a.Ack.Charter, o.Hash[:]) {
					by[string(a.Ack.User)] = true
				}
			}
			if len(by) > most {
				next, most = o, len(by)
			}
		}
		if next == nil {
			return best
		}
		best = next
	}
}

// about are the operations and charters in the register of a user or node, as far as a replica holds any; heads those
// of them that no other names.
func (r *replica) about(id []byte) (all, heads [][]byte) {
	named := map[string]bool{}
	for _, o := range r.objects() {
		var parents [][]byte
		in := false
		if o.Charter != nil {
			for _, c := range o.Charter.Cuts {
				if bytes.Equal(c.User, id) {
					in, parents = true, append(parents, c.Parents...)
				}
			}
		}
		if s := o.Op.GetSet(); s != nil && bytes.Equal(s.User, id) {
			in, parents = true, s.Parents
		}
		if n := o.Op.GetNode(); n != nil && bytes.Equal(n.Node, id) {
			in, parents = true, n.Parents
		}
		if a := o.Op.GetAdmit(); a != nil && bytes.Equal(a.User, id) {
			in = true
		}
		if f := o.Op.GetFork(); f != nil && len(f.RecordA) == 168 && bytes.Equal(f.RecordA[16:48], id) {
			in = true
		}
		if in && !slices.ContainsFunc(all, func(h []byte) bool { return bytes.Equal(h, o.Hash[:]) }) {
			all = append(all, slices.Clone(o.Hash[:]))
		}
		for _, p := range parents {
			if in {
				named[string(p)] = true
			}
		}
	}
	for _, h := range all {
		if !named[string(h)] {
			heads = append(heads, h)
		}
	}
	return all, heads
}

// cut is what a replica would write of those whose things mine picks: all leaves of each log with one of them.
func (r *replica) cut(mine func(*Held) bool) *weftv1.Cut {
	type log struct {
		board board.ID
		node  board.NodeID
	}
	in, below := map[log]bool{}, map[board.Hash]bool{}
	for _, h := range r.order {
		below[h.Record.Prev.Hash] = true
		if mine(h) {
			in[log{h.Record.Board, h.Record.Node}] = true
		}
	}
	c := &weftv1.Cut{}
	for _, h := range r.order {
		if in[log{h.Record.Board, h.Record.Node}] && !below[h.Hash] {
			p := h.Record.Position()
			c.Positions = append(c.Positions, p.Wire())
		}
	}
	return c
}

// cutUser is the cut of a user: what they signed, and admissions by their invites.
func (r *replica) cutUser(u []byte) *weftv1.Cut {
	invites := map[string]bool{}
	for _, o := range r.objects() {
		if o.Op.GetInvite() != nil && bytes.Equal(o.Op.Author, u) {
			invites[string(o.Hash[:])] = true
		}
	}
	return r.cut(func(h *Held) bool {
		o := h.Object
		switch {
		case o == nil:
			return bytes.Equal(h.Entry.Header.Author[:], u)
		case o.Ack != nil:
			return bytes.Equal(o.Ack.User, u)
		case o.Op.GetAdmit() != nil:
			return invites[string(o.Op.GetAdmit().Invite)]
		}
		return o.Op != nil && bytes.Equal(o.Op.Author, u)
	})
}

// cutDevice is the cut of one device.
func (r *replica) cutDevice(k []byte) *weftv1.Cut {
	return r.cut(func(h *Held) bool {
		if h.Object != nil {
			return bytes.Equal(h.Object.Key[:], k)
		}
		return bytes.Equal(h.Entry.Header.Device[:], k)
	})
}

// cutNode is the cut of a node: its own logs, and those with admissions that it signed.
func (r *replica) cutNode(n []byte) *weftv1.Cut {
	return r.cut(func(h *Held) bool {
		return bytes.Equal(h.Record.Node[:], n) || h.Object != nil && bytes.Equal(h.Object.Key[:], n)
	})
}

// creds are the hashes that u might name as the right to write, oldest first; sensible: only what might allow it.
func (r *replica) creds(u board.UserID, sensible bool) (out []board.Hash) {
	for _, o := range r.objects() {
		switch {
		case sensible && o.Op.GetSet() != nil && team.Role(o.Op.GetSet().Role) < team.Member:
		case o.Charter != nil && (&charter{o.Charter, o.Hash}).power(u), o.Charter != nil && (&charter{o.Charter, o.Hash}).takes(u):
			out = append(out, o.Hash)
		case o.Op.GetSet() != nil && bytes.Equal(o.Op.GetSet().User, u[:]), o.Op.GetAdmit() != nil && bytes.Equal(o.Op.GetAdmit().User, u[:]):
			out = append(out, o.Hash)
		}
	}
	return out
}
