package p2p

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/x/rate"
	ma "github.com/multiformats/go-multiaddr"
)

// presenceStreams from a peer at a time: the one in use, and the one that takes its place.
const presenceStreams = 2

// Protocols that a node speaks. docs/PROTOCOL.md describes them.
const (
	protocolSync       = "/weft/sync/1.0.0"
	protocolGovernance = "/weft/governance/1.0.0"
	protocolPresence   = "/weft/presence/1.0.0"
	protocolLobby      = "/weft/lobby/1.0.0"
)

// defaultListen is where a node listens if it isn't told: all interfaces, ports of the system's choice.
var defaultListen = []string{
	"/ip4/0.0.0.0/udp/0/quic-v1", "/ip4/0.0.0.0/tcp/0", "/ip6/::/udp/0/quic-v1", "/ip6/::/tcp/0",
}

// newHost makes the libp2p host, not listening yet. Relays, hole punching and AutoNAT stay off.
func newHost(o *Options, g *gater) (host.Host, error) {
	key, err := privateKey(o.Key)
	if err != nil {
		return nil, err
	}
	limits, err := resources(o.Limits)
	if err != nil {
		return nil, err
	}
	// Above the number of connections that the resource manager lets in, so that it trims only what isn't protected.
	conns, err := connmgr.NewConnManager(o.Limits.InboundConns, o.Limits.InboundConns+64, connmgr.WithGracePeriod(time.Minute))
	if err != nil {
		return nil, fmt.Errorf("couldn't make the connection manager: %w", err)
	}
	opts := []libp2p.Option{
		libp2p.Identity(key), libp2p.NoListenAddrs, libp2p.NoTransports,
		libp2p.Transport(libp2pquic.NewTransport),
		// Without SO_REUSEPORT, with which a second daemon could take a port that is in use and get half of its peers.
		libp2p.Transport(tcp.NewTCPTransport, tcp.DisableReuseport()),
		libp2p.ConnectionGater(g), libp2p.ResourceManager(limits), libp2p.ConnectionManager(conns),
		libp2p.DisableRelay(), libp2p.Ping(false), libp2p.UserAgent(o.Agent),
		// Without the detection of black holes: half of a team that is away for minutes looks like one, and then nearly every
		// dial is refused for minutes after they are back. How often dials are made the redial bounds.
		libp2p.UDPBlackHoleSuccessCounter(nil), libp2p.IPv6BlackHoleSuccessCounter(nil),
	}
	if o.Registerer != nil {
		opts = append(opts, libp2p.PrometheusRegisterer(o.Registerer))
	} else {
		opts = append(opts, libp2p.DisableMetrics())
	}
	h, err := libp2p.New(append(opts, o.Libp2p...)...)
	if err != nil {
		return nil, fmt.Errorf("couldn't start the network: %w", err)
	}
	return h, nil
}

// resources states every limit explicitly, since libp2p's defaults scale with the machine's memory.
func resources(l Limits) (network.ResourceManager, error) {
	scaling := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&scaling)
	perPeer := func(proto string, streams int) {
		scaling.AddProtocolPeerLimit(protocolID(proto), rcmgr.BaseLimit{
			Streams: 2 * streams, StreamsInbound: streams, StreamsOutbound: streams, Memory: 64 << 20,
		}, rcmgr.BaseLimitIncrease{})
	}
	perPeer(protocolSync, l.SyncStreams)
	perPeer(protocolGovernance, l.GovernanceStreams)
	perPeer(protocolPresence, presenceStreams)
	perPeer(protocolLobby, 1)
	scaling.AddProtocolLimit(protocolID(protocolLobby), rcmgr.BaseLimit{
		Streams: 2 * l.LobbyConns, StreamsInbound: l.LobbyConns, StreamsOutbound: l.LobbyConns, Memory: 4 << 20,
	}, rcmgr.BaseLimitIncrease{})
	n := rcmgr.LimitVal(l.InboundConns)
	cfg := rcmgr.PartialLimitConfig{
		System: rcmgr.ResourceLimits{
			Conns: 2 * n, ConnsInbound: n, ConnsOutbound: n, FD: 2 * n,
			Streams: 64 * n, StreamsInbound: 32 * n, StreamsOutbound: 32 * n, Memory: 512 << 20,
		},
		Transient: rcmgr.ResourceLimits{
			Conns: 128, ConnsInbound: 64, ConnsOutbound: 64, FD: 128,
			Streams: 256, StreamsInbound: 128, StreamsOutbound: 128, Memory: 32 << 20,
		},
		PeerDefault: rcmgr.ResourceLimits{
			Conns: 8, ConnsInbound: 8, ConnsOutbound: 8, FD: 8,
			Streams: 64, StreamsInbound: 32, StreamsOutbound: 32, Memory: 64 << 20,
		},
	}
	limiter := rcmgr.NewFixedLimiter(cfg.Build(scaling.Scale(1<<30, 4096)))
	opts := []rcmgr.Option{rcmgr.WithMetricsDisabled(), rcmgr.WithConnRateLimiters(connRates())}
	var v4, v6 []rcmgr.NetworkPrefixLimit
	for _, p := range knownPrefixes {
		count := l.ConnsPerPrivateNet
		if p.Addr().IsLoopback() {
			count = 1 << 20
		}
		if limit := (rcmgr.NetworkPrefixLimit{Network: p, ConnCount: count}); p.Addr().Is4() {
			v4 = append(v4, limit)
		} else {
			v6 = append(v6, limit)
		}
	}
	opts = append(opts, rcmgr.WithNetworkPrefixLimit(v4, v6), rcmgr.WithLimitPerSubnet(
		[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: 32}},
		[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: 32}, {PrefixLength: 48, ConnCount: 128}},
	))
	rm, err := rcmgr.NewResourceManager(limiter, opts...)
	if err != nil {
		return nil, fmt.Errorf("couldn't set resource limits: %w", err)
	}
	return rm, nil
}

