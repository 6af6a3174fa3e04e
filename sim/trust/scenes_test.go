package trust

import (
	"strings"

	"weft/board"
	"weft/team"

	weftv1 "weft/api/weft/v1"
)

// removal is somebody's: posts that the remover has seen and others that it hasn't, and cuts that are mended, or worsened.
func (w *world) removal() string {
	r, far := w.at(), w.at()
	a, target := w.powerful(w.guess(r)), pick(w, w.people)
	for n := 0; n < 5 && (&charter{w.guess(r).Charter, w.guess(r).Hash}).power(target.id); n++ {
		target = pick(w, w.people)
	}
	var texts []string
	say := func(s string) { texts = append(texts, s) }
	if len(r.creds(target.id, true)) == 0 || w.chance(20) {
		say(w.give(r, a, target, team.Member, nil, nil, false))
	}
	if w.chance(80) {
		w.sync(r, far, nil)
	}
	for _, x := range []*replica{r, far} {
		if creds := x.creds(target.id, true); len(creds) > 0 && w.chance(80) {
			say(w.postBy(x, target, pick(w, creds)))
		}
	}
	of := func(r *replica) *weftv1.Cut { return r.cutUser(target.id[:]) }
	say(w.give(r, a, target, pick(w, roles[:5]), w.parents(r, target.id[:]), w.cutting(r, of), false))
	for n := w.rnd.IntN(4); n > 0; n-- {
		if w.chance(70) {
			w.sync(r, far, nil)
		}
		x := pick(w, []*replica{r, far})
		all, _ := x.about(target.id[:])
		var parents [][]byte
		for _, h := range all {
			if w.chance(60) {
				parents = append(parents, h)
			}
		}
		say(w.give(x, w.powerful(w.guess(x)), target, pick(w, roles), parents, w.cutting(x, of), w.chance(70)))
	}
	if creds := far.creds(target.id, true); len(creds) > 0 && w.chance(60) {
		say(w.postBy(far, target, creds[len(creds)-1]))
	}
	return "removal of " + target.name + "\n        " + strings.Join(texts, "\n        ")
}

// give sets a role.
func (w *world) give(r *replica, by, target *actor, role team.Role, parents [][]byte, cut *weftv1.Cut, recut bool) string {
	s := &weftv1.SetRole{User: target.id[:], Role: weftv1.Role(role), Parents: parents, Cut: cut, Recut: recut}
	o := w.operation(by.id[:], w.guess(r).Hash, w.hand(by), &weftv1.Operation{Kind: &weftv1.Operation_Set{Set: s}})
	words := []string{target.name, "to", role.String(), w.list(s.Parents), w.cutText(s.Cut)}
	if recut {
		words = append(words, "recut")
	}
	return w.done(r, o, "set", words...)
}

// postBy is an entry without faults.
func (w *world) postBy(r *replica, a *actor, cred board.Hash) string {
	w.clock++
	h := board.Header{Team: w.team, Board: board.GeneralID(w.team), Author: a.id, Device: board.DeviceID(w.hand(a).Public()), DevSeq: 1, ClientMsgID: "m",
		HLC: board.HLC(w.clock << 16), Kind: board.KindPost, Cred: cred}
	return w.write(r, h)
}
