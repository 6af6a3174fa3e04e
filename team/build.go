package team

import (
	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// Identity is a person on this machine: who they are, the device that signs for them, and what shows it to others.
type Identity struct {
	User        board.UserID
	Device      board.Key
	Charters    []*weftv1.Signed // user charters, from genesis on
	Acceptances []*weftv1.Signed // of homes
	Name        string
}

// NewUser founds a user with one device and one home.
func NewUser(name string, recovery, device, node board.Key, nonce [16]byte) (Identity, error) {
	panic("stub")
}

// Marshal is the public part of the identity (a weft.v1.Present), for a file; the device key is not in it.
func (id Identity) Marshal() ([]byte, error) { panic("stub") }

// ParseIdentity reads what Marshal wrote and joins it with its device key.
func ParseIdentity(b []byte, device board.Key) (Identity, error) { panic("stub") }

// NewTeam founds a team: its charter and the founder's present, to be recorded in this order.
func NewTeam(id Identity, name string, admins []board.UserID, nonce [16]byte) (board.TeamID, []*Object, error) {
	panic("stub")
}

// NewBoard makes the operation that creates a board. The board's id is board.OperationBoardID(o.Raw).
func NewBoard(st *State, id Identity, name string, nonce [16]byte) (*Object, error) { panic("stub") }

// NewInvite makes an invite; seed is that of the invite's key.
func NewInvite(st *State, id Identity, role Role, admitter board.NodeID, quota uint32, expiresMs uint64, nonce [16]byte, seed [32]byte) (*Object, error) {
	panic("stub")
}

// NewPresent presents id in a team.
func NewPresent(t board.TeamID, id Identity) (*Object, error) { panic("stub") }

// NewLink makes the link for an invite.
func NewLink(st *State, id Identity, invite *Object, seed [32]byte, addresses []string) (*weftv1.InviteLink, error) {
	panic("stub")
}

// NewKnock is what id says in the lobby of the i-th admitter of a link.
func NewKnock(link *weftv1.InviteLink, i int, id Identity) (*weftv1.Knock, error) { panic("stub") }

// NewAdmit admits whom CheckKnock let through. node is the admitter's key.
func NewAdmit(node board.Key, st *State, k *weftv1.Knock, nonce [16]byte) (*Object, error) {
	panic("stub")
}

// EncodeLink is the text of a link.
func EncodeLink(l *weftv1.InviteLink) string { panic("stub") }

// ParseLink reads the text of a link.
func ParseLink(s string) (*weftv1.InviteLink, error) { panic("stub") }
