package p2p

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

// rawPeer is a libp2p host without any of this package's manners.
type rawPeer struct {
	t      *testing.T
	h      host.Host
	victim peer.ID
}

// rawHost is a host that listens nowhere and knows no limits.
func rawHost(t *testing.T, key board.Key) host.Host {
	t.Helper()
	k, err := privateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	h, err := libp2p.New(libp2p.Identity(k), libp2p.NoListenAddrs, libp2p.DisableMetrics(), libp2p.ResourceManager(&network.NullResourceManager{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// newRaw connects a raw host with the given key to a node.
func newRaw(t *testing.T, key board.Key, victim *testNode) *rawPeer {
	t.Helper()
	r := &rawPeer{t, rawHost(t, key), victim.mesh.ID()}
	if err := r.connect(victim); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rawPeer) connect(victim *testNode) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	info := peer.AddrInfo{ID: victim.mesh.ID()}
	for _, s := range victim.mesh.Addrs() {
		a, _ := peer.SplitAddr(ma.StringCast(s))
		info.Addrs = append(info.Addrs, a)
	}
	return r.h.Connect(ctx, info)
}

// stream opens a stream of a protocol; nothing is sent yet.
func (r *rawPeer) stream(proto string) network.Stream {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s, err := r.h.NewStream(ctx, r.victim, protocolID(proto))
	if err != nil {
		r.t.Fatal(err)
	}
	s.SetReadDeadline(time.Now().Add(15 * time.Second))
	return s
}

// send writes a frame.
func send(t *testing.T, s network.Stream, f *weftv1.SyncFrame) {
	t.Helper()
	b, err := encodeFrame(f)
	if err != nil {
		t.Fatal(err)
	}
	s.Write(b) // the victim may have closed it
}

func hello() *weftv1.SyncFrame {
	return &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Hello{Hello: &weftv1.SyncHello{Protocol: 1, Boot: make([]byte, 16)}}}
}

// greeted is a stream of a protocol on which hellos were exchanged.
func (r *rawPeer) greeted(proto string) (network.Stream, *frameReader) {
	r.t.Helper()
	s := r.stream(proto)
	send(r.t, s, hello())
	fr := newFrameReader(noDeadline{s}, 1<<20, time.Minute, 1)
	f, err := fr.readSync()
	if err != nil || f.GetHello() == nil {
		r.t.Fatalf("no hello: %v %v", f, err)
	}
	return s, fr
}

// noDeadline keeps the deadline that the test has set.
type noDeadline struct{ network.Stream }

func (noDeadline) SetReadDeadline(time.Time) error { return nil }

func wantAll(id uint64, team board.TeamID, b board.ID, o board.Origin) *weftv1.SyncFrame {
	return &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Want{Want: &weftv1.Want{
		Id: id, Team: team[:], Board: b[:], Node: o.Node[:], Toward: pointOnWire(board.Point{Epoch: o.Epoch}), Credit: 1 << 20,
	}}}
}

func TestAStrangerGetsZeroBytes(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	general := board.GeneralID(id)
	a.letIn(id, b)
	at := a.post(id, general, 10).Position
	r := newRaw(t, randomKey(), a)
	for _, p := range []string{protocolSync, protocolGovernance} {
		s := r.stream(p)
		send(t, s, hello())
		send(t, s, &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_AskVector{AskVector: id[:]}})
		send(t, s, wantAll(1, id, general, at.Origin()))
		if got, err := io.ReadAll(s); len(got) != 0 || err == nil {
			t.Fatalf("a stranger read %d bytes on %s, then %v", len(got), p, err)
		}
	}
}

func TestAStrangerHearsNothingOnTheTopic(t *testing.T) {
	for name, proto := range map[string]func(context.Context, host.Host) (*pubsub.PubSub, error){
		"gossipsub": func(ctx context.Context, h host.Host) (*pubsub.PubSub, error) {
			return pubsub.NewGossipSub(ctx, h, pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor())
		},
		"floodsub": func(ctx context.Context, h host.Host) (*pubsub.PubSub, error) {
			return pubsub.NewFloodSub(ctx, h, pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor())
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := newNode(t, "ada"), newNode(t, "bob")
			id := a.found("crew")
			general := board.GeneralID(id)
			a.letIn(id, b)
			r := newRaw(t, randomKey(), a)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			ps, err := proto(ctx, r.h)
			if err != nil {
				t.Fatal(err)
			}
			topic, err := ps.Join(topicName(id))
			if err != nil {
				t.Fatal(err)
			}
			sub, err := topic.Subscribe()
			if err != nil {
				t.Fatal(err)
			}
			heard := make(chan struct{}, 1)
			go func() {
				for {
					if m, err := sub.Next(ctx); err != nil {
						return
					} else if m.ReceivedFrom != r.h.ID() {
						heard <- struct{}{}
					}
				}
			}()
			for range 10 {
				a.post(id, general, 1)
			}
			eventually(t, "bob has them", func() bool { return b.entries(general) == 10 }, a, b)
			select {
			case <-heard:
				t.Fatal("a stranger heard a post")
			default:
			}
			for _, c := range r.h.Network().ConnsToPeer(a.mesh.ID()) {
				for _, s := range c.GetStreams() {
					if s.Stat().Direction == network.DirInbound && s.Protocol() != "/ipfs/id/1.0.0" && s.Protocol() != "/ipfs/id/push/1.0.0" {
						t.Fatalf("ada opened a stream of %s to a stranger", s.Protocol())
					}
				}
			}
		})
	}
}

