package p2p

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

func policy(join weftv1.JoinMode, v weftv1.Visibility) *weftv1.TeamPolicy {
	return &weftv1.TeamPolicy{Join: join, Visibility: v}
}

// say says something in n's lobby, as o's node.
func (o *testNode) say(n *testNode, id board.TeamID, q *weftv1.LobbyRequest) *weftv1.LobbyReply {
	o.t.Helper()
	at := &weftv1.InviteKey{Admitter: n.mesh.self[:], Addresses: n.mesh.InviteAddrs()}
	reply, err := o.mesh.visit(testContext(o.t), id, at, q)
	if err != nil {
		o.t.Fatal(err)
	}
	o.mesh.who.settle(id)
	return reply
}

func askAbout(id []byte) *weftv1.LobbyRequest {
	return &weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_Ask{Ask: &weftv1.TeamAsk{Team: id}}}
}

func TestTheLobbySaysWhatATeamLetsBeKnown(t *testing.T) {
	a := newNode(t, "ada", func(n *testNode) { n.limits.LobbyTriesPerMin = 100 })
	public := a.foundWith("public", policy(weftv1.JoinMode_JOIN_MODE_LINK, weftv1.Visibility_VISIBILITY_PUBLIC))
	members := a.foundWith("members", policy(weftv1.JoinMode_JOIN_MODE_APPROVAL, weftv1.Visibility_VISIBILITY_MEMBERS))
	hidden := a.foundWith("hidden", policy(weftv1.JoinMode_JOIN_MODE_OPEN, weftv1.Visibility_VISIBILITY_HIDDEN))
	b := newNode(t, "bob")
	for _, c := range []struct {
		id   board.TeamID
		name string
		mode weftv1.JoinMode
	}{{public, "public", weftv1.JoinMode_JOIN_MODE_LINK}, {members, "members", weftv1.JoinMode_JOIN_MODE_APPROVAL}} {
		reply := b.say(a, c.id, askAbout(c.id[:]))
		if reply.Code != "" || len(reply.Teams) != 1 || reply.Teams[0].Name != c.name || reply.Teams[0].Join != c.mode {
			t.Errorf("of the team %s it says %v", c.name, reply)
		}
	}
	if reply := b.say(a, public, askAbout(nil)); len(reply.Teams) != 1 || reply.Teams[0].Name != "public" {
		t.Errorf("public teams are %v", reply)
	}
	unknown := board.TeamID{1, 2, 3}
	present := func(id board.TeamID) *weftv1.Signed {
		s, err := b.mesh.present(id)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	request := func(id board.TeamID) *weftv1.Signed {
		raw, err := b.mesh.newRequest(id, "")
		s := new(weftv1.Signed)
		if err = errors.Join(err, proto.Unmarshal(raw, s)); err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, q := range map[string]func(board.TeamID) *weftv1.LobbyRequest{
		"ask": func(id board.TeamID) *weftv1.LobbyRequest { return askAbout(id[:]) },
		"request": func(id board.TeamID) *weftv1.LobbyRequest {
			return &weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_AskIn{AskIn: &weftv1.RequestAsk{Team: id[:], Present: present(id), Request: request(id)}}}
		},
		"home": func(id board.TeamID) *weftv1.LobbyRequest {
			return &weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_Home{Home: &weftv1.HomeAsk{Team: id[:], Present: present(id)}}}
		},
		"why": func(id board.TeamID) *weftv1.LobbyRequest {
			return &weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_Why{Why: &weftv1.WhyAsk{Team: id[:], User: b.id.User[:]}}}
		},
		"request that can't be read": func(id board.TeamID) *weftv1.LobbyRequest {
			return &weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_AskIn{AskIn: &weftv1.RequestAsk{Team: id[:]}}}
		},
		"home that can't be read": func(id board.TeamID) *weftv1.LobbyRequest {
			return &weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_Home{Home: &weftv1.HomeAsk{Team: id[:]}}}
		},
		"why that can't be read": func(id board.TeamID) *weftv1.LobbyRequest {
			return &weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_Why{Why: &weftv1.WhyAsk{Team: id[:], User: b.id.User[:]}}}
		},
		"knock that can't be read": func(id board.TeamID) *weftv1.LobbyRequest {
			return &weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_Knock{Knock: &weftv1.Knock{Team: id[:]}}}
		},
	} {
		h, u := b.say(a, hidden, q(hidden)), b.say(a, unknown, q(unknown))
		if !proto.Equal(h, u) || h.Code != codeNotFound {
			t.Errorf("%s: a hidden team answers %v, one that isn't there %v", name, h, u)
		}
	}
}

