package p2p

import (
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"weft/board"
)

// ofTeam is how many of a team's nodes are linked, and when one was last heard.
func (p *peering) ofTeam(t board.TeamID) (linked int, last time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.mu.targets {
		if !x.isNode || !slices.Contains(p.m.who.view.Load().shared[x.node], t) {
			continue
		}
		if x.link[0] != nil {
			linked++
		}
		if at := p.lastSeen(x.id); at.After(last) {
			last = at
		}
	}
	return linked, last
}

// mayCome says whether some node of the team might be there in a moment: it is connected or being dialled, or hasn't
// been dialled yet.
func (p *peering) mayCome(t board.TeamID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.mu.targets {
		if !x.isNode || x.node == p.m.self || !slices.Contains(p.m.who.view.Load().shared[x.node], t) {
			continue
		}
		if x.busy || x.lastErr == "" || p.m.host.Network().Connectedness(x.id) == network.Connected {
			return true
		}
	}
	return false
}

func (p *peering) list() []PeerInfo {
	p.mu.Lock()
	out := make([]PeerInfo, 0, len(p.mu.targets))
	v := p.m.who.view.Load()
	for _, t := range p.mu.targets {
		i := PeerInfo{
			ID: t.id, Static: t.static, LastSeen: p.lastSeen(t.id), LastError: t.lastErr, NextDial: t.next,
			Synced: t.link[0] != nil && t.link[1] != nil, Teams: slices.Clone(v.shared[t.node]),
		}
		p.m.probes.show(t.node, &i)
		out = append(out, i)
	}
	p.mu.Unlock()
	for i := range out {
		p.m.connInfo(&out[i])
		if out[i].Connected {
			out[i].NextDial, out[i].LastError = time.Time{}, ""
			if s := p.signsOf(out[i].ID); s.silentFor() > silentTime { // somebody wants to know
				p.ask(out[i].ID, probeTime)
			}
		}
	}
	slices.SortFunc(out, func(a, b PeerInfo) int {
		if a.Connected != b.Connected {
			if a.Connected {
				return -1
			}
			return 1
		}
		return strings.Compare(a.ID.String(), b.ID.String())
	})
	return out
}
