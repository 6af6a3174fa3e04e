package team

import (
	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// Evaluator turns objects and the records that carry them into a State. Not safe for concurrent use: its owner guards it.
//
// Add and AddRecord only file things and mark what they may change; State evaluates what is marked, in this order, in which
// no step looks back at a later one: presents → each person's chain and devices (user.go); acks → the team's chain of
// charters (chain.go); operations (judge.go) → registers of nodes, denials and forks (noderegister.go) → which records
// count (counting.go), admissions in the order of their invite (ticket.go) → registers of people, roles, rights and homes
// (register.go, settle.go). Each step is a function of everything filed, so State depends on no order.
type Evaluator struct {
	id      board.TeamID
	logs    *logs
	items   map[board.Hash]*item
	users   map[board.UserID]*user
	nodes   map[board.NodeID]*node
	tickets map[board.Hash]*ticket     // by invite; also for admissions whose invite is not here
	under   map[board.Hash][]*item     // by charter, for charters other than the genesis: what acts under it
	acks    map[board.Hash][]*item     // by charter
	steps   map[board.Hash]*step       // by parent
	awaited map[board.Hash][]dependant // by hash of a record that a cut names and nobody holds yet
	genesis *Object                    // once it is here
	founded bool                       // the genesis has been evaluated
	chain   []*item                    // of charters that count
	pos     map[board.Hash]int         // where in the chain a charter stands
	upgrade *item                      // the charter after them needs newer rules
	stale   staleness                  // what State has to look at again
	serving map[board.NodeID]int       // nodes(team) and denied ones, with how many people or relays entries stand behind each
	sources map[board.NodeID]int       // nodes whose logs are part of the boards, likewise
	state   *State                     // the last snapshot
	changed map[board.Hash]*item       // findings to be copied into the next snapshot
	moved   map[board.UserID]*member   // people to be copied into the next snapshot
	renewed renewals                   // parts of the next snapshot
}

// renewals are the parts of a snapshot that are to be made anew.
type renewals struct{ boards, nodes, requests, floors, chain, acks bool }

// dependant is what a cut decides.
type dependant struct {
	user   *user
	ticket *ticket
	node   *node
}

// staleness is what was marked since the last State.
type staleness struct {
	any     bool
	users   map[*user]struct{}   // presents, and what their devices signed
	steps   map[*step]struct{}   // charters and acks
	forks   []*item              // proofs that came
	nodes   map[*node]struct{}   // operations on nodes
	tickets map[*ticket]struct{} // invites and admissions
	roles   map[*user]struct{}   // operations on people, or homes
}

// NewEvaluator for the team with this id.
func NewEvaluator(id board.TeamID) *Evaluator {
	e := &Evaluator{
		id: id, logs: newLogs(id), items: map[board.Hash]*item{}, users: map[board.UserID]*user{}, nodes: map[board.NodeID]*node{},
		tickets: map[board.Hash]*ticket{}, under: map[board.Hash][]*item{}, acks: map[board.Hash][]*item{}, steps: map[board.Hash]*step{},
		awaited: map[board.Hash][]dependant{}, pos: map[board.Hash]int{}, serving: map[board.NodeID]int{}, sources: map[board.NodeID]int{},
		state: newState(id), changed: map[board.Hash]*item{}, moved: map[board.UserID]*member{},
	}
	e.stale.reset()
	return e
}

func (s *staleness) reset() {
	*s = staleness{
		users: map[*user]struct{}{}, steps: map[*step]struct{}{}, nodes: map[*node]struct{}{}, tickets: map[*ticket]struct{}{}, roles: map[*user]struct{}{},
	}
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
		it = &item{fact: newFact(o, e.id)}
		e.items[o.Hash] = it
	}
	s, added := it.copy(o.Key)
	for _, p := range o.Records {
		if p.Board != e.logs.governance {
			continue
		}
		if r := e.logs.at(p); s.carry(r) && held && !added {
			changed = e.recorded(it, r) || changed
		}
	}
	switch {
	case !held:
		e.file(it, o)
	case !added:
		return changed, nil
	}
	e.mark(it)
	e.stale.any = true
	return true, nil
}

// AddRecord says that a record stands at a position of the governance board, after prev (zero at the start of a log; in
// the first record of an epoch prev seals the one before). It is told of every record there, in any order, also of those
// whose entries are no objects. changed says that State may be another one now.
func (e *Evaluator) AddRecord(at board.Position, prev board.Link) (changed bool) {
	if at.Board != e.logs.governance || !e.logs.add(at, prev) {
		return false
	}
	for _, l := range e.logs.linked {
		changed = e.linked(l.record) || changed
		for _, d := range e.awaited[l.hash] {
			e.decided(d)
			changed = true
		}
		delete(e.awaited, l.hash)
	}
	e.logs.linked = e.logs.linked[:0]
	return changed
}