func TestAnOpenTeamLetsAnybodyIn(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.foundWith("plaza", policy(weftv1.JoinMode_JOIN_MODE_OPEN, weftv1.Visibility_VISIBILITY_PUBLIC))
	o, err := team.NewInvite(a.team(id), a.id, team.Member, a.mesh.self, 10, 0, nonce(), team.OpenSeed(id, a.mesh.self))
	if err == nil {
		_, err = a.store.AppendObject(testContext(t), id, o)
	}
	if err != nil {
		t.Fatal(err)
	}
	res, err := b.mesh.Join(testContext(t), a.askLink(id), "")
	if err != nil || res.Team != id || res.Name != "plaza" || !res.InStep || res.Asked {
		t.Fatalf("%+v %v", res, err)
	}
	a.post(id, board.GeneralID(id), 3)
	eventually(t, "bob has the posts", func() bool { return b.entries(board.GeneralID(id)) == 3 }, a, b)
}

func TestLinksWithoutAnInviteSayWhatIsNeeded(t *testing.T) {
	a := newNode(t, "ada", func(n *testNode) { n.limits.LobbyTriesPerMin = 100 })
	for name, c := range map[string]struct {
		policy *weftv1.TeamPolicy
		want   error
	}{
		"by link": {policy(weftv1.JoinMode_JOIN_MODE_LINK, weftv1.Visibility_VISIBILITY_MEMBERS), ErrLinkNeeded},
		"closed":  {policy(weftv1.JoinMode_JOIN_MODE_CLOSED, weftv1.Visibility_VISIBILITY_MEMBERS), team.ErrJoinClosed},
		"hidden":  {policy(weftv1.JoinMode_JOIN_MODE_APPROVAL, weftv1.Visibility_VISIBILITY_HIDDEN), board.ErrNotFound},
	} {
		id := a.foundWith(name, c.policy)
		b := newNode(t, "bob")
		if _, err := b.mesh.Join(testContext(t), a.askLink(id), ""); !errors.Is(err, c.want) {
			t.Errorf("%s: %v instead of %v", name, err, c.want)
		}
		if len(b.store.Teams()) != 0 || len(b.mesh.Asked()) != 0 {
			t.Errorf("%s: bob takes part, or asks", name)
		}
	}
	id := a.foundWith("nobody there", policy(weftv1.JoinMode_JOIN_MODE_APPROVAL, weftv1.Visibility_VISIBILITY_MEMBERS))
	link := a.askLink(id)
	link.Invites[0].Addresses = []string{"/ip4/127.0.0.1/udp/9/quic-v1"}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if _, err := newNode(t, "bob").mesh.Join(ctx, link, ""); !errors.Is(err, ErrOffline) {
		t.Errorf("nobody there: %v", err)
	}
}

// A request is recorded once, whatever is said again, and the asker goes on asking after a restart.
func TestARequestIsKeptAndSaidAgain(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.foundWith("club", policy(weftv1.JoinMode_JOIN_MODE_APPROVAL, weftv1.Visibility_VISIBILITY_MEMBERS))
	records := func() uint64 {
		info, _ := a.store.Board(board.GovernanceID(id))
		return info.Records
	}
	before := records()
	for range 3 {
		res, err := b.mesh.Join(testContext(t), a.askLink(id), "it is me")
		if err != nil || !res.Asked || res.Team != id || res.Name != "club" {
			t.Fatalf("%+v %v", res, err)
		}
	}
	if got := records() - before; got != 2 {
		t.Fatalf("%d records instead of a present and a request", got)
	}
	asked := b.mesh.Asked()
	if len(asked) != 1 || asked[0].Team != id || asked[0].Note != "it is me" || asked[0].Rejected || asked[0].LastError != "" {
		t.Fatalf("%+v", asked)
	}
	if len(b.store.Teams()) != 0 {
		t.Fatal("bob takes part already")
	}
	b.restart()
	if again := b.mesh.Asked(); len(again) != 1 || !again[0].Since.Equal(asked[0].Since) || again[0].NextTry.IsZero() {
		t.Fatalf("after a restart: %+v", again)
	}
	// ada's node would only come to somebody whom it has let in.
	b.mesh.asks.heard(a.mesh.self)
	eventually(t, "bob asks again", func() bool { return b.mesh.Asked()[0].LastTry.After(asked[0].LastTry) }, a, b)
	if got := records() - before; got != 2 {
		t.Fatalf("%d records after it was said again", got)
	}
	if !b.mesh.ForgetAsked(id) || b.mesh.ForgetAsked(id) || len(b.mesh.Asked()) != 0 {
		t.Fatal("it isn't forgotten")
	}
	b.restart()
	if len(b.mesh.Asked()) != 0 {
		t.Fatal("it isn't forgotten after a restart")
	}
}

