package rpctest

import (
	"testing"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// Team founds a team by the API and returns its id.
func (r *Rig) Team(t testing.TB, name string) board.TeamID {
	t.Helper()
	res, err := r.Client.Teams.CreateTeam(t.Context(), connect.NewRequest(&weftv1.CreateTeamRequest{Name: name}))
	if err != nil {
		t.Fatal(err)
	}
	id, err := board.ParseTeamID(res.Msg.TeamId)
	if err != nil {
		t.Fatal(err)
	}
	r.TellTeams()
	return id
}

// Admit lets somebody into a team as the lobby would, with their node as another node of the team.
func (r *Rig) Admit(t testing.TB, id board.TeamID, who team.Identity, role team.Role) {
	t.Helper()
	seed := [32]byte{1, 2, 3}
	invite, err := team.NewInvite(r.State(t, id), r.Identity, role, r.Node.Public(), 10, 0, nonce(who.Name), seed)
	if err != nil {
		t.Fatal(err)
	}
	r.Record(t, id, invite)
	link, err := team.NewLink(r.State(t, id), r.Identity, invite, seed, r.Mesh.InviteAddrs())
	if err != nil {
		t.Fatal(err)
	}
	knock, err := team.NewKnock(link, 0, who)
	if err != nil {
		t.Fatal(err)
	}
	admission, err := r.State(t, id).CheckKnock(knock, r.Node.Public(), r.Now())
	if err != nil {
		t.Fatal(err)
	}
	if admission.Present != nil {
		r.Record(t, id, admission.Present)
	}
	admit, err := team.NewAdmit(r.Node, r.State(t, id), knock, nonce(who.Name+"/admit"))
	if err != nil {
		t.Fatal(err)
	}
	r.Record(t, id, admit)
}

// Ask has somebody ask to be let into a team, as the lobby takes it.
func (r *Rig) Ask(t testing.TB, id board.TeamID, who team.Identity, note string) {
	t.Helper()
	present, err := team.NewPresent(id, who)
	if err != nil {
		t.Fatal(err)
	}
	request, err := team.NewRequest(id, who, note, nonce(who.Name+"/request"))
	if err != nil {
		t.Fatal(err)
	}
	r.Record(t, id, present)
	r.Record(t, id, request)
}

// Found has somebody else found a team in which others have a role, and that r's node takes part in.
func (r *Rig) Found(t testing.TB, founder team.Identity, name string, role team.Role, others ...team.Identity) board.TeamID {
	t.Helper()
	id, objects, err := team.NewTeam(founder, name, nil, nonce(name))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Store.AdoptTeam(t.Context(), id, objects[0]); err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		r.Record(t, id, o)
	}
	for _, who := range others {
		present, err := team.NewPresent(id, who)
		if err != nil {
			t.Fatal(err)
		}
		r.Record(t, id, present)
		set, err := team.NewSet(r.State(t, id), founder, who.User, role, &weftv1.Cut{}, "", nonce(name+who.Name))
		if err != nil {
			t.Fatal(err)
		}
		r.Record(t, id, set)
	}
	return id
}

// State is what the team's objects mean here now.
func (r *Rig) State(t testing.TB, id board.TeamID) *team.State {
	t.Helper()
	st, ok := r.Store.Team(id)
	if !ok {
		t.Fatalf("team %s is not here", id)
	}
	return st
}

// Record records a governance object.
func (r *Rig) Record(t testing.TB, id board.TeamID, o *team.Object) {
	t.Helper()
	if _, err := r.Store.AppendObject(t.Context(), id, o); err != nil {
		t.Fatal(err)
	}
	r.TellTeams()
}

// Post posts one text and fails the test if that fails.
func (r *Rig) Post(t testing.TB, place, words string) *weftv1.PostResult {
	t.Helper()
	res, err := r.Client.Boards.Post(t.Context(), connect.NewRequest(&weftv1.PostRequest{
		Team: place, Posts: []*weftv1.NewPost{{Text: words}},
	}))
	if err != nil {
		t.Fatal(err)
	}
	return res.Msg.Results[0]
}

// Texts are the texts of the newest entries of a place, oldest first.
func (r *Rig) Texts(t testing.TB, place string, limit uint32) []string {
	t.Helper()
	res, err := r.Client.Boards.History(t.Context(), connect.NewRequest(&weftv1.HistoryRequest{Team: place, Limit: limit}))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range res.Msg.Entries {
		out = append(out, e.Text)
	}
	return out
}

// Copy brings what from holds of a team to r, as the mesh would.
func (r *Rig) Copy(t testing.TB, from *Rig, id board.TeamID) {
	t.Helper()
	if err := r.Store.AdoptTeam(t.Context(), id, from.State(t, id).Genesis()); err != nil {
		t.Fatal(err)
	}
	boards := []board.ID{board.GovernanceID(id)}
	for _, b := range from.State(t, id).Boards() {
		boards = append(boards, b.ID)
	}
	for _, b := range boards {
		holding := from.Store.Holding(b)
		for _, n := range holding.Nodes() {
			for _, s := range holding.Stretches(n) {
				r.copyStretch(t, from, id, b, board.Origin{Node: n, Epoch: s.Epoch}, s)
			}
		}
	}
}

func (r *Rig) copyStretch(t testing.TB, from *Rig, id board.TeamID, b board.ID, o board.Origin, s board.Stretch) {
	t.Helper()
	for first := s.Lo; first <= s.Hi; {
		run, err := from.Store.Run(t.Context(), b, o, first, s.Hi, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Store.Ingest(t.Context(), id, run, false); err != nil {
			t.Fatal(err)
		}
		first = run.LastSeq() + 1
	}
}
