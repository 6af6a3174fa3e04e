package team

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// Limits that builders keep: what honest nodes make. Evaluation does not depend on them.
const (
	MaxBoards  = 64
	MaxMembers = 1000
	MaxInvites = 1000
)

func hashOf(b []byte) board.Hash { return sha256.Sum256(b) }

// seal encodes m, once in its life, and signs it.
func seal(k board.Key, label string, m proto.Message) (*weftv1.Signed, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("couldn't encode %s: %w", label, err)
	}
	sig := k.Sign(label, b)
	return &weftv1.Signed{Object: b, Key: public(k), Signature: sig[:]}, nil
}

// build makes an object that has passed the same checks as one from elsewhere.
func build(kind board.Kind, k board.Key, m proto.Message) (*Object, error) {
	s, err := seal(k, labels[kind], m)
	if err != nil {
		return nil, err
	}
	body, err := proto.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("couldn't encode %s: %w", kind, err)
	}
	return ParseObject(kind, body)
}

// usable checks the name of a team or board as people type it: TEAM/BOARD names a board, and @NAME a direct.
func usable(name, of string) error {
	why := unfit(name)
	switch {
	case why != "":
	case strings.ContainsRune(name, '/'):
		why = "contains a slash, which separates a team from a board"
	case strings.HasPrefix(name, "@"):
		why = "begins with @, which names a person"
	case strings.TrimSpace(name) != name:
		why = "begins or ends with a space"
	case !utf8.ValidString(name):
		why = "is not UTF-8"
	}
	if why != "" {
		return nameError(fmt.Sprintf("couldn't use %q as the name of a %s: it %s", name, of, why))
	}
	return nil
}

// NewTeam founds a team: its charter and the founder's present, to be recorded in this order. admins are other people with
// power from the start; nonce is random. Errors wrap ErrBadName or ErrLimit.
func NewTeam(id Identity, name string, admins []board.UserID, nonce [16]byte) (board.TeamID, []*Object, error) {
	if err := usable(name, "team"); err != nil {
		return board.TeamID{}, nil, err
	}
	if len(admins) > MaxAdmins {
		return board.TeamID{}, nil, fmt.Errorf("couldn't found team: %d admins, at most %d: %w", len(admins), MaxAdmins, ErrLimit)
	}
	charter := &weftv1.TeamCharter{
		Ver: 1, Rules: Rules, Owners: [][]byte{id.User[:]}, Nonce: nonce[:], Name: name,
		Policy: &weftv1.TeamPolicy{Join: weftv1.JoinMode_JOIN_MODE_LINK, Visibility: weftv1.Visibility_VISIBILITY_MEMBERS},
	}
	for i := range admins {
		charter.Admins = append(charter.Admins, admins[i][:])
	}
	c, err := build(board.KindCharter, id.Device, charter)
	if err != nil {
		return board.TeamID{}, nil, err
	}
	t := board.TeamID(c.Hash)
	p, err := NewPresent(t, id)
	if err != nil {
		return board.TeamID{}, nil, err
	}
	return t, []*Object{c, p}, nil
}

// operation is an operation of id in the team of st, under the charter that counts.
func operation(st *State, id Identity, nonce [16]byte) *weftv1.Operation {
	return operationUnder(st.head(), st.ID(), id.User, nonce)
}

func operationUnder(charter board.Hash, t board.TeamID, author [32]byte, nonce [16]byte) *weftv1.Operation {
	return &weftv1.Operation{Team: t[:], Author: author[:], Charter: charter[:], Nonce: nonce[:]}
}

// mayGovern says whether id's device may act with power in the team.
func mayGovern(st *State, id Identity, to string) error {
	if err := mayAct(st, to); err != nil {
		return err
	}
	switch r := st.Role(id.User); {
	case r == None:
		return fmt.Errorf("couldn't %s: %w", to, board.ErrNotMember)
	case r == Removed || r == Banned:
		return fmt.Errorf("couldn't %s: you were %w: %w", to, ErrRemoved, board.ErrNotMember)
	case r != Owner && r != Admin:
		return fmt.Errorf("couldn't %s: you are a %s: %w", to, r, ErrNoPower)
	}
	return maySign(st, id, to)
}

// mayAct says whether anyone may change the team at present.
func mayAct(st *State, to string) error {
	_, closed := st.Closed()
	switch {
	case !st.Known():
		return fmt.Errorf("couldn't %s: the team's charter is not here yet: %w", to, board.ErrPending)
	case st.UpgradeNeeded():
		return fmt.Errorf("couldn't %s: %w", to, ErrUpgradeNeeded)
	case closed:
		return fmt.Errorf("couldn't %s: %w", to, ErrTeamClosed)
	}
	return nil
}

