package team

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// Asker is someone in the lobby who holds no invite, as CheckRequest or CheckHome found them.
type Asker struct {
	User    board.UserID
	Name    string
	Home    []board.NodeID // that the present shows as the user's accepted homes
	Present *Object        // to be recorded; nil if it is held already
	Request *Object        // of someone who asks to be let in, to be recorded; nil if it is held already
	Already bool           // the user has a role that allows reading
	Role    Role           // None for someone without any
	Cred    board.Hash     // with Already: what gave the role
}

// CheckRequest judges someone who asks to be let in by an admin: a present, and a request signed by one of its devices.
// That the user may already be in is for the caller to see, as is what the team's policy says. Errors wrap
// board.ErrMalformed, board.ErrTooLarge, board.ErrBadSignature, board.ErrNotFound (team) or ErrUpgradeNeeded.
func (s *State) CheckRequest(present, request *weftv1.Signed) (Asker, error) {
	a, p, err := s.asker(present)
	if err != nil {
		return Asker{}, err
	}
	r, err := signedOperation(request)
	if err != nil {
		return Asker{}, err
	}
	var c checker
	c.that(r.Op.GetRequest() != nil && board.UserID(r.Op.Author) == a.User, "it is no request of the person presented")
	c.that(board.TeamID(r.Op.Team) == s.id, "it is for another team")
	c.that(p.last().has(r.Key), "it isn't signed by a device that the present names")
	if err := c.err("request"); err != nil {
		return Asker{}, err
	}
	if _, held := s.Verdict(r.Hash); !held {
		a.Request = r
	}
	return a, nil
}

// CheckHome judges a node that says of itself that it is a home of someone in the team. Errors as those of CheckRequest;
// and board.ErrNotFound for someone who isn't in the team, as for a team that isn't here.
func (s *State) CheckHome(present *weftv1.Signed, node board.NodeID) (Asker, error) {
	a, p, err := s.asker(present)
	switch {
	case err != nil:
		return Asker{}, err
	case !a.Already:
		return Asker{}, fmt.Errorf("couldn't take a home: its person: %w", board.ErrNotFound)
	}
	var c checker
	c.that(slices.Contains(a.Home, node) && slices.Contains(p.last().homes, node), "the present does not name the node that brings it as a home")
	return a, c.err("home")
}

// asker reads a present that someone brings along.
func (s *State) asker(present *weftv1.Signed) (Asker, *Object, error) {
	switch {
	case !s.Known():
		return Asker{}, nil, fmt.Errorf("couldn't answer: team: %w", board.ErrNotFound)
	case s.UpgradeNeeded():
		return Asker{}, nil, fmt.Errorf("couldn't answer: %w", ErrUpgradeNeeded)
	}
	o, err := signedOperation(present)
	if err != nil {
		return Asker{}, nil, err
	}
	var c checker
	c.that(o.Op.GetPresent() != nil, "it presents nobody")
	c.that(board.TeamID(o.Op.Team) == s.id, "it is for another team")
	if err := c.err("present"); err != nil {
		return Asker{}, nil, err
	}
	// Also of someone known here: else anybody could fill the log with presents of others.
	c.that(stands(o), "its charters do not lead from the person's first one to the newest")
	if err := c.err("present"); err != nil {
		return Asker{}, nil, err
	}
	a := Asker{User: board.UserID(o.Op.Author), Name: o.last().name, Home: o.accepted, Present: o, Role: s.Role(board.UserID(o.Op.Author))}
	if _, held := s.Verdict(o.Hash); held {
		a.Present = nil
	}
	if p, ok := s.Member(a.User); ok && a.Role >= Reader {
		a.Already, a.Cred = true, p.Cred
	}
	return a, o, nil
}

// signedOperation reads an operation as it travels outside of any log.
func signedOperation(x *weftv1.Signed) (*Object, error) {
	if x == nil {
		return nil, malformed("operation", "it is missing")
	}
	body, err := proto.Marshal(x)
	if err != nil {
		return nil, malformed("operation", "it cannot be encoded")
	}
	return ParseObject(board.KindOperation, body)
}

// WhereToAsk says whether a part of a link holds no invite, only a node at which one can ask how to get in.
func WhereToAsk(k *weftv1.InviteKey) bool { return len(k.GetSeed()) == 0 }

// NewAskLink makes a link that holds no invite: it says where to ask. node is one of the team, and addresses are its
// multiaddrs, the best first: as many as fit are taken. Such a link is of use for teams that are open, or where admins
// decide. Errors wrap ErrBadRequest or ErrLinkTooLong.
func NewAskLink(st *State, id Identity, node board.NodeID, addresses []string) (*weftv1.InviteLink, error) {
	if !st.IsNode(node) {
		return nil, fmt.Errorf("couldn't make link: the node at which to ask is not of the team: %w", ErrBadRequest)
	}
	t := st.ID()
	key := &weftv1.InviteKey{Admitter: node[:]}
	l := &weftv1.InviteLink{Team: t[:], TeamName: st.Name(), Inviter: id.Name, Invites: []*weftv1.InviteKey{key}}
	for _, a := range addresses {
		if len(a) == 0 || len(a) > maxAddress || len(key.Addresses) == maxAddresses {
			continue
		}
		if key.Addresses = append(key.Addresses, a); proto.Size(l) > MaxLink {
			key.Addresses = key.Addresses[:len(key.Addresses)-1]
		}
	}
	return l, checkLink(l)
}
