package team

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// NewKnock is what id says in the lobby of the i-th admitter of a link. Errors wrap ErrBadRequest, or are those of
// NewPresent.
func NewKnock(link *weftv1.InviteLink, i int, id Identity) (*weftv1.Knock, error) {
	if i < 0 || i >= len(link.GetInvites()) {
		return nil, fmt.Errorf("couldn't use invite %d of a link with %d: %w", i, len(link.GetInvites()), ErrBadRequest)
	}
	if err := checkLink(link); err != nil {
		return nil, err
	}
	inv := link.Invites[i]
	if WhereToAsk(inv) {
		return nil, fmt.Errorf("couldn't knock: the link has no invite for this node, it says only where to ask: %w", ErrBadRequest)
	}
	t := board.TeamID(link.Team)
	p, err := NewPresent(t, id)
	if err != nil {
		return nil, err
	}
	var s weftv1.Signed
	if err := proto.Unmarshal(p.Body, &s); err != nil {
		return nil, fmt.Errorf("couldn't knock: %w", err)
	}
	head := p.last().hash
	proof := inviteHash(t, id.User, head, board.NodeID(inv.Admitter))
	sig := board.NewKey([32]byte(inv.Seed)).SignHash(board.SignInvite, proof)
	return &weftv1.Knock{
		Team: link.Team, Invite: inv.Invite, User: id.User[:], Present: &s, UserCharter: head[:], InviteSignature: sig[:],
	}, nil
}

func checkKnock(k *weftv1.Knock) error {
	var c checker
	c.size(k.GetTeam(), 32, "the team's id")
	c.size(k.GetInvite(), 32, "the invite")
	c.size(k.GetUser(), 32, "the user's id")
	c.size(k.GetUserCharter(), 32, "the user's charter")
	c.size(k.GetInviteSignature(), 64, "the invite's signature")
	c.that(k.GetPresent() != nil, "no present")
	return c.err("knock")
}

// Admission is what CheckKnock found.
type Admission struct {
	User    board.UserID
	Home    []board.NodeID // that the present shows as the user's accepted homes
	Present *Object        // to be recorded, before an admission; nil if it is held already
	Already bool           // the user has a role, however it came: there is nothing to admit
	Role    Role           // that the user has, or will get
	Cred    board.Hash     // with Already: what gave the role
	Invite  board.Hash
}

// CheckKnock judges someone who stands in the lobby of node at wall time now. It answers for the invite's expiry and
// quota, which only its admitter does. Errors wrap board.ErrMalformed, board.ErrTooLarge, board.ErrBadSignature,
// board.ErrNotFound (team or invite, or the invite was withdrawn), ErrNotAdmitter, ErrExpired, ErrQuota, ErrLimit, ErrRemoved,
// ErrJoinClosed, ErrApproval, ErrTeamClosed or ErrUpgradeNeeded.
func (s *State) CheckKnock(k *weftv1.Knock, node board.NodeID, now time.Time) (Admission, error) {
	if err := checkKnock(k); err != nil {
		return Admission{}, err
	}
	switch {
	case board.TeamID(k.Team) != s.id || !s.Known():
		return Admission{}, fmt.Errorf("couldn't admit: team: %w", board.ErrNotFound)
	case s.UpgradeNeeded():
		return Admission{}, fmt.Errorf("couldn't admit: %w", ErrUpgradeNeeded)
	}
	inv, ok := s.Invite(board.Hash(k.Invite))
	switch {
	case !ok || inv.Withdrawn:
		return Admission{}, fmt.Errorf("couldn't admit: invite: %w", board.ErrNotFound)
	case inv.Admitter != node:
		return Admission{}, fmt.Errorf("couldn't admit: %w", ErrNotAdmitter)
	}
	proof := inviteHash(s.id, board.UserID(k.User), board.Hash(k.UserCharter), node)
	if !board.VerifyHash(inv.Key, board.SignInvite, proof, k.InviteSignature) {
		return Admission{}, fmt.Errorf("couldn't admit: the invite's key did not sign this: %w", board.ErrBadSignature)
	}
	a, err := s.shown(k)
	if err != nil {
		return Admission{}, err
	}
	a.Invite, a.Role = inv.Op, inv.Role
	if p, ok := s.Member(a.User); ok {
		a.Already, a.Role, a.Cred = true, p.Role, p.Cred
		return a, nil
	}
	switch r, join := s.Role(a.User), s.Policy().Join; {
	case s.closed:
		return Admission{}, fmt.Errorf("couldn't admit: %w", ErrTeamClosed)
	case r == Removed || r == Banned:
		return Admission{}, fmt.Errorf("couldn't admit: you were %w", ErrRemoved)
	case join == weftv1.JoinMode_JOIN_MODE_CLOSED:
		return Admission{}, fmt.Errorf("couldn't admit: %w", ErrJoinClosed)
	case join == weftv1.JoinMode_JOIN_MODE_APPROVAL:
		return Admission{}, fmt.Errorf("couldn't admit: %w", ErrApproval)
	case inv.ExpiresMs != 0 && now.UnixMilli() >= int64(min(inv.ExpiresMs, 1<<62)):
		return Admission{}, fmt.Errorf("couldn't admit: %w", ErrExpired)
	case inv.Used >= inv.Quota:
		return Admission{}, fmt.Errorf("couldn't admit: %w", ErrQuota)
	case s.size() >= MaxMembers:
		return Admission{}, fmt.Errorf("couldn't admit: the team has %d people: %w", MaxMembers, ErrLimit)
	}
	return a, nil
}

