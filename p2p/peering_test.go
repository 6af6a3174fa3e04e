package p2p

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"weft/board"
)

func TestPortsAreKeptOverARestart(t *testing.T) {
	a := newNode(t, "ada", func(n *testNode) { n.listen = nil }) // all interfaces
	before := a.mesh.Addrs()
	if len(before) == 0 || !strings.Contains(before[0], "/p2p/"+a.mesh.ID().String()) {
		t.Fatalf("addresses: %v", before)
	}
	a.restart()
	if after := a.mesh.Addrs(); !slices.Equal(before, after) {
		t.Fatalf("before %v, after %v", before, after)
	}
}

func TestAKeptPortThatIsTaken(t *testing.T) {
	a := newNode(t, "ada")
	old := a.mesh.host.Network().ListenAddresses()
	a.stop()
	for _, l := range old {
		_, port := portOf(l)
		if strings.Contains(l.String(), "/udp/") {
			c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
		}
	}
	a.start()
	for _, l := range a.mesh.host.Network().ListenAddresses() {
		if strings.Contains(l.String(), "/udp/") && slices.ContainsFunc(old, l.Equal) {
			t.Fatalf("it listens on %s, which another program has", l)
		}
	}
}

func TestAPortThatWasAskedForAndIsTaken(t *testing.T) {
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	a := newNode(t, "ada")
	for _, addr := range []string{
		"/ip4/127.0.0.1/udp/" + portText(udp.LocalAddr().(*net.UDPAddr).Port) + "/quic-v1",
		"/ip4/127.0.0.1/tcp/" + tcpPort(a),
	} {
		_, err = New(testContext(t), Options{Key: randomKey(), Store: a.store, Identity: a.id, Listen: []string{addr}})
		if err == nil || !strings.Contains(err.Error(), "in use") || !strings.Contains(err.Error(), addr) {
			t.Fatalf("%s: %v", addr, err)
		}
	}
	if _, err = New(testContext(t), Options{Key: randomKey(), Store: a.store, Identity: a.id, Listen: []string{"127.0.0.1:4001"}}); err == nil || !strings.Contains(err.Error(), "expected one like") {
		t.Fatal(err)
	}
}

func portText(p int) string {
	_, s, _ := net.SplitHostPort((&net.TCPAddr{Port: p}).String())
	return s
}

func tcpPort(n *testNode) string {
	for _, l := range n.mesh.host.Network().ListenAddresses() {
		if strings.Contains(l.String(), "/tcp/") {
			_, p := portOf(l)
			return portText(p)
		}
	}
	return "0"
}

func TestRedialAfterTheConnectionIsLost(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	a.letIn(id, b)
	synced := func(n, m *testNode) bool {
		return slices.ContainsFunc(n.mesh.Peers(), func(p PeerInfo) bool { return p.ID == m.mesh.ID() && p.Synced })
	}
	for range 3 {
		eventually(t, "they are linked", func() bool { return synced(a, b) && synced(b, a) }, a, b)
		old := a.mesh.host.Network().ConnsToPeer(b.mesh.ID())
		for _, c := range old {
			c.Close()
		}
		eventually(t, "on a new connection", func() bool {
			now := a.mesh.host.Network().ConnsToPeer(b.mesh.ID())
			return len(now) > 0 && !slices.ContainsFunc(now, func(c network.Conn) bool { return slices.Contains(old, c) })
		}, a, b)
	}
	a.post(id, board.GeneralID(id), 1)
	eventually(t, "posts travel again", func() bool { return b.entries(board.GeneralID(id)) == 1 }, a, b)
}

func TestAddPeer(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id, err := a.mesh.AddPeer(testContext(t), b.mesh.Addrs()[0])
	if err == nil && id != b.mesh.ID() {
		t.Fatal(id)
	}
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{
		"nonsense":                        "expected one like",
		"/ip4/127.0.0.1/udp/4001/quic-v1": "/p2p/",
		a.mesh.Addrs()[0]:                 "own",
		"/ip4/127.0.0.1/tcp/1/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N": "12D3Koo",
	} {
		if _, err := a.mesh.AddPeer(testContext(t), addr); !errors.Is(err, board.ErrMalformed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", addr, err)
		}
	}
	gone := randomKey().Public()
	p, _ := PeerIDOf(gone)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if _, err := a.mesh.AddPeer(ctx, "/ip4/127.0.0.1/tcp/9/p2p/"+p.String()); !errors.Is(err, ErrOffline) {
		t.Error(err)
	}
}

func TestNodeIDsAndPeerIDs(t *testing.T) {
	n := board.NodeID(randomKey().Public())
	p, err := PeerIDOf(n)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := NodeIDOf(p); err != nil || m != n {
		t.Fatal(m, err)
	}
	if !strings.HasPrefix(p.String(), "12D3Koo") {
		t.Fatal(p)
	}
	rsa, err := peer.Decode("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N")
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []peer.ID{"", "x", rsa} {
		if _, err := NodeIDOf(other); !errors.Is(err, board.ErrMalformed) {
			t.Errorf("%q: %v", other, err)
		}
	}
}

func TestBackoffStaysWithinItsBounds(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for n := range 100 {
		for range 100 {
			if d := backoff(n, rnd); d < firstRedial/2 || d > maxRedial {
				t.Fatalf("after %d failures %s", n, d)
			}
		}
	}
}

func TestLossesNameWhoSharesFewerTeams(t *testing.T) {
	x, y, z := board.NodeID{1}, board.NodeID{2}, board.NodeID{3}
	s, u := board.TeamID{1}, board.TeamID{2}
	before := &view{shared: map[board.NodeID][]board.TeamID{x: {s, u}, y: {s}, z: {s}}}
	now := &view{shared: map[board.NodeID][]board.TeamID{x: {u}, z: {s, u}}}
	got := losses(before, now)
	if len(got) != 2 || !got[x].still || got[y].still || !slices.Equal(got[y].teams, []board.TeamID{s}) {
		t.Fatal(got)
	}
}
