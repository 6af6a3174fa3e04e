package team

import (
	"bytes"
	"fmt"
	"slices"
	"unicode/utf8"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// MaxReason is how many bytes a reason or a note has at most.
const MaxReason = maxText

// NewSet gives target a role: Banned, Removed, Reader, Muted or Member. cut is what the caller's node had accepted of
// target (store.CutUser); it is needed for the first four. It replaces all that counts on target at present and answers
// target's requests to join. nonce is random. Errors wrap ErrBadRequest, ErrHasPower, ErrUnchanged, ErrNoPower,
// ErrRemoved, ErrTeamClosed, ErrUpgradeNeeded, board.ErrNotMember or board.ErrPending.
func NewSet(st *State, id Identity, target board.UserID, role Role, cut *weftv1.Cut, reason string, nonce [16]byte) (*Object, error) {
	const to = "change the role"
	if err := maySet(st, id, target, role, cut, reason, to); err != nil {
		return nil, err
	}
	heads, _ := st.Register(target)
	requests := st.requestsOf(target)
	if st.Role(target) == role && len(heads) == 1 && len(requests) == 0 {
		return nil, fmt.Errorf("couldn't %s: %s is %s: %w", to, st.nameOf(target), role, ErrUnchanged)
	}
	return newSet(st, id, &weftv1.SetRole{
		User: target[:], Role: weftv1.Role(role), Parents: hashes(heads, requests), Cut: cut, Reason: reason,
	}, nonce)
}

// NewRecut puts another cut in the place of those that count against target, whose role stays: what was cut off too low
// becomes valid again, what was left too high becomes void. Errors are those of NewSet.
func NewRecut(st *State, id Identity, target board.UserID, cut *weftv1.Cut, reason string, nonce [16]byte) (*Object, error) {
	const to = "mend the cut"
	role := st.Role(target)
	limits := st.limitsOf(target)
	if len(limits) == 0 || role == None {
		return nil, fmt.Errorf("couldn't %s: nothing of %s was cut off: %w", to, st.nameOf(target), ErrUnchanged)
	}
	if err := maySet(st, id, target, role, cut, reason, to); err != nil {
		return nil, err
	}
	heads, _ := st.Register(target)
	return newSet(st, id, &weftv1.SetRole{
		User: target[:], Role: weftv1.Role(role), Parents: hashes(heads, limits), Cut: cut, Recut: true, Reason: reason,
	}, nonce)
}

func maySet(st *State, id Identity, target board.UserID, role Role, cut *weftv1.Cut, reason, to string) error {
	if err := mayGovern(st, id, to); err != nil {
		return err
	}
	switch now := st.Role(target); {
	case role > Member:
		return fmt.Errorf("couldn't %s: %s is given by the charter: %w", to, role, ErrBadRequest)
	case now == Owner || now == Admin:
		return fmt.Errorf("couldn't %s: %s is %s: %w", to, st.nameOf(target), now, ErrHasPower)
	case role < Member && cut == nil:
		return fmt.Errorf("couldn't %s: what takes rights says what was accepted before: %w", to, ErrBadRequest)
	case len(reason) > MaxReason || !utf8.ValidString(reason):
		return fmt.Errorf("couldn't %s: a reason has at most %d bytes of text: %w", to, MaxReason, ErrBadRequest)
	}
	return nil
}

func newSet(st *State, id Identity, set *weftv1.SetRole, nonce [16]byte) (*Object, error) {
	op := operation(st, id, nonce)
	op.Kind = &weftv1.Operation_Set{Set: set}
	return build(board.KindOperation, id.Device, op)
}

// hashes joins lists of them for the wire, each once, as many as an operation takes.
func hashes(lists ...[]board.Hash) (out [][]byte) {
	for _, h := range slices.Concat(lists...) {
		if len(out) < maxParents && !slices.ContainsFunc(out, func(o []byte) bool { return bytes.Equal(o, h[:]) }) {
			out = append(out, h[:])
		}
	}
	return out
}

// NewLeave takes id's own role away. cut is what id's node had accepted of id: it stays. Errors wrap ErrOwnerLeaves,
// ErrAdminLeaves, ErrUnchanged, ErrUpgradeNeeded, board.ErrNotMember or board.ErrPending.
func NewLeave(st *State, id Identity, cut *weftv1.Cut, nonce [16]byte) (*Object, error) {
	const to = "leave"
	if err := mayAct(st, to); err != nil {
		return nil, err
	}
	switch st.Role(id.User) {
	case Owner:
		return nil, fmt.Errorf("couldn't %s: %w", to, ErrOwnerLeaves)
	case Admin:
		return nil, fmt.Errorf("couldn't %s: %w", to, ErrAdminLeaves)
	case Removed, Banned:
		return nil, fmt.Errorf("couldn't %s: you are out already: %w", to, ErrUnchanged)
	case None:
		return nil, fmt.Errorf("couldn't %s: %w", to, board.ErrNotMember)
	}
	if err := maySign(st, id, to); err != nil {
		return nil, err
	}
	return newSet(st, id, &weftv1.SetRole{User: id.User[:], Role: weftv1.Role(Removed), Cut: cut}, nonce)
}

// NewRequest asks to join a team, in words of the asker. It goes with a present (NewPresent). nonce is random. Errors wrap
// ErrBadRequest.
func NewRequest(t board.TeamID, id Identity, note string, nonce [16]byte) (*Object, error) {
	if len(note) > MaxReason || !utf8.ValidString(note) {
		return nil, fmt.Errorf("couldn't ask to join: a note has at most %d bytes of text: %w", MaxReason, ErrBadRequest)
	}
	op := operationUnder(board.Hash(t), t, id.User, nonce)
	op.Kind = &weftv1.Operation_Request{Request: &weftv1.JoinRequest{Note: note}}
	return build(board.KindOperation, id.Device, op)
}

// NewUninvite withdraws an invite: of those that it let in, only people under cut (store.CutInvite) stay. Errors wrap
// board.ErrNotFound, ErrBadRequest, or are those of NewSet for somebody without power.
func NewUninvite(st *State, id Identity, invite board.Hash, cut *weftv1.Cut, nonce [16]byte) (*Object, error) {
	const to = "withdraw the invite"
	if err := mayGovern(st, id, to); err != nil {
		return nil, err
	}
	if _, ok := st.Invite(invite); !ok {
		return nil, fmt.Errorf("couldn't %s: %w", to, board.ErrNotFound)
	}
	if cut == nil {
		return nil, fmt.Errorf("couldn't %s: it says who was accepted before: %w", to, ErrBadRequest)
	}
	op := operation(st, id, nonce)
	op.Kind = &weftv1.Operation_Uninvite{Uninvite: &weftv1.Uninvite{Invite: invite[:], Cut: cut}}
	return build(board.KindOperation, id.Device, op)
}
