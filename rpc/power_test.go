package rpc_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/rpc"
	"weft/rpc/rpctest"
	"weft/team"
)

// bobs is bob's own node, with what ada's has of the team.
func bobs(t *testing.T, a *rpctest.Rig, id board.TeamID, bob team.Identity) *rpctest.Rig {
	t.Helper()
	b := rpctest.Start(t, func(o *rpctest.Rig) { o.Node, o.Identity = rpctest.Key(t.Name()+"/bobs node"), bob })
	b.Copy(t, a, id)
	return b
}

func myTeam(t *testing.T, r *rpctest.Rig) *weftv1.Team {
	t.Helper()
	return must(t, r.Client.Teams.GetTeam, &weftv1.GetTeamRequest{Team: "crew"}).Team
}

func TestWhoIsRemovedSeesWhoDidItAndKeepsWhatTheyHad(t *testing.T) {
	a, id, bob := withBob(t)
	a.Post(t, "crew", "hello")
	b := bobs(t, a, id, bob)
	must(t, a.Client.Teams.SetRole, &weftv1.SetRoleRequest{Team: "crew", User: "bob", Role: "banned", Reason: "spam"})
	b.Copy(t, a, id)
	got := myTeam(t, b)
	if got.State != "banned" || got.Role != "banned" || got.StateByName != "ada" || got.StateBy != a.Identity.User.String() || got.StateReason != "spam" || got.StateMs == 0 || got.ObjectId == "" {
		t.Errorf("bob sees %v", got)
	}
	if texts := b.Texts(t, "crew", 10); !slices.Equal(texts, []string{"hello"}) {
		t.Errorf("bob reads %q", texts)
	}
	_, err := post(t, b, &weftv1.PostRequest{Team: "crew", Posts: []*weftv1.NewPost{{Text: "let me"}}})
	e := refused(t, err, "REMOVED", connect.CodePermissionDenied, "banned from team crew by ada")
	if e.Rule == "" {
		t.Error("the refusal names no rule")
	}
	// A new team of that name stands before the one that is lost; the lost one is found by its id.
	b.Team(t, "crew")
	if got := myTeam(t, b); got.State != "joined" {
		t.Errorf("crew is %v", got)
	}
	if got := must(t, b.Client.Teams.GetTeam, &weftv1.GetTeamRequest{Team: id.String()}).Team; got.State != "banned" {
		t.Errorf("by its id: %v", got)
	}
}

func TestWhoLeavesIsOut(t *testing.T) {
	a, id, bob := withBob(t)
	b := bobs(t, a, id, bob)
	did(t, must(t, b.Client.Teams.Leave, &weftv1.LeaveRequest{Team: "crew"}), "you left team crew")
	if got := myTeam(t, b); got.State != "left" || got.StateMs == 0 {
		t.Errorf("bob sees %v", got)
	}
	again := must(t, b.Client.Teams.Leave, &weftv1.LeaveRequest{Team: "crew"})
	if len(again.ObjectIds) != 0 || !strings.Contains(again.Did, "not in team crew any more") {
		t.Errorf("leaving again: %v", again)
	}
	a.Copy(t, b, id)
	for _, m := range must(t, a.Client.Teams.ListMembers, &weftv1.ListMembersRequest{Team: "crew", WithRemoved: true}).Members {
		if m.Name == "bob" && (m.Role != "removed" || !m.Left || m.SinceMs == 0) {
			t.Errorf("bob is listed as %v", m)
		}
	}
	must(t, a.Client.Teams.SetRole, &weftv1.SetRoleRequest{Team: "crew", User: "bob", Role: "member"})
	must(t, a.Client.Teams.ChangeCharter, &weftv1.ChangeCharterRequest{Team: "crew", AddAdmins: []string{"bob"}})
	b.Copy(t, a, id)
	_, err := ask(t, b.Client.Teams.Leave, &weftv1.LeaveRequest{Team: "crew"})
	refused(t, err, "ADMIN_LEAVES", connect.CodeFailedPrecondition, "ask ada", "--keep-as removed")
}

