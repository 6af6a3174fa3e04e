package team

import (
	"bytes"
	"cmp"
	"slices"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// Status says whether something counts.
type Status uint8

// Statuses of entries and objects.
const (
	Valid       Status = iota + 1
	Pending            // something that it names is not here yet
	Void               // does not count, by the rule that Reason names
	Unevaluated        // of objects only: kept, but this version has no rule for it
)

func (s Status) String() string {
	switch s {
	case Valid:
		return "valid"
	case Pending:
		return "pending"
	case Void:
		return "void"
	case Unevaluated:
		return "unevaluated"
	}
	return "unknown"
}

// Verdict is what the rules say of an entry or an object.
type Verdict struct {
	Status  Status
	Rule    string     // short and stable, for programs: "after-removal"; empty when Valid
	Reason  string     // in words, for people; empty when Valid
	Missing board.Hash // what a Pending waits for, if that has a name: charter, operation, user id or (16 bytes of it) board
}

func (v Verdict) String() string {
	if v.Reason == "" {
		return v.Status.String()
	}
	return v.Status.String() + ": " + v.Reason
}

// Role of a user in a team.
type Role uint8

// Roles, from the most restrictive. Admin and Owner come from a charter only; None is someone without any role.
const (
	Banned Role = iota
	Removed
	Reader
	Muted
	Member
	Admin
	Owner
	None Role = 0xff
)

var roleNames = [...]string{"banned", "removed", "reader", "muted", "member", "admin", "owner"}

func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return "none"
}

// GeneralName is the name of a team's first message board.
const GeneralName = "general"

// State is what a set of objects means: an immutable snapshot, safe for concurrent reading.
type State struct {
	id         board.TeamID
	governance board.ID
	charter    *weftv1.TeamCharter // that counts
	genesis    *Object
	chain      []*fact            // charters that count
	choices    []*choice          // what may follow each of them
	pos        map[board.Hash]int // where in the chain a charter stands
	upgrade    *fact              // the charter after them needs newer rules
	closed     bool
	open       bool // entries may be judged: the genesis is here, no newer rules are needed, and the team is not closed
	general    board.ID
	people     *table[board.UserID, *member]
	objects    *table[board.Hash, *outcome]
	invites    *table[board.Hash, *InviteState]
	boards     map[board.ID]Board
	nodes      []board.NodeID
	origins    []board.NodeID
	fates      map[board.NodeID]*nodeFate
	requests   []*fact // that count, by hash
	floors     []*fact // likewise
}

func newState(id board.TeamID) *State {
	return &State{
		id: id, governance: board.GovernanceID(id), general: board.GeneralID(id), people: new(table[board.UserID, *member]), objects: new(table[board.Hash, *outcome]),
		invites: new(table[board.Hash, *InviteState]),
	}
}

// Board of a team.
type Board struct {
	ID        board.ID
	Name      string
	Op        board.Hash // the operation that made it; zero for general
	WriteRole Role       // least role that may write
}

// Person is someone with a role in the team.
type Person struct {
	User    board.UserID
	Name    string // "" until the user is presented here
	Role    Role
	Cred    board.Hash       // what gives the role: a charter or an operation
	Homes   []board.NodeID   // that accepted, by key
	Devices []board.DeviceID // in order of seniority, without the recovery key
}

// InviteState is an invite that counts, and how far it is used.
type InviteState struct {
	Op        board.Hash
	Key       [32]byte // public key
	Role      Role
	Admitter  board.NodeID
	Quota     uint32
	Used      uint32 // users admitted
	ExpiresMs uint64 // milliseconds since 1970; 0: never
	Author    board.UserID
	Withdrawn bool // by an uninvite, or with the power of its author: only people accepted before are in by it
}

// ID of the team.
func (s *State) ID() board.TeamID { return s.id }

// Known says whether the team's genesis is here. Until then everything is pending.
func (s *State) Known() bool { return s.charter != nil }

// Name of the team, as people see it; "" while it is not Known.
func (s *State) Name() string { return s.charter.GetName() }

// Rules is the version of the rules that the team needs; 0 while it is not Known.
func (s *State) Rules() uint32 {
	if s.upgrade != nil {
		return s.upgrade.says.(*charterSays).m.Rules
	}
	return s.charter.GetRules()
}

// UpgradeNeeded says that the team needs rules that this version does not have: its records are kept and carried, and
// nothing more is evaluated or written. Roles and all else stay as of the last charter that this version understands.
func (s *State) UpgradeNeeded() bool { return s.Rules() > Rules }

// Charter that counts; nil while the team is not Known. It must not be changed.
func (s *State) Charter() *weftv1.TeamCharter { return s.charter }

// Genesis is the charter that founded the team; nil while it is not Known. It must not be changed.
func (s *State) Genesis() *Object { return s.genesis }