// maySign says whether id's device may sign for its user in the team.
func maySign(st *State, id Identity, to string) error {
	if m, ok := st.people.get(id.User); !ok || !m.signs(id.Device.Public()) {
		return fmt.Errorf("couldn't %s: this device is not known in the team: present it there first: %w", to, board.ErrPending)
	}
	return nil
}

// NewBoard makes the operation that creates a board, whose id is board.OperationBoardID(o.Raw). nonce is random. Errors
// wrap ErrBadName, ErrExists, ErrLimit, or are those of NewSet for somebody without power.
func NewBoard(st *State, id Identity, name string, nonce [16]byte) (*Object, error) {
	if err := usable(name, "board"); err != nil {
		return nil, err
	}
	if err := mayGovern(st, id, "create board"); err != nil {
		return nil, err
	}
	for _, b := range st.boards {
		if b.Name == name {
			return nil, fmt.Errorf("couldn't create board %q: %w", name, ErrExists)
		}
	}
	if len(st.boards) >= MaxBoards {
		return nil, fmt.Errorf("couldn't create board: the team has %d, at most %d: %w", len(st.boards), MaxBoards, ErrLimit)
	}
	op := operation(st, id, nonce)
	op.Kind = &weftv1.Operation_Board{Board: &weftv1.CreateBoard{Name: name}}
	return build(board.KindOperation, id.Device, op)
}

// NewInvite makes an invite for quota people, until expiresMs (milliseconds since 1970; 0: for ever). seed is that of the
// invite's own key, which goes into the link; admitter is the node that will answer for quota and expiry. nonce and seed
// are random. Errors wrap ErrJoinClosed, ErrApproval, ErrBadRequest, ErrLimit, or are those of NewSet for somebody without power.
func NewInvite(st *State, id Identity, role Role, admitter board.NodeID, quota uint32, expiresMs uint64, nonce [16]byte, seed [32]byte) (*Object, error) {
	if err := mayGovern(st, id, "invite"); err != nil {
		return nil, err
	}
	switch {
	case st.Policy().Join == weftv1.JoinMode_JOIN_MODE_CLOSED:
		return nil, fmt.Errorf("couldn't invite: %w", ErrJoinClosed)
	case st.Policy().Join == weftv1.JoinMode_JOIN_MODE_APPROVAL:
		return nil, fmt.Errorf("couldn't invite: %w", ErrApproval)
	case role != Reader && role != Member:
		return nil, fmt.Errorf("couldn't invite as %s: an invite gives the role reader or member: %w", role, ErrBadRequest)
	case quota < 1 || quota > MaxQuota:
		return nil, fmt.Errorf("couldn't invite %d people: one invite is for 1 to %d: %w", quota, MaxQuota, ErrBadRequest)
	case !st.IsNode(admitter):
		return nil, fmt.Errorf("couldn't invite: the node that is to admit people is not of the team: %w", ErrBadRequest)
	}
	if n := len(st.Invites()); n >= MaxInvites {
		return nil, fmt.Errorf("couldn't invite: the team has %d invites, at most %d: %w", n, MaxInvites, ErrLimit)
	}
	op := operation(st, id, nonce)
	op.Kind = &weftv1.Operation_Invite{Invite: &weftv1.Invite{
		Key: public(board.NewKey(seed)), Role: weftv1.Role(role), Admitter: admitter[:], Quota: quota, ExpiresMs: expiresMs,
	}}
	return build(board.KindOperation, id.Device, op)
}

// NewPresent presents id in a team: its charters and its homes' acceptances. The same identity gives the same object, so
// presenting it again is a duplicate. Errors wrap board.ErrMalformed, board.ErrTooLarge or board.ErrBadSignature.
func NewPresent(t board.TeamID, id Identity) (*Object, error) {
	h := sha256.New()
	h.Write([]byte("weft/present/v1\x00"))
	h.Write(t[:])
	for _, l := range [][]*weftv1.Signed{id.Charters, id.Acceptances} {
		for _, s := range l {
			o := hashOf(s.GetObject())
			h.Write(o[:])
		}
	}
	return build(board.KindOperation, id.Device, &weftv1.Operation{
		Team: t[:], Author: id.User[:], Charter: t[:], Nonce: h.Sum(nil)[:16],
		Kind: &weftv1.Operation_Present{Present: &weftv1.Present{Charters: id.Charters, Acceptances: id.Acceptances}},
	})
}
