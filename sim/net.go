package sim

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/marcopolo/simnet"
	"github.com/quic-go/quic-go"
	"go.uber.org/fx"
)

// Link says what happens to packets from one host to another.
type Link struct {
	Latency   time.Duration // one way
	Jitter    time.Duration // up to this much more, evenly; it reorders packets
	Loss      float64       // 0..1
	Duplicate float64       // 0..1
}

// DefaultLink is what every pair of hosts has until told otherwise: a good connection within a country.
var DefaultLink = Link{Latency: 10 * time.Millisecond}

// DefaultBandwidth is what a host can send and receive, in bits per second.
const DefaultBandwidth = 100_000_000

// port is where every host listens.
const port = 4001

// Host is a host of a Net, by number from 0.
type Host int

// Net is a simulated network. Safe for concurrent use.
type Net struct {
	sim *simnet.Simnet

	mu       sync.Mutex
	rnd      *rand.Rand          // guarded by mu
	fallback Link                // guarded by mu
	links    map[[2]Host]Link    // directed; guarded by mu
	cut      map[[2]Host]bool    // directed; guarded by mu
	hosts    map[netip.Addr]Host // guarded by mu
	silent   map[Host]bool       // guarded by mu
	counts   Counts              // guarded by mu
	bytes    map[[2]Host]uint64  // that were to go from one host to another; guarded by mu
}

// Counts says what a Net did to packets.
type Counts struct {
	Sent, Lost, Cut, Duplicated int

	Bare int // bytes of packets that are too small for data: QUIC's acknowledgements and keep-alives
}

// bare is the size up to which a packet has nothing of a stream in it: 23 bytes of header and seal, and an acknowledgement or
// a ping. With data, even the smallest frame of weft's makes it larger.
const bare = 32

// NewNet starts a network whose choices follow seed. Call it inside a synctest bubble; it ends with the test.
func NewNet(tb testing.TB, seed uint64) *Net {
	n := &Net{
		rnd: rand.New(rand.NewPCG(seed, 0)), fallback: DefaultLink,
		links: map[[2]Host]Link{}, cut: map[[2]Host]bool{}, hosts: map[netip.Addr]Host{}, silent: map[Host]bool{}, bytes: map[[2]Host]uint64{},
	}
	n.sim = &simnet.Simnet{LatencyFunc: n.latency, Logger: slog.New(slog.DiscardHandler)}
	n.sim.Start()
	tb.Cleanup(n.sim.Close)
	return n
}

// Address is the multiaddr on which host h listens.
func (n *Net) Address(h Host) string { return fmt.Sprintf("/ip4/%s/udp/%d/quic-v1", ip(h), port) }

// ip is in the 16-byte form: simnet tells addresses apart by their bytes.
func ip(h Host) net.IP { return simnet.IntToPublicIPv4(int(h)).To16() }

// SetLink sets both directions between two hosts.
func (n *Net) SetLink(a, b Host, l Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.links[[2]Host{a, b}], n.links[[2]Host{b, a}] = l, l
}

// SetDefault sets the link of all pairs that SetLink was not called for.
func (n *Net) SetDefault(l Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fallback = l
}

// Cut drops all packets from one host to another, in this direction only.
func (n *Net) Cut(from, to Host) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[[2]Host{from, to}] = true
}

// Partition cuts all links between hosts of different groups. A host in no group keeps its links.
func (n *Net) Partition(groups ...[]Host) {
	for i, g := range groups {
		for _, other := range groups[:i] {
			for _, a := range g {
				for _, b := range other {
					n.Cut(a, b)
					n.Cut(b, a)
				}
			}
		}
	}
}

// Heal undoes every Cut and Partition.
func (n *Net) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cut)
}

// silence drops all that a host sends.
func (n *Net) silence(h Host, on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.silent[h] = on
}

// Counts is what was done to packets so far.
func (n *Net) Counts() Counts {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.counts
}

// Bytes is how many bytes of packets the hosts of one group have sent to those of another, lost ones too.
func (n *Net) Bytes(from, to []Host) (sum uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, f := range from {
		for _, t := range to {
			sum += n.bytes[[2]Host{f, t}]
		}
	}
	return sum
}

