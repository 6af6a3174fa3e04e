package team

import (
	"errors"
	"testing"
	"time"

	"weft/board"
)

var noon = time.UnixMilli(1_800_000_000_000)

func wantStatus(t *testing.T, what string, v Verdict, s Status) {
	t.Helper()
	if v.Status != s {
		t.Errorf("%s: %v, want %v", what, v, s)
	}
}

func TestFoundInviteJoinPost(t *testing.T) {
	c := newCrew(t)
	st := c.ev.State()
	if st.Name() != "crew" || st.Role(c.owner.User) != Owner || !st.IsNode(nodeOf("home-of-ana")) || len(st.Boards()) != 1 {
		t.Fatalf("after founding: %q, %v, %d nodes, %v", st.Name(), st.Role(c.owner.User), len(st.Nodes()), st.Boards())
	}
	general := board.GeneralID(c.id)
	wantStatus(t, "the founder's post", st.CheckEntry(c.header(c.owner, general)), Valid)

	news := c.add(c.must(NewBoard(st, c.owner, "news", c.nonce())))
	st = c.ev.State()
	if l := st.Boards(); len(l) != 2 || l[1].Name != "news" || l[1].ID != board.OperationBoardID(news.Raw) {
		t.Fatal("boards", l)
	}

	ben := person(t, "ben")
	wantStatus(t, "a stranger's post", st.CheckEntry(c.header(ben, general)), Pending)
	inv := c.add(c.invite(Member, nodeOf("home-of-ana"), 1, 0, "link"))
	st = c.ev.State()
	k := c.knock(inv, "link", ben)
	a, err := st.CheckKnock(k, nodeOf("home-of-ana"), noon)
	if err != nil || a.Already || a.Present == nil || a.Role != Member {
		t.Fatal(a, err)
	}
	c.add(a.Present)
	admit := c.add(c.must(NewAdmit(keyOf("home-of-ana"), st, k, c.nonce())))
	st = c.ev.State()
	if st.Role(ben.User) != Member || !st.CanWrite(ben.User, general) || !st.IsNode(nodeOf("home-of-ben")) {
		t.Fatal("after admission", st.Role(ben.User))
	}
	wantStatus(t, "ben's post", st.CheckEntry(c.header(ben, general)), Valid)
	if a, err = st.CheckKnock(k, nodeOf("home-of-ana"), noon); err != nil || !a.Already || a.Cred != admit.Hash || a.Present != nil {
		t.Fatal("knocking again", a, err)
	}
	_, err = st.CheckKnock(c.knock(inv, "link", person(t, "cy")), nodeOf("home-of-ana"), noon)
	if !errors.Is(err, ErrQuota) {
		t.Fatal(err)
	}
}
