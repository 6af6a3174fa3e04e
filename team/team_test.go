package team

import (
	"errors"
	"testing"
	"time"

	"weft/board"

	weftv1 "weft/api/weft/v1"
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
	wantStatus(t, "the founder's post", st.CheckEntry(c.header(c.owner, general), nil), Valid)

	news := c.add(c.must(NewBoard(st, c.owner, "news", c.nonce())))
	st = c.ev.State()
	if l := st.Boards(); len(l) != 2 || l[1].Name != "news" || l[1].ID != board.OperationBoardID(news.Raw) {
		t.Fatal("boards", l)
	}

	ben := person(t, "ben")
	wantStatus(t, "a stranger's post", st.CheckEntry(c.header(ben, general), nil), Pending)
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
	wantStatus(t, "ben's post", st.CheckEntry(c.header(ben, general), nil), Valid)
	if a, err = st.CheckKnock(k, nodeOf("home-of-ana"), noon); err != nil || !a.Already || a.Cred != admit.Hash || a.Present != nil {
		t.Fatal("knocking again", a, err)
	}
	_, err = st.CheckKnock(c.knock(inv, "link", person(t, "cy")), nodeOf("home-of-ana"), noon)
	if !errors.Is(err, ErrQuota) {
		t.Fatal(err)
	}
}

func TestReadersOfTheState(t *testing.T) {
	c := newCrew(t)
	st := c.ev.State()
	if st.Genesis().Hash != board.Hash(c.id) || st.Charter().Name != "crew" || st.UserName(c.owner.User) != "ana" || len(st.Homes(c.owner.User)) != 1 {
		t.Error("the founder's team", st.Genesis(), st.Charter())
	}
	if b, ok := st.Board(board.GeneralID(c.id)); !ok || b.Name != GeneralName || b.WriteRole != Member {
		t.Error(b, ok)
	}
	nobody := person(t, "eve").User
	if _, ok := st.Member(nobody); ok || st.Role(nobody) != None || st.CanWrite(nobody, board.GeneralID(c.id)) || st.UserName(nobody) != "" || st.Homes(nobody) != nil {
		t.Error("someone unknown has something")
	}
	empty := NewEvaluator(c.id).State()
	if empty.Known() || empty.Name() != "" || empty.UpgradeNeeded() || len(empty.Boards()) != 0 || len(empty.Nodes()) != 0 || empty.Genesis() != nil {
		t.Error("a team that is not here yet")
	}
	if _, err := c.ev.Add(&Object{}); !errors.Is(err, board.ErrMalformed) {
		t.Error("an object that was not parsed:", err)
	}
	if _, err := c.ev.Add(nil); !errors.Is(err, board.ErrMalformed) {
		t.Error("no object:", err)
	}
}

func TestWords(t *testing.T) {
	ana := person(t, "ana")
	names := func(u board.UserID) string {
		if u == ana.User {
			return "ana"
		}
		return ""
	}
	id := make([]byte, 32)
	op := func(k *weftv1.Operation) *Object {
		k.Author = ana.User[:]
		return &Object{Op: k}
	}
	for want, o := range map[string]*Object{
		`the team "crew" was founded`:                         {Charter: &weftv1.TeamCharter{Ver: 1, Name: "crew"}},
		`version 3 of the charter was proposed`:               {Charter: &weftv1.TeamCharter{Ver: 3}},
		`"ana" agreed to a charter`:                           {Ack: &weftv1.Ack{User: ana.User[:]}},
		`"ana" created the board "a\x1b[2J"`:                  op(&weftv1.Operation{Kind: &weftv1.Operation_Board{Board: &weftv1.CreateBoard{Name: "a\x1b[2J"}}}),
		`"ana" banned aaaaaaaa`:                               op(&weftv1.Operation{Kind: &weftv1.Operation_Set{Set: &weftv1.SetRole{User: id}}}),
		`"ana" denied node 00000000`:                          op(&weftv1.Operation{Kind: &weftv1.Operation_Node{Node: &weftv1.SetNode{Node: id}}}),
		`"ana" allowed node 00000000`:                         op(&weftv1.Operation{Kind: &weftv1.Operation_Node{Node: &weftv1.SetNode{Node: id, Allowed: true}}}),
		`"ana" withdrew an invite`:                            op(&weftv1.Operation{Kind: &weftv1.Operation_Uninvite{}}),
		`"ana" asked to join`:                                 op(&weftv1.Operation{Kind: &weftv1.Operation_Request{}}),
		`"ana" muted "ana": "too loud\n"`:                     op(&weftv1.Operation{Kind: &weftv1.Operation_Set{Set: &weftv1.SetRole{User: ana.User[:], Role: 3, Reason: "too loud\n"}}}),
		`"ana" left`:                                          op(&weftv1.Operation{Kind: &weftv1.Operation_Set{Set: &weftv1.SetRole{User: ana.User[:], Role: 1}}}),
		`"ana" did something that this version does not know`: op(&weftv1.Operation{}),
		`"ana" invited up to 2 people as reader until 1970-01-02 00:00 UTC`: op(&weftv1.Operation{Kind: &weftv1.Operation_Invite{
			Invite: &weftv1.Invite{Quota: 2, Role: weftv1.Role_ROLE_READER, ExpiresMs: 86_400_000}}}),
	} {
		if got := Describe(o, names); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestAChainIsNotEvaluatedForEachObject: what is known already is not evaluated again with each new object.
func TestAChainIsNotEvaluatedForEachObject(t *testing.T) {
	c := newCrew(t)
	u := c.ev.users[c.owner.User]
	c.ev.State()
	u.ever = nil // a chain that is looked at again would find it
	c.add(c.must(NewBoard(c.ev.State(), c.owner, "news", c.nonce())))
	c.ev.State()
	if u.ever != nil {
		t.Error("the chain was evaluated again for a board")
	}
}
