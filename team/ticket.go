package team

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// ticket is an invite with its admissions: exactly the first quota users count. Admissions stand in an order that no
// arrival can change: first those that a counting record of the admitter's own log carries, by (epoch, seq), then the
// others by hash.
type ticket struct {
	item      *item // the invite, or whatever has the hash that admissions name; nil while it is not here
	admits    []*item
	uninvites []*item // of it, whether or not they count
	again     bool    // everything is to be put in order and counted again
	fresh     []*item // else: only these came, since
	limits    []limit // cuts that an admission must be under
	order     []*item // eligible admissions
	users     map[board.UserID]struct{}
}

// limit is a cut that an admission must be under, and the rule that says so.
type limit struct {
	cut  *Cut
	rule rule
}

// add notes an admission that is new or has new records.
func (t *ticket) add(it *item) {
	if it.ruled() {
		t.again = true
		return
	}
	if !it.place.queued {
		it.place.queued = true
		t.fresh = append(t.fresh, it)
	}
}

// settled says whether a further record of a judged admission changes nothing: no cut asks for it, and it gives no earlier
// place.
func (t *ticket) settled(it *item, r *record) bool {
	if t.counts().rule != counts || len(t.limits) > 0 {
		return false
	}
	p := it.place
	return r.epoch.log.id != board.NodeID(it.author) || p.own && cmp.Or(p.at.Compare(r.epoch.Epoch), cmp.Compare(p.seq, r.seq)) < 0
}

// invite is what the ticket's invite says; nil if it is none, or not here.
func (t *ticket) invite() *weftv1.Invite {
	if t.item == nil {
		return nil
	}
	i, _ := t.item.says.(*weftv1.Invite)
	return i
}

// judgeTickets evaluates the stale invites' admissions.
func (e *Evaluator) judgeTickets() {
	e.prove()
	for t := range e.stale.tickets {
		if t.again || t.counts().rule != counts || !e.append(t) {
			e.recount(t)
		}
		for _, it := range t.fresh {
			it.place.queued = false
		}
		t.again, t.fresh = false, nil
	}
}

// prove checks the invite keys' signatures of what came, in batches.
func (e *Evaluator) prove() {
	const most = 1024
	var batch board.Batch
	var of []*item
	flush := func() {
		for _, it := range of {
			it.place.proof = proven
		}
		for _, i := range batch.Verify() {
			of[i].place.proof = disproven
		}
		batch, of = board.Batch{}, of[:0]
	}
	for t := range e.stale.tickets {
		invite := t.invite()
		if invite == nil {
			continue
		}
		l := t.fresh
		if t.again {
			l = t.admits
		}
		for _, it := range l {
			if it.place.proof != unchecked {
				continue
			}
			it.place.proof = proven // until flush: once in a batch is enough
			a := it.says.(*admitSays)
			h := inviteHash(e.id, a.user, a.shown, board.NodeID(it.author))
			batch.Add([32]byte(invite.Key), board.SignInvite, h, it.place.sig)
			it.place.sig = nil
			if of = append(of, it); len(of) == most {
				flush()
			}
		}
	}
	flush()
}

// inviteHash is what an invite's key signs for someone who uses it: sha256(team ‖ user ‖ user's charter ‖ admitter).
func inviteHash(t board.TeamID, u board.UserID, shown board.Hash, admitter board.NodeID) board.Hash {
	b := make([]byte, 0, 128)
	b = append(append(b, t[:]...), u[:]...)
	b = append(append(b, shown[:]...), admitter[:]...)
	return sha256.Sum256(b)
}

// counts is what an admission sees of the invite itself.
func (t *ticket) counts() finding {
	switch {
	case t.item == nil:
		return finding{rule: noInvite}
	case t.invite() == nil:
		return finding{rule: notInvite}
	case t.item.found.status() == Pending:
		return finding{invitePending, t.item.found.missing}
	case t.item.found.rule != counts:
		return finding{rule: inviteVoid}
	}
	return finding{rule: counts}
}

// limit finds the cuts that admissions must be under: those of counting uninvites; of charters that take the inviter's
// power, or name the inviter without it; of the admitter's denial.
func (e *Evaluator) limit(t *ticket) {
	t.limits = t.limits[:0]
	if t.counts().rule != counts {
		return
	}
	for _, x := range t.uninvites {
		if x.valid() {
			t.limits = append(t.limits, limit{x.says.(*uninviteSays).cut, withdrawn})
		}
	}
	made := e.pos[t.item.charter]
	for _, c := range e.user(t.item.author).cuts {
		if e.pos[c.hash] > made {
			t.limits = append(t.limits, limit{c.says.(*charterSays).cutOf(t.item.author).cut, withdrawnByLoss})
		}
	}
	if n := e.nodes[board.NodeID(t.invite().Admitter)]; n != nil && n.denied {
		for _, c := range n.accepted {
			t.limits = append(t.limits, limit{c, denied})
		}
	}
}

