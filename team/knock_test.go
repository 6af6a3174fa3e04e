package team

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

func TestCheckKnockRefuses(t *testing.T) {
	c := newCrew(t)
	home := nodeOf("home-of-ana")
	inv := c.add(c.invite(Member, home, 1, 0, "link"))
	st := c.ev.State()
	ben := person(t, "ben")
	cases := []struct {
		name   string
		change func(k *weftv1.Knock)
		want   error
	}{
		{"as it should be", func(k *weftv1.Knock) {}, nil},
		{"another team", func(k *weftv1.Knock) { k.Team = make([]byte, 32) }, board.ErrNotFound},
		{"no such invite", func(k *weftv1.Knock) { k.Invite = make([]byte, 32) }, board.ErrNotFound},
		{"an invite that is a board", func(k *weftv1.Knock) { k.Invite = c.objects[1].Hash[:] }, board.ErrNotFound},
		{"not the invite's key", func(k *weftv1.Knock) { k.InviteSignature[3] ^= 1 }, board.ErrBadSignature},
		{"for someone else", func(k *weftv1.Knock) { u := person(t, "eve").User; k.User = u[:] }, board.ErrBadSignature},
		{"no present", func(k *weftv1.Knock) { k.Present = nil }, board.ErrMalformed},
		{"a forged present", func(k *weftv1.Knock) { k.Present.Signature[3] ^= 1 }, board.ErrBadSignature},
		{"a board as present", func(k *weftv1.Knock) {
			o := c.must(NewBoard(st, c.owner, "x", c.nonce()))
			k.Present = envelope(t, o)
		}, board.ErrMalformed},
		{"someone else's present", func(k *weftv1.Knock) { k.Present = envelope(t, c.must(NewPresent(c.id, person(t, "eve")))) }, board.ErrMalformed},
		{"a present for another team", func(k *weftv1.Knock) { k.Present = envelope(t, c.must(NewPresent(board.TeamID{9}, ben))) }, board.ErrMalformed},
		{"a short id", func(k *weftv1.Knock) { k.User = k.User[:31] }, board.ErrMalformed},
	}
	for _, x := range cases {
		k := c.knock(inv, "link", ben)
		x.change(k)
		_, err := st.CheckKnock(k, home, noon)
		if !errors.Is(err, x.want) || x.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", x.name, err, x.want)
		}
	}
	if _, err := NewEvaluator(c.id).State().CheckKnock(c.knock(inv, "link", ben), home, noon); !errors.Is(err, board.ErrNotFound) {
		t.Error("a team that is not here:", err)
	}
}