func TestTheCharterIsChangedByTheFirstOwnerOrByMoreThanHalf(t *testing.T) {
	a, id, bob := withBob(t)
	warned := must(t, a.Client.Teams.GetTeam, &weftv1.GetTeamRequest{Team: "crew"}).Warnings
	if len(warned) != 1 || !strings.Contains(warned[0], "one owner and no admin") {
		t.Errorf("warnings: %q", warned)
	}
	did(t, must(t, a.Client.Teams.ChangeCharter, &weftv1.ChangeCharterRequest{Team: "crew", AddOwners: []string{"bob"}}), "bob is an owner of team crew")
	show := must(t, a.Client.Teams.GetTeam, &weftv1.GetTeamRequest{Team: "crew"})
	if len(show.Owners) != 2 || show.CharterVersion != 2 || len(show.Warnings) != 0 {
		t.Errorf("team: %v", show)
	}
	b := bobs(t, a, id, bob)
	waits := must(t, b.Client.Teams.ChangeCharter, &weftv1.ChangeCharterRequest{Team: "crew", Name: "night crew"})
	if waits.Counts || !strings.Contains(waits.WaitsFor, "ada has not yet") {
		t.Errorf("the second owner alone: %v", waits)
	}
	a.Copy(t, b, id)
	proposals := must(t, a.Client.Teams.Proposals, &weftv1.ProposalsRequest{Team: "crew"}).Proposals
	if len(proposals) != 1 || proposals[0].Mine || proposals[0].Valid || proposals[0].ByName != "bob" || !slices.Equal(proposals[0].Missing, []string{"ada"}) || !strings.Contains(proposals[0].Words, "night crew") || proposals[0].Version != 3 {
		t.Fatalf("proposals: %v", proposals)
	}
	info := must(t, a.Client.Nodes.GetInfo, &weftv1.GetInfoRequest{})
	if !slices.ContainsFunc(info.Alarms, func(a *weftv1.Alarm) bool { return a.Kind == "proposal" && a.Advice != "" }) {
		t.Errorf("alarms: %v", info.Alarms)
	}
	did(t, must(t, a.Client.Teams.Acknowledge, &weftv1.AcknowledgeRequest{Team: "crew", Charter: proposals[0].CharterId[:9]}), "night crew")
	if got := a.State(t, id).Name(); got != "night crew" {
		t.Errorf("the team is called %q", got)
	}
	did(t, must(t, a.Client.Teams.ChangeCharter, &weftv1.ChangeCharterRequest{Team: "night crew", HandoverTo: "bob", KeepAs: "removed"}), "handed over to bob; you stay removed")
	if got := a.State(t, id).Role(a.Identity.User); got != team.Removed {
		t.Errorf("ada is %v", got)
	}
	_, err := ask(t, a.Client.Teams.ChangeCharter, &weftv1.ChangeCharterRequest{Team: "night crew", Name: "mine again"})
	refused(t, err, "REMOVED", connect.CodePermissionDenied)
	b.Copy(t, a, id)
	_, err = ask(t, b.Client.Teams.Disband, &weftv1.DisbandRequest{Team: "night crew", Successor: "night crew"})
	refused(t, err, "MALFORMED", connect.CodeInvalidArgument)
	next := b.Team(t, "day crew")
	did(t, must(t, b.Client.Teams.Disband, &weftv1.DisbandRequest{Team: "night crew", Successor: "day crew"}), "is disbanded; team day crew goes on in its place")
	got := must(t, b.Client.Teams.GetTeam, &weftv1.GetTeamRequest{Team: id.String()}).Team
	if got.State != "closed" || got.Successor != next.String() || got.StateMs == 0 || got.StateByName == "" {
		t.Errorf("disbanded: %v", got)
	}
	_, err = post(t, b, &weftv1.PostRequest{Team: id.String(), Posts: []*weftv1.NewPost{{Text: "more"}}})
	refused(t, err, "TEAM_CLOSED", connect.CodeFailedPrecondition)
	_, err = ask(t, b.Client.Teams.SetRole, &weftv1.SetRoleRequest{Team: id.String(), User: "ada", Role: "member"})
	refused(t, err, "TEAM_CLOSED", connect.CodeFailedPrecondition)
}

