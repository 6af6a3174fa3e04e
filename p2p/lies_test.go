package p2p

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// TestEmptyMessagesBuyNoMemory reads frames full of messages that take two bytes each on the wire.
func TestEmptyMessagesBuyNoMemory(t *testing.T) {
	inside := func(num protowire.Number, v []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), v)
	}
	empty := func(num protowire.Number) []byte {
		return bytes.Repeat(inside(num, nil), 200_000)
	}
	for name, b := range map[string][]byte{
		"leaves":    inside(2, inside(5, empty(2))),
		"boards":    inside(2, empty(5)),
		"points":    inside(3, empty(5)),
		"items":     inside(4, inside(3, empty(10))),
		"envelopes": inside(7, empty(2)),
		"objects":   inside(10, empty(2)),
		"marks":     inside(6, empty(1)),
	} {
		t.Run(name, func(t *testing.T) {
			f := new(weftv1.SyncFrame)
			if got := testing.AllocsPerRun(1, func() {
				if err := decode(b, f); !errors.Is(err, errFrameBad) {
					t.Fatalf("it was read: %v", err)
				}
			}); got > 1000 {
				t.Errorf("%v allocations for what is refused", got)
			}
		})
	}
	var push weftv1.TopicMessage
	if err := decode(inside(1, empty(1)), &push); !errors.Is(err, errFrameBad) {
		t.Errorf("a push of empty runs was read: %v", err)
	}
}

// TestTheLargestHonestFramesAreRead is the other side: a whole vector, a run of the smallest records, a want with all it may have.
func TestTheLargestHonestFramesAreRead(t *testing.T) {
	v := &weftv1.BoardVector{Board: make([]byte, 16)}
	for range board.MaxVector {
		v.Elements = append(v.Elements, &weftv1.VectorElement{Node: make([]byte, 32), Epoch: 1, Seq: 1, Hash: make([]byte, 32)})
	}
	have := &weftv1.Want{Team: make([]byte, 32), Board: make([]byte, 16), Node: make([]byte, 32)}
	for range board.MaxLeaves {
		have.Have = append(have.Have, &weftv1.EpochPoint{Epoch: 1, Seq: 1})
	}
	run := &weftv1.Run{}
	for range board.MaxRunItems {
		run.Items = append(run.Items, &weftv1.RecordItem{Header: make([]byte, 150), Signature: make([]byte, 64), ReceivedHlc: 1})
	}
	for _, f := range []*weftv1.SyncFrame{
		{Frame: &weftv1.SyncFrame_Vector{Vector: &weftv1.TeamVector{Team: make([]byte, 32), Boards: []*weftv1.BoardVector{v, {Board: make([]byte, 16)}}}}},
		{Frame: &weftv1.SyncFrame_Want{Want: have}},
		answerFrame(&weftv1.Answer{Run: run}),
	} {
		b, err := proto.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := decode(b, new(weftv1.SyncFrame)); err != nil {
			t.Errorf("%s: %v", kindOf(f), err)
		}
	}
}

// TestBeatsAreRationed has a node beat as fast as it can, and then as an honest one does.
func TestBeatsAreRationed(t *testing.T) {
	h, now := &heardBeat{}, time.Unix(1000, 0)
	beats := 0
	for range 100 {
		if !h.tooOften(now) {
			h.spend(now)
			beats++
		}
	}
	if beats != beatBurst {
		t.Errorf("%d beats of a flood were taken", beats)
	}
	for range 100 {
		if now = now.Add(2 * time.Second); h.tooOften(now) {
			t.Fatal("an honest node's beat was refused")
		}
		h.spend(now)
	}
}

