package p2p

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	ma "github.com/multiformats/go-multiaddr"
	madns "github.com/multiformats/go-multiaddr-dns"

	"weft/board"
)

// want makes a peer one to stay connected to.
func (p *peering) want(info peer.AddrInfo) {
	p.m.gate.name(info.ID)
	p.m.host.Peerstore().AddAddrs(info.ID, info.Addrs, peerstore.PermanentAddrTTL)
	p.m.host.ConnManager().Protect(info.ID, "named")
	p.mu.Lock()
	t := p.mu.targets[info.ID]
	if t == nil {
		t = &target{id: info.ID}
		t.node, _ = NodeIDOf(info.ID)
		p.mu.targets[info.ID] = t
	}
	t.static = true
	t.fails, t.next = 0, time.Time{}
	p.mu.Unlock()
	p.nudge()
}

// AddPeer connects to a peer and stays connected, over restarts too. addr is a multiaddr with /p2p/, or a /dnsaddr/ one.
func (m *Mesh) AddPeer(ctx context.Context, addr string) (peer.ID, error) {
	info, err := m.peers.add(ctx, addr, true)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	if err := m.connect(ctx, info); err != nil {
		m.log.Info("couldn't reach a peer that was added; it is tried again", "peer", info.ID.String(), "err", err)
		return info.ID, fmt.Errorf("couldn't reach node %s yet (%w): is it running, and its address right? The address is kept and tried again from time to time: %w",
			info.ID, unreached(err), ErrOffline)
	}
	return info.ID, nil
}

// ErrOffline says that a node didn't answer at any address: it is off, or this machine has no network.
var ErrOffline = errors.New("nobody answers there")

// errLookup says that a name gave no address; it may later.
var errLookup = fmt.Errorf("%w: is the name right, and does this machine have a network?", ErrOffline)

// addAlways adds a peer that was named earlier. A name without an id is looked up until there is an answer, in the background.
func (p *peering) addAlways(ctx context.Context, text string) {
	a, err := ma.NewMultiaddr(strings.TrimSpace(text))
	if _, id := peer.SplitAddr(a); err != nil || id != "" || !madns.Matches(a) {
		if _, err := p.add(ctx, text, false); err != nil {
			p.m.log.Warn("couldn't use a static peer", "addr", text, "err", err)
		}
		return
	}
	p.wg.Go(func() {
		timer := time.NewTimer(0)
		defer timer.Stop()
		for wait := firstRedial; ; wait = min(2*wait, maxRedial) {
			select {
			case <-timer.C:
			case <-ctx.Done():
				return
			}
			_, err := p.add(ctx, text, false)
			if !errors.Is(err, errLookup) {
				if err != nil {
					p.m.log.Warn("couldn't use a static peer", "addr", text, "err", err)
				}
				return
			}
			p.m.log.Debug("couldn't look up a static peer yet", "addr", text, "err", err)
			timer.Reset(wait)
		}
	})
}

func (p *peering) add(ctx context.Context, text string, keep bool) (info peer.AddrInfo, err error) {
	a, err := ma.NewMultiaddr(strings.TrimSpace(text))
	if err != nil {
		return info, fmt.Errorf("couldn't read address %q (expected one like /ip4/192.0.2.1/udp/4001/quic-v1/p2p/12D3Koo…): %v: %w", text, err, board.ErrMalformed)
	}
	all := []ma.Multiaddr{a}
	if _, id := peer.SplitAddr(a); id == "" && madns.Matches(a) {
		ctx, cancel := context.WithTimeout(ctx, dialTime)
		defer cancel()
		if all, err = madns.DefaultResolver.Resolve(ctx, a); err != nil {
			return info, fmt.Errorf("couldn't look up %q: %w: %w", text, err, errLookup)
		}
		if len(all) == 0 {
			return info, fmt.Errorf("couldn't look up %q: its name has no addresses with /p2p/ in DNS: %w", text, errLookup)
		}
	}
	infos, err := peer.AddrInfosFromP2pAddrs(all...)
	if err != nil || len(infos) == 0 {
		return info, fmt.Errorf("couldn't use address %q: it doesn't end with /p2p/ and the node's id: %w", text, board.ErrMalformed)
	}
	for _, i := range infos {
		if i.ID == p.m.host.ID() {
			return info, fmt.Errorf("couldn't use address %q: it is this node's own: %w", text, board.ErrMalformed)
		}
		if _, err := NodeIDOf(i.ID); err != nil {
			return info, err
		}
		p.want(i)
		if keep {
			p.m.kv.set("static/"+i.ID.String(), []byte(text))
		}
	}
	return infos[0], nil
}