func TestTheLogAndWhySayWhoDidWhat(t *testing.T) {
	a, _, _ := withBob(t)
	must(t, a.Client.Teams.SetRole, &weftv1.SetRoleRequest{Team: "crew", User: "bob", Role: "muted", Reason: "too loud"})
	must(t, a.Client.Teams.SetRole, &weftv1.SetRoleRequest{Team: "crew", User: "bob", Role: "removed", Reason: "still too loud"})
	all := must(t, a.Client.Teams.Log, &weftv1.LogRequest{Team: "crew"}).Events
	if len(all) < 6 || !strings.Contains(all[0].Words, "still too loud") || all[0].AuthorName != "ada" || all[0].Status != "counts" || all[0].RecordedMs == 0 || all[0].NodeId == "" {
		t.Fatalf("log: %v", all)
	}
	if last := all[len(all)-1]; last.Kind != "charter" || !strings.Contains(last.Words, "founded") {
		t.Errorf("the log begins with %v", last)
	}
	var paged []*weftv1.LogEvent
	for before := ""; ; {
		page := must(t, a.Client.Teams.Log, &weftv1.LogRequest{Team: "crew", Limit: 2, Before: before})
		paged = append(paged, page.Events...)
		if before = page.Before; before == "" {
			break
		}
	}
	if !slices.EqualFunc(all, paged, func(x, y *weftv1.LogEvent) bool { return x.ObjectId == y.ObjectId }) {
		t.Errorf("by pages there are %d events, at once %d", len(paged), len(all))
	}
	why := must(t, a.Client.Teams.Why, &weftv1.WhyRequest{Team: "crew", User: "bob"})
	if why.Role != "removed" || why.Words != "removed by ada: still too loud" || len(why.Because) == 0 || why.Because[len(why.Because)-1].ObjectId != all[0].ObjectId {
		t.Errorf("why: %v", why)
	}
}

func TestWhatWasSentAfterARemovalIsVoidAndShownToAdminsOnly(t *testing.T) {
	a, id, bob := withBob(t)
	b := bobs(t, a, id, bob)
	b.Post(t, "crew", "before")
	a.Copy(t, b, id)
	must(t, a.Client.Teams.SetRole, &weftv1.SetRoleRequest{Team: "crew", User: "bob", Role: "removed"})
	b.Post(t, "crew", "after") // bob's node has not heard
	a.Copy(t, b, id)
	b.Copy(t, a, id)
	for name, r := range map[string]*rpctest.Rig{"ada": a, "bob": b} {
		waitUntil(t, "what was sent after the removal is hidden from "+name, func() bool { return slices.Equal(r.Texts(t, "crew", 10), []string{"before"}) })
	}
	page := must(t, a.Client.Boards.History, &weftv1.HistoryRequest{Team: "crew", IncludeVoid: true}).Entries
	if len(page) != 2 || page[0].Void != "" || page[1].Text != "after" || page[1].Void == "" {
		t.Errorf("with what does not count: %v", page)
	}
	// A recut from a node that has it makes it count again.
	did(t, must(t, a.Client.Teams.Recut, &weftv1.RecutRequest{Team: "crew", User: "bob", Reason: "it was on its way"}), "counts again")
	waitUntil(t, "what is under the new cut is judged again", func() bool {
		return slices.Equal(a.Texts(t, "crew", 10), []string{"before", "after"})
	})
	if roleOf(t, a, "bob") != "removed" {
		t.Error("the recut changed the role")
	}
}

func TestTheStreamTellsOfRolesAndOfWhatIsHidden(t *testing.T) {
	a, id, bob := withBob(t)
	b := bobs(t, a, id, bob)
	w := watch(t, b, &weftv1.SyncRequest{})
	w.untilLive()
	defer w.close()
	mine := b.Post(t, "crew", "on its way")
	must(t, a.Client.Teams.SetRole, &weftv1.SetRoleRequest{Team: "crew", User: "bob", Role: "removed"}) // ada's node has not got it
	b.Copy(t, a, id)
	var hidden, changed bool
	for !hidden || !changed {
		for _, ev := range w.batch() {
			if h := ev.GetHidden(); h != nil && h.EntryId == mine.EntryId {
				hidden = true
				if h.Reason == "" {
					t.Error("hidden without a reason")
				}
			}
			if tc := ev.GetTeam(); tc != nil && tc.Team.State == "removed" {
				changed = true
				if tc.RoleBefore != "member" || tc.StateBefore != "joined" || tc.Team.StateByName != "ada" {
					t.Errorf("the team's event: %v", tc)
				}
			}
		}
	}
}

