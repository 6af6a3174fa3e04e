package trust

import (
	"bytes"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"weft/board"
	"weft/team"

	weftv1 "weft/api/weft/v1"
)

// draft is a child of p with another composition.
func (w *world) draft(r *replica, p *team.Object) (*weftv1.TeamCharter, string) {
	c := proto.Clone(p.Charter).(*weftv1.TeamCharter)
	c.Team, c.Prev, c.Ver, c.Cuts, c.Nonce = w.team[:], p.Hash[:], p.Charter.Ver+1, nil, w.fresh()
	out := func(l [][]byte, x []byte) [][]byte {
		return slices.DeleteFunc(slices.Clone(l), func(y []byte) bool { return bytes.Equal(x, y) })
	}
	x := pick(w, w.people)
	id := x.id[:]
	word := ""
	switch n := w.rnd.IntN(100); {
	case n < 20:
		word, c.Owners, c.Admins = x.name+" becomes admin", out(c.Owners, id), append(out(c.Admins, id), id)
	case n < 38:
		word, c.Owners, c.Admins = x.name+" becomes owner", append(out(c.Owners, id), id), out(c.Admins, id)
	case n < 56 && len(c.Admins) > 0:
		id = pick(w, c.Admins)
		word, c.Admins = w.who(id)+" is no admin any more", out(c.Admins, id)
	case n < 70 && len(c.Owners) > 1:
		id = pick(w, c.Owners)
		word, c.Owners = w.who(id)+" is no owner any more", out(c.Owners, id)
	case n < 80:
		word, c.Owners, c.Admins = "handed over to "+x.name, [][]byte{id}, out(c.Admins, id)
	case n < 86:
		word, c.Owners = "other seniority", slices.Clone(c.Owners)
		slices.Reverse(c.Owners)
	default:
		word = "as before"
	}
	if w.chance(10) {
		n := w.at().node
		c.Relays = append(out(c.Relays, n[:]), n[:])
	}
	return c, word
}

// cuts of everybody who loses power by c; with faults.
func (w *world) cuts(r *replica, p, c *weftv1.TeamCharter) (words []string) {
	now := &charter{c, board.Hash{}}
	lose := func(id []byte) bool { return !now.power(board.UserID(id)) }
	ids := slices.DeleteFunc(append(slices.Clone(p.Owners), p.Admins...), func(id []byte) bool { return !lose(id) })
	if x := pick(w, w.people); w.chance(6) && !slices.ContainsFunc(ids, func(id []byte) bool { return bytes.Equal(id, x.id[:]) }) {
		ids = append(ids, x.id[:])
	}
	for _, id := range ids {
		if w.chance(5) {
			words = append(words, "without a cut of "+w.who(id))
			continue
		}
		k := &weftv1.PowerCut{User: id, KeepAs: weftv1.Role(pick(w, roles)), Parents: w.parents(r, id)}
		k.Cut = w.cutting(r, func(r *replica) *weftv1.Cut { return r.cutUser(id) })
		c.Cuts = append(c.Cuts, k)
		words = append(words, w.who(id), "stays", team.Role(k.KeepAs).String(), w.list(k.Parents), w.cutText(k.Cut))
	}
	return words
}

func (w *world) charter() string {
	r := w.at()
	p := w.guess(r)
	if w.chance(25) {
		p = w.under(r)
	}
	if len(p.Charter.Owners) == 0 {
		return ""
	}
	c, word := w.draft(r, p)
	words := append([]string{"after " + w.nameOf(p.Hash[:]) + ":", word}, w.cuts(r, p.Charter, c)...)
	switch n := w.rnd.IntN(100); {
	case n < 3:
		c.Ver++
		words = append(words, "version jump")
	case n < 5:
		c.Team = make([]byte, 32)
		words = append(words, "of another team")
	case n < 6:
		c.Rules = team.Rules + 1
		words = append(words, "needs newer rules")
	case n < 8:
		c.Successor = make([]byte, 32)
		words = append(words, "closed")
	}
	a := w.actor(pick(w, p.Charter.Owners))
	o := sign(board.KindCharter, board.SignCharter, encode(c), w.hand(a))
	if o == nil {
		return ""
	}
	text := w.done(r, o, "charter", words...)
	if w.chance(70) { // most are agreed to
		text += "\n        " + w.ackBy(r, w.actor(p.Charter.Owners[0]), o)
	}
	for range w.rnd.IntN(4) {
		text += "\n        " + w.ackOf(r, p, o)
	}
	return text
}