// eligible judges an admission but for the quota.
func (e *Evaluator) eligible(t *ticket, it *item, invite finding) finding {
	if _, f := e.judgeCharter(it); f.rule != counts {
		return f
	}
	switch {
	case invite.rule == noInvite:
		return finding{noInvite, it.says.(*admitSays).invite}
	case invite.rule != counts:
		return invite
	case !bytes.Equal(t.invite().Admitter, it.author[:]):
		return finding{rule: notAdmitter}
	case it.place.proof != proven:
		return finding{rule: badProof}
	}
	for _, l := range t.limits {
		if !slices.ContainsFunc(it.copies, func(s *signed) bool { return e.logs.under(s, l.cut) }) {
			return finding{rule: l.rule}
		}
	}
	return invite
}

// put finds the first counting record of the admitter's own log that carries the admission.
func (e *Evaluator) put(it *item) {
	a, n := it.place, e.node(it.author)
	a.own = false
	for _, s := range it.copies {
		for _, r := range s.at {
			if r.seg == nil || r.epoch.log.id != n.id || !e.counting(n, r) {
				continue
			}
			if c := cmp.Or(r.epoch.Epoch.Compare(a.at), cmp.Compare(r.seq, a.seq)); !a.own || c < 0 {
				a.own, a.at, a.seq = true, r.epoch.Epoch, r.seq
			}
		}
	}
}

func compareAdmits(x, y *item) int {
	a, b := x.place, y.place
	switch {
	case a.own != b.own && a.own:
		return -1
	case a.own != b.own:
		return 1
	case a.own:
		if c := cmp.Or(a.at.Compare(b.at), cmp.Compare(a.seq, b.seq)); c != 0 {
			return c
		}
	}
	return compareItems(x, y)
}

// recount judges all admissions of an invite.
func (e *Evaluator) recount(t *ticket) {
	e.limit(t)
	invite := t.counts()
	t.order, t.users = t.order[:0], map[board.UserID]struct{}{}
	for _, it := range t.admits {
		if f := e.eligible(t, it, invite); f.rule != counts {
			e.grant(it, f)
			continue
		}
		e.put(it)
		t.order = append(t.order, it)
	}
	slices.SortFunc(t.order, compareAdmits)
	for _, it := range t.order {
		e.count(t, it)
	}
	if t.item != nil {
		e.changed[t.item.hash] = t.item
	}
}

// append judges only what came, and is false if that does not stand after everything that was there.
func (e *Evaluator) append(t *ticket) bool {
	if t.users == nil {
		return false
	}
	var add []*item
	for _, it := range t.fresh {
		if f := e.eligible(t, it, finding{rule: counts}); f.rule != counts {
			e.grant(it, f)
			continue
		}
		e.put(it)
		add = append(add, it)
	}
	slices.SortFunc(add, compareAdmits)
	if n := len(t.order); n > 0 && len(add) > 0 && compareAdmits(t.order[n-1], add[0]) > 0 {
		return false
	}
	t.order = append(t.order, add...)
	for _, it := range add {
		e.count(t, it)
	}
	e.changed[t.item.hash] = t.item
	return true
}

// count gives the next admission in order its finding.
func (e *Evaluator) count(t *ticket, it *item) {
	u := it.says.(*admitSays).user
	_, in := t.users[u]
	if !in && len(t.users) >= int(t.invite().Quota) {
		e.grant(it, finding{rule: usedUp})
		return
	}
	t.users[u] = struct{}{}
	e.grant(it, finding{rule: counts})
}

// grant sets an admission's finding, and its user's right by it.
func (e *Evaluator) grant(it *item, f finding) {
	was := it.valid()
	e.rule(it, f)
	is := it.valid()
	if is == was {
		return
	}
	u := e.user(it.says.(*admitSays).user)
	if i, held := slices.BinarySearchFunc(u.admits, it, compareItems); is && !held {
		u.admits = slices.Insert(u.admits, i, it)
	} else if !is && held {
		u.admits = slices.Delete(u.admits, i, i+1)
	}
	e.stale.roles[u] = struct{}{}
}