func TestWhatWasDoneUnderALosingCharterIsOfferedAgain(t *testing.T) {
	a, id, bob := withBob(t)
	must(t, a.Client.Teams.ChangeCharter, &weftv1.ChangeCharterRequest{Team: "crew", AddOwners: []string{"bob"}})
	cyd := rpctest.Person(t, "cyd", t.Name()+"/cyd", rpctest.Key("cyd's node"))
	a.Ask(t, id, cyd, "me too")
	must(t, a.Client.Teams.Approve, &weftv1.ApproveRequest{Team: "crew", User: "cyd"})
	b := bobs(t, a, id, bob)
	// Apart from each other ada changes the charter and mutes cyd under it, while both owners have agreed to another one.
	must(t, a.Client.Teams.ChangeCharter, &weftv1.ChangeCharterRequest{Team: "crew", Name: "ada's crew"})
	must(t, a.Client.Teams.SetRole, &weftv1.SetRoleRequest{Team: "ada's crew", User: "cyd", Role: "muted"})
	must(t, b.Client.Teams.ChangeCharter, &weftv1.ChangeCharterRequest{Team: "crew", Name: "bob's crew"})
	other := b.State(t, id).Proposals()[0].Charter
	forged, err := team.NewAck(b.State(t, id), a.Identity, other) // a second device of ada's could have done this
	if err != nil {
		t.Fatal(err)
	}
	b.Record(t, id, forged)
	a.Copy(t, b, id)
	name := a.State(t, id).Name()
	if name != "bob's crew" {
		t.Fatalf("the team is called %q", name)
	}
	acts := must(t, a.Client.Teams.ListDropped, &weftv1.ListDroppedRequest{}).Acts
	if !slices.ContainsFunc(acts, func(d *weftv1.DroppedAct) bool { return d.Reissuable && strings.Contains(d.Event.Words, "cyd") }) {
		t.Fatalf("dropped: %v", acts)
	}
	alarms := must(t, a.Client.Nodes.GetInfo, &weftv1.GetInfoRequest{}).Alarms
	if !slices.ContainsFunc(alarms, func(a *weftv1.Alarm) bool { return a.Kind == "dropped" && strings.Contains(a.Advice, "reissue") }) {
		t.Errorf("alarms: %v", alarms)
	}
	res := must(t, a.Client.Teams.Reissue, &weftv1.ReissueRequest{Team: name})
	did(t, res, "1 thing is done again")
	if got := a.State(t, id).Role(cyd.User); got != team.Muted {
		t.Errorf("cyd is %v", got)
	}
	if acts := must(t, a.Client.Teams.ListDropped, &weftv1.ListDroppedRequest{}).Acts; len(acts) != 0 {
		t.Errorf("still dropped: %v", acts)
	}
}

func TestTeamsThatWereAskedAreListedUntilTheyAnswer(t *testing.T) {
	r := rpctest.Start(t)
	asked := board.TeamID{1}
	r.Mesh.SetAsked(rpc.Asked{Team: asked, Name: "crew", Note: "me", Since: time.UnixMilli(1790000000000)},
		rpc.Asked{Team: board.TeamID{2}, Name: "club", Since: time.UnixMilli(5), Rejected: true, Reason: "who?"})
	teams := must(t, r.Client.Teams.ListTeams, &weftv1.ListTeamsRequest{}).Teams
	if len(teams) != 2 || teams[0].State != "requested" || teams[0].StateMs != 1790000000000 || teams[1].State != "rejected" || teams[1].StateReason != "who?" {
		t.Errorf("teams: %v", teams)
	}
	_, err := post(t, r, &weftv1.PostRequest{Team: "crew", Posts: []*weftv1.NewPost{{Text: "hello?"}}})
	refused(t, err, "NOT_MEMBER", connect.CodePermissionDenied, "nobody has approved it yet")
	if res := must(t, r.Client.Teams.Leave, &weftv1.LeaveRequest{Team: "crew"}); !strings.Contains(res.Did, "no longer asks") {
		t.Errorf("leave: %v", res)
	}
	if left := r.Mesh.Asked(); len(left) != 1 || left[0].Team == asked {
		t.Errorf("still asked: %v", left)
	}
}
