package team

import (
	"errors"
	"testing"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// office is a team with an owner, a second owner, an admin, a member, a muted, a removed and a banned one, and a stranger.
type office struct {
	*grown
	ana, bea, dee, cy, mute, out, ban, eve Identity
}

func newOffice(t failer) *office {
	o := &office{grown: &grown{crew: newCrew(t)}}
	o.ledger = newLedger(o.id)
	home := nodeOf("home-of-ana")
	for _, x := range o.objects {
		o.write(home, x)
	}
	o.ana = o.owner
	for name, id := range map[string]*Identity{"bea": &o.bea, "dee": &o.dee, "cy": &o.cy, "mute": &o.mute, "out": &o.out, "ban": &o.ban, "eve": &o.eve} {
		*id = person(t, name)
		o.write(home, o.must(NewPresent(o.id, *id)))
	}
	o.charter(Change{AddOwners: []board.UserID{o.bea.User}, AddAdmins: []board.UserID{o.dee.User}})
	for _, x := range []struct {
		id   Identity
		role Role
	}{{o.cy, Member}, {o.mute, Muted}, {o.out, Removed}, {o.ban, Banned}} {
		o.write(home, o.must(NewSet(o.state(), o.dee, x.id.User, x.role, o.cut(x.id.User), "so", o.nonce())))
	}
	return o
}

// charter changes the team by its senior owner.
func (o *office) charter(ch Change) *Object {
	o.t.Helper()
	cuts := map[board.UserID]*weftv1.Cut{}
	for _, p := range append(o.state().Members(), Person{User: ch.Handover}) {
		cuts[p.User] = o.cut(p.User)
	}
	home := nodeOf("home-of-ana")
	c := o.write(home, o.must(NewCharter(o.state(), o.ana, ch, cuts, Member, o.nonce())))
	o.write(home, o.must(NewAck(o.state(), o.ana, c.Hash)))
	return c
}

// TestBuildersRefuse: each builder refuses at the origin what evaluation would void, and says what to do.
func TestBuildersRefuse(t *testing.T) {
	o := newOffice(t)
	st, cut, n := o.state(), &weftv1.Cut{}, o.nonce()
	set := func(id, of Identity, r Role) error {
		_, err := NewSet(st, id, of.User, r, cut, "", n)
		return err
	}
	charter := func(id Identity, ch Change) error {
		_, err := NewCharter(st, id, ch, map[board.UserID]*weftv1.Cut{o.ana.User: cut, o.bea.User: cut, o.dee.User: cut}, Removed, n)
		return err
	}
	leave := func(id Identity) error { _, err := NewLeave(st, id, cut, n); return err }
	nodeOp := func(id Identity, allowed bool, c *weftv1.Cut) error {
		_, err := NewNode(st, id, nodeOf("home-of-cy"), allowed, c, n)
		return err
	}
	strange := o.dee
	strange.Device = keyOf("another device")
	for i, x := range []struct{ err, want error }{
		{set(o.dee, o.cy, Removed), nil},
		{set(o.dee, o.eve, Member), nil},
		{set(o.dee, o.eve, Banned), nil}, // also someone who was never in
		{set(o.cy, o.mute, Removed), ErrNoPower},
		{set(o.eve, o.mute, Removed), board.ErrNotMember},
		{set(o.out, o.mute, Removed), ErrRemoved},
		{set(strange, o.mute, Removed), board.ErrPending},
		{set(o.dee, o.ana, Removed), ErrHasPower},
		{set(o.ana, o.dee, Muted), ErrHasPower},
		{set(o.dee, o.cy, Admin), ErrBadRequest},
		{set(o.dee, o.cy, Member), ErrUnchanged},
		{leave(o.cy), nil},
		{leave(o.mute), nil},
		{leave(o.ana), ErrOwnerLeaves},
		{leave(o.dee), ErrAdminLeaves},
		{leave(o.ban), ErrUnchanged},
		{leave(o.eve), board.ErrNotMember},
		{nodeOp(o.dee, false, cut), nil},
		{nodeOp(o.dee, false, nil), ErrBadRequest},
		{nodeOp(o.dee, true, nil), ErrUnchanged},
		{nodeOp(o.cy, false, cut), ErrNoPower},
		{charter(o.ana, Change{}), ErrUnchanged},
		{charter(o.ana, Change{Name: " bad"}), ErrBadName},
		{charter(o.ana, Change{Name: "better"}), nil},
		{charter(o.dee, Change{Name: "a proposal"}), nil},
		{charter(o.cy, Change{Name: "better"}), ErrNoPower},
		{charter(o.ana, Change{RemoveOwners: []board.UserID{o.ana.User, o.bea.User}}), ErrLastOwner},
		{charter(o.ana, Change{Handover: o.ana.User}), ErrBadRequest},
		{charter(o.dee, Change{Handover: o.cy.User}), ErrBadRequest},
		{charter(o.ana, Change{AddRelays: make([]board.NodeID, MaxRelays)}), nil}, // one node, named over and over
		{charter(o.ana, Change{Policy: &Policy{Join: weftv1.JoinMode_JOIN_MODE_CLOSED}}), nil},
		{charter(o.ana, Change{Policy: &Policy{Join: weftv1.JoinMode_JOIN_MODE_LINK, Visibility: weftv1.Visibility_VISIBILITY_MEMBERS}}), ErrUnchanged},
	} {
		if !errors.Is(x.err, x.want) || x.want == nil && x.err != nil {
			t.Errorf("%d: %v, want %v", i, x.err, x.want)
		}
	}
	if _, err := NewSet(st, o.dee, o.cy.User, Removed, nil, "", n); !errors.Is(err, ErrBadRequest) {
		t.Error("without a cut:", err)
	}
	if _, err := NewCharter(st, o.ana, Change{RemoveAdmins: []board.UserID{o.dee.User}}, nil, Removed, n); !errors.Is(err, ErrBadRequest) {
		t.Error("taking power without a cut:", err)
	}
	if _, err := NewRecut(st, o.dee, o.cy.User, cut, "", n); !errors.Is(err, ErrUnchanged) {
		t.Error("nothing to mend:", err)
	}
	if _, err := NewUninvite(st, o.dee, board.Hash{1}, cut, n); !errors.Is(err, board.ErrNotFound) {
		t.Error("no such invite:", err)
	}
	if _, err := NewFloor(st, keyOf("n"), board.Position{Node: nodeOf("m")}, nil, n); !errors.Is(err, ErrBadRequest) {
		t.Error("a floor of another node:", err)
	}
	if _, err := NewFloorOf(st, o.dee, board.Position{Node: nodeOf("home-of-ana")}, nil, n); !errors.Is(err, ErrBadRequest) {
		t.Error("a floor for a node that is there:", err)
	}
}

// TestBuiltThingsCount: what builders make of a state counts in it.
func TestBuiltThingsCount(t *testing.T) {
	o := newOffice(t)
	home := nodeOf("home-of-ana")
	invite := o.write(home, o.must(NewInvite(o.state(), o.dee, Member, home, 3, 0, o.nonce(), seedOf("link"))))
	for name, make := range map[string]func() (*Object, error){
		"set": func() (*Object, error) {
			return NewSet(o.state(), o.dee, o.cy.User, Banned, o.cut(o.cy.User), "spam", o.nonce())
		},
		"recut": func() (*Object, error) {
			return NewRecut(o.state(), o.dee, o.out.User, o.cut(o.out.User), "", o.nonce())
		},
		"leave":   func() (*Object, error) { return NewLeave(o.state(), o.mute, o.cut(o.mute.User), o.nonce()) },
		"request": func() (*Object, error) { return NewRequest(o.id, o.eve, "hello", o.nonce()) },
		"uninvite": func() (*Object, error) {
			return NewUninvite(o.state(), o.dee, invite.Hash, o.cut(board.UserID(invite.Hash)), o.nonce())
		},
		"node": func() (*Object, error) {
			return NewNode(o.state(), o.dee, nodeOf("home-of-cy"), false, &weftv1.Cut{}, o.nonce())
		},
		"board": func() (*Object, error) { return NewBoard(o.state(), o.dee, "news", o.nonce()) },
		"floor": func() (*Object, error) {
			return NewFloor(o.state(), keyOf("home-of-cy"), board.Position{Board: board.GeneralID(o.id), Node: nodeOf("home-of-cy"), Epoch: board.Epoch{N: 1}, Seq: 1}, nil, o.nonce())
		},
		"floor of": func() (*Object, error) {
			return NewFloorOf(o.state(), o.dee, board.Position{Board: board.GeneralID(o.id), Node: nodeOf("gone"), Epoch: board.Epoch{N: 1}, Seq: 1}, nil, o.nonce())
		},
		"fork": func() (*Object, error) {
			name := logName{board.GovernanceID(o.id), nodeOf("n")}
			a := o.ledger.write(nodeOf("n"), line{object: invite})
			o.ledger.tips[name] = a.Prev
			b := o.ledger.write(nodeOf("n"), line{object: o.objects[0]})
			return NewFork(o.id, keyOf("home-of-ana"), proofOf(keyOf("n"), a, b), o.nonce())
		},
	} {
		x := o.write(home, o.must(make()))
		if v, _ := o.state().Verdict(x.Hash); v.Status != Valid {
			t.Errorf("%s: %v", name, v)
		}
	}
	st := o.state()
	if st.Role(o.cy.User) != Banned || st.Role(o.mute.User) != Removed || len(st.Requests()) != 1 || len(st.Invites()) != 0 || len(st.Floors(board.GeneralID(o.id))) != 2 {
		t.Error(st.Members(), st.Outsiders(), st.Requests(), st.Invites())
	}
}

// TestHandoverAndAcks: a handover takes the caller's power; owners and admins are asked to agree to what counts, once.
func TestHandoverAndAcks(t *testing.T) {
	o := newOffice(t)
	wants := func(id Identity) int { return len(o.state().WantsAck(id)) }
	if wants(o.ana) != 0 || wants(o.dee) != 0 || wants(o.cy) != 0 { // the charter that made dee admin follows one in which dee is nobody
		t.Error("asked:", wants(o.ana), wants(o.dee), wants(o.cy))
	}
	c := o.charter(Change{Handover: o.cy.User})
	st := o.state()
	if st.Role(o.ana.User) != Member || st.Role(o.cy.User) != Owner || st.Charter().Owners[0][0] != o.cy.User[0] {
		t.Fatal(st.Members())
	}
	if l := st.WantsAck(o.dee); len(l) != 1 || l[0] != c.Hash || wants(o.bea) != 1 || wants(o.ana) != 0 {
		t.Error("who is asked to agree:", len(l), wants(o.bea), wants(o.ana))
	}
	o.write(nodeOf("home-of-dee"), o.must(NewAck(st, o.dee, c.Hash)))
	if wants(o.dee) != 0 {
		t.Error("asked again")
	}
	if _, err := NewAck(o.state(), o.dee, c.Hash); !errors.Is(err, ErrUnchanged) {
		t.Error("agreed twice:", err)
	}
	if _, err := NewAck(o.state(), o.eve, c.Hash); !errors.Is(err, ErrNoPower) {
		t.Error("a stranger agreed:", err)
	}
	if _, err := NewAck(o.state(), o.bea, board.Hash{3}); !errors.Is(err, board.ErrNotFound) {
		t.Error("agreed to nothing:", err)
	}
	// The junior owner proposes; nobody agrees to a second one in its place.
	cuts := map[board.UserID]*weftv1.Cut{o.cy.User: o.cut(o.cy.User)}
	p1 := o.write(nodeOf("home-of-bea"), o.must(NewCharter(o.state(), o.bea, Change{RemoveOwners: []board.UserID{o.cy.User}}, cuts, Member, o.nonce())))
	p2 := o.write(nodeOf("home-of-bea"), o.must(NewCharter(o.state(), o.bea, Change{Name: "hers"}, nil, Member, o.nonce())))
	o.write(nodeOf("home-of-bea"), o.must(NewAck(o.state(), o.bea, p1.Hash)))
	if _, err := NewAck(o.state(), o.bea, p2.Hash); !errors.Is(err, ErrAcked) {
		t.Error("agreed to two:", err)
	}
	l := o.state().Proposals()
	if len(l) != 1 || l[0].Charter != p1.Hash || l[0].By != o.bea.User || len(l[0].Missing) != 1 || l[0].Missing[0] != o.cy.User {
		t.Errorf("%+v", l)
	}
}

// TestDisbanded: nobody changes a team that was disbanded.
func TestDisbanded(t *testing.T) {
	o := newOffice(t)
	o.charter(Change{Close: true, Successor: board.TeamID{7}})
	st := o.state()
	if to, closed := st.Closed(); !closed || to != (board.TeamID{7}) || st.CanWrite(o.ana.User, board.GeneralID(o.id)) || !st.CanRead(o.cy.User) {
		t.Error("not closed")
	}
	_, err := NewSet(st, o.ana, o.cy.User, Banned, &weftv1.Cut{}, "", o.nonce())
	if !errors.Is(err, ErrTeamClosed) {
		t.Error(err)
	}
	if _, err = NewCharter(st, o.ana, Change{Name: "again"}, nil, Removed, o.nonce()); !errors.Is(err, ErrTeamClosed) {
		t.Error(err)
	}
}
