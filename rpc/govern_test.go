package rpc_test

import (
	"context"
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

// ask makes one call.
func ask[Req, Res any](t *testing.T, method func(context.Context, *connect.Request[Req]) (*connect.Response[Res], error), req *Req) (*Res, error) {
	t.Helper()
	res, err := method(t.Context(), connect.NewRequest(req))
	if err != nil {
		return nil, err
	}
	return res.Msg, nil
}

// must makes one call that has to succeed.
func must[Req, Res any](t *testing.T, method func(context.Context, *connect.Request[Req]) (*connect.Response[Res], error), req *Req) *Res {
	t.Helper()
	res, err := ask(t, method, req)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// did checks what a change says and that it counts.
func did(t *testing.T, res *weftv1.ChangeResponse, words string) {
	t.Helper()
	if !strings.Contains(res.Did, words) || !res.Counts || len(res.ObjectIds) == 0 {
		t.Errorf("got %v, want %q, done and counting", res, words)
	}
}

func roleOf(t *testing.T, r *rpctest.Rig, name string) string {
	t.Helper()
	for _, m := range must(t, r.Client.Teams.ListMembers, &weftv1.ListMembersRequest{Team: "crew", WithRemoved: true}).Members {
		if m.Name == name {
			return m.Role
		}
	}
	return "none"
}

func TestRolesAreGivenTakenAndGivenBack(t *testing.T) {
	r, id, bob := withBob(t)
	before := newWriter(t, r, id, bob)
	said := before.next("m1", "before", nil)
	if _, err := send(t, r, said); err != nil {
		t.Fatal(err)
	}
	before.took(said)
	for _, step := range []struct{ role, words, reason string }{
		{"muted", "bob is muted in team crew", "READ_ONLY"},
		{"reader", "bob reads in team crew", "READ_ONLY"},
		{"removed", "bob is removed from team crew", "REMOVED"},
		{"banned", "bob is banned from team crew", "REMOVED"},
	} {
		res := must(t, r.Client.Teams.SetRole, &weftv1.SetRoleRequest{Team: "crew", User: "bob", Role: step.role, Reason: "because"})
		did(t, res, step.words)
		if got := roleOf(t, r, "bob"); got != step.role {
			t.Errorf("bob is %s, want %s", got, step.role)
		}
		late := before.next("late "+step.role, "after "+step.role, nil)
		_, err := send(t, r, late)
		e := refused(t, err, step.reason, connect.CodePermissionDenied)
		if e.Rule == "" || len(e.Results) != 1 || e.Results[0].State != "void" {
			t.Errorf("the refusal names no rule, or not where the entry stands: %+v", e)
		}
		before.took(late)
	}
	did(t, must(t, r.Client.Teams.SetRole, &weftv1.SetRoleRequest{Team: "crew", User: bob.User.String(), Role: "member"}), "bob is in team crew as member")
	again := newWriter(t, r, id, bob)
	again.seq, again.prev = before.seq, before.prev
	if _, err := send(t, r, again.next("m9", "back again", nil)); err != nil {
		t.Error(err)
	}
	if got, want := r.Texts(t, "crew", 10), []string{"before", "back again"}; !slices.Equal(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
	same := must(t, r.Client.Teams.SetRole, &weftv1.SetRoleRequest{Team: "crew", User: "bob", Role: "member"})
	if len(same.ObjectIds) != 0 || !same.Counts || !strings.Contains(same.Did, "already") {
		t.Errorf("setting the same role again: %v", same)
	}
}

func TestChangesThatMayNotBeAreRefused(t *testing.T) {
	r, id, bob := withBob(t)
	b := rpctest.Start(t, func(o *rpctest.Rig) {
		o.Node, o.Identity = rpctest.Key(strings.TrimSuffix(t.Name(), "/b")+"/bobs node"), bob
	})
	b.Copy(t, r, id)
	set := func(r *rpctest.Rig, user, role, reason string) error {
		_, err := ask(t, r.Client.Teams.SetRole, &weftv1.SetRoleRequest{Team: "crew", User: user, Role: role, Reason: reason})
		return err
	}
	refused(t, set(r, "ada", "muted", ""), "HAS_POWER", connect.CodeFailedPrecondition, "weft team owner remove crew ada")
	refused(t, set(r, "ada", "removed", ""), "MALFORMED", connect.CodeInvalidArgument, "weft team leave crew")
	refused(t, set(r, "bob", "admin", ""), "UNKNOWN_OPTION", connect.CodeInvalidArgument, "weft team admin add TEAM USER")
	refused(t, set(r, "bob", "king", ""), "UNKNOWN_OPTION", connect.CodeInvalidArgument, "muted")
	refused(t, set(r, "bob", "", ""), "EMPTY", connect.CodeInvalidArgument)
	refused(t, set(r, "", "muted", ""), "EMPTY", connect.CodeInvalidArgument)
	refused(t, set(r, "nobody", "muted", ""), "NOT_FOUND", connect.CodeNotFound, "weft team members crew --all")
	refused(t, set(r, "bob", "muted", strings.Repeat("x", team.MaxReason+1)), "TOO_LARGE", connect.CodeInvalidArgument)
	refused(t, set(b, "ada", "banned", ""), "FORBIDDEN", connect.CodePermissionDenied, "ask ada")
	_, err := ask(t, b.Client.Teams.ChangeCharter, &weftv1.ChangeCharterRequest{Team: "crew", AddAdmins: []string{"bob"}})
	refused(t, err, "FORBIDDEN", connect.CodePermissionDenied, "ask ada")
	_, err = ask(t, b.Client.Teams.SetNode, &weftv1.SetNodeRequest{Team: "crew", Node: "ada"})
	refused(t, err, "FORBIDDEN", connect.CodePermissionDenied)
	_, err = ask(t, b.Client.Teams.CreateInvite, &weftv1.CreateInviteRequest{Team: "crew"})
	refused(t, err, "FORBIDDEN", connect.CodePermissionDenied)
	_, err = ask(t, b.Client.Boards.History, &weftv1.HistoryRequest{Team: "crew", IncludeVoid: true})
	refused(t, err, "FORBIDDEN", connect.CodePermissionDenied)
	_, err = ask(t, r.Client.Teams.Leave, &weftv1.LeaveRequest{Team: "crew"})
	refused(t, err, "OWNER_LEAVES", connect.CodeFailedPrecondition, "weft team owner handover crew", "weft team disband crew")
	_, err = ask(t, r.Client.Teams.ChangeCharter, &weftv1.ChangeCharterRequest{Team: "crew", RemoveOwners: []string{"ada"}})
	refused(t, err, "LAST_OWNER", connect.CodeFailedPrecondition)
	_, err = ask(t, r.Client.Teams.ChangeCharter, &weftv1.ChangeCharterRequest{Team: "crew"})
	refused(t, err, "EMPTY", connect.CodeInvalidArgument)
	_, err = ask(t, r.Client.Teams.SetPolicy, &weftv1.SetPolicyRequest{Team: "crew"})
	refused(t, err, "EMPTY", connect.CodeInvalidArgument)
	maybe := "maybe"
	_, err = ask(t, r.Client.Teams.SetPolicy, &weftv1.SetPolicyRequest{Team: "crew", Join: &maybe})
	refused(t, err, "UNKNOWN_OPTION", connect.CodeInvalidArgument, "approval")
	_, err = ask(t, r.Client.Teams.SetNode, &weftv1.SetNodeRequest{Team: "crew", Node: "ada"})
	refused(t, err, "MALFORMED", connect.CodeInvalidArgument, "this node")
	_, err = ask(t, r.Client.Teams.Acknowledge, &weftv1.AcknowledgeRequest{Team: "crew"})
	refused(t, err, "NOT_FOUND", connect.CodeNotFound, "weft team proposals crew")
	_, err = ask(t, r.Client.Teams.Approve, &weftv1.ApproveRequest{Team: "crew", User: "bob"})
	refused(t, err, "NOT_FOUND", connect.CodeNotFound, "weft team requests crew")
	_, err = ask(t, r.Client.Teams.Recut, &weftv1.RecutRequest{Team: "crew", User: "bob"})
	refused(t, err, "UNCHANGED", connect.CodeAlreadyExists)
	_, err = ask(t, r.Client.Teams.RevokeInvite, &weftv1.RevokeInviteRequest{Team: "crew", Invite: "zzzz"})
	refused(t, err, "NOT_FOUND", connect.CodeNotFound, "--list")
	_, err = ask(t, r.Client.Teams.Why, &weftv1.WhyRequest{Team: "crew", User: rpctest.Person(t, "x", "x", rpctest.Key("x")).User.String()})
	refused(t, err, "NOT_FOUND", connect.CodeNotFound)
	_, err = ask(t, r.Client.Teams.Followers, &weftv1.FollowersRequest{Team: "crew", ObjectIds: []string{board.Hash{1}.String()}})
	refused(t, err, "NOT_FOUND", connect.CodeNotFound)
	_, err = ask(t, r.Client.Teams.Log, &weftv1.LogRequest{Team: "crew", Limit: 5000})
	refused(t, err, "TOO_MANY", connect.CodeInvalidArgument)
}

// followers are ada's node, which has everything, and another one that has what has says.
func followers(r *rpctest.Rig, other rpc.Follower, has func(board.Position) bool) {
	r.Mesh.SetFollowers(func(_ board.ID, at []board.Position) []rpc.Follower {
		f := other
		f.Has = !slices.ContainsFunc(at, func(p board.Position) bool { return !has(p) })
		return []rpc.Follower{{Node: r.Node.Public(), Has: true, Connected: true}, f}
	})
}

func TestAChangeSaysWhoFollowsIt(t *testing.T) {
	r, id, bob := withBob(t)
	node := r.State(t, id).Homes(bob.User)[0]
	heard := time.UnixMilli(1790000000000)
	followers(r, rpc.Follower{Node: node, LastHeard: heard}, func(board.Position) bool { return false })
	res := must(t, r.Client.Teams.SetRole, &weftv1.SetRoleRequest{Team: "crew", User: "bob", Role: "muted", WaitMs: 20})
	f := res.Follow
	if f.FollowedBy != 1 || f.Nodes != 2 || len(f.Behind) != 1 || !slices.Equal(f.Behind[0].Users, []string{"bob"}) || f.Behind[0].LastHeardMs != 1790000000000 {
		t.Errorf("follow: %v", f)
	}
	// Later, the node has it; one call waits until it does.
	done := make(chan *weftv1.FollowersResponse, 1)
	go func() {
		res, err := ask(t, r.Client.Teams.Followers, &weftv1.FollowersRequest{Team: "crew", ObjectIds: res.ObjectIds, WaitMs: 30_000})
		if err != nil {
			t.Error(err)
		}
		done <- res
	}()
	waitUntil(t, "the call waits", func() bool { return r.Mesh.Watchers() == 1 })
	followers(r, rpc.Follower{Node: node, Connected: true}, func(board.Position) bool { return true })
	if got := <-done; got.GetFollow().GetFollowedBy() != 2 || len(got.Follow.Behind) != 0 {
		t.Errorf("followers: %v", got)
	}
	if got := must(t, r.Client.Teams.Followers, &weftv1.FollowersRequest{Team: "crew"}); got.Follow.FollowedBy != 2 {
		t.Errorf("everything is followed by %v", got)
	}
}

func TestWhoAsksIsListedApprovedOrRejected(t *testing.T) {
	r := rpctest.Start(t)
	id := r.Team(t, "crew")
	approval := "approval"
	res := must(t, r.Client.Teams.SetPolicy, &weftv1.SetPolicyRequest{Team: "crew", Join: &approval})
	if !strings.HasPrefix(res.Link, "weft:") {
		t.Fatalf("no link to ask by: %v", res)
	}
	if link := must(t, r.Client.Teams.CreateInvite, &weftv1.CreateInviteRequest{Team: "crew"}); !link.Ask || link.InviteId != "" || link.Link != res.Link {
		t.Errorf("an invite of a team that asks for approval: %v", link)
	}
	for _, name := range []string{"cyd", "dan"} {
		r.Ask(t, id, rpctest.Person(t, name, t.Name()+name, rpctest.Key(name)), "it is "+name)
	}
	list := must(t, r.Client.Teams.ListRequests, &weftv1.ListRequestsRequest{}).Requests
	if len(list) != 2 || list[0].AskedMs == 0 || !strings.HasPrefix(list[0].Note, "it is ") || len(list[0].Homes) != 1 {
		t.Fatalf("requests: %v", list)
	}
	did(t, must(t, r.Client.Teams.Approve, &weftv1.ApproveRequest{Team: "crew", User: "cyd", Role: "reader"}), "cyd reads in team crew")
	did(t, must(t, r.Client.Teams.Reject, &weftv1.RejectRequest{Team: "crew", User: "dan", Reason: "who are you?"}), "request of dan")
	if roleOf(t, r, "cyd") != "reader" || roleOf(t, r, "dan") != "removed" {
		t.Errorf("cyd is %s, dan %s", roleOf(t, r, "cyd"), roleOf(t, r, "dan"))
	}
	if list := must(t, r.Client.Teams.ListRequests, &weftv1.ListRequestsRequest{Team: "crew"}).Requests; len(list) != 0 {
		t.Errorf("requests left: %v", list)
	}
	did(t, must(t, r.Client.Teams.SetRole, &weftv1.SetRoleRequest{Team: "crew", User: "dan", Role: "member"}), "dan is in team crew as member")
}

func TestPolicyIsChangedInPartsAndShown(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	keep, entries, rate, members := uint64(90*24*3600*1000), uint64(500), uint32(7), "hidden"
	res := must(t, r.Client.Teams.SetPolicy, &weftv1.SetPolicyRequest{Team: "crew", KeepMs: &keep, KeepEntries: &entries})
	did(t, res, "entries are kept for 90 days, a board keeps 500 entries")
	did(t, must(t, r.Client.Teams.SetPolicy, &weftv1.SetPolicyRequest{Team: "crew", AuthorPerSecond: &rate, Visibility: &members}), "7 entries a second")
	p := must(t, r.Client.Teams.GetTeam, &weftv1.GetTeamRequest{Team: "crew"}).Policy
	if p.KeepMs != keep || p.KeepEntries != entries || p.AuthorPerSecond != rate || p.Visibility != "hidden" || p.Join != "link" {
		t.Errorf("policy: %v", p)
	}
	zero, short := uint64(0), uint64(1)
	did(t, must(t, r.Client.Teams.SetPolicy, &weftv1.SetPolicyRequest{Team: "crew", KeepMs: &zero}), "for ever")
	_, err := ask(t, r.Client.Teams.SetPolicy, &weftv1.SetPolicyRequest{Team: "crew", KeepMs: &short})
	refused(t, err, "UNKNOWN_OPTION", connect.CodeInvalidArgument, "minute")

	closed, open, link := "closed", "open", "link"
	// Limits under which nobody could write are most likely a slip.
	one, least := uint64(1), uint64(1<<20)
	for _, m := range []*weftv1.SetPolicyRequest{{TeamBytes: &one}, {TeamEntries: &one}, {KeepBytes: &one}} {
		m.Team = "crew"
		_, err := ask(t, r.Client.Teams.SetPolicy, m)
		refused(t, err, "UNKNOWN_OPTION", connect.CodeInvalidArgument, "is the least")
	}
	did(t, must(t, r.Client.Teams.SetPolicy, &weftv1.SetPolicyRequest{Team: "crew", TeamBytes: &least, KeepBytes: &least, KeepEntries: &one}), "1048576 bytes")
	did(t, must(t, r.Client.Teams.SetPolicy, &weftv1.SetPolicyRequest{Team: "crew", Join: &closed}), "nobody can join")
	_, err = ask(t, r.Client.Teams.CreateInvite, &weftv1.CreateInviteRequest{Team: "crew"})
	refused(t, err, "JOIN_CLOSED", connect.CodePermissionDenied, "--join link")
	opened := must(t, r.Client.Teams.SetPolicy, &weftv1.SetPolicyRequest{Team: "crew", Join: &open})
	invites := must(t, r.Client.Teams.ListInvites, &weftv1.ListInvitesRequest{Team: "crew"}).Invites
	if opened.Link == "" || len(invites) != 1 || !invites[0].Open || invites[0].Quota != team.MaxQuota {
		t.Errorf("an open team: %v, invites %v", opened, invites)
	}
	must(t, r.Client.Teams.SetPolicy, &weftv1.SetPolicyRequest{Team: "crew", Join: &link})
	if invites := must(t, r.Client.Teams.ListInvites, &weftv1.ListInvitesRequest{Team: "crew"}).Invites; len(invites) != 0 {
		t.Errorf("open invites are left: %v", invites)
	}
}

func TestInvitesAreListedAndWithdrawn(t *testing.T) {
	r, _, _ := withBob(t)
	invites := must(t, r.Client.Teams.ListInvites, &weftv1.ListInvitesRequest{Team: "crew"}).Invites
	if len(invites) != 1 || invites[0].Used != 1 || invites[0].AuthorName != "ada" || invites[0].Open {
		t.Fatalf("invites: %v", invites)
	}
	res := must(t, r.Client.Teams.RevokeInvite, &weftv1.RevokeInviteRequest{Team: "crew", Invite: invites[0].InviteId[:8]})
	did(t, res, "is withdrawn")
	if got := must(t, r.Client.Teams.ListInvites, &weftv1.ListInvitesRequest{Team: "crew"}).Invites; len(got) != 0 {
		t.Errorf("still there: %v", got)
	}
	if got := roleOf(t, r, "bob"); got != "member" {
		t.Errorf("who came by it is %s", got)
	}
}

func TestNodesAreKeptOutAndLetInAgain(t *testing.T) {
	r, id, bob := withBob(t)
	node := r.State(t, id).Homes(bob.User)[0]
	did(t, must(t, r.Client.Teams.SetNode, &weftv1.SetNodeRequest{Team: "crew", Node: "bob"}), "is kept out of team crew")
	if r.State(t, id).IsNode(node) {
		t.Error("the node is still of the team")
	}
	denied := must(t, r.Client.Teams.GetTeam, &weftv1.GetTeamRequest{Team: "crew"}).DeniedNodes
	if len(denied) != 1 {
		t.Fatalf("denied: %v", denied)
	}
	did(t, must(t, r.Client.Teams.SetNode, &weftv1.SetNodeRequest{Team: "crew", Node: denied[0], Allowed: true}), "is let into team crew")
	if !r.State(t, id).IsNode(node) {
		t.Error("the node is not let in")
	}
}