// ackOf has somebody with power in p ack c.
func (w *world) ackOf(r *replica, p, c *team.Object) string {
	a := w.powerful(p)
	if w.chance(35) {
		a = w.actor(p.Charter.Owners[0])
	}
	return w.ackBy(r, a, c)
}

func (w *world) ackBy(r *replica, a *actor, c *team.Object) string {
	o := sign(board.KindAck, board.SignAck, encode(&weftv1.Ack{Charter: c.Hash[:], User: a.id[:]}), w.hand(a))
	return w.done(r, o, "ack", "of", w.nameOf(c.Hash[:]), "for", a.name)
}

func (w *world) ack() string {
	r := w.at()
	var charters []*team.Object
	for _, o := range r.objects() {
		if o.Charter != nil && o.Charter.Ver > 1 {
			charters = append(charters, o)
		}
	}
	if len(charters) == 0 {
		return ""
	}
	c, p := pick(w, charters), w.founding
	for _, o := range r.objects() {
		if o.Charter != nil && bytes.Equal(o.Hash[:], c.Charter.Prev) && len(o.Charter.Owners) > 0 {
			p = o
		}
	}
	return w.ackOf(r, p, c)
}

// identity makes a version of somebody's charter and shows it.
func (w *world) identity() string {
	r, a := w.at(), pick(w, w.people)
	base := a.newest
	if w.chance(25) {
		base = pick(w, a.shown)
	}
	m := proto.Clone(base.UserCharter).(*weftv1.UserCharter)
	m.User, m.Ver, m.Prev, m.Nonce = a.id[:], base.Ver+1, base.hash[:], w.fresh()
	at := len(m.Keys) - 1 // the first key that changes
	word := ""
	switch n := w.rnd.IntN(100); {
	case n < 30 && a.made < 7:
		a.made++
		k := keyOf(a.name + "/" + string(rune('2'+a.made)))
		a.keys[k.Public()] = k
		word, m.Keys = "adds "+a.name+"/"+string(rune('2'+a.made)), append(m.Keys, bytesOf(k))
	case n < 75 && len(m.Keys) > 2:
		at = 1 + w.rnd.IntN(len(m.Keys)-1)
		word = "removes " + w.device(m.Keys[at])
		m.Keys = slices.Delete(slices.Clone(m.Keys), at, at+1)
		at--
	case n < 79 && len(m.Keys) > 2 && a.made < 7:
		a.made++
		at = 1 + w.rnd.IntN(len(m.Keys)-1)
		k := keyOf(a.name + "/" + string(rune('2'+a.made)))
		a.keys[k.Public()] = k
		word, m.Keys = "puts "+a.name+"/"+string(rune('2'+a.made))+" in the place of "+w.device(m.Keys[at]), slices.Clone(m.Keys)
		m.Keys[at] = bytesOf(k)
		at--
	case n < 83 && len(m.Keys) > 2:
		at = len(m.Keys) - 2
		word, m.Keys = "orders anew", slices.Clone(m.Keys)
		m.Keys[at], m.Keys[at+1] = m.Keys[at+1], m.Keys[at]
		at--
	default:
		n := w.at().node
		word, m.Homes = "moves", [][]byte{n[:]}
		if w.chance(40) {
			m.Homes = append(slices.Clone(base.Homes), n[:])
		}
		if len(m.Homes) == 2 && bytes.Equal(m.Homes[0], m.Homes[1]) {
			m.Homes = m.Homes[:1]
		}
	}
	by := base.Keys[w.rnd.IntN(max(at, 0)+1)]
	switch n := w.rnd.IntN(100); {
	case n < 15:
		by = base.Keys[0]
	case n < 25:
		by = pick(w, base.Keys)
	case n < 28:
		by = pick(w, a.shown[0].Keys)
	}
	jump := w.chance(3)
	if jump {
		m.Ver++
		word += " with a version jump"
	}
	v := a.sign(m, a.keys[key(by)], base)
	if !jump && w.chance(80) {
		a.newest = v
	}
	return w.present(r, a, v, word, "signed by", w.device(by), "after", w.versions(base))
}

