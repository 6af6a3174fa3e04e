package trust

import (
	"bytes"
	"slices"

	"weft/board"
	"weft/team"

	weftv1 "weft/api/weft/v1"
)

// Status of an object or entry.
type Status string

// What the rules say of an object or entry.
const (
	Valid   Status = "valid"
	Pending Status = "pending"
	Void    Status = "void"
	Unknown Status = "unknown" // of an operation of a later version
)

// Verdict is a status, and why: a few words that name the rule. Two evaluations must agree about the status.
type Verdict struct {
	Status Status
	Rule   string
}

var valid = Verdict{Valid, ""}

func pending(rule string) Verdict { return Verdict{Pending, rule} }
func void(rule string) Verdict    { return Verdict{Void, rule} }

// State is what a set of records means.
type State struct {
	Chain    []board.Hash // canonical charters, genesis first; empty: it isn't here
	Upgrade  bool         // the last of the chain needs newer rules
	Objects  map[board.Hash]Verdict
	Users    map[board.UserID][]board.Hash // canonical charters of everybody presented
	Devices  map[board.UserID][]board.DeviceID
	Roles    map[board.UserID]team.Role // of everybody who has, or had, one
	Nodes    []board.NodeID             // who may receive, in order of key
	Used     map[board.Hash]int         // people admitted by each counting invite
	Counting map[board.Hash]bool        // records that hang on their log's beginning; true: it counts
	Met      Met                        // how often each rule had a say

	e *evaluation
}

type evaluation struct {
	*logs
	team     board.TeamID
	people   map[board.UserID][]present
	persons  map[string]*person
	here     map[board.Hash]bool // all objects
	acks     []ack
	charters map[board.Hash]*charter
	ops      map[board.Hash]*operation
	chain    []*charter
	register map[board.UserID][]grant
	nodes    map[board.NodeID][]grant
	st       *State
}

// operation with everybody who signed it.
type operation struct {
	*weftv1.Operation
	hash    board.Hash
	raw     []byte
	signers []key
}

// Evaluate says what these records mean for the team: all of trust.md. Any order, and duplicates, are the same.
func Evaluate(id board.TeamID, records []*Held) *State {
	e := &evaluation{logs: link(records), team: id, people: map[board.UserID][]present{}, persons: map[string]*person{}, here: map[board.Hash]bool{},
		charters: map[board.Hash]*charter{}, ops: map[board.Hash]*operation{}, register: map[board.UserID][]grant{}, nodes: map[board.NodeID][]grant{}}
	e.st = &State{Objects: map[board.Hash]Verdict{}, Users: map[board.UserID][]board.Hash{}, Devices: map[board.UserID][]board.DeviceID{}, Roles: map[board.UserID]team.Role{},
		Used: map[board.Hash]int{}, Counting: map[board.Hash]bool{}, e: e}
	e.st.Met = e.met
	e.sortObjects()
	for u := range e.people {
		if p := e.person(u); p.head() != nil {
			for _, c := range p.chain {
				e.st.Users[u] = append(e.st.Users[u], c.hash)
			}
			for _, k := range p.head().Keys[1:] {
				e.st.Devices[u] = append(e.st.Devices[u], board.DeviceID(k))
			}
		}
	}
	genesis := e.charters[board.Hash(id)]
	if genesis == nil || genesis.Ver != 1 {
		return e.st
	}
	e.chain = []*charter{genesis}
	if genesis.Rules <= team.Rules {
		e.chain = e.walk(genesis)
	}
	for _, c := range e.chain {
		e.st.Chain = append(e.st.Chain, c.hash)
	}
	if last := len(e.chain) - 1; e.chain[last].Rules > team.Rules {
		e.st.Upgrade = true
		if e.chain = e.chain[:last]; last == 0 {
			return e.st
		}
	}
	for _, o := range sorted(e.ops) {
		if o.GetAdmit() == nil {
			e.st.Objects[o.hash] = e.best(o)
		}
	}
	e.nodeRegisters()
	for _, h := range e.held {
		e.recordCounts(h)
	}
	e.userRegisters()
	e.admissions()
	e.roles()
	e.judgeCharters()
	return e.st
}

