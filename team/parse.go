package team

import (
	"crypto/sha256"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// Rules is the version of the rules that this program has.
const Rules = 1

// checkCharter: of a charter that needs newer rules only what places it in the chain is checked.
func checkCharter(m *weftv1.TeamCharter) error {
	var c checker
	c.that(m.Ver > 0, "no version")
	c.that(m.Rules > 0, "no version of the rules")
	if m.Ver == 1 {
		c.that(len(m.Team) == 0 && len(m.Prev) == 0, "a genesis names a team or a parent")
	} else {
		c.size(m.Team, 32, "the team's id")
		c.size(m.Prev, 32, "the parent's hash")
	}
	if m.Rules > Rules {
		return c.err("charter")
	}
	c.name(m.Name, "the team's name")
	c.ids(m.Owners, 32, 1, MaxOwners, "owners")
	c.ids(m.Admins, 32, 0, MaxAdmins, "admins")
	c.ids(append(append([][]byte{}, m.Owners...), m.Admins...), 32, 0, MaxOwners+MaxAdmins, "owners and admins")
	c.ids(m.Relays, 32, 0, MaxRelays, "relays")
	c.ids(m.GetPolicy().GetAdmitters(), 32, 0, MaxRelays, "admitters")
	c.size(m.Nonce, 16, "the nonce")
	c.that(len(m.Successor) == 0 || m.Ver > 1 && len(m.Successor) == 32, "bad successor")
	c.that(len(m.Cuts) <= MaxOwners+MaxAdmins && (m.Ver > 1 || len(m.Cuts) == 0), "bad cuts")
	var users [][]byte
	for _, p := range m.Cuts {
		users = append(users, p.User)
		c.cut(p.Cut)
		c.that(p.KeepAs >= weftv1.Role_ROLE_BANNED && p.KeepAs <= weftv1.Role_ROLE_MEMBER, "a cut keeps an unknown role")
		c.ids(p.Parents, 32, 0, maxParents, "parents")
	}
	c.ids(users, 32, 0, MaxOwners+MaxAdmins, "users of cuts")
	return c.err("charter")
}

// checkOperation checks what every operation has and then its kind. An operation without a known kind is one of a later
// version: it is kept.
func (o *Object) checkOperation(sigs *signatures) error {
	var c checker
	m := o.Op
	c.size(m.Team, 32, "the team's id")
	c.size(m.Author, 32, "the author's id")
	c.size(m.Charter, 32, "the charter's hash")
	c.size(m.Nonce, 16, "the nonce")
	switch k := m.Kind.(type) {
	case *weftv1.Operation_Board:
		c.name(k.Board.Name, "the board's name")
		w := k.Board.WriteRole
		c.that(w == 0 || w >= uint32(Member) && w <= uint32(Owner), "the board's write_role is not member, admin or owner")
	case *weftv1.Operation_Invite:
		i := k.Invite
		c.size(i.Key, 32, "the invite's key")
		c.size(i.Admitter, 32, "the admitter")
		c.that(i.Role == weftv1.Role_ROLE_READER || i.Role == weftv1.Role_ROLE_MEMBER, "an invite gives the role reader or member")
		c.that(i.Quota >= 1 && i.Quota <= MaxQuota, "an invite's quota is 1 to 1000")
	case *weftv1.Operation_Admit:
		a := k.Admit
		c.size(a.Invite, 32, "the invite")
		c.size(a.User, 32, "the user")
		c.size(a.UserCharter, 32, "the user's charter")
		c.size(a.InviteSignature, 64, "the invite's signature")
		c.that(string(m.Author) == string(o.Key[:]), "an admission is signed by its admitter")
	case *weftv1.Operation_Present:
		if c.why == "" {
			return o.checkPresent(k.Present, sigs)
		}
	case *weftv1.Operation_Fork:
		if c.why == "" {
			var err error
			o.fork, err = board.ParseFork(k.Fork)
			return err
		}
	default:
		checkChange(&c, m)
	}
	return c.err("operation")
}

// checkChange bounds what changes people's roles, nodes and logs.
func checkChange(c *checker, m *weftv1.Operation) {
	switch k := m.Kind.(type) {
	case *weftv1.Operation_Set:
		c.size(k.Set.User, 32, "the user")
		c.that(k.Set.Role >= weftv1.Role_ROLE_BANNED && k.Set.Role <= weftv1.Role_ROLE_MEMBER, "unknown role")
		c.ids(k.Set.Parents, 32, 0, maxParents, "parents")
		c.cut(k.Set.Cut)
		c.that(len(k.Set.Reason) <= maxText, "the reason is too long")
	case *weftv1.Operation_Node:
		c.size(k.Node.Node, 32, "the node")
		c.ids(k.Node.Parents, 32, 0, maxParents, "parents")
		c.cut(k.Node.Cut)
	case *weftv1.Operation_Uninvite:
		c.size(k.Uninvite.Invite, 32, "the invite")
		c.cut(k.Uninvite.Cut)
	case *weftv1.Operation_Request:
		c.that(len(k.Request.Note) <= maxText, "the note is too long")
	case *weftv1.Operation_Floor:
		c.position(k.Floor.Position)
		c.that(len(k.Floor.Devices) <= maxDevices, "too many devices")
		for _, d := range k.Floor.Devices {
			c.size(d.Device, 32, "a device")
		}
	}
}

// checkPresent: a run of linked charters of the author, signed by a key of the newest, with acceptances by homes and a
// cut for each removed device. It is well-formed whatever the team's charter says.
func (o *Object) checkPresent(p *weftv1.Present, sigs *signatures) error {
	var c checker
	c.that(len(p.Charters) >= 1 && len(p.Charters) <= maxCharters, "a present carries 1 to 64 charters")
	c.that(len(p.Acceptances) <= MaxHomes, "too many acceptances")
	c.that(len(p.Cuts) <= MaxKeys, "too many cuts")
	c.ids(p.Parents, 32, 0, maxParents, "parents")
	var devices [][]byte
	for _, d := range p.Cuts {
		devices = append(devices, d.Device)
		c.cut(d.Cut)
	}
	c.ids(devices, 32, 0, MaxKeys, "devices of cuts")
	if err := c.err("present"); err != nil {
		return err
	}
	user := board.UserID(o.Op.Author)
	for i, s := range p.Charters {
		u, err := parseUserCharter(s, sigs)
		if err != nil {
			return err
		}
		c.that(u.user == user, "a charter of someone else")
		c.that(i == 0 || u.prev == o.last().hash && u.ver == o.last().ver+1, "its charters are not linked")
		o.charters = append(o.charters, u)
	}
	c.that(o.last().has(o.Key), "not signed by a key of its newest charter")
	for _, s := range p.Acceptances {
		n, err := parseAcceptance(s, user, sigs)
		if err != nil {
			return err
		}
		o.accepted = append(o.accepted, n)
	}
	return c.err("present")
}

func (o *Object) last() *userCharter { return o.charters[len(o.charters)-1] }

// parseSigned reads the envelope of an object within an object and queues its signature.
func parseSigned(what string, s *weftv1.Signed, label string, sigs *signatures) (key [32]byte, h board.Hash, err error) {
	var c checker
	c.that(s != nil, "it is empty")
	c.size(s.GetKey(), 32, "the key")
	c.size(s.GetSignature(), 64, "the signature")
	if c.why != "" {
		return key, h, c.err(what)
	}
	copy(key[:], s.Key)
	h = sha256.Sum256(s.Object)
	sigs.add(key, label, h, s.Signature)
	return key, h, nil
}

// parseAcceptance reads a home's consent to serve user.
func parseAcceptance(s *weftv1.Signed, user board.UserID, sigs *signatures) (n board.NodeID, err error) {
	key, _, err := parseSigned("home acceptance", s, board.SignHome, sigs)
	if err != nil {
		return n, err
	}
	var m weftv1.HomeAcceptance
	if err := decode("home acceptance", s.Object, maxSigned, &m); err != nil {
		return n, err
	}
	var c checker
	c.that(string(m.User) == string(user[:]), "it is for another user")
	c.that(string(m.Node) == string(key[:]), "not signed by its node")
	return board.NodeID(key), c.err("home acceptance")
}

// parseUserCharter reads one version of a person's identity.
func parseUserCharter(s *weftv1.Signed, sigs *signatures) (*userCharter, error) {
	key, h, err := parseSigned("user charter", s, board.SignUserCharter, sigs)
	if err != nil {
		return nil, err
	}
	var m weftv1.UserCharter
	if err := decode("user charter", s.Object, maxSigned, &m); err != nil {
		return nil, err
	}
	var c checker
	c.that(m.Ver > 0, "no version")
	c.ids(m.Keys, 32, 1, MaxKeys, "keys")
	c.ids(m.Homes, 32, 0, MaxHomes, "homes")
	c.name(m.GetProfile().GetName(), "the name")
	c.size(m.Nonce, 16, "the nonce")
	u := &userCharter{hash: h, ver: m.Ver, user: board.UserID(h), name: m.GetProfile().GetName(), signers: [][32]byte{key}}
	if m.Ver == 1 {
		c.that(len(m.User) == 0 && len(m.Prev) == 0, "a genesis names a user or a parent")
		c.that(len(m.Keys) > 0 && string(m.Keys[0]) == string(key[:]), "a genesis is not signed by its recovery key")
	} else {
		c.size(m.User, 32, "the user's id")
		c.size(m.Prev, 32, "the parent's hash")
	}
	if err := c.err("user charter"); err != nil {
		return nil, err
	}
	if m.Ver > 1 {
		u.user, u.prev = board.UserID(m.User), board.Hash(m.Prev)
	}
	for _, k := range m.Keys {
		u.keys = append(u.keys, [32]byte(k))
	}
	for _, n := range m.Homes {
		u.homes = append(u.homes, board.NodeID(n))
	}
	return u, nil
}
