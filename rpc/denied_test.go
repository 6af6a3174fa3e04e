package rpc_test

import (
	"context"
	"fmt"
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

// TestADeniedNodeTakesNothingForItsTeam: nobody would get what it records, so whoever writes there is told at once.
func TestADeniedNodeTakesNothingForItsTeam(t *testing.T) {
	a, id, bob := withBob(t)
	must(t, a.Client.Teams.ChangeCharter, &weftv1.ChangeCharterRequest{Team: "crew", AddAdmins: []string{"bob"}})
	b := bobs(t, a, id, bob)
	must(t, a.Client.Teams.SetNode, &weftv1.SetNodeRequest{Team: "crew", Node: "bob"})
	b.Copy(t, a, id)
	_, err := post(t, b, &weftv1.PostRequest{Team: "crew", Posts: []*weftv1.NewPost{{Text: "does anybody hear me?"}}})
	e := refused(t, err, "NODE_DENIED", connect.CodePermissionDenied, "kept out of team crew", "weft team node allow crew")
	if e.Rule != "node-denied" {
		t.Errorf("the refusal names the rule %q", e.Rule)
	}
	_, err = ask(t, b.Client.Boards.CreateBoard, &weftv1.CreateBoardRequest{Team: "crew", Name: "news"})
	refused(t, err, "NODE_DENIED", connect.CodePermissionDenied)
	alarms := must(t, b.Client.Nodes.GetInfo, &weftv1.GetInfoRequest{}).Alarms
	if !slices.ContainsFunc(alarms, func(a *weftv1.Alarm) bool {
		return a.Kind == "denied" && strings.Contains(a.Advice, "weft team node allow")
	}) {
		t.Errorf("alarms: %v", alarms)
	}
	// Nor is anybody there seen or reached from it; of its other teams, of which it has none, all is as it was.
	b.TellTeams()
	_, err = ask(t, b.Client.Presence.Snapshot, &weftv1.PresenceSnapshotRequest{Team: "crew"})
	refused(t, err, "NODE_DENIED", connect.CodePermissionDenied, "kept out of team crew", "weft team node allow crew")
	_, err = ask(t, b.Client.Presence.SetPresence, &weftv1.SetPresenceRequest{Team: "crew", State: "busy"})
	refused(t, err, "NODE_DENIED", connect.CodePermissionDenied)
	_, err = ask(t, b.Client.Live.Send, &weftv1.LiveSendRequest{Team: "crew", Messages: []*weftv1.LiveSend{{Kind: "typing"}}})
	refused(t, err, "NODE_DENIED", connect.CodePermissionDenied)
	if teams := must(t, b.Client.Presence.Snapshot, &weftv1.PresenceSnapshotRequest{Everybody: true}).Teams; len(teams) != 0 {
		t.Errorf("it shows the people of %v", teams)
	}
	must(t, a.Client.Teams.SetNode, &weftv1.SetNodeRequest{Team: "crew", Node: "bob", Allowed: true})
	b.Copy(t, a, id)
	b.Post(t, "crew", "now they do")
}

// TestAProposalIsNotSaidToBeDone, and does nothing until it counts; whoever makes it count does the rest.
func TestAProposalIsNotSaidToBeDone(t *testing.T) {
	a, id, bob := withBob(t)
	open, link := "open", "link"
	must(t, a.Client.Teams.SetPolicy, &weftv1.SetPolicyRequest{Team: "crew", Join: &open})
	must(t, a.Client.Teams.ChangeCharter, &weftv1.ChangeCharterRequest{Team: "crew", AddOwners: []string{"bob"}})
	b := bobs(t, a, id, bob)
	openInvites := func(r *rpctest.Rig) (n int) {
		for _, i := range must(t, r.Client.Teams.ListInvites, &weftv1.ListInvitesRequest{Team: "crew"}).Invites {
			if i.Open {
				n++
			}
		}
		return n
	}
	propose := func(join string) {
		t.Helper()
		res := must(t, b.Client.Teams.SetPolicy, &weftv1.SetPolicyRequest{Team: "crew", Join: &join})
		if res.Counts || !strings.HasPrefix(res.Did, "proposed: ") || len(res.Notes) != 0 || res.Link != "" {
			t.Errorf("the second owner alone: %v", res)
		}
		a.Copy(t, b, id)
	}
	agree := func() *weftv1.ChangeResponse {
		t.Helper()
		p := must(t, a.Client.Teams.Proposals, &weftv1.ProposalsRequest{Team: "crew"}).Proposals
		if len(p) != 1 {
			t.Fatalf("proposals: %v", p)
		}
		res := must(t, a.Client.Teams.Acknowledge, &weftv1.AcknowledgeRequest{Team: "crew"})
		b.Copy(t, a, id)
		return res
	}
	propose(link)
	if n := openInvites(b); n != 1 {
		t.Fatalf("%d open invites are left by a proposal", n)
	}
	agree()
	if n := openInvites(a); n != 0 {
		t.Errorf("%d open invites are left once it counts", n)
	}
	propose(open)
	if res := agree(); openInvites(a) != 1 || !strings.HasPrefix(res.Link, "weft:") {
		t.Errorf("opened: %v, %d open invites", res, openInvites(a))
	}
}

// TestARejectedRequestIsNoRemoval: who never was in the team isn't told that something of it is here.
func TestARejectedRequestIsNoRemoval(t *testing.T) {
	a := rpctest.Start(t)
	id := a.Team(t, "crew")
	link := must(t, a.Client.Teams.CreateInvite, &weftv1.CreateInviteRequest{Team: "crew"}).Link
	r := rpctest.Start(t, func(o *rpctest.Rig) {
		o.Node = rpctest.Key("another node")
		o.Identity = rpctest.Person(t, "bob", t.Name(), o.Node)
	})
	r.Mesh.SetJoin(func(context.Context, *weftv1.InviteLink) (rpc.Joined, error) {
		return rpc.Joined{}, fmt.Errorf("couldn't join: %w", team.ErrRemoved)
	})
	r.Mesh.SetAsked(rpc.Asked{Team: id, Name: "crew", Since: time.UnixMilli(5), Rejected: true, Reason: "who?"})
	_, err := ask(t, r.Client.Teams.Join, &weftv1.JoinTeamRequest{Link: link})
	refused(t, err, "REMOVED", connect.CodePermissionDenied, "request to be let into team crew was rejected: who?", "goes on asking")
	r.Mesh.SetAsked()
	_, err = ask(t, r.Client.Teams.Join, &weftv1.JoinTeamRequest{Link: link})
	refused(t, err, "REMOVED", connect.CodePermissionDenied, "can take that back")
}

// TestWhoLeftCantKnowWhoHeardOfIt: nothing of the team comes any more, so nobody is said to be behind.
func TestWhoLeftCantKnowWhoHeardOfIt(t *testing.T) {
	a, id, bob := withBob(t)
	b := bobs(t, a, id, bob)
	b.Mesh.SetFollowers(func(board.ID, []board.Position) []rpc.Follower {
		return []rpc.Follower{{Node: a.Node.Public(), Connected: true}}
	})
	res := must(t, b.Client.Teams.Leave, &weftv1.LeaveRequest{Team: "crew", WaitMs: 60_000})
	if res.Follow.GetNodes() != 0 || len(res.Follow.GetBehind()) != 0 || !strings.Contains(strings.Join(res.Notes, " "), "are told") {
		t.Errorf("left: %v", res)
	}
}
