package team

import (
	"slices"

	"weft/board"
)

// rechain takes the stale steps and follows the best of each from the genesis on.
func (e *Evaluator) rechain() {
	if len(e.stale.steps) == 0 {
		return
	}
	for st := range e.stale.steps {
		e.take(st)
	}
	e.renewed.acks = true
	chain, upgrade := []*item{e.items[board.Hash(e.id)]}, (*item)(nil)
	for {
		st := e.steps[chain[len(chain)-1].hash]
		if st == nil || st.best == nil {
			break
		}
		if st.best.says.(*charterSays).m.Rules > Rules {
			upgrade = st.best
			break
		}
		chain = append(chain, st.best)
	}
	same := 0
	for same < len(chain) && same < len(e.chain) && chain[same] == e.chain[same] {
		same++
	}
	moved := same < len(chain) || same < len(e.chain) || upgrade != e.upgrade
	if moved {
		e.follow(chain, same, upgrade)
	}
	for _, st := range e.steps {
		if _, stale := e.stale.steps[st]; stale || moved {
			e.judgeCharters(st)
		}
	}
	if moved {
		e.rule(chain[0], finding{rule: counts})
	}
}

// judgeCharters says which charters of a step count. One whose chain is not here down to the genesis waits for it, and so
// does what acts under it.
func (e *Evaluator) judgeCharters(st *step) {
	for i, c := range st.children {
		f := finding{rule: charterOpen}
		missing, hangs := e.hangs(c)
		_, on := e.pos[c.hash]
		switch {
		case on || c == e.upgrade:
			f.rule = counts
		case hangs:
			f = finding{noCharter, missing}
		case st.choice == nil && st.parent.act != actCharter:
			f.rule = notCharter
		case st.choice == nil:
		case !st.choice.offers[i].follows:
			f.rule = charterForm
		}
		if c.found == f {
			continue
		}
		e.rule(c, f)
		for _, it := range e.under[c.hash] {
			e.mark(it)
		}
		if below := e.steps[c.hash]; below != nil {
			e.judgeCharters(below)
		}
	}
}

// hangs says whether a charter's chain is not here down to a charter that counts, and what is missing.
func (e *Evaluator) hangs(it *item) (missing board.Hash, hangs bool) {
	for {
		if _, on := e.pos[it.hash]; on {
			return missing, false
		}
		c := it.says.(*charterSays)
		if c.ver == 1 || it.foreign {
			return missing, false // never to be on it
		}
		if it = e.items[c.prev]; it == nil {
			return c.prev, true
		}
		if it.act != actCharter {
			return missing, false
		}
	}
}

// follow makes chain the one that counts; it is as before up to index same. Where it only got longer, only what the new
// charters change is marked; else everything.
func (e *Evaluator) follow(chain []*item, same int, upgrade *item) {
	e.renewed.chain = true
	if upgrade != e.upgrade {
		for _, u := range []*item{upgrade, e.upgrade} {
			if u != nil {
				for _, it := range e.under[u.hash] {
					e.mark(it)
				}
			}
		}
		e.upgrade = upgrade
	}
	if same < len(e.chain) {
		clear(e.pos)
		e.relays(e.chain[len(e.chain)-1], -1)
		for _, c := range e.chain {
			e.forgetRelays(c)
		}
		for _, u := range e.users {
			u.stints, u.cuts, u.sensible = nil, nil, u.speaksOfDevices()
		}
		e.chain, same = nil, 0
		e.everything()
	}
	for i := same; i < len(chain); i++ {
		e.extend(chain[i], i)
	}
}

// extend appends a charter to the chain.
func (e *Evaluator) extend(it *item, i int) {
	c := it.says.(*charterSays)
	e.chain = append(e.chain, it)
	e.pos[it.hash] = i
	for n, l := range [][]board.UserID{c.owners, c.admins} {
		for _, id := range l {
			u := e.user(id)
			if u.gain(i, []Role{Owner, Admin}[n]) {
				e.stale.roles[u] = struct{}{}
			}
		}
	}
	if i > 0 {
		p := e.chain[i-1].says.(*charterSays)
		for _, id := range slices.Concat(p.owners, p.admins) {
			if c.power(id) == None {
				u := e.user(id)
				s := &u.stints[len(u.stints)-1]
				s.to, s.cut = i, c.cutOf(id).cut
				e.disturb(u)
			}
		}
		for n := range c.cuts {
			if c.power(c.cuts[n].user) == None {
				u := e.user(c.cuts[n].user)
				u.cuts = append(u.cuts, it)
				e.disturb(u)
				e.reopen(u)
			}
		}
		e.relays(e.chain[i-1], -1)
	}
	e.relays(it, 1)
	for _, r := range c.m.Relays {
		e.source(board.NodeID(r), 1)
	}
	for _, x := range e.under[it.hash] {
		e.mark(x)
	}
}

// disturb has all that a person did judged again: power was lost.
func (e *Evaluator) disturb(u *user) {
	u.sensible, u.rejudge = true, true
	e.stale.users[u] = struct{}{}
	e.stale.roles[u] = struct{}{}
}

// gain gives power in the charter at index i, and says whether that changes the role.
func (u *user) gain(i int, r Role) bool {
	if n := len(u.stints); n > 0 && u.stints[n-1].to < 0 {
		s := &u.stints[n-1]
		if s.roles[len(s.roles)-1].role == r {
			return false
		}
		s.roles = append(s.roles, turn{i, r})
		return true
	}
	u.stints = append(u.stints, stint{from: i, to: -1, roles: []turn{{i, r}}})
	return true
}

// relays of the charter that counts are of the team.
func (e *Evaluator) relays(it *item, by int) {
	for _, n := range it.says.(*charterSays).m.Relays {
		e.serve(board.NodeID(n), by)
	}
}

func (e *Evaluator) forgetRelays(it *item) {
	for _, n := range it.says.(*charterSays).m.Relays {
		e.source(board.NodeID(n), -1)
	}
}

// head is the charter that counts.
func (e *Evaluator) head() *charterSays { return e.chain[len(e.chain)-1].says.(*charterSays) }