func envelope(t testing.TB, o *Object) *weftv1.Signed {
	t.Helper()
	var s weftv1.Signed
	if err := proto.Unmarshal(o.Body, &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

// TestKnockOfTornCharters: charters that do not follow from each other show nobody.
func TestKnockOfTornCharters(t *testing.T) {
	c := newCrew(t)
	inv := c.add(c.invite(Member, nodeOf("home-of-ana"), 1, 0, "link"))
	id := person(t, "ben")
	thief := keyOf("thief")
	m := &weftv1.UserCharter{
		Ver: 2, User: id.User[:], Prev: id.User[:], Keys: [][]byte{public(thief)}, Profile: &weftv1.Profile{Name: "ben"}, Nonce: make([]byte, 16),
	}
	s, err := seal(thief, board.SignUserCharter, m)
	if err != nil {
		t.Fatal(err)
	}
	id.Charters, id.Device = append(id.Charters, s), thief
	wantTorn(t, c, inv, id)
	ana := c.owner // someone who is known here is not presented by others either
	m.User, m.Prev = ana.User[:], ana.User[:]
	if s, err = seal(thief, board.SignUserCharter, m); err != nil {
		t.Fatal(err)
	}
	ana.Charters, ana.Device = []*weftv1.Signed{s}, thief
	wantTorn(t, c, inv, ana)
}

func wantTorn(t *testing.T, c *crew, inv *Object, id Identity) {
	t.Helper()
	if _, err := c.ev.State().CheckKnock(c.knock(inv, "link", id), nodeOf("home-of-ana"), noon); !errors.Is(err, board.ErrMalformed) {
		t.Error(err)
	}
}

// TestNewHomeByKnock: a member who comes with a charter that names a new home is not admitted again, but presented.
func TestNewHomeByKnock(t *testing.T) {
	c := newCrew(t)
	home := nodeOf("home-of-ana")
	inv := c.add(c.invite(Member, home, 1, 0, "link"))
	ben := person(t, "ben")
	k := c.knock(inv, "link", ben)
	c.add(c.must(NewPresent(c.id, ben)))
	admit := c.add(c.must(NewAdmit(keyOf("home-of-ana"), c.ev.State(), k, c.nonce())))

	moved := ben
	to := keyOf("new home")
	m := &weftv1.UserCharter{
		Ver: 2, User: ben.User[:], Prev: ben.User[:], Keys: [][]byte{public(keyOf("recovery of ben")), public(ben.Device)},
		Homes: [][]byte{public(to)}, Profile: &weftv1.Profile{Name: "ben"}, Nonce: make([]byte, 16),
	}
	s, err := seal(ben.Device, board.SignUserCharter, m)
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := seal(to, board.SignHome, &weftv1.HomeAcceptance{User: ben.User[:], Node: public(to)})
	if err != nil {
		t.Fatal(err)
	}
	moved.Charters = append(moved.Charters[:1:1], s)
	moved.Acceptances = append(moved.Acceptances[:1:1], accepted)
	a, err := c.ev.State().CheckKnock(c.knock(inv, "link", moved), home, noon)
	if err != nil || !a.Already || a.Present == nil || a.Cred != admit.Hash {
		t.Fatal(a, err)
	}
	c.add(a.Present)
	st := c.ev.State()
	if st.IsNode(nodeOf("home-of-ben")) || !st.IsNode(nodeOf("new home")) || len(st.Homes(ben.User)) != 1 {
		t.Error("nodes after moving", st.Nodes())
	}
	if other, err := ParseIdentity(mustMarshal(t, moved), ben.Device); err != nil || other.User != ben.User || other.Name != "ben" {
		t.Error(other, err)
	}
}

func mustMarshal(t testing.TB, id Identity) []byte {
	t.Helper()
	b, err := id.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseIdentityRefuses(t *testing.T) {
	id := person(t, "ben")
	good := mustMarshal(t, id)
	if got, err := ParseIdentity(good, id.Device); err != nil || got.User != id.User || got.Name != "ben" {
		t.Fatal(got, err)
	}
	if _, err := ParseIdentity(good, keyOf("another device")); !errors.Is(err, board.ErrMalformed) {
		t.Error("with a device that is not in it:", err)
	}
	if _, err := ParseIdentity(nil, id.Device); !errors.Is(err, board.ErrMalformed) {
		t.Error("empty:", err)
	}
	if _, err := ParseIdentity(good[:len(good)/2], id.Device); err == nil {
		t.Error("half of it was accepted")
	}
}

func TestBuildersNameTheRule(t *testing.T) {
	c := newCrew(t)
	home := nodeOf("home-of-ana")
	inv := c.add(c.invite(Member, home, 2, 0, "link"))
	ben := person(t, "ben")
	st := c.ev.State()
	_, err := NewBoard(st, ben, "x", c.nonce())
	wantErr(t, "a stranger's board", err, board.ErrNotMember)
	k := c.knock(inv, "link", ben)
	c.add(c.must(NewPresent(c.id, ben)))
	c.add(c.must(NewAdmit(keyOf("home-of-ana"), st, k, c.nonce())))
	st = c.ev.State()
	_, err = NewBoard(st, ben, "x", c.nonce())
	wantErr(t, "a member's board", err, ErrNoPower)
	_, err = NewInvite(st, ben, Member, home, 1, 0, c.nonce(), seedOf("x"))
	wantErr(t, "a member's invite", err, ErrNoPower)
	stranger := c.owner
	stranger.Device = keyOf("a new laptop")
	_, err = NewBoard(st, stranger, "x", c.nonce())
	wantErr(t, "an owner's unknown device", err, board.ErrPending)
	_, err = NewInvite(st, c.owner, Admin, home, 1, 0, c.nonce(), seedOf("x"))
	wantErr(t, "an invite to admin", err, ErrBadRequest)
	for _, q := range []uint32{0, 1001} {
		_, err = NewInvite(st, c.owner, Member, home, q, 0, c.nonce(), seedOf("x"))
		wantErr(t, "a bad quota", err, ErrBadRequest)
	}
	_, err = NewInvite(st, c.owner, Member, nodeOf("elsewhere"), 1, 0, c.nonce(), seedOf("x"))
	wantErr(t, "an admitter that is no node of the team", err, ErrBadRequest)
	for _, name := range []string{"", "a/b", "@x", " x", "x\n", "\xff", string(make([]byte, 65))} {
		_, err = NewBoard(st, c.owner, name, c.nonce())
		wantErr(t, "board "+name, err, ErrBadName)
		_, _, err = NewTeam(c.owner, name, nil, c.nonce())
		wantErr(t, "team "+name, err, ErrBadName)
	}
	_, err = NewBoard(st, c.owner, "general", c.nonce())
	wantErr(t, "a second general", err, ErrExists)
	for i := range MaxBoards - 1 {
		c.add(c.must(NewBoard(c.ev.State(), c.owner, string(rune('a'+i%26))+string(rune('a'+i/26)), c.nonce())))
	}
	_, err = NewBoard(c.ev.State(), c.owner, "one more", c.nonce())
	wantErr(t, "a 65th board", err, ErrLimit)
	_, err = NewLink(st, c.owner, inv, seedOf("another"), nil)
	wantErr(t, "a link with another seed", err, ErrBadRequest)
	_, err = NewUser("", keyOf("r"), keyOf("d"), keyOf("n"), c.nonce())
	wantErr(t, "a person without a name", err, ErrBadName)
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func FuzzKnock(f *testing.F) {
	c := newCrew(f)
	home := nodeOf("home-of-ana")
	inv := c.add(c.invite(Member, home, 2, 0, "link"))
	good := c.knock(inv, "link", person(f, "ben"))
	f.Add(encode(f, good))
	st := c.ev.State()
	f.Fuzz(func(t *testing.T, b []byte) {
		var k weftv1.Knock
		if proto.Unmarshal(b, &k) != nil {
			return
		}
		a, err := st.CheckKnock(&k, home, noon)
		if err == nil && (a.User != board.UserID(good.User) || a.Role != Member) {
			t.Fatal("someone else got in", a)
		}
	})
}

// TestAnInviteExpires at the millisecond that it names, not before; someone who is in already is not kept out by it.
func TestAnInviteExpires(t *testing.T) {
	c := newCrew(t)
	home := nodeOf("home-of-ana")
	inv := c.add(c.invite(Member, home, 2, uint64(noon.UnixMilli()), "link"))
	k := c.knock(inv, "link", person(t, "ben"))
	if _, err := c.ev.State().CheckKnock(k, home, noon.Add(-time.Millisecond)); err != nil {
		t.Error("a millisecond before:", err)
	}
	for _, late := range []time.Duration{0, time.Millisecond, time.Hour} {
		if _, err := c.ev.State().CheckKnock(k, home, noon.Add(late)); !errors.Is(err, ErrExpired) {
			t.Errorf("%s after: %v", late, err)
		}
	}
	c.add(c.must(NewPresent(c.id, person(t, "ben"))))
	c.add(c.must(NewAdmit(keyOf("home-of-ana"), c.ev.State(), k, c.nonce())))
	if a, err := c.ev.State().CheckKnock(k, home, noon.Add(time.Hour)); err != nil || !a.Already {
		t.Errorf("someone who is in: %+v, %v", a, err)
	}
}
