package team

import (
	"slices"

	"weft/board"
)

// found takes the genesis into force: its people have their power, and everything else is looked at.
func (e *Evaluator) found() {
	e.founded = true
	for h, it := range e.items { // their verdict was to wait for the genesis
		e.changed[h] = it
	}
	if e.charter.Rules > Rules {
		return
	}
	for _, a := range e.charter.Admins {
		e.user([32]byte(a)).power = Admin
	}
	for _, o := range e.charter.Owners {
		e.user([32]byte(o)).power = Owner
	}
	for _, n := range e.charter.Relays {
		e.serve(board.NodeID(n), 1)
	}
	for _, u := range e.users {
		u.again = true
		e.stale.users[u] = struct{}{}
	}
	for _, t := range e.tickets {
		t.again = true
		e.stale.tickets[t] = struct{}{}
	}
}

// judgeUser evaluates a user's chain, if it may be another one, and then what the user's devices signed.
func (e *Evaluator) judgeUser(u *user) {
	look := u.fresh
	if u.again {
		u.choose()
		e.stale.roles[u] = struct{}{}
		look = slices.Concat(u.presents, u.ops)
	}
	for _, it := range look {
		if it.act == actPresent {
			e.rule(it, u.counts(it.signers...))
		} else {
			e.rule(it, e.judgeOperation(it, u))
		}
	}
	u.again, u.fresh = false, nil
}

// rule sets an item's verdict and marks what hangs on it.
func (e *Evaluator) rule(it *item, v Verdict) {
	if it.verdict == v {
		return
	}
	it.verdict = v
	e.changed[it.hash] = it
	switch it.act {
	case actBoard:
		e.boards = true
	case actInvite:
		t := e.ticket(it.hash)
		t.again = true
		e.stale.tickets[t] = struct{}{}
	}
}

// judgeOperation: an operation by a person counts under a canonical charter that gives its author power, signed by a
// device that counts (trust §6).
func (e *Evaluator) judgeOperation(it *item, u *user) Verdict {
	if v := e.judgeCharter(it); v.Status != Valid {
		return v
	}
	if u.power == None {
		return Verdict{Status: Void, Reason: reasonNoPower}
	}
	return u.counts(it.signers...)
}

// judgeCharter: an item belongs to this team and acts under a charter on the canonical chain, which here is the genesis.
func (e *Evaluator) judgeCharter(it *item) Verdict {
	if it.team != e.id {
		return Verdict{Status: Void, Reason: reasonOtherTeam}
	}
	if it.charter == board.Hash(e.id) {
		return Verdict{Status: Valid}
	}
	switch c := e.items[it.charter]; {
	case c == nil:
		return Verdict{Status: Pending, Reason: reasonNoCharter, Missing: it.charter}
	case c.act != actCharter:
		return Verdict{Status: Void, Reason: reasonNotCharter}
	}
	return Verdict{Status: Unevaluated, Reason: reasonLaterCharter}
}

// settled is the verdict of an item that needs no judging by others, or that waits for the genesis.
func (e *Evaluator) settled(it *item) Verdict {
	evaluating := e.founded && e.charter.Rules <= Rules
	switch {
	case it.act == actCharter && board.TeamID(it.hash) == e.id && e.charter != nil:
		return Verdict{Status: Valid}
	case it.act == actCharter, it.act == actLater:
		if it.team != e.id && it.team != (board.TeamID{}) {
			return Verdict{Status: Void, Reason: reasonOtherTeam}
		}
		return Verdict{Status: Unevaluated, Reason: reasonLater}
	case it.act == actPresent && it.team != e.id:
		return Verdict{Status: Void, Reason: reasonOtherTeam}
	case e.founded && !evaluating:
		return Verdict{Status: Unevaluated, Reason: reasonUpgrade}
	case !e.founded:
		return Verdict{Status: Pending, Reason: reasonNoGenesis, Missing: board.Hash(e.id)}
	}
	return it.verdict
}
