package p2p

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	madns "github.com/multiformats/go-multiaddr-dns"
	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

// What a member was given twice it isn't given a third time at once, on another stream either.
func TestTheSameRangeIsSentTwice(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	a.letIn(id, b)
	at := a.post(id, board.GeneralID(id), 10).Position
	r := insider(t, a, b)
	ask := func(s network.Stream, fr *frameReader, n uint64, toward uint64) *weftv1.Answer {
		t.Helper()
		w := wantAll(n, id, board.GeneralID(id), at.Origin())
		w.GetWant().Toward.Seq = toward
		send(t, s, w)
		for {
			f, err := fr.readSync()
			if err != nil {
				t.Fatal(err)
			}
			if x := f.GetAnswer(); x != nil && x.Id == n && x.Done {
				return x
			}
		}
	}
	for stream := range uint64(2) {
		s, fr := r.greeted(protocolSync)
		if x := ask(s, fr, 1, 10); (x.Run == nil) != (stream == 1) || (x.Status == weftv1.AnswerStatus_ANSWER_STATUS_BUSY) != (stream == 1) {
			t.Fatalf("stream %d: %v, %d bytes", stream, x.Status, proto.Size(x))
		}
		if stream == 0 {
			if x := ask(s, fr, 2, 10); x.Run == nil {
				t.Fatalf("the second time: %v", x.Status)
			}
		} else if x := ask(s, fr, 3, 9); x.Run == nil {
			t.Fatalf("another range: %v", x.Status)
		}
		s.Reset()
	}
	if a.counters()["refused_total/same_range"] != 1 {
		t.Error("it isn't counted")
	}
}

func TestRangesAreForgotten(t *testing.T) {
	var s sentRanges
	n, now := board.NodeID{1}, time.Now()
	what := func(i int) [32]byte { return [32]byte{byte(i), byte(i >> 8)} }
	for range sameRange {
		s.sent(n, what(0), now)
	}
	if !s.often(n, what(0), now) || s.often(board.NodeID{2}, what(0), now) || s.often(n, what(1), now) {
		t.Fatal("it is this range of this node")
	}
	if s.often(n, what(0), now.Add(repeatTime)) {
		t.Fatal("it is sent again after a while")
	}
	for i := range 10 * keptRanges {
		s.sent(n, what(i), now)
	}
	if got := len(s.byNode[n]); got != keptRanges {
		t.Fatalf("%d ranges are kept", got)
	}
}

// The bounds of libp2p's resource manager hold: connections in all, streams of a protocol and peer.
func TestConnectionsAreLimited(t *testing.T) {
	a := newNode(t, "ada", func(n *testNode) { n.limits.InboundConns = 4 })
	var in int
	for range 8 {
		key := randomKey()
		p, err := PeerIDOf(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		a.mesh.gate.name(p) // not of the lobby's class, which has a smaller bound
		if (&rawPeer{t, rawHost(t, key), a.mesh.ID()}).connect(a) == nil && slices.Contains(a.mesh.host.Network().Peers(), p) {
			in++
		}
	}
	if in != 4 {
		t.Fatalf("%d connections were let in", in)
	}
}

func TestStreamsOfAPeerAreLimited(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	a.letIn(id, b)
	r := insider(t, a, b)
	for proto, most := range map[string]int{protocolSync: 4, protocolGovernance: 2} {
		var open atomic.Int64
		var wg sync.WaitGroup
		for range 3 * most {
			wg.Go(func() { // all stay open
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				s, err := r.h.NewStream(ctx, r.victim, protocolID(proto))
				if err != nil {
					return
				}
				s.SetReadDeadline(time.Now().Add(10 * time.Second))
				if f, err := newFrameReader(noDeadline{s}, 1<<20, time.Minute, 1).readSync(); err == nil && f.GetHello() != nil {
					open.Add(1)
				}
			})
		}
		wg.Wait()
		if got := open.Load(); got != int64(most) {
			t.Errorf("%d streams of %s were open at once", got, proto)
		}
	}
}

// names is DNS for a test: it can be out of order.
type names struct {
	madns.MockResolver
	down atomic.Bool
}

func (n *names) LookupTXT(ctx context.Context, name string) ([]string, error) {
	if n.down.Load() {
		return nil, errors.New("no network")
	}
	return n.MockResolver.LookupTXT(ctx, name)
}

func (n *names) LookupIPAddr(ctx context.Context, name string) ([]net.IPAddr, error) {
	return n.MockResolver.LookupIPAddr(ctx, name)
}

// A node may be named by a DNS name alone. It is found when the name can be looked up, also after a restart without network.
func TestAPeerByItsNameInDNS(t *testing.T) {
	b := newNode(t, "bob")
	dns := &names{}
	for _, addr := range b.mesh.Addrs() {
		if dns.TXT == nil {
			dns.TXT = map[string][]string{}
		}
		dns.TXT["_dnsaddr.bob.example"] = append(dns.TXT["_dnsaddr.bob.example"], "dnsaddr="+addr)
	}
	usual := madns.DefaultResolver
	t.Cleanup(func() { madns.DefaultResolver = usual })
	var err error
	if madns.DefaultResolver, err = madns.NewResolver(madns.WithDefaultResolver(dns)); err != nil {
		t.Fatal(err)
	}
	a := newNode(t, "ada")
	t.Cleanup(a.stop) // before the resolver is the usual one again
	if _, err := a.mesh.AddPeer(testContext(t), "/dnsaddr/nobody.example"); !errors.Is(err, errLookup) {
		t.Fatalf("a name without addresses: %v", err)
	}
	if id, err := a.mesh.AddPeer(testContext(t), "/dnsaddr/bob.example"); err != nil || id != b.mesh.ID() {
		t.Fatal(id, err)
	}
	a.stop()
	dns.down.Store(true)
	a.start()
	connected := func() bool { return a.mesh.host.Network().Connectedness(b.mesh.ID()) == network.Connected }
	if connected() {
		t.Fatal("it was found without DNS")
	}
	dns.down.Store(false)
	eventually(t, "the name is looked up again", connected, a, b)
}
