package rpc_test

import (
	"strings"
	"testing"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/rpc/rpctest"
	"weft/team"
)

func newBoard(t *testing.T, r *rpctest.Rig, place, name string) string {
	t.Helper()
	res, err := r.Client.Boards.CreateBoard(t.Context(), connect.NewRequest(&weftv1.CreateBoardRequest{Team: place, Name: name}))
	if err != nil {
		t.Fatal(err)
	}
	return res.Msg.BoardId
}

func TestPlacesAreFoundByIDAndByName(t *testing.T) {
	r := rpctest.Start(t)
	id := r.Team(t, "crew").String()
	commits := newBoard(t, r, "crew", "commits")
	for _, p := range []struct{ team, board, want string }{
		{"crew", "", "general"}, {id, "", "general"}, {"crew", "general", "general"},
		{"crew", "commits", "commits"}, {"crew/commits", "", "commits"}, {id, commits, "commits"},
		{"crew", commits, "commits"}, {"", commits, "commits"}, {strings.ToUpper(id), "commits", "commits"},
	} {
		res, err := r.Client.Boards.Unread(t.Context(), connect.NewRequest(&weftv1.UnreadRequest{Team: p.team, Board: p.board}))
		if p.board == "" && !strings.Contains(p.team, "/") { // the whole team: try a call that is about one board
			_, err = r.Client.Boards.History(t.Context(), connect.NewRequest(&weftv1.HistoryRequest{Team: p.team}))
		} else if err == nil && res.Msg.Boards[0].Board != p.want {
			t.Errorf("%q %q is %s, want %s", p.team, p.board, res.Msg.Boards[0].Board, p.want)
		}
		if err != nil {
			t.Errorf("%q %q: %v", p.team, p.board, err)
		}
	}
}

func TestAmbiguousTeamNameListsCandidates(t *testing.T) {
	r := rpctest.Start(t)
	mine := r.Team(t, "crew").String()
	other, objects, err := team.NewTeam(r.Identity, "crew", nil, [16]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Store.AdoptTeam(t.Context(), other, objects[0]); err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if _, err := r.Store.AppendObject(t.Context(), other, o); err != nil {
			t.Fatal(err)
		}
	}
	_, err = post(t, r, &weftv1.PostRequest{Team: "crew", Posts: []*weftv1.NewPost{{Text: "to whom?"}}})
	refused(t, err, "AMBIGUOUS", connect.CodeFailedPrecondition, mine, other.String())
	if _, err := post(t, r, &weftv1.PostRequest{Team: mine, Posts: []*weftv1.NewPost{{Text: "to you"}}}); err != nil {
		t.Error(err)
	}
}

func TestTakenNamesAreRefused(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	newBoard(t, r, "crew", "commits")
	_, err := r.Client.Teams.CreateTeam(t.Context(), connect.NewRequest(&weftv1.CreateTeamRequest{Name: "crew"}))
	refused(t, err, "NAME_TAKEN", connect.CodeAlreadyExists)
	_, err = r.Client.Boards.CreateBoard(t.Context(), connect.NewRequest(&weftv1.CreateBoardRequest{Team: "crew", Name: "commits"}))
	refused(t, err, "NAME_TAKEN", connect.CodeAlreadyExists)
	_, err = r.Client.Boards.CreateBoard(t.Context(), connect.NewRequest(&weftv1.CreateBoardRequest{Team: "crew"}))
	refused(t, err, "EMPTY", connect.CodeInvalidArgument)
	_, err = r.Client.Teams.CreateTeam(t.Context(), connect.NewRequest(&weftv1.CreateTeamRequest{Name: strings.Repeat("n", 65)}))
	refused(t, err, "BAD_NAME", connect.CodeInvalidArgument)
}

