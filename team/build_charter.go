package team

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// Change is what a new charter does to the one that counts. Its zero value changes nothing.
type Change struct {
	Name                    string // zero: as it is
	AddOwners, RemoveOwners []board.UserID
	AddAdmins, RemoveAdmins []board.UserID
	Handover                board.UserID // not zero: takes the caller's place among the owners; the caller loses it
	AddRelays, RemoveRelays []board.NodeID
	Policy                  *Policy
	Close                   bool         // disband the team
	Successor               board.TeamID // with Close: where people may go
}

// NewCharter proposes a charter that follows the one that counts. cuts is what the caller's node had accepted of each
// person who loses power by it (store.CutUser), keepAs the role that these keep. It counts once the senior owner, or more
// than half of the owners, agree (NewAck); one who proposes it agrees to it at once. nonce is random. Errors wrap
// ErrUnchanged, ErrLastOwner, ErrBadName, ErrBadRequest, ErrLimit, or are those of NewSet for somebody without power.
func NewCharter(st *State, id Identity, ch Change, cuts map[board.UserID]*weftv1.Cut, keepAs Role, nonce [16]byte) (*Object, error) {
	const to = "change the charter"
	if err := mayGovern(st, id, to); err != nil {
		return nil, err
	}
	old := st.Charter()
	m := proto.Clone(old).(*weftv1.TeamCharter)
	t, head := st.ID(), st.head()
	m.Team, m.Ver, m.Prev, m.Rules, m.Nonce, m.Cuts, m.Successor = t[:], old.Ver+1, head[:], Rules, nonce[:], nil, nil
	if err := ch.apply(m, id.User); err != nil {
		return nil, fmt.Errorf("couldn't %s: %w", to, err)
	}
	if !ch.Close && sameCharter(old, m) {
		return nil, fmt.Errorf("couldn't %s: %w", to, ErrUnchanged)
	}
	for _, l := range [][][]byte{old.Owners, old.Admins} {
		for _, b := range l {
			u := board.UserID(b)
			if holds(m.Owners, u) || holds(m.Admins, u) {
				continue
			}
			cut, ok := cuts[u]
			if !ok || keepAs > Member {
				return nil, fmt.Errorf("couldn't %s: what takes power from %s says what was accepted before, and which role stays: %w", to, st.nameOf(u), ErrBadRequest)
			}
			heads, _ := st.Register(u)
			m.Cuts = append(m.Cuts, &weftv1.PowerCut{User: u[:], Cut: cut, KeepAs: weftv1.Role(keepAs), Parents: hashes(heads)})
		}
	}
	return build(board.KindCharter, id.Device, m)
}

// apply does the change to m, a copy of the charter that counts.
func (ch *Change) apply(m *weftv1.TeamCharter, by board.UserID) error {
	if ch.Name != "" {
		if err := usable(ch.Name, "team"); err != nil {
			return err
		}
		m.Name = ch.Name
	}
	if h := ch.Handover; h != (board.UserID{}) {
		i := slices.IndexFunc(m.Owners, func(b []byte) bool { return string(b) == string(by[:]) })
		if i < 0 || h == by {
			return fmt.Errorf("only an owner hands a team over, to somebody else: %w", ErrBadRequest)
		}
		m.Owners = slices.DeleteFunc(m.Owners, func(b []byte) bool { return string(b) == string(h[:]) })
		i = slices.IndexFunc(m.Owners, func(b []byte) bool { return string(b) == string(by[:]) })
		m.Owners[i] = h[:]
	}
	m.Owners = listed(m.Owners, ch.AddOwners, ch.RemoveOwners)
	m.Admins = listed(m.Admins, ch.AddAdmins, ch.RemoveAdmins)
	m.Admins = slices.DeleteFunc(m.Admins, func(b []byte) bool { return holds(m.Owners, board.UserID(b)) })
	m.Relays = listed(m.Relays, ch.AddRelays, ch.RemoveRelays)
	if ch.Policy != nil {
		m.Policy = ch.Policy.wire()
	}
	if ch.Close {
		m.Successor = ch.Successor[:]
	}
	switch {
	case len(m.Owners) == 0:
		return ErrLastOwner
	case len(m.Owners) > MaxOwners || len(m.Admins) > MaxAdmins || len(m.Relays) > MaxRelays:
		return fmt.Errorf("%d owners, %d admins and %d relays; at most %d, %d and %d: %w",
			len(m.Owners), len(m.Admins), len(m.Relays), MaxOwners, MaxAdmins, MaxRelays, ErrLimit)
	}
	return nil
}

// listed is a list with some more at its end, and without others.
func listed[T ~[32]byte](l [][]byte, add, remove []T) [][]byte {
	for i := range add {
		if !holds(l, add[i]) {
			l = append(l, slices.Clone(add[i][:]))
		}
	}
	return slices.DeleteFunc(l, func(b []byte) bool { return slices.Contains(remove, T(b)) })
}

func holds[T ~[32]byte](l [][]byte, x T) bool {
	return slices.ContainsFunc(l, func(b []byte) bool { return string(b) == string(x[:]) })
}

// sameCharter says whether b, made from a, says the same.
func sameCharter(a, b *weftv1.TeamCharter) bool {
	x, y := proto.Clone(a).(*weftv1.TeamCharter), proto.Clone(b).(*weftv1.TeamCharter)
	for _, m := range []*weftv1.TeamCharter{x, y} {
		m.Team, m.Ver, m.Prev, m.Rules, m.Nonce, m.Cuts = nil, 0, nil, 0, nil, nil
		m.Policy = policyOf(m.Policy).wire()
	}
	return proto.Equal(x, y)
}

// NewAck agrees to a charter for id's user, as an owner or admin of the charter that it follows. Errors wrap
// board.ErrNotFound, ErrAcked, ErrUnchanged, or are those of NewSet for somebody without power.
func NewAck(st *State, id Identity, charter board.Hash) (*Object, error) {
	const to = "agree to the charter"
	switch {
	case !st.Known():
		return nil, fmt.Errorf("couldn't %s: the team's charter is not here yet: %w", to, board.ErrPending)
	case st.UpgradeNeeded():
		return nil, fmt.Errorf("couldn't %s: %w", to, ErrUpgradeNeeded)
	}
	if err := st.mayAck(id, charter, to); err != nil {
		return nil, err
	}
	return build(board.KindAck, id.Device, &weftv1.Ack{Charter: charter[:], User: id.User[:]})
}
