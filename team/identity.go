package team

import (
	"fmt"

	"google.golang.org/protobuf/proto"

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

// NewUser founds a user with one device and one home. The recovery key is needed for nothing else afterwards but to
// undo what a device did: keep it away from this machine. nonce is random. Errors wrap ErrBadName.
func NewUser(name string, recovery, device, node board.Key, nonce [16]byte) (Identity, error) {
	if why := unfit(name); why != "" {
		return Identity{}, nameError(fmt.Sprintf("couldn't make the user: the name %q %s", name, why))
	}
	home := node.Public()
	charter := &weftv1.UserCharter{
		Ver: 1, Keys: [][]byte{public(recovery), public(device)}, Homes: [][]byte{home[:]},
		Profile: &weftv1.Profile{Name: name}, Nonce: nonce[:],
	}
	signed, err := seal(recovery, board.SignUserCharter, charter)
	if err != nil {
		return Identity{}, err
	}
	id := Identity{User: board.UserID(hashOf(signed.Object)), Device: device, Charters: []*weftv1.Signed{signed}, Name: name}
	accepted, err := seal(node, board.SignHome, &weftv1.HomeAcceptance{User: id.User[:], Node: home[:]})
	if err != nil {
		return Identity{}, err
	}
	id.Acceptances = []*weftv1.Signed{accepted}
	return id, nil
}

// Marshal is the public part of the identity (a weft.v1.Present), for a file. The device's key is not in it.
func (id Identity) Marshal() ([]byte, error) {
	b, err := proto.Marshal(&weftv1.Present{Charters: id.Charters, Acceptances: id.Acceptances})
	if err != nil {
		return nil, fmt.Errorf("couldn't encode identity: %w", err)
	}
	return b, nil
}

// ParseIdentity reads what Marshal wrote and joins it with the key of a device of the newest charter in it. Errors wrap
// board.ErrMalformed, board.ErrTooLarge or board.ErrBadSignature.
func ParseIdentity(b []byte, device board.Key) (Identity, error) {
	var p weftv1.Present
	if err := decode("identity", b, MaxOperation, &p); err != nil {
		return Identity{}, err
	}
	id := Identity{Device: device, Charters: p.Charters, Acceptances: p.Acceptances}
	if len(p.Charters) == 0 {
		return Identity{}, malformed("identity", "it has no charter")
	}
	id.User = board.UserID(hashOf(p.Charters[0].GetObject()))
	o, err := NewPresent(board.TeamID{1}, id) // to have it checked as others will check it
	if err != nil {
		return Identity{}, err
	}
	if o.charters[0].ver != 1 {
		return Identity{}, malformed("identity", "it does not begin with the person's first charter")
	}
	id.Name = o.last().name
	return id, nil
}

func public(k board.Key) []byte {
	p := k.Public()
	return p[:]
}