// file puts a new item where evaluation will look for it.
func (e *Evaluator) file(it *item, o *Object) {
	e.changed[it.hash] = it
	switch it.act {
	case actCharter:
		if board.TeamID(it.hash) == e.id && o.Charter.Ver == 1 {
			e.genesis = o
		}
		if c := it.says.(*charterSays); c.ver > 1 && !it.foreign {
			st := e.step(c.prev)
			st.children = append(st.children, it)
			for i := range c.cuts {
				e.await(c.cuts[i].cut, dependant{user: e.user(c.cuts[i].user)})
			}
		}
	case actAck:
		e.acks[it.charter] = append(e.acks[it.charter], it)
		u := e.user(it.author)
		u.acks = append(u.acks, it)
	}
	if it.act >= actSet && !it.foreign {
		if it.charter != board.Hash(e.id) && it.act != actPresent && it.act != actFork {
			e.under[it.charter] = append(e.under[it.charter], it)
		}
		e.fileOperation(it, o)
	}
	e.placed(it)
}

func (e *Evaluator) fileOperation(it *item, o *Object) {
	u := e.user(it.author)
	switch k := it.says.(type) {
	case *presentSays:
		u.presents = append(u.presents, it)
		for _, d := range k.cuts {
			e.await(d.cut, dependant{user: u})
		}
		return
	case *admitSays:
		it.place = &place{sig: o.Op.GetAdmit().GetInviteSignature()}
		t := e.ticket(k.invite)
		t.admits = append(t.admits, it)
		return
	case *forkSays:
		n := e.node(k.Node)
		n.ops = append(n.ops, it)
		e.await(k.below, dependant{node: n})
		return
	case *setSays:
		t := e.user(k.user)
		t.sets = append(t.sets, it)
	case *nodeSays:
		n := e.node(k.node)
		n.ops = append(n.ops, it)
		e.await(k.cut, dependant{node: n})
	case *weftv1.Invite:
		e.node([32]byte(k.Admitter)).admits(it.hash, e.ticket(it.hash))
	case *uninviteSays:
		t := e.ticket(k.invite)
		t.uninvites = append(t.uninvites, it)
		e.await(k.cut, dependant{ticket: t})
	}
	u.ops = append(u.ops, it)
}

// placed tells those who waited for this object, whatever it is.
func (e *Evaluator) placed(it *item) {
	if t := e.tickets[it.hash]; t != nil {
		t.item, t.again = it, true
		e.stale.tickets[t] = struct{}{}
	}
	for _, x := range e.under[it.hash] {
		e.mark(x)
	}
	if st := e.steps[it.hash]; st != nil {
		st.parent = it
		e.stale.steps[st] = struct{}{}
	}
	for _, a := range e.acks[it.hash] {
		e.markAck(a)
	}
}

// await has d looked at again when a record that the cut names is there.
func (e *Evaluator) await(c *Cut, d dependant) {
	for _, p := range c.At(e.logs.governance) {
		if r := e.logs.records[p.Hash]; r == nil || r.seg == nil {
			e.awaited[p.Hash] = append(e.awaited[p.Hash], d)
		}
	}
}

func (e *Evaluator) user(id [32]byte) *user {
	u := e.users[id]
	if u == nil {
		u = &user{identity: identity{id: id, logs: e.logs}}
		e.users[id] = u
	}
	return u
}

func (e *Evaluator) node(id [32]byte) *node {
	n := e.nodes[id]
	if n == nil {
		n = &node{id: id}
		e.nodes[id] = n
	}
	return n
}

func (e *Evaluator) ticket(invite board.Hash) *ticket {
	t := e.tickets[invite]
	if t == nil {
		t = &ticket{item: e.items[invite], again: true}
		e.tickets[invite] = t
	}
	return t
}

func (e *Evaluator) step(parent board.Hash) *step {
	s := e.steps[parent]
	if s == nil {
		s = &step{parent: e.items[parent]}
		e.steps[parent] = s
	}
	return s
}

// State is what the objects added so far mean: the same snapshot as before if nothing changed.
func (e *Evaluator) State() *State {
	if !e.stale.any {
		return e.state
	}
	if e.genesis != nil && !e.founded {
		e.found()
	}
	if e.founded && e.genesis.Charter.Rules <= Rules {
		e.evaluate()
		e.stale.reset()
	}
	e.stale.any = false
	e.state = e.snapshot()
	return e.state
}

func (e *Evaluator) evaluate() {
	for u := range e.stale.users {
		e.identify(u)
	}
	e.rechain()
	for u := range e.stale.users {
		e.judgeUser(u)
	}
	for _, it := range e.stale.forks {
		e.rule(it, finding{rule: counts})
	}
	for n := range e.stale.nodes {
		e.judgeNode(n)
	}
	e.judgeTickets()
	for u := range e.stale.roles {
		e.settle(u)
	}
}

// found has everything looked at that waited for the genesis.
func (e *Evaluator) found() {
	e.founded = true
	for h, it := range e.items { // their finding was to wait for the genesis
		e.changed[h] = it
	}
	if e.genesis.Charter.Rules > Rules {
		return
	}
	e.stale.steps[e.step(board.Hash(e.id))] = struct{}{}
	e.everything()
}

// everything is judged again.
func (e *Evaluator) everything() {
	for _, u := range e.users {
		u.rejudge = true
		e.stale.users[u] = struct{}{}
		e.stale.roles[u] = struct{}{}
	}
	for _, n := range e.nodes {
		e.stale.nodes[n] = struct{}{}
	}
	for _, t := range e.tickets {
		t.again = true
		e.stale.tickets[t] = struct{}{}
	}
}
