package p2p

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// heardBy is a node in a team with another member, who is gone, and the team's topic at the node.
func heardBy(f *testing.F, change ...func(*testNode)) (n *testNode, member board.NodeID, t *topic) {
	n, other := newNode(f, "ada", change...), newNode(f, "bob")
	id := n.found("crew")
	n.letIn(id, other)
	other.post(id, board.GeneralID(id), 2)
	eventually(f, "the topic is there", func() bool {
		n.mesh.subs.mu.Lock()
		defer n.mesh.subs.mu.Unlock()
		t = n.mesh.subs.mu.byTeam[id]
		return t != nil && n.entries(board.GeneralID(id)) == 2
	}, n)
	other.stop()
	return n, other.key.Public(), t
}

// Whatever a member says on a topic: it is taken, or refused for a reason; the node goes on, and shows no entry for it.
func FuzzTopicMessage(f *testing.F) {
	n, member, top := heardBy(f)
	id := top.team
	general := board.GeneralID(id)
	var at board.Position
	for _, l := range n.store.Vector(general) {
		at = board.Position{Board: general, Node: l.Node, Epoch: l.Epoch, Seq: l.Seq, Hash: l.Hash}
	}
	add := func(m *weftv1.TopicMessage) {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	run, err := n.store.Run(testContext(f), general, at.Origin(), 1, 2, 1<<20)
	if err != nil {
		f.Fatal(err)
	}
	next := at
	next.Seq += 3
	add(&weftv1.TopicMessage{Message: &weftv1.TopicMessage_Push{Push: &weftv1.Push{Runs: []*weftv1.Run{run.Wire()}}}})
	add(&weftv1.TopicMessage{Message: &weftv1.TopicMessage_Push{Push: &weftv1.Push{Heads: []*weftv1.Head{{Position: next.Wire(), Signature: make([]byte, 64)}}}}})
	beat, err := proto.Marshal(&weftv1.Beat{Team: id[:], Node: member[:], Boot: make([]byte, 16), Number: 1, Digest: make([]byte, 32), Heads: []*weftv1.Head{{Position: at.Wire()}, {}}})
	if err != nil {
		f.Fatal(err)
	}
	add(&weftv1.TopicMessage{Message: &weftv1.TopicMessage_Beat{Beat: &weftv1.Signed{Object: beat, Key: member[:], Signature: make([]byte, 64)}}})
	add(&weftv1.TopicMessage{Message: &weftv1.TopicMessage_Beat{}})
	add(&weftv1.TopicMessage{})
	f.Fuzz(func(t *testing.T, b []byte) {
		err := top.judge(member, b)
		var why rejected
		if err != nil && !errors.As(err, &why) && !errors.Is(err, board.ErrMalformed) && !errors.Is(err, board.ErrTooLarge) {
			t.Fatalf("refused without a reason: %v", err)
		}
		if n.entries(general) != 2 {
			t.Fatal("an entry that nobody signed shows")
		}
	})
}

// Whatever is knocked with: nobody comes in who has no invite.
func FuzzLobby(f *testing.F) {
	n, _, top := heardBy(f)
	id := top.team
	link := n.invite(id, 1, time.Time{})
	members := len(n.team(id).Members())
	link.Invites[0].Seed = make([]byte, 32) // another key than the invite's
	eve, err := team.NewUser("eve", randomKey(), randomKey(), randomKey(), nonce())
	if err != nil {
		f.Fatal(err)
	}
	forged, err := team.NewKnock(link, 0, eve)
	if err != nil {
		f.Fatal(err)
	}
	for _, req := range []*weftv1.LobbyRequest{
		{}, {Request: &weftv1.LobbyRequest_Knock{}},
		{Request: &weftv1.LobbyRequest_Knock{Knock: &weftv1.Knock{Team: id[:]}}},
		{Request: &weftv1.LobbyRequest_Knock{Knock: forged}},
		{Request: &weftv1.LobbyRequest_Ask{Ask: &weftv1.TeamAsk{Team: id[:]}}},
		{Request: &weftv1.LobbyRequest_Why{Why: &weftv1.WhyAsk{Team: id[:], User: n.id.User[:]}}},
		{Request: &weftv1.LobbyRequest_Home{Home: &weftv1.HomeAsk{Team: id[:], Present: forged.Present}}},
		{Request: &weftv1.LobbyRequest_AskIn{AskIn: &weftv1.RequestAsk{Team: id[:], Present: forged.Present, Request: forged.Present}}},
	} {
		b, err := proto.Marshal(req)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	in := func() int {
		st, _ := n.store.Team(id)
		return len(st.Members())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		req := new(weftv1.LobbyRequest)
		if decode(b, req) != nil || req.Request == nil {
			return
		}
		reply, _, err := n.mesh.lobby.answer(t.Context(), n.mesh.ID(), netip.Addr{}, req)
		if err == nil && in() != members {
			t.Fatalf("somebody came in without an invite: %v", reply)
		}
		if code, _ := refusal(err); err != nil && code == codeInternal {
			t.Fatalf("refused without a reason: %v", err)
		}
	})
}

// Whatever a teammate says as a farewell: nobody goes by it.
func FuzzFarewell(f *testing.F) {
	n, _, top := heardBy(f)
	id := top.team
	members := len(n.team(id).Members())
	genesis := n.team(id).Genesis().Body
	for _, x := range []*weftv1.Farewell{
		{}, {Objects: []*weftv1.GovernanceObject{{}}},
		{Objects: []*weftv1.GovernanceObject{{Kind: 0x40, Body: genesis}, {Kind: 0x42, Body: genesis}, {Kind: 1 << 20, Body: genesis}}},
	} {
		b, err := proto.Marshal(x)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	in := func() int {
		st, _ := n.store.Team(id)
		return len(st.Members())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x := new(weftv1.Farewell)
		if decode(b, x) != nil {
			return
		}
		n.mesh.takeProof(t.Context(), id, x.Objects)
		if got := in(); got != members {
			t.Fatalf("%d members are left of %d", got, members)
		}
	})
}

// Whatever a teammate says on its presence stream: it is taken, or refused for a reason, and nobody is heard who didn't sign.
func FuzzPresenceFrame(f *testing.F) {
	n, member, top := heardBy(f, withPeople)
	id := top.team
	add := func(m *weftv1.PresenceFrame) {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	unsigned := func(m proto.Message) *weftv1.Signed {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		return &weftv1.Signed{Object: b, Key: member[:], Signature: make([]byte, 64)}
	}
	boot := make([]byte, 16)
	word := unsigned(&weftv1.NodeAlive{Node: member[:], Boot: boot, BootMs: 1, Incarnation: 1})
	add(&weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Pulse{Pulse: &weftv1.Pulse{Alive: word, LeaseMs: 1, Presence: boot, Vectors: boot}}})
	add(&weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Pulse{Pulse: &weftv1.Pulse{LeaseMs: 1, Presence: boot, Vectors: boot}}})
	add(beatFrame(unsigned(&weftv1.PresenceBeat{Team: id[:], Node: member[:], Boot: boot, Number: 1, Digest: boot, People: []*weftv1.PersonReport{{User: member[:]}}})))
	add(askFrame(&weftv1.PresenceAsk{Teams: [][]byte{id[:]}, Node: member[:], Vectors: true}))
	add(askFrame(&weftv1.PresenceAsk{Vectors: true}))
	add(&weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Digests{Digests: &weftv1.TeamDigests{Teams: []*weftv1.TeamDigest{{Team: id[:], Number: 1, Presence: boot, Vectors: member[:]}}}}})
	add(&weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Probe{Probe: &weftv1.Probe{Id: 1, Target: member[:]}}})
	add(&weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Answer{Answer: &weftv1.ProbeAnswer{Id: 1, Alive: word}}})
	add(&weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Suspicions{Suspicions: &weftv1.Suspicions{Nodes: []*weftv1.Suspicion{{Node: member[:], Boot: boot}}, Alive: []*weftv1.Signed{word}}}})
	add(&weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Live{Live: unsigned(&weftv1.LiveBatch{Team: id[:], User: member[:], Node: member[:], Messages: []*weftv1.LiveMessage{{Id: boot, TtlMs: 1}}})}})
	add(&weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Setting{Setting: &weftv1.OwnSetting{User: member[:], Team: id[:]}}})
	add(&weftv1.PresenceFrame{})
	f.Fuzz(func(t *testing.T, b []byte) {
		m := new(weftv1.PresenceFrame)
		if decode(b, m) != nil {
			return
		}
		e := newEar(n.mesh.voices, nil, member)
		if err := e.take(m, len(b)); err != nil && !badFrame(err) {
			t.Fatalf("refused without a reason: %v", err)
		}
		if n.heard().count(member, id) > 0 {
			t.Fatal("a beat that nobody signed was taken")
		}
		if _, got := n.heard().live(); got > 0 {
			t.Fatal("a live message that nobody signed was taken")
		}
	})
}