func (w *world) versions(v *version) string {
	s := "v" + string(rune('0'+v.Ver))
	return s + strings.ToLower(v.hash.String()[:4])
}

// present shows a version of somebody's charter at r.
func (w *world) present(r *replica, a *actor, v *version, words ...string) string {
	p := &weftv1.Present{Charters: v.run(64)}
	switch {
	case v.prev != nil && v.Ver != v.prev.Ver+1:
		p.Charters = v.run(1) // only so it may be shown
	case w.chance(15):
		p.Charters = v.run(2)
	}
	for _, n := range v.Homes {
		if w.chance(88) {
			p.Acceptances = append(p.Acceptances, w.accept(a, n))
		}
	}
	gone := map[string]bool{}
	for at := v; at.prev != nil; at = at.prev {
		for _, k := range at.prev.Keys {
			if (&userCharter{UserCharter: v.UserCharter}).index(key(k)) < 0 && !gone[string(k)] {
				gone[string(k)] = true
				if w.chance(88) {
					p.Cuts = append(p.Cuts, &weftv1.DeviceCut{Device: k, Cut: w.cutting(r, func(r *replica) *weftv1.Cut { return r.cutDevice(k) })})
				}
			}
		}
	}
	if k := pick(w, v.Keys); w.chance(6) && !gone[string(k)] { // a word about a device that is still there
		p.Cuts = append(p.Cuts, &weftv1.DeviceCut{Device: k, Cut: w.cutting(r, func(r *replica) *weftv1.Cut { return r.cutDevice(k) })})
	}
	for _, o := range r.objects() {
		if o.Op.GetPresent() != nil && bytes.Equal(o.Op.Author, a.id[:]) && w.chance(20) {
			p.Parents = append(p.Parents, slices.Clone(o.Hash[:]))
		}
	}
	p.Parents = compact(p.Parents)
	by := v.Keys[w.rnd.IntN(len(v.Keys))]
	o := w.operation(a.id[:], board.Hash(w.team), a.keys[key(by)], &weftv1.Operation{Team: w.otherTeam(), Kind: &weftv1.Operation_Present{Present: p}})
	for _, c := range p.Cuts {
		words = append(words, "of", w.device(c.Device), w.cutText(c.Cut))
	}
	return w.done(r, o, "present", append([]string{"shows " + a.name + " " + w.versions(v)}, append(words, w.list(p.Parents))...)...)
}

func compact(l [][]byte) (out [][]byte) {
	for _, h := range l {
		if !slices.ContainsFunc(out, func(x []byte) bool { return bytes.Equal(x, h) }) {
			out = append(out, h)
		}
	}
	return out
}

func (w *world) accept(a *actor, n []byte) *weftv1.Signed {
	raw := encode(&weftv1.HomeAcceptance{User: a.id[:], Node: n})
	for _, r := range w.replicas {
		if bytes.Equal(r.node[:], n) {
			s := signature(r.key, board.SignHome, raw)
			return &weftv1.Signed{Object: raw, Key: n, Signature: s}
		}
	}
	panic("no such node")
}

// presentAgain shows what was shown, with other cuts, or another signature of one of the charters.
func (w *world) presentAgain() string {
	r, a := w.at(), pick(w, w.people)
	v := a.newest
	if w.chance(25) {
		v = pick(w, a.shown)
	}
	word := "again"
	if w.chance(30) && v.prev != nil {
		by := pick(w, v.prev.Keys)
		again := *v
		again.signed = &weftv1.Signed{Object: v.signed.Object, Key: by, Signature: signature(a.keys[key(by)], board.SignUserCharter, v.signed.Object)}
		v, word = &again, "signed by "+w.device(by)
	}
	return w.present(r, a, v, word)
}