// insider is a raw host with the key of a node that is a member, which is itself stopped.
func insider(t *testing.T, victim, member *testNode) *rawPeer {
	t.Helper()
	member.stop()
	eventually(t, "the victim sees it go, and is done with its streams", func() bool {
		id, _ := PeerIDOf(member.key.Public())
		var held network.ScopeStat
		err := victim.mesh.host.Network().ResourceManager().ViewPeer(id, func(s network.PeerScope) error { held = s.Stat(); return nil })
		return err == nil && victim.mesh.host.Network().Connectedness(id) != network.Connected && held.NumStreamsInbound+held.NumStreamsOutbound == 0
	}, victim)
	return newRaw(t, member.key, victim)
}

func TestAMemberOfAnotherTeamGetsNothingOfThisOne(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	ours, theirs := a.found("ours"), a.found("both")
	a.letIn(theirs, b)
	at := a.post(ours, board.GeneralID(ours), 10).Position
	r := insider(t, a, b)
	s, fr := r.greeted(protocolSync)
	send(t, s, &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_AskVector{AskVector: ours[:]}})
	send(t, s, wantAll(7, ours, board.GeneralID(ours), at.Origin()))
	send(t, s, wantAll(8, theirs, board.GeneralID(ours), at.Origin())) // the other team's board in this team's name
	for answered := 0; answered < 2; {
		f, err := fr.readSync()
		if err != nil {
			t.Fatal(err)
		}
		if v := f.GetVector(); v != nil && string(v.Team) == string(ours[:]) {
			t.Fatal("a vector of a team that it isn't in")
		}
		if x := f.GetAnswer(); x != nil {
			answered++
			if x.Run != nil || x.Status != weftv1.AnswerStatus_ANSWER_STATUS_NOT_MEMBER {
				t.Fatalf("it was answered %v", x)
			}
		}
	}
}

func TestGovernanceStreamServesNoMessageBoards(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	a.letIn(id, b)
	at := a.post(id, board.GeneralID(id), 3).Position
	r := insider(t, a, b)
	s, fr := r.greeted(protocolGovernance)
	send(t, s, wantAll(1, id, board.GeneralID(id), at.Origin()))
	for {
		f, err := fr.readSync()
		if err != nil {
			t.Fatal(err)
		}
		if x := f.GetAnswer(); x != nil {
			if x.Run != nil {
				t.Fatal("a message board's records on the governance stream")
			}
			return
		}
	}
}

