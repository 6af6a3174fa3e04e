package trust

import (
	"fmt"
	"slices"
	"strings"

	"weft/board"
	"weft/team"

	weftv1 "weft/api/weft/v1"
)

// action is one thing that may happen in a history; it says in words what it did, "" if nothing.
type action struct {
	name   string
	weight int
	do     func(*world) string
}

var actions = []action{
	{"post", 26, (*world).post},
	{"set", 16, (*world).set},
	{"removal", 4, (*world).removal},
	{"leave", 2, (*world).leave},
	{"charter", 10, (*world).charter},
	{"ack", 6, (*world).ack},
	{"identity", 8, (*world).identity},
	{"again", 3, (*world).presentAgain},
	{"invite", 5, (*world).invite},
	{"uninvite", 2, (*world).uninvite},
	{"admit", 12, (*world).admit},
	{"node", 3, (*world).allow},
	{"board", 2, (*world).board},
	{"request", 1, (*world).request},
	{"floor", 1, (*world).floor},
	{"fork", 2, (*world).fork},
	{"proof", 3, (*world).proof},
	{"countersign", 2, (*world).countersign},
	{"held back", 3, (*world).heldBack},
	{"re-record", 5, (*world).reRecord},
	{"restart", 4, func(w *world) string { r := w.at(); w.restart(r); return r.name + " restarts" }},
	{"rollback", 2, (*world).rollback},
	{"clone", 1, (*world).clone},
	{"backdate", 1, (*world).backdate},
	{"sync", 14, (*world).exchange},
	{"split", 2, (*world).split},
}

func (w *world) chance(percent int) bool { return w.rnd.IntN(100) < percent }

func pick[T any](w *world, l []T) T { return l[w.rnd.IntN(len(l))] }

func (w *world) at() *replica { return pick(w, w.replicas) }

// powerful is somebody who has power in a charter, mostly.
func (w *world) powerful(c *team.Object) *actor {
	if w.chance(12) || len(c.Charter.Owners) == 0 {
		return pick(w, w.people)
	}
	ids := append(slices.Clone(c.Charter.Owners), c.Charter.Admins...)
	return w.actor(pick(w, ids))
}

func (w *world) actor(id []byte) *actor {
	for _, a := range w.people {
		if string(a.id[:]) == string(id) {
			return a
		}
	}
	return pick(w, w.people)
}

// hand is the key with which somebody signs: mostly a device of theirs; sometimes the recovery key, a removed device, or
// somebody else's.
func (w *world) hand(a *actor) board.Key {
	switch n := w.rnd.IntN(100); {
	case n < 3:
		a = pick(w, w.people)
	case n < 15:
		v := pick(w, a.shown)
		return a.keys[key(pick(w, v.Keys))]
	}
	if keys := a.newest.Keys; len(keys) > 1 {
		return a.keys[key(pick(w, keys[1:]))]
	}
	return a.keys[key(a.newest.Keys[0])]
}

// under is the charter that an operation at r names.
func (w *world) under(r *replica) *team.Object {
	from := r.objects()
	switch n := w.rnd.IntN(100); {
	case n < 78 || len(from) == 0:
		return w.guess(r)
	case n < 83:
		from = nil
		for _, h := range w.all {
			if h.Object != nil {
				from = append(from, h.Object)
			}
		}
	}
	var charters []*team.Object
	for _, o := range from {
		if o.Charter != nil {
			charters = append(charters, o)
		}
	}
	if len(charters) == 0 || w.chance(3) {
		return &team.Object{Hash: board.Hash{9}, Charter: w.founding.Charter}
	}
	return pick(w, charters)
}

// parents of an operation on a user or node, and whether it names what it should.
func (w *world) parents(r *replica, id []byte) [][]byte {
	all, heads := r.about(id)
	switch n := w.rnd.IntN(100); {
	case n < 55:
		return heads
	case n < 70:
		return nil
	case n < 80:
		return all
	case n < 95:
		return slices.DeleteFunc(all, func([]byte) bool { return w.chance(50) })
	}
	if o := r.objects(); len(o) > 0 {
		h := pick(w, o).Hash
		return [][]byte{h[:]}
	}
	return nil
}

// cutting is the cut that somebody at r writes: honest, empty, by what another replica held, or hostile.
func (w *world) cutting(r *replica, of func(*replica) *weftv1.Cut) *weftv1.Cut {
	switch n := w.rnd.IntN(100); {
	case n < 74:
		return of(r)
	case n < 84:
		return nil
	case n < 97:
		return of(w.at())
	}
	c := of(r)
	for _, p := range c.Positions {
		switch w.rnd.IntN(4) {
		case 0:
			p.Seq++
		case 1:
			p.Hash = make([]byte, 32)
			p.Hash[0] = 7
		case 2:
			p.Node = slices.Clone(w.at().node[:])
		}
	}
	return c
}

// done records an object at r, or keeps it for later, and says so.
func (w *world) done(r *replica, o *team.Object, what string, words ...string) string {
	if o == nil {
		return ""
	}
	name := w.name(o.Hash, what)
	where := "kept back"
	if len(w.drawer) < 8 && w.chance(4) {
		w.drawer = append(w.drawer, o)
	} else {
		where = "at " + w.place[w.put(r, o).Hash]
	}
	by := w.device(o.Key[:])
	text := fmt.Sprintf("%s by %s %s", name, by, strings.Join(words, " "))
	if o.Op != nil {
		if a := w.who(o.Op.Author); !strings.HasPrefix(by, a) {
			text += " in the name of " + a
		}
		text += " under " + w.nameOf(o.Op.Charter)
		if string(o.Op.Team) != string(w.team[:]) {
			text += " of another team"
		}
	}
	return text + " " + where
}