// Options put a libp2p host onto the network as host h; it has to listen on Address(h). bandwidth is in bits per second each way, 0 for the default. A
// host that was closed may come back under its number.
func (n *Net) Options(h Host, bandwidth int) []libp2p.Option {
	if bandwidth == 0 {
		bandwidth = DefaultBandwidth
	}
	limit := simnet.LinkSettings{BitsPerSecond: bandwidth}
	listen := func(_ string, a *net.UDPAddr) (net.PacketConn, error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		at := &net.UDPAddr{IP: ip(h), Port: a.Port}
		if at.Port == 0 {
			at.Port = port
		}
		n.hosts[netip.AddrFrom4([4]byte(at.IP.To4()))] = h
		return &conn{SimConn: n.sim.NewEndpoint(at, simnet.NodeBiDiLinkSettings{Uplink: limit, Downlink: limit}), net: n, host: h}, nil
	}
	return []libp2p.Option{
		libp2p.DisableIdentifyAddressDiscovery(), // its timers keep a bubble from ever being idle
		libp2p.QUICReuse(newConnManager,
			quicreuse.OverrideSourceIPSelector(func() (quicreuse.SourceIPSelector, error) { return source(ip(h)), nil }),
			quicreuse.OverrideListenUDP(listen)),
	}
}

// newConnManager closes itself with the host, which libp2p does only for connection managers of its own making.
func newConnManager(l fx.Lifecycle, reset quic.StatelessResetKey, token quic.TokenGeneratorKey, opts ...quicreuse.Option) (*quicreuse.ConnManager, error) {
	m, err := quicreuse.NewConnManager(reset, token, opts...)
	if err != nil {
		return nil, fmt.Errorf("couldn't make QUIC for a simulated host: %w", err)
	}
	l.Append(fx.StopHook(m.Close))
	return m, nil
}

type source net.IP

func (s source) PreferredSourceIPForDestination(*net.UDPAddr) (net.IP, error) { return net.IP(s), nil }

// latency is how long a packet takes. It runs on the network's own goroutine.
func (n *Net) latency(p *simnet.Packet) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.link(n.hostOf(p.From), n.hostOf(p.To))
	d := l.Latency
	if l.Jitter > 0 {
		d += time.Duration(n.rnd.Int64N(int64(l.Jitter)))
	}
	return d
}

// link is called with mu held.
func (n *Net) link(from, to Host) Link {
	if l, ok := n.links[[2]Host{from, to}]; ok {
		return l
	}
	return n.fallback
}

// hostOf is called with mu held; -1 for an address that no host ever had.
func (n *Net) hostOf(a net.Addr) Host {
	if u, ok := a.(*net.UDPAddr); ok {
		if four := u.IP.To4(); four != nil {
			if h, ok := n.hosts[netip.AddrFrom4([4]byte(four))]; ok {
				return h
			}
		}
	}
	return -1
}

// fate is how often a packet arrives: 0, 1 or 2 times.
func (n *Net) fate(from Host, to net.Addr, size int) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.counts.Sent++
	if size <= bare {
		n.counts.Bare += size
	}
	h := n.hostOf(to)
	n.bytes[[2]Host{from, h}] += uint64(size)
	if n.cut[[2]Host{from, h}] || n.silent[from] {
		n.counts.Cut++
		return 0
	}
	l := n.link(from, h)
	if l.Loss > 0 && n.rnd.Float64() < l.Loss {
		n.counts.Lost++
		return 0
	}
	if l.Duplicate > 0 && n.rnd.Float64() < l.Duplicate {
		n.counts.Duplicated++
		return 2
	}
	return 1
}

// conn is a host's socket: what it writes meets its fate first.
type conn struct {
	*simnet.SimConn
	net  *Net
	host Host
}

func (c *conn) WriteTo(p []byte, to net.Addr) (int, error) {
	if u, ok := to.(*net.UDPAddr); ok && len(u.IP) != net.IPv6len {
		to = &net.UDPAddr{IP: u.IP.To16(), Port: u.Port}
	}
	for range c.net.fate(c.host, to, len(p)) {
		if _, err := c.SimConn.WriteTo(p, to); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}
