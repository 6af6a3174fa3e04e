package team

import (
	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// identify evaluates a person's charters and devices, if they may be other ones now.
func (e *Evaluator) identify(u *user) {
	if !u.again {
		return
	}
	u.choose()
	u.views = nil
	u.sensible = u.speaksOfDevices() || len(u.cuts) > 0
	for _, s := range u.stints {
		u.sensible = u.sensible || s.to >= 0
	}
	for _, a := range u.acks {
		e.markAck(a)
	}
	u.again, u.rejudge = false, true
	e.stale.roles[u] = struct{}{}
}

// speaksOfDevices says whether presents say what was accepted of devices.
func (u *user) speaksOfDevices() bool {
	for _, p := range u.presents {
		if len(p.says.(*presentSays).cuts) > 0 {
			return true
		}
	}
	return false
}

// judgeUser judges what a person signed, if it may be judged in another way now.
func (e *Evaluator) judgeUser(u *user) {
	look := u.fresh
	if u.rejudge {
		for _, it := range u.presents {
			e.rule(it, e.judgePresent(it, u))
		}
		look = u.ops
	}
	for _, it := range look {
		if it.act == actPresent {
			e.rule(it, e.judgePresent(it, u))
		} else {
			e.rule(it, e.judgeOperation(it, u))
		}
	}
	u.rejudge, u.fresh = false, nil
}

func (e *Evaluator) judgePresent(it *item, u *user) (best finding) {
	for _, s := range it.copies {
		best = best.better(u.counts(s))
	}
	return best
}

// rule sets an item's finding and marks what hangs on it.
func (e *Evaluator) rule(it *item, f finding) {
	if it.found == f {
		return
	}
	was := it.valid()
	it.found = f
	e.changed[it.hash] = it
	switch k := it.says.(type) {
	case *Board:
		e.renewed.boards = true
	case *weftv1.Invite:
		t := e.ticket(it.hash)
		t.again = true
		e.stale.tickets[t] = struct{}{}
	case *requestSays:
		e.renewed.requests = true
	case *Floor:
		e.renewed.floors = true
	case *setSays:
		if was != it.valid() {
			e.stale.roles[e.user(k.user)] = struct{}{}
		}
	case *nodeSays:
		e.stale.nodes[e.node(k.node)] = struct{}{}
	case *forkSays:
		e.stale.nodes[e.node(k.Node)] = struct{}{}
	case *uninviteSays:
		t := e.ticket(k.invite)
		t.again = true
		e.stale.tickets[t] = struct{}{}
	}
}

// judgeCharter: an item belongs to this team and acts under a charter on the chain, at index i.
func (e *Evaluator) judgeCharter(it *item) (i int, f finding) {
	if it.foreign {
		return 0, finding{rule: otherTeam}
	}
	if i, ok := e.pos[it.charter]; ok {
		return i, finding{rule: counts}
	}
	switch c := e.items[it.charter]; {
	case c == nil:
		return 0, finding{noCharter, it.charter}
	case c == e.upgrade:
		return 0, finding{rule: upgrade}
	case c.act != actCharter:
		return 0, finding{rule: notCharter}
	default:
		if missing, hangs := e.hangs(c); hangs {
			return 0, finding{noCharter, missing}
		}
	}
	return 0, finding{rule: charterLost}
}

// judgeOperation: what a person does counts under a charter on the chain that gives its author power, or where the kind
// lets anyone act; signed by a device that counts; and if that power was lost later, only what the loss accepted (trust §6).
func (e *Evaluator) judgeOperation(it *item, u *user) finding {
	i, f := e.judgeCharter(it)
	if f.rule != counts {
		return f
	}
	s := stintAt(u.stints, i)
	switch k := it.says.(type) {
	case *requestSays:
		return e.judgePresent(it, u)
	case *Floor:
		if k.Position.Board == e.logs.governance {
			return finding{rule: governanceFloor}
		}
		if s == nil && k.Position.Node == board.NodeID(it.author) {
			return e.judgeOwnFloor(it)
		}
	case *setSays:
		if s == nil && k.user == u.id && k.role == Removed {
			return e.judgePresent(it, u) // leaving
		}
		if s != nil && stintAt(e.user(k.user).stints, i) != nil {
			return finding{rule: hasPower}
		}
	}
	if s == nil {
		return finding{rule: noPower}
	}
	if s.to < 0 {
		return e.judgePresent(it, u)
	}
	var best finding
	for _, c := range it.copies {
		f := finding{rule: afterLoss}
		if e.logs.under(c, s.cut) {
			f = u.view(s.cut).counts(c) // what the cut accepted is judged by the presents under it: a demoted admin takes nothing back
		}
		best = best.better(f)
	}
	return best
}

// judgeOwnFloor: a node prunes its own log.
func (e *Evaluator) judgeOwnFloor(it *item) finding {
	for _, c := range it.copies {
		if c.key == it.author {
			return finding{rule: counts}
		}
	}
	return finding{rule: ownFloor}
}

// settled is the finding of an item that needs no judging by others, or that waits for the genesis.
func (e *Evaluator) settled(it *item) finding {
	switch {
	case board.TeamID(it.hash) == e.id && it.act == actCharter && e.genesis != nil:
		return finding{rule: counts}
	case it.foreign && it.act != actAck:
		return finding{rule: otherTeam}
	case it.act == actLater:
		return finding{rule: later}
	case !e.founded:
		return finding{noGenesis, board.Hash(e.id)}
	case e.genesis.Charter.Rules > Rules:
		return finding{rule: upgrade}
	}
	return it.found
}
