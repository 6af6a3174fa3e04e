package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
)

type peerOut struct {
	NodeID     string   `json:"node_id"`
	Connected  bool     `json:"connected"`
	Direction  string   `json:"direction"`
	Addresses  []string `json:"addresses"`
	RTTMicros  uint64   `json:"rtt_us"`
	Teams      []string `json:"teams"`
	Users      []string `json:"users"`
	LastSeenMs uint64   `json:"last_seen_ms"`
	RetryInMs  uint64   `json:"retry_in_ms"`
	LastError  string   `json:"last_error"`
	Static     bool     `json:"static"`
	// How this node thinks of one that shares a team with it: alive, suspected, dead, left; empty: it shares none.
	Health        string   `json:"health"`
	HealthSinceMs uint64   `json:"health_since_ms"`
	SuspectedBy   []string `json:"suspected_by"`
}

func peerOf(p *weftv1.Peer) peerOut {
	return peerOut{p.NodeId, p.Connected, p.Direction, list(p.Addresses), p.RttUs, list(p.Teams), list(p.Users), p.LastSeenMs, p.RetryInMs, p.LastError, p.Static,
		p.Health, p.HealthSinceMs, list(p.SuspectedBy)}
}

func (a *app) peersCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "peers",
		Short: "The nodes that this one is connected to or tries to reach",
		Example: `  weft peers
  weft peers --json | jq -r 'select(.connected).node_id'`,
		Args: exactly(),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			res, err := call(cmd.Context(), c.Nodes.ListPeers, &weftv1.ListPeersRequest{})
			if err != nil {
				return err
			}
			peers := make([]peerOut, len(res.Peers))
			for i, p := range res.Peers {
				peers[i] = peerOf(p)
			}
			return printEach(a, peers, "No peers. Invite somebody (weft team invite TEAM), or add a node: weft peer add ADDR", "NODE\tSTATE\tRTT\tHEALTH\tUSERS\tTEAMS\tADDRESS", peerRow)
		}),
	}
}

func peerRow(p peerOut) []any {
	state, addr := connectedWords(p), ""
	if !p.Connected {
		state = "gone, not heard since this node started"
		if p.LastSeenMs > 0 {
			state = "gone, last heard " + clock(p.LastSeenMs, now())
		}
		switch {
		case p.RetryInMs == 0 && len(p.Teams) == 0 && !p.Static:
			state += ", not sought: it shares no team with this node"
		case p.RetryInMs == 0:
			state += ", being tried now"
		default:
			state += ", next try in " + wall(time.Duration(p.RetryInMs)*time.Millisecond)
		}
		if p.LastError != "" {
			state += " (" + shortened(p.LastError, 60) + ")"
		}
	}
	if len(p.Addresses) > 0 {
		addr = p.Addresses[0]
	}
	return []any{p.NodeID, state, rttWords(p), healthWords(p), strings.Join(p.Users, ", "), strings.Join(p.Teams, ", "), addr}
}

func connectedWords(p peerOut) string {
	if !p.Connected {
		return "gone"
	}
	return "connected, " + p.Direction
}

func rttWords(p peerOut) string {
	if !p.Connected || p.RTTMicros == 0 {
		return ""
	}
	return (time.Duration(p.RTTMicros) * time.Microsecond).Round(100 * time.Microsecond).String()
}

// healthWords say since when a node isn't well, and who says so.
func healthWords(p peerOut) string {
	s := p.Health
	if s != "" && s != "alive" && p.HealthSinceMs > 0 {
		s += " since " + clock(p.HealthSinceMs, now())
	}
	if len(p.SuspectedBy) > 0 {
		s += ", doubted by " + nodeNames(p.SuspectedBy)
	}
	return s
}

// shortened cuts text to n characters.
func shortened(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

func (a *app) peerCommand() *cobra.Command {
	add := &cobra.Command{
		Use:   "add ADDR",
		Short: "Stay connected to the node at an address",
		Long:  "Keeps an address, dials it now and again after each loss. ADDR is a multiaddr that ends in /p2p/ID, as weft status shows it.",
		Example: `  weft peer add /ip4/192.0.2.7/udp/4001/quic-v1/p2p/12D3KooW…
  weft peer add "$(ssh server weft status --json | jq -r .listen[0])"`,
		Args: exactly("ADDR"),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			res, err := call(cmd.Context(), c.Nodes.AddPeer, &weftv1.AddPeerRequest{Address: args[0]})
			if err != nil {
				return err
			}
			out := struct {
				NodeID string `json:"node_id"`
			}{res.NodeId}
			return a.print(out, func() { a.say("Added %s. weft peers shows whether it answers.", res.NodeId) })
		}),
	}
	return group("peer", "Add nodes by address", "  weft peer add /ip4/192.0.2.7/udp/4001/quic-v1/p2p/12D3KooW…", add)
}