// What somebody else says why the answer is no is told on over the API, which takes UTF-8 only.
func TestAReasonThatIsTooLongIsCutBetweenCharacters(t *testing.T) {
	long := strings.Repeat("x", maxReason-1) + "ä"
	got := reasonOfNo(&weftv1.LobbyReply{Message: long})
	if got != long[:maxReason-1] {
		t.Errorf("%d bytes that end with %q", len(got), got[len(got)-2:])
	}
}

func TestRequestsAreRationed(t *testing.T) {
	a := newNode(t, "ada", func(n *testNode) { n.limits.LobbyTriesPerMin = 100 })
	id := a.foundWith("club", policy(weftv1.JoinMode_JOIN_MODE_APPROVAL, weftv1.Visibility_VISIBILITY_MEMBERS))
	b := newNode(t, "bob")
	link := a.askLink(id)
	refused := error(nil)
	for i := range requestsIn + 1 {
		// Each time another person, on one machine.
		other, err := team.NewUser("bob", randomKey(), randomKey(), b.key, nonce())
		if err != nil {
			t.Fatal(err)
		}
		b.mesh.o.Identity = other
		b.mesh.ForgetAsked(id)
		if _, err := b.mesh.Join(testContext(t), link, ""); err != nil && i < requestsIn {
			t.Fatalf("request %d: %v", i, err)
		} else {
			refused = err
		}
	}
	if !errors.Is(refused, ErrAdmitterBusy) {
		t.Fatalf("one too many: %v", refused)
	}
}

// Somebody who is in a team starts a second node: it presents itself, and is one of the team's from then on.
func TestANewHomePresentsItself(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.foundWith("crew", policy(weftv1.JoinMode_JOIN_MODE_LINK, weftv1.Visibility_VISIBILITY_HIDDEN))
	a.letIn(id, b)
	a.post(id, board.GeneralID(id), 5)
	b2 := newNode(t, "bob's other machine", func(n *testNode) { n.id = b.movedTo(b.key, n.key) })
	res, err := b2.mesh.Join(testContext(t), a.askLink(id), "")
	if err != nil || !res.AlreadyMember || !res.InStep {
		t.Fatalf("%+v %v", res, err)
	}
	for _, n := range []*testNode{a, b, b2} {
		eventually(t, n.name+" knows both homes", func() bool {
			return n.team(id).IsNode(b.mesh.self) && n.team(id).IsNode(b2.mesh.self)
		}, n)
	}
	eventually(t, "it has the history", func() bool { return b2.entries(board.GeneralID(id)) == 5 }, a, b2)
}

// A stranger can't say that it is somebody's home.
func TestAHomeMustBeNamedByItsPerson(t *testing.T) {
	a, b, eve := newNode(t, "ada", func(n *testNode) { n.limits.LobbyTriesPerMin = 100 }), newNode(t, "bob"), newNode(t, "eve")
	id := a.found("crew")
	a.letIn(id, b)
	for name, who := range map[string]team.Identity{"bob's homes": b.movedTo(b.key), "eve's own": eve.id} {
		eve.mesh.o.Identity = who
		s, err := eve.mesh.present(id)
		if err != nil {
			t.Fatal(err)
		}
		reply := eve.say(a, id, &weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_Home{Home: &weftv1.HomeAsk{Team: id[:], Present: s}}})
		if reply.Code == "" || a.team(id).IsNode(eve.mesh.self) {
			t.Errorf("%s: eve got in: %v", name, reply)
		}
	}
}