// sortObjects files each held object by its kind.
func (e *evaluation) sortObjects() {
	seen := map[item]bool{}
	for _, h := range sorted(e.given) {
		o := h.Object
		if o == nil {
			continue
		}
		i, _ := h.item()
		if seen[i] {
			continue
		}
		seen[i], e.here[i.hash] = true, true
		switch {
		case o.Charter != nil:
			e.charters[o.Hash] = &charter{o.Charter, o.Hash}
		case o.Ack != nil:
			e.acks = append(e.acks, ack{i, board.Hash(o.Ack.Charter), board.UserID(o.Ack.User)})
		case o.Op != nil:
			if e.ops[o.Hash] == nil {
				e.ops[o.Hash] = &operation{o.Op, o.Hash, o.Raw, nil}
			}
			e.ops[o.Hash].signers = append(e.ops[o.Hash].signers, o.Key)
			if p := o.Op.GetPresent(); p != nil && bytes.Equal(o.Op.Team, e.team[:]) {
				u := board.UserID(o.Op.Author)
				e.people[u] = append(e.people[u], present{i, p, hashOf(p.Charters[len(p.Charters)-1].Object)})
			}
		}
	}
}

// person is a user as all presents show them.
func (e *evaluation) person(u board.UserID) *person { return e.personUnder(u, nil) }

// personUnder is a user as the presents under d's cut of them show them.
func (e *evaluation) personUnder(u board.UserID, d *charter) *person {
	name, shown := string(u[:]), e.people[u]
	if d != nil {
		name, shown = name+string(d.hash[:]), nil
		for _, p := range e.people[u] {
			if e.under(p.item, d.cutOf(u).GetCut()) {
				shown = append(shown, p)
			}
		}
	}
	if e.persons[name] == nil {
		e.persons[name] = newPerson(u, shown, e.met)
	}
	return e.persons[name]
}

// judgeCharters says of charters and acks what came of them. (Acks were weighed when the chain was chosen.)
func (e *evaluation) judgeCharters() {
	for h, c := range e.charters {
		switch {
		case slices.Contains(e.st.Chain, h):
			e.st.Objects[h] = valid
		case c.Ver > 1 && !bytes.Equal(c.Team, e.team[:]):
			e.st.Objects[h] = void("team")
		case !e.hangs(c):
			e.st.Objects[h] = pending("parent")
		default:
			e.st.Objects[h] = void("not chosen")
		}
	}
	for _, a := range e.acks {
		v := e.judgeAck(a)
		if w, ok := e.st.Objects[a.hash]; !ok || v.better(w) {
			e.st.Objects[a.hash] = v
		}
	}
}

// hangs says whether it is known that a charter follows the first one, or that it doesn't: its parents are here, down to
// the first; or it is of another team.
func (e *evaluation) hangs(c *charter) bool {
	for c != nil && len(c.Prev) > 0 {
		if !bytes.Equal(c.Team, e.team[:]) {
			return true
		}
		c = e.charters[board.Hash(c.Prev)]
	}
	return c != nil
}

func (e *evaluation) judgeAck(a ack) Verdict {
	c := e.charters[a.charter]
	if c == nil {
		return e.missing(a.charter, "charter")
	}
	p := e.charters[board.Hash(slices.Concat(c.Prev, make([]byte, 32))[:32])]
	switch {
	case c.Ver > 1 && !bytes.Equal(c.Team, e.team[:]):
		return void("team")
	case p == nil:
		return pending("parent")
	case p.Rules > team.Rules:
		return pending("upgrade")
	case !p.power(a.user):
		return void("no power")
	case e.acked(p, c)[a.user]:
		return valid
	}
	return e.person(a.user).counts(e.logs, a.signer, a.item)
}

// missing is what is to be said of something that names h, which ought to be of some kind and isn't here as such.
func (e *evaluation) missing(h board.Hash, kind string) Verdict {
	if e.here[h] {
		return void("what it names is no " + kind)
	}
	return pending(kind)
}

// better says whether v is more than w: of several signatures of one object the best decides.
func (v Verdict) better(w Verdict) bool {
	order := []Status{Void, Pending, Valid}
	return slices.Index(order, v.Status) > slices.Index(order, w.Status)
}
