package p2p

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// gater decides which connections may exist. Peers are known (they share a team with this node, or its owner named
// them), or they belong to the lobby's class: few at a time, for a short time, with the lobby's protocol only.
type gater struct {
	m *Mesh

	mu struct {
		sync.Mutex
		bans   map[peer.ID]time.Time        // until when
		named  map[peer.ID]bool             // static peers and those added by hand: may connect, get no team's data by it
		guests map[network.Conn]struct{}    // open inbound connections of the lobby's class
		timers map[network.Conn]*time.Timer // that end them
	}
}

func newGater(m *Mesh) *gater {
	g := &gater{m: m}
	g.mu.bans = map[peer.ID]time.Time{}
	g.mu.named = map[peer.ID]bool{}
	g.mu.guests = map[network.Conn]struct{}{}
	g.mu.timers = map[network.Conn]*time.Timer{}
	return g
}

// maxBans bounds the table of bans; the oldest goes first.
const maxBans = 4096

// ban refuses a peer for d.
func (g *gater) ban(p peer.ID, d time.Duration, reason string) {
	if d <= 0 {
		return
	}
	g.m.stats.bans.Inc()
	g.m.log.Warn("not talking to a peer for a while", "peer", p.String(), "for", d, "reason", reason)
	now := g.m.o.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.mu.bans) >= maxBans {
		var oldest peer.ID
		for q, until := range g.mu.bans {
			if now.After(until) || oldest == "" || until.Before(g.mu.bans[oldest]) {
				oldest = q
			}
		}
		delete(g.mu.bans, oldest)
	}
	g.mu.bans[p] = now.Add(d)
}

// banned says whether p is refused at this time.
func (g *gater) banned(p peer.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	until, ok := g.mu.bans[p]
	if ok && g.m.o.Now().After(until) {
		delete(g.mu.bans, p)
		return false
	}
	return ok
}

// name lets a peer connect and be dialled whatever team it is in.
func (g *gater) name(p peer.ID) {
	g.mu.Lock()
	g.mu.named[p] = true
	g.mu.Unlock()
}

func (g *gater) isNamed(p peer.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.named[p]
}

// known says whether p is of the class that isn't the lobby's.
func (g *gater) known(p peer.ID) bool { return g.isNamed(p) || g.m.who.knowsPeer(p) }

// InterceptPeerDial lets only known peers be dialled, so that whoever was removed is left alone.
func (g *gater) InterceptPeerDial(p peer.ID) bool { return !g.banned(p) && g.known(p) }

// InterceptAddrDial lets every address be tried.
func (g *gater) InterceptAddrDial(peer.ID, ma.Multiaddr) bool { return true }

// InterceptAccept leaves the decision to InterceptSecured, when it is known who it is; how many may shake hands at a
// time the resource manager bounds.
func (g *gater) InterceptAccept(network.ConnMultiaddrs) bool { return true }

// InterceptSecured refuses the banned, and strangers when the lobby is full.
func (g *gater) InterceptSecured(dir network.Direction, p peer.ID, _ network.ConnMultiaddrs) bool {
	if g.banned(p) {
		g.m.stats.refused.WithLabelValues("banned").Inc()
		return false
	}
	if dir == network.DirOutbound || g.known(p) {
		return true
	}
	g.mu.Lock()
	full := len(g.mu.guests) >= g.m.o.Limits.LobbyConns
	g.mu.Unlock()
	if full {
		g.m.stats.refused.WithLabelValues("lobby_full").Inc()
	}
	return !full
}

// InterceptUpgraded lets every connection through that came so far.
func (g *gater) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }

// connected notes a connection of the lobby's class and sees to its end, and closes one to a peer that is no teammate any more.
func (g *gater) connected(c network.Conn) {
	if g.known(c.RemotePeer()) {
		return
	}
	if c.Stat().Direction == network.DirOutbound {
		// InterceptPeerDial lets only known peers be dialled: this one has lost its last team since then, perhaps after
		// the loop disconnected it. Nobody else would close the connection.
		g.m.stats.refused.WithLabelValues("lost_while_dialled").Inc()
		go c.Close()
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.mu.guests) >= g.m.o.Limits.LobbyConns { // several came through InterceptSecured at once
		g.m.stats.refused.WithLabelValues("lobby_full").Inc()
		go c.Close()
		return
	}
	g.mu.guests[c] = struct{}{}
	g.mu.timers[c] = time.AfterFunc(g.m.o.Limits.LobbyTime, func() {
		if !g.known(c.RemotePeer()) {
			g.m.stats.refused.WithLabelValues("lobby_time").Inc()
			c.Close()
		}
		g.gone(c)
	})
}

// gone forgets a connection of the lobby's class.
func (g *gater) gone(c network.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t := g.mu.timers[c]; t != nil {
		t.Stop()
		delete(g.mu.timers, c)
	}
	delete(g.mu.guests, c)
}

// upgrade takes those out of the lobby's class that share a team now.
func (g *gater) upgrade() {
	g.mu.Lock()
	guests := make([]network.Conn, 0, len(g.mu.guests))
	for c := range g.mu.guests {
		guests = append(guests, c)
	}
	g.mu.Unlock()
	for _, c := range guests {
		if g.known(c.RemotePeer()) {
			g.gone(c)
		}
	}
}

// stop ends all timers.
func (g *gater) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c, t := range g.mu.timers {
		t.Stop()
		delete(g.mu.timers, c)
	}
}