func TestAdminsAreFoundByName(t *testing.T) {
	r, _, bob := withBob(t)
	res, err := r.Client.Teams.CreateTeam(t.Context(), connect.NewRequest(&weftv1.CreateTeamRequest{Name: "second", Admins: []string{"bob"}}))
	if err != nil {
		t.Fatal(err)
	}
	st, err := r.Client.Teams.GetTeam(t.Context(), connect.NewRequest(&weftv1.GetTeamRequest{Team: res.Msg.TeamId}))
	if err != nil {
		t.Fatal(err)
	}
	if len(st.Msg.Admins) != 1 || st.Msg.Admins[0] != bob.User.String() {
		t.Errorf("admins %v", st.Msg.Admins)
	}
	_, err = r.Client.Teams.CreateTeam(t.Context(), connect.NewRequest(&weftv1.CreateTeamRequest{Name: "third", Admins: []string{"nobody"}}))
	refused(t, err, "NOT_FOUND", connect.CodeNotFound, "nobody")
}

func TestTeamTellsItsPeopleBoardsAndInvites(t *testing.T) {
	r, id, bob := withBob(t)
	newBoard(t, r, "crew", "commits")
	res, err := r.Client.Teams.GetTeam(t.Context(), connect.NewRequest(&weftv1.GetTeamRequest{Team: "crew"}))
	if err != nil {
		t.Fatal(err)
	}
	m := res.Msg
	if m.Team.TeamId != id.String() || m.Team.Role != "owner" || m.Team.Members != 2 || m.Team.State != "joined" || len(m.NodeIds) != 2 {
		t.Errorf("team %v", m)
	}
	if len(m.Boards) != 2 || m.Boards[0].Name != "general" || m.Boards[1].Name != "commits" {
		t.Errorf("boards %v", m.Boards)
	}
	if len(m.Invites) != 1 || m.Invites[0].Quota != 10 || m.Invites[0].Used != 1 {
		t.Errorf("invites %v", m.Invites)
	}
	people, err := r.Client.Teams.ListMembers(t.Context(), connect.NewRequest(&weftv1.ListMembersRequest{Team: "crew"}))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for _, p := range people.Msg.Members {
		names[p.Name] = p.Role
		if p.Name == "bob" && (p.UserId != bob.User.String() || len(p.Homes) != 1 || !strings.HasPrefix(p.Homes[0], "12D3Koo")) {
			t.Errorf("bob is %v", p)
		}
	}
	if names["ada"] != "owner" || names["bob"] != "member" {
		t.Errorf("people %v", names)
	}
	teams, err := r.Client.Teams.ListTeams(t.Context(), connect.NewRequest(&weftv1.ListTeamsRequest{}))
	if err != nil || len(teams.Msg.Teams) != 1 {
		t.Errorf("teams %v %v", teams, err)
	}
}

func TestInviteLinkCarriesWhatJoiningNeeds(t *testing.T) {
	r := rpctest.Start(t)
	id := r.Team(t, "crew")
	res, err := r.Client.Teams.CreateInvite(t.Context(), connect.NewRequest(&weftv1.CreateInviteRequest{Team: "crew", Role: "reader", Uses: 3, ExpiresInMs: 60_000}))
	if err != nil {
		t.Fatal(err)
	}
	link, err := team.ParseLink(res.Msg.Link)
	if err != nil {
		t.Fatal(err)
	}
	node := r.Node.Public()
	if board.TeamID(link.Team) != id || link.TeamName != "crew" || link.Inviter != "ada" || len(link.Invites) != 1 ||
		string(link.Invites[0].Admitter) != string(node[:]) || len(link.Invites[0].Addresses) == 0 || link.ExpiresMs != res.Msg.ExpiresMs {
		t.Errorf("link %v", link)
	}
	for _, c := range []struct {
		m      *weftv1.CreateInviteRequest
		reason string
		code   connect.Code
	}{
		{&weftv1.CreateInviteRequest{Team: "crew", Role: "owner"}, "UNKNOWN_OPTION", connect.CodeInvalidArgument},
		{&weftv1.CreateInviteRequest{Team: "crew", Uses: 1001}, "TOO_MANY", connect.CodeInvalidArgument},
		{&weftv1.CreateInviteRequest{Team: "crew", ExpiresInMs: 1 << 60}, "TOO_MANY", connect.CodeInvalidArgument},
		{&weftv1.CreateInviteRequest{Team: "none"}, "NOT_FOUND", connect.CodeNotFound},
	} {
		_, err := r.Client.Teams.CreateInvite(t.Context(), connect.NewRequest(c.m))
		refused(t, err, c.reason, c.code)
	}
}
