package team

// mark notes what has to be evaluated because of an item that is new, or newly signed.
func (e *Evaluator) mark(it *item) {
	if it.foreign && it.act != actAck && it.act != actCharter {
		return
	}
	switch it.act {
	case actCharter:
		if c := it.says.(*charterSays); !it.foreign && c.ver > 1 {
			e.stale.steps[e.step(c.prev)] = struct{}{}
		}
	case actAck:
		e.markAck(it)
	case actPresent:
		u := e.user(it.author)
		if u.show(it.says.(*presentSays)) || len(it.says.(*presentSays).cuts) > 0 || u.sensible {
			u.again = true
		}
		e.look(u, it)
	case actAdmit:
		t := e.ticket(it.says.(*admitSays).invite)
		t.add(it)
		e.stale.tickets[t] = struct{}{}
	case actFork:
		e.stale.forks = append(e.stale.forks, it)
	case actLater:
	default:
		e.look(e.user(it.author), it)
	}
}

// markAck has an ack judged where the charters are that it chooses among.
func (e *Evaluator) markAck(it *item) {
	c := e.items[it.charter]
	switch {
	case c == nil:
		e.rule(it, finding{noCharter, it.charter})
	case c.act != actCharter || c.says.(*charterSays).ver == 1:
		e.rule(it, finding{rule: notCharter})
	case c.foreign:
		e.rule(it, finding{rule: otherTeam})
	default:
		e.stale.steps[e.step(c.says.(*charterSays).prev)] = struct{}{}
	}
}

// look has something that a person did judged.
func (e *Evaluator) look(u *user, it *item) {
	if !u.rejudge {
		u.fresh = append(u.fresh, it)
	}
	e.stale.users[u] = struct{}{}
}

// recorded notes what has to be evaluated because an item stands in a further linked record.
func (e *Evaluator) recorded(it *item, r *record) (changed bool) {
	switch it.act {
	case actCharter, actLater, actFork:
		return false
	case actAdmit:
		if it.foreign {
			return false
		}
		t := e.tickets[it.says.(*admitSays).invite]
		if it.ruled() && !t.again && t.settled(it, r) {
			return false
		}
		t.add(it)
		e.stale.tickets[t] = struct{}{}
	default:
		if it.foreign && it.act != actAck {
			return false
		}
		u := e.user(it.author)
		if !u.sensible && it.ruled() {
			return false
		}
		if it.act == actPresent && u.sensible {
			u.again = true
		}
		if it.act == actAck {
			e.markAck(it)
		} else {
			e.look(u, it)
		}
	}
	e.stale.any = true
	return true
}

// linked notes what has to be evaluated because a record took its place in the forest.
func (e *Evaluator) linked(r *record) (changed bool) {
	if r.carries != nil {
		changed = e.recorded(r.carries.of, r)
	}
	if n := e.nodes[r.epoch.log.id]; n != nil && n.linked(e, r) {
		n.recount(e)
		changed = true
	}
	return changed
}

// decided: a position that stood for itself by its number is held now.
func (e *Evaluator) decided(d dependant) {
	e.stale.any = true
	switch {
	case d.user != nil:
		d.user.again = true
		e.stale.users[d.user] = struct{}{}
		e.reopen(d.user)
	case d.ticket != nil:
		d.ticket.again = true
		e.stale.tickets[d.ticket] = struct{}{}
	case d.node != nil:
		e.stale.nodes[d.node] = struct{}{}
		d.node.recount(e)
	}
}

// reopen has the admissions by all invites of a person judged again.
func (e *Evaluator) reopen(u *user) {
	for _, it := range u.ops {
		if it.act == actInvite {
			t := e.ticket(it.hash)
			t.again = true
			e.stale.tickets[t] = struct{}{}
		}
	}
}