// TestRubbishIsNotPassedOn pushes, as a member, what the store would refuse: the one who gets it first must find out, since
// those that it passes it on to would take it for its fault.
func TestRubbishIsNotPassedOn(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	a.letIn(id, b)
	general := board.GeneralID(id)
	at := b.post(id, general, 3).Position
	run, err := b.store.Run(testContext(t), general, at.Origin(), 1, 3, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "ada has the posts", func() bool { return a.entries(general) == 3 }, a, b)
	a.mesh.subs.mu.Lock()
	tp := a.mesh.subs.mu.byTeam[id]
	a.mesh.subs.mu.Unlock()
	next := func(change func(*board.Header), spoil func(*board.Entry)) []byte {
		h := run.Items[2].Entry.Header
		h.DevSeq, h.DevPrev, h.ClientMsgID, h.HLC = 4, run.Items[2].Entry.ID, "next", h.HLC+1
		change(&h)
		e := board.NewEntry(h, []byte("next"))
		e.Sign(b.id.Device)
		spoil(e)
		r := &board.Run{Board: general, Origin: at.Origin(), First: 4, Prev: board.Link{Epoch: at.Epoch, Seq: 3, Hash: at.Hash},
			Items: []board.Item{{Entry: e, Received: h.HLC}}}
		p := board.Position{Board: general, Node: at.Node, Epoch: at.Epoch, Seq: 4, Hash: r.Hashes()[0]}
		sig := board.SignHead(b.key, p)
		r.Items[0].HeadSig = sig[:]
		raw, err := proto.Marshal(&weftv1.TopicMessage{Message: &weftv1.TopicMessage_Push{Push: &weftv1.Push{Runs: []*weftv1.Run{r.Wire()}}}})
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	nothing := func(*board.Header) {}
	for what, raw := range map[string][]byte{
		"bad_signature": next(nothing, func(e *board.Entry) { e.Signature = bytes.Repeat([]byte{1}, 64) }),
		"wrong_team":    next(func(h *board.Header) { h.Team[0] ^= 1 }, func(*board.Entry) {}),
	} {
		var why rejected
		if err := tp.judge(board.NodeID(b.key.Public()), raw); !errors.As(err, &why) || why.outcome != what || !why.fault {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := tp.judge(board.NodeID(b.key.Public()), next(nothing, func(*board.Entry) {})); err != nil {
		t.Errorf("what is right was refused: %v", err)
	}
}

// TestAFalseFarewellFillsNoLog has a member say farewell with hundreds of operations that count nowhere.
func TestAFalseFarewellFillsNoLog(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	a.letIn(id, b)
	genesis := a.team(id).Genesis().Hash
	var objects []*weftv1.GovernanceObject
	for range 300 {
		some := nonce()
		op := &weftv1.Operation{Team: id[:], Author: b.id.User[:], Charter: genesis[:], Nonce: some[:],
			Kind: &weftv1.Operation_Board{Board: &weftv1.CreateBoard{Name: "spam"}}}
		body, err := proto.Marshal(signed(t, b.id.Device, board.SignOperation, op))
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, &weftv1.GovernanceObject{Kind: uint32(board.KindOperation), Body: body})
	}
	held := func() uint64 { i, _ := a.store.Board(board.GovernanceID(id)); return i.Records }
	before := held()
	r := insider(t, a, b)
	for range 4 {
		s, fr := r.greeted(protocolGovernance)
		for rest := objects; len(rest) > 0; rest = rest[75:] {
			send(t, s, &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Farewell{Farewell: &weftv1.Farewell{Team: id[:], Objects: rest[:75], More: len(rest) > 75}}})
		}
		for {
			if _, err := fr.readSync(); err != nil {
				break // it ends the stream behind a farewell
			}
		}
	}
	eventually(t, "it is counted", func() bool { return a.counters()["refused_total/farewell_false"] == 4 }, a)
	if n := held() - before; n == 0 || n > falseFarewells*(strayObjects+1) {
		t.Errorf("%d of its objects were recorded", n)
	}
	if !a.team(id).IsNode(a.mesh.self) || a.team(id).Role(a.id.User) != team.Owner {
		t.Error("it was believed")
	}
}

// A farewell that never ends: what is kept of it is no more than is taken of one.
func TestAFarewellThatGoesOnFillsNoMemory(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	a.letIn(id, b)
	k := &link{m: a.mesh, node: b.mesh.self, governance: true}
	big := []*weftv1.GovernanceObject{{Kind: uint32(board.KindOperation), Body: make([]byte, 900<<10)}}
	for range 40 {
		if err := k.takeFarewell(&weftv1.Farewell{Team: id[:], Objects: big, More: true}); err != nil {
			t.Fatal(err)
		}
	}
	kept := 0
	for _, x := range k.parting {
		kept += len(x.Body)
	}
	if kept == 0 || kept > maxFarewellBytes {
		t.Errorf("%d bytes are kept", kept)
	}
}

// Anybody can say old beats of a node again. Only new ones of two boots by turns mean that two copies of it are running.
func TestOldBeatsSaidAgainAreNoClone(t *testing.T) {
	a := newNode(t, "ada")
	tp, n := newTopic(a.mesh.subs, a.found("crew")), board.NodeID{7}
	hear := func(boot byte, number, sent uint64) {
		tp.note(n, [16]byte{boot}, &weftv1.Beat{Number: number, SentHlc: sent}, tp.heard.last[n])
	}
	clones := func() float64 { return a.counters()["replica_total/clone"] }
	hear(1, 1, 100)
	hear(2, 1, 200) // it was started again
	for range 3 {
		hear(1, 1, 100)
		hear(2, 1, 200)
	}
	if clones() != 0 {
		t.Error("old beats were taken for those of a clone")
	}
	hear(1, 2, 300)
	hear(2, 2, 310)
	if clones() == 0 {
		t.Error("a clone was not noticed")
	}
}

// What strangers subscribe to is remembered for a while, since they may turn out to be teammates: names of topics only, and
// of those who are there.
func TestSubscriptionsOfStrangersFillNoMemory(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	a.letIn(id, b)
	kept := func(p peer.ID) int {
		a.mesh.subs.mu.Lock()
		defer a.mesh.subs.mu.Unlock()
		return len(a.mesh.subs.mu.dropped[p])
	}
	gone, err := PeerIDOf(board.NodeID(randomKey().Public()))
	if err != nil {
		t.Fatal(err)
	}
	there := b.mesh.ID()
	eventually(t, "they are connected", func() bool { return a.mesh.host.Network().Connectedness(there) == network.Connected }, a, b)
	a.mesh.subs.drop(gone, topicName(board.TeamID{1}))
	a.mesh.subs.drop(there, strings.Repeat("x", 100_000))
	if kept(gone)+kept(there) != 0 {
		t.Errorf("%d names of one who is gone are kept, %d that are no topic's", kept(gone), kept(there))
	}
	a.mesh.subs.drop(there, topicName(board.TeamID{1}))
	if kept(there) != 1 {
		t.Error("a topic's name was forgotten")
	}
}

// TestWhoSaysMuchInVainIsNotListenedTo has peers say what is known again and again.
func TestWhoSaysMuchInVainIsNotListenedTo(t *testing.T) {
	u := newUselessness()
	for range uselessBurst / 2 {
		u.spend("honest")
	}
	for range uselessBurst + 10 {
		u.spend("flood")
	}
	if u.spent("honest") || !u.spent("flood") || u.spent("unknown") {
		t.Errorf("honest %v, flood %v, unknown %v", u.spent("honest"), u.spent("flood"), u.spent("unknown"))
	}
	if u.forget("flood"); u.spent("flood") {
		t.Error("one that has gone is remembered")
	}
}

// TestFramesThatBringNothingAreReadSlowly sends more credit than anyone needs: what comes after it is answered all the same.
func TestFramesThatBringNothingAreReadSlowly(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	a.letIn(id, b)
	r := insider(t, a, b)
	s, fr := r.greeted(protocolSync)
	one, err := encodeFrame(&weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Credit{Credit: &weftv1.Credit{Id: 1, Bytes: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "ada's end of the stream is there", func() (there bool) {
		a.mesh.loop.do(t.Context(), func() {
			k := a.mesh.loop.links[linkKey{b.key.Public(), false}]
			if there = k != nil; there { // a busy machine doesn't read thousands of them faster than peers may send
				k.slow.SetBurst(10)
				k.slow.SetLimit(20)
			}
		})
		return there
	}, a)
	s.Write(bytes.Repeat(one, 40))
	send(t, s, wantAll(7, board.TeamID{1}, board.GeneralID(id), board.Origin{Epoch: board.Epoch{N: 1}}))
	for {
		f, err := fr.readSync()
		if err != nil {
			t.Fatal(err)
		}
		if f.GetAnswer() != nil {
			break
		}
	}
	if a.counters()["refused_total/frames_too_fast"] == 0 {
		t.Error("they were read as fast as they came")
	}
}