func (w *world) otherTeam() []byte {
	if w.chance(1) {
		return make([]byte, 32)
	}
	return nil
}

var roles = []team.Role{team.Banned, team.Removed, team.Removed, team.Reader, team.Muted, team.Member, team.Member, team.Member}

func (w *world) set() string {
	r := w.at()
	c := w.under(r)
	a, target, role := w.powerful(c), pick(w, w.people), pick(w, roles)
	for n := 0; n < 4 && ((&charter{c.Charter, c.Hash}).power(target.id) || n < 2 && len(r.creds(target.id, true)) == 0); n++ { // who has power can't be set
		target = pick(w, w.people)
	}
	s := &weftv1.SetRole{User: target.id[:], Role: weftv1.Role(role), Parents: w.parents(r, target.id[:])}
	if role < team.Member || w.chance(10) {
		s.Cut = w.cutting(r, func(r *replica) *weftv1.Cut { return r.cutUser(target.id[:]) })
	}
	if all, _ := r.about(target.id[:]); len(all) > 0 && w.chance(40) {
		s.Parents = nil
		for _, h := range all { // what a cut of it may be mended, and what might be lifted with it
			if w.chance(60) {
				s.Parents = append(s.Parents, h)
			}
		}
	}
	if len(s.Parents) > 0 && w.chance(25) {
		s.Recut, s.Cut = true, w.cutting(w.at(), func(r *replica) *weftv1.Cut { return r.cutUser(target.id[:]) })
	}
	o := w.operation(a.id[:], c.Hash, w.hand(a), &weftv1.Operation{Team: w.otherTeam(), Kind: &weftv1.Operation_Set{Set: s}})
	words := []string{target.name, "to", role.String(), w.list(s.Parents), w.cutText(s.Cut)}
	if s.Recut {
		words = append(words, "recut")
	}
	return w.done(r, o, "set", words...)
}

func (w *world) leave() string {
	r := w.at()
	a := pick(w, w.people)
	s := &weftv1.SetRole{User: a.id[:], Role: weftv1.Role_ROLE_REMOVED, Cut: w.cutting(r, func(r *replica) *weftv1.Cut { return r.cutUser(a.id[:]) })}
	if w.chance(30) {
		s.Parents, s.Recut = w.parents(r, a.id[:]), w.chance(50)
	}
	o := w.operation(a.id[:], w.under(r).Hash, w.hand(a), &weftv1.Operation{Kind: &weftv1.Operation_Set{Set: s}})
	return w.done(r, o, "leave", w.list(s.Parents), w.cutText(s.Cut))
}

// allow, or deny, a node.
func (w *world) allow() string {
	r := w.at()
	c := w.under(r)
	a, target := w.powerful(c), w.at()
	n := &weftv1.SetNode{Node: target.node[:], Allowed: w.chance(45), Parents: w.parents(r, target.node[:])}
	word := "allowed"
	if !n.Allowed {
		word, n.Cut = "denied", w.cutting(r, func(r *replica) *weftv1.Cut { return r.cutNode(target.node[:]) })
	}
	o := w.operation(a.id[:], c.Hash, w.hand(a), &weftv1.Operation{Team: w.otherTeam(), Kind: &weftv1.Operation_Node{Node: n}})
	return w.done(r, o, "node", target.name, word, w.list(n.Parents), w.cutText(n.Cut))
}

func (w *world) board() string {
	r := w.at()
	c := w.under(r)
	a := w.powerful(c)
	b := &weftv1.CreateBoard{Name: "b", WriteRole: pick(w, []uint32{0, 0, 4, 5, 6})}
	o := w.operation(a.id[:], c.Hash, w.hand(a), &weftv1.Operation{Team: w.otherTeam(), Kind: &weftv1.Operation_Board{Board: b}})
	w.boards = append(w.boards, board.OperationBoardID(o.Raw))
	return w.done(r, o, "board", "for", team.Role(b.WriteRole).String())
}

func (w *world) request() string {
	r, a := w.at(), pick(w, w.people)
	m := &weftv1.Operation{Team: w.otherTeam(), Kind: &weftv1.Operation_Request{Request: &weftv1.JoinRequest{Note: "hello"}}}
	if w.chance(15) {
		m.Kind = nil // of a later version
		m.ProtoReflect().SetUnknown([]byte{0xf2, 0x06, 0})
	}
	return w.done(r, w.operation(a.id[:], w.under(r).Hash, w.hand(a), m), "request")
}

func (w *world) list(parents [][]byte) string {
	var s []string
	for _, p := range parents {
		s = append(s, w.nameOf(p))
	}
	return "over [" + strings.Join(s, " ") + "]"
}

func (w *world) cutText(c *weftv1.Cut) string {
	var s []string
	for _, p := range c.GetPositions() {
		b := "gov"
		if string(p.Board) != string(w.governance()) {
			b = fmt.Sprintf("%x", p.Board[:2])
		}
		at := w.place[board.Hash(p.Hash)]
		if at == "" {
			at = fmt.Sprintf("?%d.%d", p.Epoch, p.Seq)
		}
		s = append(s, b+"/"+at)
	}
	return "cut {" + strings.Join(s, " ") + "}"
}

func (w *world) governance() []byte { g := board.GovernanceID(w.team); return g[:] }
