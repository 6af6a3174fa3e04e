package team

import (
	"time"

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

// Verdict is what the rules say of an entry or an object.
type Verdict struct {
	Status  Status
	Reason  string     // in words, for people; empty when Valid
	Missing board.Hash // what a Pending waits for, if it has a hash: charter, operation or user id
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

// State is what a set of objects means: an immutable snapshot, safe for concurrent reading.
type State struct {
	id board.TeamID
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
	Cred    board.Hash // what the person's entries name as the right to write; zero if there is none
	Homes   []board.NodeID
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
	ExpiresMs uint64 // 0: never
	Author    board.UserID
}

func (s *State) ID() board.TeamID                          { return s.id }
func (s *State) Known() bool                               { panic("stub") } // genesis is here
func (s *State) Name() string                              { panic("stub") }
func (s *State) Rules() uint32                             { panic("stub") }
func (s *State) UpgradeNeeded() bool                       { panic("stub") }
func (s *State) Charter() *weftv1.TeamCharter              { panic("stub") }
func (s *State) Genesis() *Object                          { panic("stub") }
func (s *State) Role(u board.UserID) Role                  { panic("stub") }
func (s *State) CanWrite(u board.UserID, b board.ID) bool  { panic("stub") }
func (s *State) Cred(u board.UserID) (board.Hash, bool)    { panic("stub") }
func (s *State) CheckEntry(h *board.Header) Verdict        { panic("stub") }
func (s *State) Nodes() []board.NodeID                     { panic("stub") }
func (s *State) IsNode(n board.NodeID) bool                { panic("stub") }
func (s *State) Homes(u board.UserID) []board.NodeID       { panic("stub") }
func (s *State) Devices(u board.UserID) []board.DeviceID   { panic("stub") }
func (s *State) UserName(u board.UserID) string            { panic("stub") }
func (s *State) Boards() []Board                           { panic("stub") }
func (s *State) Board(b board.ID) (Board, bool)            { panic("stub") }
func (s *State) Members() []Person                         { panic("stub") }
func (s *State) Member(u board.UserID) (Person, bool)      { panic("stub") }
func (s *State) Invites() []InviteState                    { panic("stub") }
func (s *State) Verdict(object board.Hash) (Verdict, bool) { panic("stub") }

// Admission is what CheckKnock found.
type Admission struct {
	User    board.UserID
	Present *Object    // to be recorded first; nil if it is held already
	Already bool       // the user has a role: nothing to admit, Cred is what gives it
	Role    Role       // that the user has, or would get
	Cred    board.Hash // with Already
	Invite  board.Hash
}

// CheckKnock judges someone who stands in the lobby of node at wall time now.
func (s *State) CheckKnock(k *weftv1.Knock, node board.NodeID, now time.Time) (Admission, error) {
	panic("stub")
}
