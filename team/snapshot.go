package team

import (
	"bytes"
	"slices"

	"weft/board"
)

// member is what a State knows of a user. Immutable.
type member struct {
	name       string
	role       Role
	cred       board.Hash   // what gives the right to write, or else the role; zero without a role
	creds      []credential // by hash
	restricted bool         // a counting operation on the user allows reading only
	keys       [][32]byte
	ever       [][32]byte
	homes      []board.NodeID
	head       board.Hash // the newest charter that counts
}

// outcome is what a State knows of an object. Immutable.
type outcome struct {
	verdict Verdict
	act     action
	user    board.UserID // of an admission
}

// settle computes a user's role, rights and homes from what counts (trust §6, §8).
func (e *Evaluator) settle(u *user) {
	m := &member{role: u.power, ever: u.ever, creds: slices.Clone(u.grants)}
	for _, g := range u.grants {
		m.restricted = m.restricted || g.role < Member
		// The most restrictive holds; of several grants of one role the one with the lowest hash is named.
		if u.power == None && (m.role == None || g.role < m.role) {
			m.role, m.cred = g.role, g.hash
		}
	}
	if u.power != None {
		m.cred = board.Hash(e.id)
		i, _ := slices.BinarySearchFunc(m.creds, m.cred, compareCredential)
		m.creds = slices.Insert(m.creds, i, credential{m.cred, u.power})
	}
	if u.head != nil {
		m.name, m.keys, m.head = u.head.name, u.head.keys, u.head.hash
		m.homes = u.homes()
	}
	e.moved[u.id] = m
	var served []board.NodeID
	if m.role != None && m.role >= Reader {
		served = m.homes
	}
	for _, n := range served {
		e.serve(n, 1)
	}
	for _, n := range u.served {
		e.serve(n, -1)
	}
	u.served = served
}

// serve counts how many reasons a node has to be of the team.
func (e *Evaluator) serve(n board.NodeID, by int) {
	if e.serving[n] += by; e.serving[n] == 0 {
		delete(e.serving, n)
	}
}

// snapshot copies what changed into a new State.
func (e *Evaluator) snapshot() *State {
	s := *e.state
	s.charter, s.genesis = e.charter, e.genesis
	set := make(map[board.Hash]*outcome, len(e.changed))
	invites := map[board.Hash]*InviteState{}
	for h, it := range e.changed {
		o := &outcome{verdict: e.settled(it), act: it.act}
		if it.admit != nil {
			o.user = it.admit.user
		}
		set[h] = o
		if it.act == actInvite {
			invites[h] = e.inviteState(it, o.verdict)
		}
	}
	s.objects = s.objects.with(set)
	s.people = s.people.with(e.moved)
	s.invites = s.invites.with(invites)
	if e.boards || s.charter != nil && s.boards == nil {
		s.boards = e.boardMap()
	}
	s.nodes = e.nodes(s.nodes)
	clear(e.changed)
	clear(e.moved)
	e.boards = false
	return &s
}

// inviteState is nil for an invite that does not count.
func (e *Evaluator) inviteState(it *item, v Verdict) *InviteState {
	if v.Status != Valid {
		return nil
	}
	used := 0
	if t := e.tickets[it.hash]; t != nil {
		used = len(t.users)
	}
	i := it.invite
	return &InviteState{
		Op: it.hash, Key: [32]byte(i.Key), Role: roleOf(i.Role), Admitter: board.NodeID(i.Admitter), Quota: i.Quota,
		Used: uint32(used), ExpiresMs: i.ExpiresMs, Author: it.author,
	}
}

func (e *Evaluator) boardMap() map[board.ID]Board {
	m := map[board.ID]Board{}
	if e.charter.Rules > Rules {
		return m
	}
	g := board.GeneralID(e.id)
	m[g] = Board{ID: g, Name: GeneralName, WriteRole: Member}
	for _, u := range e.users {
		for _, it := range u.ops {
			if it.act == actBoard && it.verdict.Status == Valid {
				m[it.board.ID] = *it.board
			}
		}
	}
	return m
}

// nodes is nodes(team) in order of key; the old slice if it is still right.
func (e *Evaluator) nodes(old []board.NodeID) []board.NodeID {
	same := len(old) == len(e.serving)
	for _, n := range old {
		same = same && e.serving[n] > 0
	}
	if same {
		return old
	}
	out := make([]board.NodeID, 0, len(e.serving))
	for n := range e.serving {
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b board.NodeID) int { return bytes.Compare(a[:], b[:]) })
	return out
}
