package p2p

import (
	"io"
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// A person moves to another home: the old one hears nothing more of the team, neither on streams nor by gossip, from the
// moment on at which the move is on a node's disk; where both share another team that one goes on.
func TestWhoLostTheTeamHearsNothingMore(t *testing.T) {
	a, b, c := newNode(t, "ada"), newNode(t, "bob"), newNode(t, "cyd")
	lost, kept := a.found("lost"), a.found("kept")
	a.letIn(lost, b, c)
	a.letIn(kept, b, c)
	general := board.GeneralID(lost)
	a.post(lost, general, 10)
	eventually(t, "bob and cyd have the posts", func() bool { return b.entries(general) == 10 && c.entries(general) == 10 }, a, b, c)
	bob := b.mesh.self
	if a.mesh.Sent(bob, lost) == 0 {
		t.Fatal("nothing is counted")
	}

	a.presents(lost, b.movedTo(randomKey()))
	sent := a.mesh.Sent(bob, lost)
	eventually(t, "cyd has heard of it", func() bool { return !c.team(lost).IsNode(bob) }, a, c) // before that it may pass on posts
	a.post(lost, general, 20)
	eventually(t, "cyd has the further posts", func() bool { return c.entries(general) == 30 }, a, c)
	sentByCyd := c.mesh.Sent(bob, lost)
	more := a.post(kept, board.GeneralID(kept), 5)
	c.post(lost, general, 10)
	a.post(lost, general, 10)
	eventually(t, "ada and cyd have all", func() bool { return a.entries(general) == 50 && c.entries(general) == 50 }, a, c)
	eventually(t, "bob is back for the other team", func() bool { return b.entries(board.GeneralID(kept)) == 5 }, a, b, c)
	if k, _ := a.mesh.Replicated(board.GeneralID(kept), more.Position); k == 0 {
		t.Fatal("nobody has it")
	}
	if now := a.mesh.Sent(bob, lost); now != sent {
		t.Errorf("ada sent %d bytes of the team after its node was gone", now-sent)
	}
	if now := c.mesh.Sent(bob, lost); now != sentByCyd {
		t.Errorf("cyd sent %d bytes of the team after its node was gone", now-sentByCyd)
	}
	if got := b.entries(general); got != 10 {
		t.Errorf("bob has %d entries", got)
	}
}

// A node that lost its last team is disconnected and not let in again but as a guest.
func TestWhoLostTheLastTeamIsAStranger(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	a.letIn(id, b)
	a.presents(id, b.movedTo(randomKey()))
	p, err := PeerIDOf(b.mesh.self)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "bob's node is disconnected", func() bool { return a.mesh.host.Network().Connectedness(p) != network.Connected }, a)
	if a.mesh.gate.known(p) {
		t.Fatal("it is still known")
	}
	sent := a.mesh.Sent(b.mesh.self, id)
	a.post(id, board.GeneralID(id), 10)
	if now := a.mesh.Sent(b.mesh.self, id); now != sent {
		t.Errorf("%d bytes went to a stranger", now-sent)
	}
}

func TestWhatAnRPCIsAbout(t *testing.T) {
	for _, bad := range [][]byte{nil, {1}, {5, 0x12, 9}, {2, 0x0a, 0x7f}, {1, 0x0f}} {
		if got, err := rpcTopics(bad); err == nil && len(got) > 0 {
			t.Errorf("%x is about %v", bad, got)
		}
	}
}

// A teammate says farewell to somebody whom nobody has removed: nothing follows from it but a stream that ended.
func TestAFalseFarewellChangesNothing(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	a.letIn(id, b)
	r := insider(t, a, b)
	mallory := randomKey()
	charter := signed(t, mallory, board.SignCharter, &weftv1.TeamCharter{Team: id[:], Ver: 2, Prev: id[:], Rules: 1, Owners: [][]byte{b.id.User[:]}, Nonce: make([]byte, 16), Name: "mine"})
	body, err := proto.Marshal(charter)
	if err != nil {
		t.Fatal(err)
	}
	before := a.counters()
	s, _ := r.greeted(protocolGovernance)
	send(t, s, &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Farewell{Farewell: &weftv1.Farewell{Team: id[:], Objects: []*weftv1.GovernanceObject{
		{Kind: uint32(board.KindCharter), Body: body}, {Kind: uint32(board.KindOperation), Body: body}, {Kind: 7, Body: []byte("rubbish")},
	}}}})
	if _, err := io.Copy(io.Discard, s); err == nil {
		t.Fatal("the stream goes on")
	}
	eventually(t, "what can't be read is counted", func() bool {
		return a.counters()["refused_total/farewell_object"] >= before["refused_total/farewell_object"]+2
	}, a)
	if st := a.team(id); !st.IsNode(a.mesh.self) || st.Role(a.id.User) != team.Owner || st.Name() != "crew" {
		t.Fatal("ada believed it")
	}
	elsewhere := a.found("elsewhere")
	s, fr := r.greeted(protocolGovernance)
	send(t, s, &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Farewell{Farewell: &weftv1.Farewell{Team: elsewhere[:]}}})
	eventually(t, "a farewell of a team that it isn't in is counted", func() bool { return a.counters()["refused_total/farewell_of_stranger"] > 0 }, a)
	for range maxFarewell {
		send(t, s, &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Farewell{Farewell: &weftv1.Farewell{Team: id[:], More: true, Objects: []*weftv1.GovernanceObject{{}, {}}}}})
	}
	for err == nil {
		_, err = fr.readSync()
	}
	eventually(t, "one without an end is an offence", func() bool { return a.counters()["offences_total/frame_too_large"] > 0 }, a)
}

