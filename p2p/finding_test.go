package p2p

import (
	"errors"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"

	"weft/board"
)

func (n *testNode) connectedTo(p peer.ID) bool {
	return slices.ContainsFunc(n.mesh.Peers(), func(i PeerInfo) bool { return i.ID == p && i.Connected })
}

func TestStaticPeersAreDialledAgainAndAgain(t *testing.T) {
	a := newNode(t, "ada")
	ada := a.mesh.ID()
	b := newNode(t, "bob", func(n *testNode) { n.static = a.mesh.Addrs()[:1] })
	eventually(t, "bob is connected to the peer that he was told of", func() bool { return b.connectedTo(ada) }, b)
	a.stop()
	eventually(t, "bob notices that it is gone", func() bool { return !b.connectedTo(ada) }, b)
	a.start()
	eventually(t, "bob has dialled again", func() bool { return b.connectedTo(ada) }, b)
}

func (n *testNode) hasAddress(p peer.ID, addr string) bool {
	return slices.ContainsFunc(n.mesh.host.Peerstore().Addrs(p), func(a ma.Multiaddr) bool { return a.String() == addr })
}

// envelope is a peer record about p, signed by k.
func envelope(t *testing.T, k crypto.PrivKey, p peer.ID, addr string) []byte {
	t.Helper()
	e, err := record.Seal(&peer.PeerRecord{PeerID: p, Addrs: []ma.Multiaddr{ma.StringCast(addr)}, Seq: 1 << 62}, k)
	if err != nil {
		t.Fatal(err)
	}
	b, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Where a node is, only the node itself may say; and nobody may fill the address book with strangers.
func TestOnlyANodeItselfSaysWhereItIs(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	a.letIn(id, b)
	eve := randomKey()
	evesKey, err := privateKey(eve)
	if err != nil {
		t.Fatal(err)
	}
	evesID, err := PeerIDOf(eve.Public())
	if err != nil {
		t.Fatal(err)
	}
	bobsKey, err := privateKey(b.key)
	if err != nil {
		t.Fatal(err)
	}
	const addr = "/ip4/192.0.2.7/udp/4001/quic-v1"
	if a.mesh.learn(id, envelope(t, evesKey, b.mesh.ID(), addr), a.mesh.self) || a.hasAddress(b.mesh.ID(), addr) {
		t.Error("eve said where bob is")
	}
	bent := envelope(t, bobsKey, b.mesh.ID(), addr)
	bent[len(bent)-1] ^= 1
	if a.mesh.learn(id, bent, a.mesh.self) || a.hasAddress(b.mesh.ID(), addr) {
		t.Error("a forged signature was believed")
	}
	if a.mesh.learn(id, make([]byte, maxRecord+1), a.mesh.self) {
		t.Error("a giant record was taken")
	}
	a.mesh.learn(id, envelope(t, evesKey, evesID, addr), a.mesh.self)
	if a.hasAddress(evesID, addr) {
		t.Error("a stranger's address was kept")
	}
	if !a.mesh.learn(id, envelope(t, bobsKey, b.mesh.ID(), addr), a.mesh.self) || !a.hasAddress(b.mesh.ID(), addr) {
		t.Error("bob's own word was not taken")
	}
}

// The local network may name anybody: only nodes that are known already are looked for there.
func TestStrangersOnTheLocalNetworkAreLeftAlone(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	a.letIn(id, b)
	const addr = "/ip4/192.0.2.7/udp/4001/quic-v1"
	stranger, err := PeerIDOf(board.NodeID(randomKey().Public()))
	if err != nil {
		t.Fatal(err)
	}
	found := (*mdnsFound)(a.mesh.peers)
	for _, p := range []peer.ID{stranger, b.mesh.ID()} {
		found.HandlePeerFound(peer.AddrInfo{ID: p, Addrs: []ma.Multiaddr{ma.StringCast(addr)}})
	}
	if a.hasAddress(stranger, addr) {
		t.Error("a stranger's address was kept")
	}
	if !a.hasAddress(b.mesh.ID(), addr) {
		t.Error("a teammate's address was not kept")
	}
}

// A teammate may sign addresses that are no text, or that nobody could read to the end. They are told to nobody: the API takes
// UTF-8 only, and so do the lobby's answers.
func TestAddressesThatAreNoTextAreToldToNobody(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	a.letIn(id, b)
	bobsKey, err := privateKey(b.key)
	if err != nil {
		t.Fatal(err)
	}
	bob := b.mesh.ID()
	name := append([]byte{54, 3}, 0xff, 0xfe, 0xfd) // dns4
	bad, err := ma.NewMultiaddrBytes(append(name, 6, 0x0f, 0xa1))
	if err != nil {
		t.Fatal(err)
	}
	e, err := record.Seal(&peer.PeerRecord{PeerID: bob, Addrs: []ma.Multiaddr{bad, ma.StringCast("/ip4/192.0.2.7/tcp/4001")}, Seq: 1 << 62}, bobsKey)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	b.stop()
	eventually(t, "bob is gone", func() bool { return !a.connectedTo(bob) }, a)
	a.mesh.learn(id, raw, a.mesh.self)
	a.mesh.host.Peerstore().AddAddr(bob, bad, time.Hour) // as libp2p's own protocols would
	told := a.mesh.addressesOf(board.NodeID(b.key.Public()))
	for _, p := range a.mesh.Peers() {
		told = append(append(told, p.Addrs...), p.LastError)
	}
	told = append(told, unreached(&swarm.DialError{Peer: bob, DialErrors: []swarm.TransportError{{Address: bad, Cause: errors.New("no")}}}).Error())
	if len(told) < 3 {
		t.Fatalf("told only %q", told)
	}
	for _, text := range told {
		if !utf8.ValidString(text) {
			t.Errorf("told %q", text)
		}
	}
}