// Role of a user; None for someone without any.
func (s *State) Role(u board.UserID) Role {
	if m, ok := s.people.get(u); ok {
		return m.role
	}
	return None
}

// CanWrite says whether u may write to board b.
func (s *State) CanWrite(u board.UserID, b board.ID) bool {
	m, ok := s.people.get(u)
	if !ok || !m.clear || s.closed || s.UpgradeNeeded() {
		return false
	}
	to, ok := s.boards[b]
	return ok && m.role >= to.WriteRole
}

// Cred is what u's entries have to name as the right to write; false for someone who may not write.
func (s *State) Cred(u board.UserID) (board.Hash, bool) {
	m, ok := s.people.get(u)
	if !ok || !m.clear || s.closed || s.UpgradeNeeded() {
		return board.Hash{}, false
	}
	return m.cred, true
}

// Nodes of the team: who may receive. In order of key; the slice must not be changed.
func (s *State) Nodes() []board.NodeID { return s.nodes }

// IsNode says whether n may receive.
func (s *State) IsNode(n board.NodeID) bool {
	_, ok := slices.BinarySearchFunc(s.nodes, n, func(a, b board.NodeID) int { return bytes.Compare(a[:], b[:]) })
	return ok
}

// Homes of a user that have accepted, in order of key. The slice must not be changed.
func (s *State) Homes(u board.UserID) []board.NodeID {
	if m, ok := s.people.get(u); ok {
		return m.homes
	}
	return nil
}

// Devices of a user in order of seniority, without the recovery key.
func (s *State) Devices(u board.UserID) (out []board.DeviceID) {
	if m, ok := s.people.get(u); ok && len(m.keys) > 0 {
		for _, k := range m.keys[1:] {
			out = append(out, board.DeviceID(k))
		}
	}
	return out
}

// UserName is the name that a user chose; "" for someone not presented here.
func (s *State) UserName(u board.UserID) string {
	if m, ok := s.people.get(u); ok {
		return m.name
	}
	return ""
}

// Boards of the team that carry messages: general first, then by name, then by id.
func (s *State) Boards() []Board {
	general := s.general
	out := make([]Board, 0, len(s.boards))
	for _, b := range s.boards {
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b Board) int {
		switch general {
		case a.ID:
			return -1
		case b.ID:
			return 1
		}
		return cmp.Or(cmp.Compare(a.Name, b.Name), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return out
}

// Board with this id, if the team has it.
func (s *State) Board(id board.ID) (Board, bool) {
	b, ok := s.boards[id]
	return b, ok
}

// Member is what is known of someone in the team: a reader or more.
func (s *State) Member(u board.UserID) (Person, bool) {
	m, ok := s.people.get(u)
	if !ok || m.role == None || m.role < Reader {
		return Person{}, false
	}
	return s.person(u, m), true
}

func (s *State) person(u board.UserID, m *member) Person {
	return Person{User: u, Name: m.name, Role: m.role, Cred: m.cred, Homes: m.homes, Devices: s.Devices(u)}
}

// Members are all people in the team, readers or more, the most powerful first, then by name, then by id.
func (s *State) Members() []Person { return s.list(func(r Role) bool { return r >= Reader }) }

// Outsiders are people who were removed or banned, by role, name and id.
func (s *State) Outsiders() []Person { return s.list(func(r Role) bool { return r < Reader }) }

func (s *State) list(takes func(Role) bool) []Person {
	var out []Person
	s.people.all(func(u board.UserID, m *member) {
		if m.role != None && takes(m.role) {
			out = append(out, s.person(u, m))
		}
	})
	slices.SortFunc(out, func(a, b Person) int {
		return cmp.Or(cmp.Compare(b.Role, a.Role), cmp.Compare(a.Name, b.Name), bytes.Compare(a.User[:], b.User[:]))
	})
	return out
}

// Invites that count, by hash of the operation; used up and expired ones too, withdrawn ones not.
func (s *State) Invites() []InviteState {
	var out []InviteState
	s.invites.all(func(_ board.Hash, i *InviteState) {
		if i != nil && !i.Withdrawn {
			out = append(out, *i)
		}
	})
	slices.SortFunc(out, func(a, b InviteState) int { return bytes.Compare(a.Op[:], b.Op[:]) })
	return out
}

// Invite made by the operation with this hash, if it counts, also if it was withdrawn.
func (s *State) Invite(op board.Hash) (InviteState, bool) {
	if i, ok := s.invites.get(op); ok && i != nil {
		return *i, true
	}
	return InviteState{}, false
}

// Verdict of an object of the team; false for one that is not here.
func (s *State) Verdict(object board.Hash) (Verdict, bool) {
	if o, ok := s.objects.get(object); ok {
		return o.found.verdict(), true
	}
	return Verdict{}, false
}