// sets gives o's person a role, by n's.
func (n *testNode) sets(id board.TeamID, o *testNode, r team.Role, reason string) {
	n.t.Helper()
	cut, err := n.store.CutUser(id, o.id.User)
	if err != nil {
		n.t.Fatal(err)
	}
	x, err := team.NewSet(n.team(id), n.id, o.id.User, r, cut, reason, nonce())
	if err == nil {
		_, err = n.store.AppendObject(testContext(n.t), id, x)
	}
	if err != nil {
		n.t.Fatal(err)
	}
}

func (n *testNode) dials(o *testNode) bool {
	return len(n.mesh.who.view.Load().shared[board.NodeID(o.key.Public())]) > 0
}

// Who is removed hears why as the last thing on the governance stream, from each node that enforces it, without asking.
func TestWhoIsRemovedIsTold(t *testing.T) {
	a, b, c := newNode(t, "ada"), newNode(t, "bob"), newNode(t, "cyd")
	id := a.found("crew")
	a.letIn(id, b, c)
	a.sets(id, b, team.Removed, "too loud")
	eventually(t, "bob's node knows", func() bool {
		r, ok := b.team(id).Removal(b.id.User)
		return ok && r.By == a.id.User && r.Reason == "too loud"
	}, b)
	eventually(t, "it leaves the others alone", func() bool { return !b.dials(a) && !b.dials(c) && len(b.mesh.host.Network().Peers()) == 0 }, b)
	for _, n := range []*testNode{a, c} {
		if got := n.counters()["knocks_total/why_answered"]; got != 0 {
			t.Errorf("%s was asked why", n.name)
		}
	}
	if got := b.counters()["frames_total/in/farewell"]; got == 0 {
		t.Error("nobody said farewell")
	}
	b.restart()
	if b.dials(a) || b.dials(c) {
		t.Error("after a restart it seeks them again")
	}
	a.sets(id, b, team.Member, "")
	a.post(id, board.GeneralID(id), 3)
	eventually(t, "bob is in again, without his doing", func() bool { return b.dials(a) && b.entries(board.GeneralID(id)) == 3 }, a, b, c)
}

// Somebody leaves while nobody hears it: their node seeks the others until one of them has.
func TestWhoLeavesIsHeardFirst(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	a.letIn(id, b)
	a.stop()
	cut, err := b.store.CutUser(id, b.id.User)
	if err != nil {
		t.Fatal(err)
	}
	o, err := team.NewLeave(b.team(id), b.id, cut, nonce())
	if err == nil {
		_, err = b.store.AppendObject(testContext(t), id, o)
	}
	if err != nil {
		t.Fatal(err)
	}
	b.restart()
	b.mesh.loop.do(t.Context(), b.mesh.loop.look)
	if !b.dials(a) {
		t.Fatal("bob's node doesn't seek ada's any more, and she has not heard")
	}
	a.start()
	eventually(t, "ada has heard", func() bool { r, ok := a.team(id).Removal(b.id.User); return ok && r.Left }, a, b)
	eventually(t, "bob's node lets it be", func() bool { return !b.dials(a) }, a, b)
}

// A node may lose its team while it is being dialled. Whoever reaches it then lets go: else the connection would stay, since
// it is outbound here and a former teammate's there.
func TestWhoIsNoTeammateAnyMoreWhenReachedIsLeftAlone(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	ida, idb := a.mesh.host.ID(), b.mesh.host.ID()
	a.mesh.gate.name(idb)
	b.mesh.gate.name(ida)
	if err := a.mesh.host.Connect(testContext(t), peer.AddrInfo{ID: idb, Addrs: b.mesh.host.Addrs()}); err != nil {
		t.Fatal(err)
	}
	conns := a.mesh.host.Network().ConnsToPeer(idb)
	if len(conns) != 1 || conns[0].Stat().Direction != network.DirOutbound {
		t.Fatalf("connections: %v", conns)
	}
	a.mesh.gate.mu.Lock()
	delete(a.mesh.gate.mu.named, idb)
	a.mesh.gate.mu.Unlock()
	a.mesh.gate.connected(conns[0]) // as libp2p would call it now
	eventually(t, "ada lets go", func() bool { return conns[0].IsClosed() }, a, b)
}

// Somebody is removed while their node is off, and it shares another team with the same nodes: their streams are open for
// that one, and it hears why it is out of the first all the same.
func TestWhoIsRemovedWhileOffHearsDespiteAnotherTeam(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	gone, kept := a.found("gone"), a.found("kept")
	a.letIn(gone, b)
	a.letIn(kept, b)
	b.stop()
	a.sets(gone, b, team.Removed, "too loud")
	b.start()
	eventually(t, "bob's node knows", func() bool {
		r, ok := b.team(gone).Removal(b.id.User)
		return ok && r.By == a.id.User
	}, a, b)
	a.post(kept, board.GeneralID(kept), 1)
	eventually(t, "the other team goes on", func() bool { return b.entries(board.GeneralID(kept)) == 1 }, a, b)
}