// shown reads the present in a knock: it is the asker's, and makes the charter that the knock names known here.
func (s *State) shown(k *weftv1.Knock) (Admission, error) {
	body, err := proto.Marshal(k.Present)
	if err != nil {
		return Admission{}, malformed("knock", "its present cannot be encoded")
	}
	o, err := ParseObject(board.KindOperation, body)
	if err != nil {
		return Admission{}, err
	}
	var c checker
	c.that(o.Op.GetPresent() != nil && board.UserID(o.Op.Author) == board.UserID(k.User), "it presents someone else")
	c.that(board.TeamID(o.Op.Team) == s.id, "its present is for another team")
	if err := c.err("knock"); err != nil {
		return Admission{}, err
	}
	u := o.Op.Author
	c.that(o.last().hash == board.Hash(k.UserCharter), "its present does not end with the charter that it names")
	// Also of someone known here: else whoever has a link could fill the log with presents of others.
	c.that(stands(o), "the charters of its present do not lead from the person's first one to the newest")
	if err := c.err("knock"); err != nil {
		return Admission{}, err
	}
	a := Admission{User: board.UserID(u), Present: o, Home: o.accepted}
	if _, held := s.Verdict(o.Hash); held {
		a.Present = nil
	}
	return a, nil
}

// stands says whether a present by itself makes its newest charter the one that counts.
func stands(o *Object) bool {
	u := &identity{id: board.UserID(o.Op.Author)}
	u.show(&presentSays{charters: o.charters, accepted: o.accepted})
	u.choose()
	return u.head() != nil && u.head().hash == o.last().hash
}

// size is how many people have a role.
func (s *State) size() (n int) {
	s.people.all(func(_ board.UserID, m *member) {
		if m.role != None && m.role >= Reader {
			n++
		}
	})
	return n
}

// NewAdmit admits whom CheckKnock let through. node is the admitter's key; nonce is random.
func NewAdmit(node board.Key, st *State, k *weftv1.Knock, nonce [16]byte) (*Object, error) {
	if err := checkKnock(k); err != nil {
		return nil, err
	}
	t := st.ID()
	return build(board.KindOperation, node, &weftv1.Operation{
		Team: t[:], Author: public(node), Charter: t[:], Nonce: nonce[:],
		Kind: &weftv1.Operation_Admit{Admit: &weftv1.Admit{
			Invite: k.Invite, User: k.User, UserCharter: k.UserCharter, InviteSignature: k.InviteSignature,
		}},
	})
}
