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
	item   *item // the invite, or whatever has the hash that admissions name; nil while it is not here
	admits []*item
	again  bool    // everything is to be put in order and counted again
	fresh  []*item // else: only these came, since
	order  []*item // eligible admissions
	users  map[board.UserID]struct{}
}

// add notes an admission that is new or has new records.
func (t *ticket) add(e *Evaluator, it *item) {
	if it.ruled() {
		t.again = true
		return
	}
	if !it.admit.queued {
		it.admit.queued = true
		t.fresh = append(t.fresh, it)
	}
}

// ruled says whether the item was judged before.
func (it *item) ruled() bool { return it.verdict.Status != 0 }

// judgeTickets evaluates the stale invites' admissions.
func (e *Evaluator) judgeTickets() {
	e.prove()
	for t := range e.stale.tickets {
		if t.again || t.counts() != (Verdict{Status: Valid}) || !e.append(t) {
			e.recount(t)
		}
		for _, it := range t.fresh {
			it.admit.queued = false
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
			it.admit.proof = proven
		}
		for _, i := range batch.Verify() {
			of[i].admit.proof = disproven
		}
		batch, of = board.Batch{}, of[:0]
	}
	for t := range e.stale.tickets {
		if t.item == nil || t.item.invite == nil {
			continue
		}
		l := t.fresh
		if t.again {
			l = t.admits
		}
		for _, it := range l {
			if it.admit.proof != unchecked {
				continue
			}
			it.admit.proof = proven // until flush: once in a batch is enough
			h := inviteHash(it.team, it.admit.user, it.admit.shown, board.NodeID(it.author))
			batch.Add([32]byte(t.item.invite.Key), board.SignInvite, h, it.admit.sig)
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

// counts is the verdict of the invite itself, as an admission sees it.
func (t *ticket) counts() Verdict {
	switch {
	case t.item == nil:
		return Verdict{Status: Pending, Reason: reasonNoInvite}
	case t.item.act != actInvite:
		return Verdict{Status: Void, Reason: reasonNotInvite}
	case t.item.verdict.Status == Void:
		return Verdict{Status: Void, Reason: reasonInviteVoid}
	case t.item.verdict.Status != Valid:
		return t.item.verdict
	}
	return Verdict{Status: Valid}
}

// eligible judges an admission but for the quota.
func (e *Evaluator) eligible(t *ticket, it *item, invite Verdict) Verdict {
	if v := e.judgeCharter(it); v.Status != Valid {
		return v
	}
	switch {
	case invite.Status == Pending && invite.Missing.IsZero():
		return Verdict{Status: Pending, Reason: reasonNoInvite, Missing: it.admit.invite}
	case invite.Status != Valid:
		return invite
	case !bytes.Equal(t.item.invite.Admitter, it.author[:]):
		return Verdict{Status: Void, Reason: reasonNotAdmitter}
	case it.admit.proof != proven:
		return Verdict{Status: Void, Reason: reasonBadProof}
	}
	return invite
}

// place finds the first counting record of the admitter's own log that carries the admission.
func (e *Evaluator) place(it *item) {
	a := it.admit
	a.own = false
	for _, p := range it.records {
		if p.Node != board.NodeID(it.author) || p.Board != e.state.governance || !e.counting(p) {
			continue
		}
		if c := cmp.Or(p.Epoch.Compare(a.at), cmp.Compare(p.Seq, a.seq)); !a.own || c < 0 {
			a.own, a.at, a.seq = true, p.Epoch, p.Seq
		}
	}
}

func compareAdmits(x, y *item) int {
	a, b := x.admit, y.admit
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
	return bytes.Compare(x.hash[:], y.hash[:])
}

// recount judges all admissions of an invite.
func (e *Evaluator) recount(t *ticket) {
	invite := t.counts()
	t.order, t.users = t.order[:0], map[board.UserID]struct{}{}
	for _, it := range t.admits {
		if v := e.eligible(t, it, invite); v.Status != Valid {
			e.grant(t, it, v)
			continue
		}
		e.place(it)
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
		if v := e.eligible(t, it, Verdict{Status: Valid}); v.Status != Valid {
			e.grant(t, it, v)
			continue
		}
		e.place(it)
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

// count gives the next admission in order its verdict.
func (e *Evaluator) count(t *ticket, it *item) {
	_, in := t.users[it.admit.user]
	if !in && len(t.users) >= int(t.item.invite.Quota) {
		e.grant(t, it, Verdict{Status: Void, Reason: reasonQuota})
		return
	}
	t.users[it.admit.user] = struct{}{}
	e.grant(t, it, Verdict{Status: Valid})
}

// grant sets an admission's verdict, and its user's right by it.
func (e *Evaluator) grant(t *ticket, it *item, v Verdict) {
	was := it.verdict.Status == Valid
	e.rule(it, v)
	if is := v.Status == Valid; is != was {
		u := e.user(it.admit.user)
		if is {
			u.grant(it.hash, roleOf(t.item.invite.Role))
		} else {
			u.grant(it.hash, None)
		}
		e.stale.roles[u] = struct{}{}
	}
}

func roleOf(r weftv1.Role) Role { return Role(r) }
