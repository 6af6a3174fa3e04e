package team

import (
	"bytes"
	"cmp"
	"slices"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// outcome is what a State knows of an object. Immutable.
type outcome struct {
	*fact
	found finding
}

// nodeFate is what a State knows of a node that operations or proofs speak of. Immutable.
type nodeFate struct {
	denied   bool
	cuts     []*Cut
	forks    []*fact
	heads    []board.Hash // of its register
	register []*fact      // all that counts on it
}

// snapshot copies what changed into a new State.
func (e *Evaluator) snapshot() *State {
	s := *e.state
	s.genesis = e.genesis
	set := make(map[board.Hash]*outcome, len(e.changed))
	invites := map[board.Hash]*InviteState{}
	for h, it := range e.changed {
		o := &outcome{it.fact, e.settled(it)}
		set[h] = o
		if it.act == actInvite {
			invites[h] = e.inviteState(it, o.found)
		}
	}
	s.objects = s.objects.with(set)
	s.people = s.people.with(e.moved)
	s.invites = s.invites.with(invites)
	e.renew(&s)
	e.changed, e.moved = map[board.Hash]*item{}, map[board.UserID]*member{} // a cleared map would stay as large as it was
	return &s
}

// renew makes those parts of a snapshot anew that are not kept in tables.
func (e *Evaluator) renew(s *State) {
	r := &e.renewed
	if e.genesis != nil && s.charter == nil {
		s.charter = e.genesis.Charter
		s.chain, s.pos = []*fact{e.items[board.Hash(e.id)].fact}, map[board.Hash]int{board.Hash(e.id): 0}
		r.boards = true
	}
	if r.chain {
		s.chain, s.pos, s.upgrade = nil, make(map[board.Hash]int, len(e.chain)), nil
		for i, c := range e.chain {
			s.chain = append(s.chain, c.fact)
			s.pos[c.hash] = i
		}
		s.charter = e.head().m
		if e.upgrade != nil {
			s.upgrade = e.upgrade.fact
		}
		_, s.closed = s.Closed()
	}
	s.open = s.charter != nil && !s.UpgradeNeeded() && !s.closed
	if r.chain || r.acks {
		s.choices = make([]*choice, len(s.chain))
		for i, c := range s.chain {
			if st := e.steps[c.hash]; st != nil {
				s.choices[i] = st.choice
			}
		}
	}
	if r.boards {
		s.boards = e.boardMap()
	}
	if r.nodes {
		s.fates = e.fates(s.fates)
		s.nodes = listNodes(e.serving, s.nodes, s.fates)
		s.origins = e.originList(s.origins)
	}
	if r.requests {
		s.requests = e.list(actRequest)
	}
	if r.floors {
		s.floors = e.list(actFloor)
	}
	*r = renewals{}
}

// list are the operations of a kind by people (or floors by nodes) that count, by hash.
func (e *Evaluator) list(act action) (out []*fact) {
	for _, u := range e.users {
		for _, it := range u.ops {
			if it.act == act && it.valid() {
				out = append(out, it.fact)
			}
		}
	}
	slices.SortFunc(out, func(a, b *fact) int { return compareHashes(a.hash, b.hash) })
	return out
}

// inviteState is nil for an invite that does not count.
func (e *Evaluator) inviteState(it *item, f finding) *InviteState {
	if f.rule != counts {
		return nil
	}
	used, over := 0, false
	if t := e.tickets[it.hash]; t != nil {
		used = len(t.users)
		over = slices.ContainsFunc(t.limits, func(l limit) bool { return l.rule != denied })
	}
	i := it.says.(*weftv1.Invite)
	return &InviteState{
		Op: it.hash, Key: [32]byte(i.Key), Role: roleOf(i.Role), Admitter: board.NodeID(i.Admitter), Quota: i.Quota,
		Used: uint32(used), ExpiresMs: i.ExpiresMs, Author: it.author, Withdrawn: over,
	}
}

func roleOf(r weftv1.Role) Role { return Role(r) }

func (e *Evaluator) boardMap() map[board.ID]Board {
	m := map[board.ID]Board{}
	if e.genesis.Charter.Rules > Rules {
		return m
	}
	g := board.GeneralID(e.id)
	m[g] = Board{ID: g, Name: GeneralName, WriteRole: Member}
	for _, f := range e.list(actBoard) {
		b := f.says.(*Board)
		m[b.ID] = *b
	}
	return m
}

// fates of the nodes that something counting speaks of; those of old that did not change stay.
func (e *Evaluator) fates(old map[board.NodeID]*nodeFate) map[board.NodeID]*nodeFate {
	m := map[board.NodeID]*nodeFate{}
	for id, n := range e.nodes {
		f := &nodeFate{denied: n.denied, cuts: n.cuts, forks: n.forks, heads: n.heads}
		for _, it := range n.ops {
			if it.valid() {
				f.register = append(f.register, it.fact)
			}
		}
		if len(f.register) == 0 {
			continue
		}
		slices.SortFunc(f.register, func(a, b *fact) int { return compareHashes(a.hash, b.hash) })
		if o := old[id]; o != nil && slices.Equal(o.register, f.register) {
			f = o
		}
		m[id] = f
	}
	return m
}

// listNodes is nodes(team) in order of key; the old slice if it is still right.
func listNodes(serving map[board.NodeID]int, old []board.NodeID, fates map[board.NodeID]*nodeFate) []board.NodeID {
	out := make([]board.NodeID, 0, len(serving))
	for n := range serving {
		if f := fates[n]; f == nil || !f.denied {
			out = append(out, n)
		}
	}
	return ordered(out, old)
}

// originList is listNodes for all whose logs are part of the boards.
func (e *Evaluator) originList(old []board.NodeID) []board.NodeID {
	out := make([]board.NodeID, 0, len(e.sources)+len(e.serving))
	for n := range e.sources {
		out = append(out, n)
	}
	for n := range e.serving {
		if e.sources[n] == 0 {
			out = append(out, n)
		}
	}
	for id, n := range e.nodes {
		if n.denied && e.sources[id] == 0 && e.serving[id] == 0 {
			out = append(out, id)
		}
	}
	return ordered(out, old)
}

// ordered by key; the old slice if it is the same.
func ordered(l, old []board.NodeID) []board.NodeID {
	slices.SortFunc(l, func(a, b board.NodeID) int { return bytes.Compare(a[:], b[:]) })
	if old != nil && slices.Equal(l, old) {
		return old
	}
	return l
}

func compareFloors(a, b Floor) int {
	return cmp.Or(comparePositions(a.Position, b.Position), compareHashes(a.Op, b.Op))
}