// knownPrefixes are networks of which many nodes may come from: a machine's own, and an office's or a data centre's.
// libp2p's default of 8 connections and one new one in 5 s for an address would keep such a network's nodes apart.
var knownPrefixes = []netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fe80::/10"),
}

// connRates bounds new connections by address: 2 per second, bursts of 32. In known networks 50 per second.
func connRates() *rate.Limiter {
	l := &rate.Limiter{SubnetRateLimiter: rate.SubnetLimiter{
		IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: rate.Limit{RPS: 2, Burst: 32}}},
		IPv6SubnetLimits: []rate.SubnetLimit{
			{PrefixLength: 56, Limit: rate.Limit{RPS: 2, Burst: 32}}, {PrefixLength: 48, Limit: rate.Limit{RPS: 5, Burst: 128}},
		},
		GracePeriod: time.Minute,
	}}
	for _, p := range knownPrefixes {
		limit := rate.Limit{RPS: 50, Burst: 256}
		if p.Addr().IsLoopback() {
			limit = rate.Limit{} // none
		}
		l.NetworkPrefixLimits = append(l.NetworkPrefixLimits, rate.PrefixLimit{Prefix: p, Limit: limit})
	}
	return l
}

// ports remembers over restarts which port the system chose; addresses in invite links stay good for it.
type ports interface {
	get(key string) (int, bool)
	set(key string, port int)
}

// listen opens the listeners. An address of the defaults that can't be had is logged; one that was asked for is an error.
func listen(h host.Host, asked []string, kept ports, log *slog.Logger) error {
	addrs, must := asked, true
	already := h.Network().ListenAddresses() // by an option of whoever made the Mesh
	if len(addrs) == 0 && len(already) > 0 {
		return nil
	}
	if len(addrs) == 0 {
		addrs, must = defaultListen, false
	}
	chosen := 0
	for _, text := range addrs {
		a, err := ma.NewMultiaddr(text)
		if err != nil {
			return fmt.Errorf("couldn't read listen address %q (expected one like /ip4/0.0.0.0/udp/4001/quic-v1): %w", text, err)
		}
		if containsAddr(already, a) {
			continue
		}
		port, err := listenOn(h, a, chosen, kept, log)
		switch {
		case err == nil:
			chosen = port
		case must && strings.Contains(err.Error(), "address already in use"):
			return fmt.Errorf("couldn't listen on %s: the port is in use by another program; stop it or choose another port: %w", text, err)
		case must:
			return fmt.Errorf("couldn't listen on %s: %w", text, err)
		default:
			log.Warn("not listening on an address", "addr", text, "err", err)
		}
	}
	if len(h.Network().ListenAddresses()) == 0 {
		return errors.New("couldn't listen on any address; name one that this machine has with --listen")
	}
	return nil
}

// listenOn listens on a, and where a leaves the port open, on the kept one, on the one that another transport has got,
// or on any. It returns the port.
func listenOn(h host.Host, a ma.Multiaddr, chosen int, kept ports, log *slog.Logger) (int, error) {
	key, port := portOf(a)
	if port != 0 {
		return port, h.Network().Listen(a)
	}
	last, ok := kept.get(key)
	for _, p := range []int{last, chosen} {
		if p == 0 {
			continue
		}
		if err := h.Network().Listen(withPort(a, p)); err == nil {
			kept.set(key, p)
			return p, nil
		} else if p == last && ok {
			log.Warn("the port used before is taken; choosing another, so addresses in old invite links no longer fit", "port", p, "addr", a.String(), "err", err)
		}
	}
	before := h.Network().ListenAddresses()
	if err := h.Network().Listen(a); err != nil {
		return 0, err
	}
	for _, l := range h.Network().ListenAddresses() {
		if k, p := portOf(l); k == key && p != 0 && !containsAddr(before, l) {
			kept.set(key, p)
			return p, nil
		}
	}
	return 0, nil
}

func containsAddr(list []ma.Multiaddr, a ma.Multiaddr) bool {
	for _, b := range list {
		if b.Equal(a) {
			return true
		}
	}
	return false
}

// portOf is the port of an address and a name for the rest of it.
func portOf(a ma.Multiaddr) (key string, port int) {
	ma.ForEach(a, func(c ma.Component) bool {
		if code := c.Protocol().Code; code == ma.P_UDP || code == ma.P_TCP {
			port, _ = strconv.Atoi(c.Value())
			key += "/" + c.Protocol().Name
		} else {
			key += c.String()
		}
		return true
	})
	return key, port
}

// withPort is a with another port.
func withPort(a ma.Multiaddr, port int) ma.Multiaddr {
	var out ma.Multiaddr
	ma.ForEach(a, func(c ma.Component) bool {
		if code := c.Protocol().Code; code == ma.P_UDP || code == ma.P_TCP {
			p, err := ma.NewComponent(c.Protocol().Name, strconv.Itoa(port))
			if err == nil {
				c = *p
			}
		}
		out = append(out, c)
		return true
	})
	return out
}

// keptPorts keeps ports in the store's settings.
type keptPorts struct{ kv *settings }

func (k keptPorts) get(key string) (int, bool) {
	b, ok := k.kv.get("port" + key)
	port, err := strconv.Atoi(string(b))
	return port, ok && err == nil && port > 0 && port < 1<<16
}

func (k keptPorts) set(key string, port int) { k.kv.set("port"+key, []byte(strconv.Itoa(port))) }
