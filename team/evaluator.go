package team

import (
	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// Evaluator turns objects into a State. Not safe for concurrent use: its owner guards it.
//
// Add only files an object and marks what it may change; State evaluates what is marked, in this order, in which no step
// looks back at a later one: presents → each user's chain and devices; boards and invites; admissions in the order of
// their invite; roles, creds and homes. (In between, later versions evaluate acks → the charter chain, and registers of
// users and nodes.) Each step is a function of everything filed, so State does not depend on the order of Add.
type Evaluator struct {
	id      board.TeamID
	items   map[board.Hash]*item
	users   map[board.UserID]*user
	tickets map[board.Hash]*ticket   // by invite; also for admissions whose invite is not here
	under   map[board.Hash][]*item   // by charter, for charters other than the genesis
	seals   map[board.Origin]uint64  // how far each sealed epoch of a log counts
	charter *weftv1.TeamCharter      // the genesis, once it is here
	genesis *Object                  //
	founded bool                     // the genesis has been evaluated
	stale   staleness                // what State has to look at again
	serving map[board.NodeID]int     // nodes(team), with how many people or relays entries stand behind each
	state   *State                   // the last snapshot
	changed map[board.Hash]*item     // verdicts to be copied into the next snapshot
	moved   map[board.UserID]*member // people to be copied into the next snapshot
	boards  bool                     // boards changed since the last snapshot
}

// staleness is what was marked since the last State.
type staleness struct {
	any     bool
	users   map[*user]struct{}   // presents, and what their devices signed
	tickets map[*ticket]struct{} // invites
	roles   map[*user]struct{}   // grants, or homes
}

// NewEvaluator for the team with this id.
func NewEvaluator(id board.TeamID) *Evaluator {
	e := &Evaluator{
		id: id, items: map[board.Hash]*item{}, users: map[board.UserID]*user{}, tickets: map[board.Hash]*ticket{},
		under: map[board.Hash][]*item{}, seals: map[board.Origin]uint64{}, serving: map[board.NodeID]int{},
		state: newState(id), changed: map[board.Hash]*item{}, moved: map[board.UserID]*member{},
	}
	e.stale.reset()
	return e
}

func (s *staleness) reset() {
	*s = staleness{users: map[*user]struct{}{}, tickets: map[*ticket]struct{}{}, roles: map[*user]struct{}{}}
}

// Add takes an object with the positions known to carry it. The same object may come again, with other positions or
// another signature. changed says that State may be another one now. The error wraps board.ErrMalformed for an object that
// neither ParseObject nor a builder made.
func (e *Evaluator) Add(o *Object) (changed bool, err error) {
	if o == nil || o.Hash.IsZero() || o.Charter == nil && o.Ack == nil && o.Op == nil {
		return false, malformed("object", "it was not parsed")
	}
	it, held := e.items[o.Hash]
	if !held {
		it = newItem(o)
		e.items[o.Hash] = it
	}
	signed := !held || it.sign(o.Key)
	carried := it.carry(o.Records)
	if held && !signed && !(carried && it.act == actAdmit) {
		return false, nil
	}
	if !held {
		e.file(it, o)
		for _, waits := range e.under[it.hash] { // even if it is no charter: then they are void
			e.mark(waits)
		}
	}
	e.mark(it)
	e.stale.any = true
	return true, nil
}

// file puts a new item where evaluation will look for it.
func (e *Evaluator) file(it *item, o *Object) {
	e.changed[it.hash] = it
	if it.act == actCharter {
		if board.TeamID(it.hash) == e.id && o.Charter.Ver == 1 {
			e.charter, e.genesis = o.Charter, o
		}
		return
	}
	if it.charter != board.Hash(e.id) && it.act != actLater && it.act != actPresent {
		e.under[it.charter] = append(e.under[it.charter], it)
	}
	switch it.act {
	case actBoard, actInvite:
		u := e.user(it.author)
		u.ops = append(u.ops, it)
	case actPresent:
		if it.team == e.id {
			u := e.user(it.author)
			u.presents = append(u.presents, it)
			u.show(it.presented)
		}
	case actAdmit:
		t := e.ticket(it.admit.invite)
		t.admits = append(t.admits, it)
	}
}

// mark notes what has to be evaluated again because of it.
func (e *Evaluator) mark(it *item) {
	switch it.act {
	case actPresent:
		if it.team == e.id {
			e.look(it)
		}
	case actBoard, actInvite:
		e.look(it)
	case actAdmit:
		t := e.tickets[it.admit.invite]
		t.add(e, it)
		e.stale.tickets[t] = struct{}{}
	}
	if t := e.tickets[it.hash]; t != nil && t.item == nil {
		t.item = it
		e.stale.tickets[t] = struct{}{}
	}
}

// look has an item by a person judged.
func (e *Evaluator) look(it *item) {
	u := e.user(it.author)
	if e.founded { // else everything will be looked at
		u.fresh = append(u.fresh, it)
	}
	e.stale.users[u] = struct{}{}
}

// AddRecord says that a record stands at a position of the governance board, after prev (zero at the start of a log; in
// the first record of an epoch prev seals the one before). It is told of every record there, in any order, also of those
// whose entries are no objects. changed says that State may be another one now.
func (e *Evaluator) AddRecord(at board.Position, prev board.Link) (changed bool) {
	if at.Board != e.state.governance || at.Seq != 1 || prev == (board.Link{}) {
		return false
	}
	node := at.Node
	o := board.Origin{Node: node, Epoch: prev.Epoch}
	if prev.Seq <= e.seals[o] {
		return false
	}
	e.seals[o] = prev.Seq
	for _, t := range e.tickets {
		if t.admits != nil && (t.item == nil || t.item.invite == nil || board.NodeID(t.item.invite.Admitter) == node) {
			t.again = true
			e.stale.tickets[t] = struct{}{}
			changed = true
		}
	}
	e.stale.any = e.stale.any || changed
	return changed
}

// counting says whether the record at p counts: it stands at or below a seal of its epoch, or there is none (trust §2).
func (e *Evaluator) counting(p board.Position) bool {
	sealed, ok := e.seals[p.Origin()]
	return !ok || p.Seq <= sealed
}

func (e *Evaluator) user(id [32]byte) *user {
	u := e.users[id]
	if u == nil {
		u = &user{id: id, power: None}
		e.users[id] = u
	}
	return u
}

func (e *Evaluator) ticket(invite board.Hash) *ticket {
	t := e.tickets[invite]
	if t == nil {
		t = &ticket{item: e.items[invite], again: true}
		e.tickets[invite] = t
	}
	return t
}

// State is what the objects added so far mean: the same snapshot as before if nothing changed.
func (e *Evaluator) State() *State {
	if !e.stale.any {
		return e.state
	}
	if e.charter != nil && !e.founded {
		e.found()
	}
	if e.founded && e.charter.Rules <= Rules {
		for u := range e.stale.users {
			e.judgeUser(u)
		}
		e.judgeTickets()
		for u := range e.stale.roles {
			e.settle(u)
		}
		e.stale.reset()
	}
	e.stale.any = false
	e.state = e.snapshot()
	return e.state
}
