package trust

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"weft/board"
	"weft/team"

	weftv1 "weft/api/weft/v1"
)

func (w *world) invite() string {
	r := w.at()
	c := w.under(r)
	a, admitter := w.powerful(c), w.at()
	i := &weftv1.Invite{Key: bytesOf(keyOf("invite")), Role: pick(w, []weftv1.Role{2, 4, 4}), Admitter: admitter.node[:], Quota: uint32(1 + w.rnd.IntN(3))}
	o := w.operation(a.id[:], c.Hash, w.hand(a), &weftv1.Operation{Team: w.otherTeam(), Kind: &weftv1.Operation_Invite{Invite: i}})
	return w.done(r, o, "invite", fmt.Sprintf("for %d %ss at %s", i.Quota, team.Role(i.Role), admitter.name))
}

// anInvite is one that r holds, or sometimes anything else.
func (w *world) anInvite(r *replica) *team.Object {
	var list []*team.Object
	for _, o := range r.objects() {
		if o.Op.GetInvite() != nil {
			list = append(list, o)
		}
	}
	if w.chance(3) {
		list = nil
		for _, h := range w.all {
			if h.Object != nil {
				list = append(list, h.Object)
			}
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list[len(list)-1-min(w.rnd.IntN(len(list)), w.rnd.IntN(len(list)))]
}

func (w *world) uninvite() string {
	r := w.at()
	c, i := w.under(r), w.anInvite(r)
	if i == nil {
		return ""
	}
	a := w.powerful(c)
	u := &weftv1.Uninvite{Invite: i.Hash[:], Cut: w.cutting(r, func(r *replica) *weftv1.Cut { return r.cutNode(i.Op.GetInvite().GetAdmitter()) })}
	o := w.operation(a.id[:], c.Hash, w.hand(a), &weftv1.Operation{Team: w.otherTeam(), Kind: &weftv1.Operation_Uninvite{Uninvite: u}})
	return w.done(r, o, "uninvite", w.nameOf(i.Hash[:]), w.cutText(u.Cut))
}

func (w *world) admit() string {
	r := w.at()
	i := w.anInvite(r)
	if i == nil {
		return ""
	}
	admitter := r
	for _, x := range w.replicas {
		if n := i.Op.GetInvite().GetAdmitter(); string(x.node[:]) == string(n) && w.chance(85) {
			admitter = x
		}
	}
	if w.chance(85) {
		r = admitter
	}
	u := pick(w, w.people)
	proof := sha256.Sum256(slices.Concat(w.team[:], u.id[:], u.id[:], admitter.node[:]))
	by := keyOf("invite")
	if w.chance(5) {
		by = keyOf("no invite")
	}
	s := by.SignHash(board.SignInvite, proof)
	m := &weftv1.Operation{Team: w.otherTeam(), Kind: &weftv1.Operation_Admit{Admit: &weftv1.Admit{Invite: i.Hash[:], User: u.id[:], UserCharter: u.id[:], InviteSignature: s[:]}}}
	o := w.operation(admitter.node[:], w.under(r).Hash, admitter.key, m)
	return w.done(r, o, "admit", u.name, "by", w.nameOf(i.Hash[:]))
}

func (w *world) floor() string {
	r := w.at()
	if len(r.order) == 0 {
		return ""
	}
	h := pick(w, r.order)
	p := h.Record.Position()
	author, k := r.node[:], r.key
	if w.chance(60) {
		for _, x := range w.replicas {
			if x.node == h.Record.Node {
				author, k = x.node[:], x.key
			}
		}
	} else if w.chance(20) {
		k = w.hand(pick(w, w.people)) // somebody else in the node's name
	} else if w.chance(60) {
		a := w.powerful(w.guess(r))
		author, k = a.id[:], w.hand(a)
	}
	o := w.operation(author, w.under(r).Hash, k, &weftv1.Operation{Team: w.otherTeam(), Kind: &weftv1.Operation_Floor{Floor: &weftv1.Floor{Position: p.Wire()}}})
	return w.done(r, o, "floor", w.place[h.Hash])
}

// fork lets a node write two contents under one seq.
func (w *world) fork() string {
	r := w.at()
	id := pick(w, []board.ID{board.GeneralID(w.team), board.GovernanceID(w.team)})
	var entries []*board.Entry
	for _, h := range r.order {
		if h.Record.Board == id {
			entries = append(entries, h.Entry)
		}
	}
	if len(entries) == 0 {
		return ""
	}
	below := r.tips[id]
	text := ""
	for n := 1 + w.rnd.IntN(3); n >= 0; n-- {
		r.tips[id] = below
		if below != nil && below.Record.Epoch != r.epoch && w.chance(10) {
			r.tips[id] = nil // the first record of an epoch, that seals something else
		}
		h := w.record(r, pick(w, entries))
		w.place[h.Hash] += string(rune('a' + n))
		text += " " + w.place[h.Hash]
	}
	return r.name + " writes two contents under one number:" + text
}

// proof that a node forked, true or not.
func (w *world) proof() string {
	r, a := w.at(), pick(w, w.people)
	var one, two *Held
	for _, x := range w.all {
		for _, y := range w.all {
			if x.stretch() == y.stretch() && x.Record.Seq == y.Record.Seq && x.Hash != y.Hash && (one == nil || w.chance(20)) {
				one, two = x, y
			}
		}
	}
	switch {
	case one == nil && w.chance(70), len(w.all) == 0:
		return ""
	case one == nil:
		one, two = pick(w, w.all), pick(w, w.all)
	case w.chance(10):
		two = one
	}
	var k board.Key
	for _, x := range w.replicas {
		if x.node == one.Record.Node {
			k = x.key
		}
	}
	if w.chance(5) {
		k = r.key
	}
	p := &weftv1.ForkProof{RecordA: one.Record.Append(nil), RecordB: two.Record.Append(nil)}
	p.RestA, p.HeadSignatureA = w.rest(one, k)
	p.RestB, p.HeadSignatureB = w.rest(two, k)
	o := w.operation(a.id[:], w.under(r).Hash, w.hand(a), &weftv1.Operation{Team: w.otherTeam(), Kind: &weftv1.Operation_Fork{Fork: p}})
	return w.done(r, o, "fork", w.place[one.Hash], w.place[two.Hash])
}

// rest of a chain above a record, up to a head that the node signs.
func (w *world) rest(h *Held, k board.Key) (rest, signature []byte) {
	for range w.rnd.IntN(3) {
		for _, x := range w.all {
			if x.Record.Prev.Hash == h.Hash && x.Record.Epoch == h.Record.Epoch {
				rest = binary.BigEndian.AppendUint64(append(rest, x.Record.Entry[:]...), uint64(x.Record.Received))
				h = x
				break
			}
		}
	}
	s := board.SignHead(k, h.Record.Position())
	return rest, s[:]
}

// countersign has an object signed by one more key.
func (w *world) countersign() string {
	r := w.at()
	list := r.objects()
	if len(list) == 0 {
		return ""
	}
	o := pick(w, list)
	a := pick(w, w.people)
	label := map[board.Kind]string{board.KindCharter: board.SignCharter, board.KindAck: board.SignAck, board.KindOperation: board.SignOperation}[o.Kind]
	switch {
	case o.Op != nil:
		a = w.actor(o.Op.Author)
	case o.Ack != nil:
		a = w.actor(o.Ack.User)
	}
	return w.done(r, sign(o.Kind, label, o.Raw, w.hand(a)), "object")
}

// heldBack brings out an object that was signed long ago.
func (w *world) heldBack() string {
	if len(w.drawer) == 0 {
		return ""
	}
	n := w.rnd.IntN(len(w.drawer))
	o, r := w.drawer[n], w.at()
	w.drawer = slices.Delete(w.drawer, n, n+1)
	return w.nameOf(o.Hash[:]) + " comes out at " + w.place[w.put(r, o).Hash]
}