// TestBrokenFrames sends what no honest program sends; each time the stream is closed and the offence counted.
func TestBrokenFrames(t *testing.T) {
	a := newNode(t, "ada", func(n *testNode) { n.limits.Idle = 2 * time.Second })
	members := []*testNode{newNode(t, "bob"), newNode(t, "cyd"), newNode(t, "dee")}
	id := a.found("crew")
	a.letIn(id, members...)
	general := board.GeneralID(id)
	raw := func(b []byte) func(network.Stream) { return func(s network.Stream) { s.Write(b) } }
	frame := func(f *weftv1.SyncFrame) func(network.Stream) {
		return func(s network.Stream) { send(t, s, f) }
	}
	element := &weftv1.VectorElement{Node: make([]byte, 32), Epoch: 1, Seq: 1, Hash: make([]byte, 32)}
	vector := func(es ...*weftv1.VectorElement) *weftv1.SyncFrame {
		return &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Vector{Vector: &weftv1.TeamVector{
			Team: id[:], Whole: true, Boards: []*weftv1.BoardVector{{Board: general[:], Elements: es}},
		}}}
	}
	many := make([]*weftv1.VectorElement, board.MaxVector+1)
	for i := range many {
		e := proto.Clone(element).(*weftv1.VectorElement)
		binary.BigEndian.PutUint64(e.Node, uint64(i+1))
		many[i] = e
	}
	rubbish := make([]byte, 1000)
	rand.Read(rubbish)
	cases := []struct {
		name   string
		send   func(network.Stream)
		reason string
	}{
		{"giant", raw(binary.AppendUvarint(nil, 1<<30)), "frame_too_large"},
		{"overlong length", raw([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}), "frame"},
		{"slow", raw(append(binary.AppendUvarint(nil, 1000), 1, 2, 3)), "frame_slow"},
		{"rubbish", raw(append(binary.AppendUvarint(nil, uint64(len(rubbish))), rubbish...)), "frame"},
		{"empty", raw([]byte{0}), "frame"},
		{"second hello", frame(hello()), "frame"},
		{"team of wrong length", frame(&weftv1.SyncFrame{Frame: &weftv1.SyncFrame_AskVector{AskVector: []byte{1}}}), "frame"},
		{"want without ids", frame(&weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Want{Want: &weftv1.Want{Team: id[:]}}}), "frame"},
		{"origin twice in vector", frame(vector(element, element)), "frame"},
		{"vector of zero seq", frame(vector(&weftv1.VectorElement{Node: make([]byte, 32), Epoch: 1, Hash: make([]byte, 32)})), "frame"},
		{"vector of too many", frame(vector(many...)), "frame"},
		{"answer that can't be read", frame(answerFrame(&weftv1.Answer{Id: 1, Run: &weftv1.Run{Board: []byte{1}}})), "frame"},
	}
	// Each of three members sends a few, so that their offences don't add up to a ban.
	for i, member := range members {
		r := insider(t, a, member)
		for _, c := range cases[4*i : 4*i+4] {
			before := a.counters()["offences_total/"+c.reason]
			s, _ := r.greeted(protocolSync)
			c.send(s)
			if _, err := io.Copy(io.Discard, s); err == nil {
				t.Fatalf("%s: the stream was closed in good order", c.name)
			}
			eventually(t, c.name+" is counted", func() bool { return a.counters()["offences_total/"+c.reason] > before }, a)
		}
	}
}

func TestRepeatedOffendersAreBanned(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	a.letIn(id, b)
	r := insider(t, a, b)
	for range 100 {
		if a.mesh.gate.banned(r.h.ID()) {
			break
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		s, err := r.h.NewStream(network.WithNoDial(ctx, "test"), a.mesh.ID(), protocolSync)
		cancel()
		if err != nil {
			break
		}
		send(t, s, hello())
		s.Write([]byte{0})
		s.SetReadDeadline(time.Now().Add(time.Minute))
		io.Copy(io.Discard, s)
		eventually(t, "its offence is taken", func() bool { return len(a.mesh.loop.events) == 0 }, a)
		a.mesh.loop.do(t.Context(), func() {}) // and judged
	}
	eventually(t, "it is banned", func() bool { return a.mesh.gate.banned(r.h.ID()) }, a)
	eventually(t, "it is disconnected", func() bool { return len(r.h.Network().Peers()) == 0 }, a)
	r.connect(a)
	eventually(t, "it doesn't come in again", func() bool { return len(a.mesh.host.Network().ConnsToPeer(r.h.ID())) == 0 }, a)
	if got := a.counters()["offences_total/frame"]; got < 3 || got > 60 {
		t.Errorf("it was banned after %v offences", got)
	}
}

func TestUnsolicitedAnswersAreNotStored(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	general := board.GeneralID(id)
	a.letIn(id, b)
	at := b.post(id, general, 3).Position
	run, err := b.store.Run(testContext(t), general, at.Origin(), 1, 3, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "ada has them", func() bool { return a.entries(general) == 3 }, a, b)
	r := insider(t, a, b)
	s, _ := r.greeted(protocolSync)
	forged := *run // a part of a log that ada hasn't asked for
	forged.Epoch.N, forged.Prev = 99, board.Link{}
	send(t, s, answerFrame(&weftv1.Answer{Id: 12345, Run: forged.Wire(), Done: true}))
	eventually(t, "it is counted", func() bool {
		return a.counters()["replica_total/peer_unsolicited"] > 0
	}, a)
	if got := a.entries(general); got != 3 {
		t.Fatalf("ada has %d entries", got)
	}
}

func TestALobbyGuestDoesNotStay(t *testing.T) {
	a := newNode(t, "ada", func(n *testNode) { n.limits.LobbyTime = 3 * time.Second; n.limits.LobbyConns = 2 })
	a.found("crew")
	third := &rawPeer{t, rawHost(t, randomKey()), a.mesh.ID()}
	r1, r2 := newRaw(t, randomKey(), a), newRaw(t, randomKey(), a)
	third.connect(a) // its side may believe that it is connected, for a moment
	eventually(t, "the third finds the lobby full", func() bool { return a.counters()["refused_total/lobby_full"] > 0 }, a)
	eventually(t, "the guests are shown out", func() bool { return len(r1.h.Network().Peers())+len(r2.h.Network().Peers()) == 0 }, a)
	if err := third.connect(a); err != nil {
		eventually(t, "there is room again", func() bool { return third.connect(a) == nil }, a)
	}
}
