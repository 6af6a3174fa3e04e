package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
	"weft/client"
)

// topEvery is how often the page is drawn, and over how long --once measures.
const topEvery = time.Second

// topOut is the page as an object. Rates are bytes a second since the object before.
type topOut struct {
	NodeID      string       `json:"node_id"`
	Name        string       `json:"name"`
	UptimeMs    uint64       `json:"uptime_ms"`
	StorageFull bool         `json:"storage_full"`
	People      countsOut    `json:"people"` // of all teams, each once in each
	Teams       []topTeamOut `json:"teams"`
	Sessions    uint32       `json:"sessions"`
	Watchers    uint32       `json:"watchers"`
	Listeners   uint32       `json:"listeners"`
	SyncStreams uint32       `json:"sync_streams"`
	Peers       []peerOut    `json:"peers"`
	Traffic     []trafficOut `json:"traffic"`
	Behind      []topBehind  `json:"behind"` // boards that are not complete
}

type topTeamOut struct {
	TeamID     string    `json:"team_id"`
	Team       string    `json:"team"`
	People     countsOut `json:"people"`
	TopicPeers uint32    `json:"topic_peers"`
	Behind     uint64    `json:"behind"`
}

type trafficOut struct {
	Kind          string `json:"kind"`
	SentBytes     uint64 `json:"sent_bytes"`
	ReceivedBytes uint64 `json:"received_bytes"`
	SentRate      uint64 `json:"sent_bytes_per_s"`
	ReceivedRate  uint64 `json:"received_bytes_per_s"`
}

type topBehind struct {
	Board  string `json:"board"`
	Behind uint64 `json:"behind"`
}

func (a *app) topCommand() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use:   "top",
		Short: "A page about this node, drawn anew each second",
		Long: `Shows what this node does now: people and sessions, peers with round trip and health, traffic by kind, topics, and what is
still missing of boards. On a terminal the page is drawn anew each second until q or Ctrl-C is typed; anywhere else, and with
--once, it is printed once, with rates measured over a second. With --json it prints an object each second, or one with --once.`,
		Example: `  weft top
  weft top --once --json | jq '.traffic[] | {kind, sent_bytes_per_s}'`,
		Args: exactly(),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			return interrupted(cmd.Context(), a.top(cmd.Context(), c, once || !a.json && !isTerminal(a.out)))
		}),
	}
	cmd.Flags().BoolVar(&once, "once", false, "print it once, with rates measured over a second")
	return cmd
}

func (a *app) top(ctx context.Context, c *client.Client, once bool) error {
	before, err := call(ctx, c.Nodes.GetTraffic, &weftv1.GetTrafficRequest{})
	if err != nil {
		return err
	}
	page := &screen{app: a, live: !once && !a.json}
	defer page.close()
	tick := time.NewTicker(topEvery)
	defer tick.Stop()
	for first := true; ; first = false {
		if !first || !page.live { // a page is drawn at once, and rates follow
			select {
			case <-tick.C:
			case <-ctx.Done():
				return interrupted(ctx, ctx.Err())
			}
		}
		var out topOut
		if out, before, err = a.look(ctx, c, before); err != nil {
			return interrupted(ctx, err)
		}
		switch {
		case a.json:
			err = a.printJSON(out)
		default:
			err = page.draw(out)
		}
		if err != nil || once {
			return err
		}
		if first && page.live { // from here on, so that Ctrl-C ends a wait for the first page as it ends any command
			var giveBack func()
			ctx, giveBack = quitKey(ctx, a.in)
			defer giveBack()
		}
	}
}

// look asks for everything that the page shows.
func (a *app) look(ctx context.Context, c *client.Client, before *weftv1.GetTrafficResponse) (out topOut, traffic *weftv1.GetTrafficResponse, err error) {
	info, err := call(ctx, c.Nodes.GetInfo, &weftv1.GetInfoRequest{})
	if err != nil {
		return out, before, err
	}
	if traffic, err = call(ctx, c.Nodes.GetTraffic, &weftv1.GetTrafficRequest{}); err != nil {
		return out, before, err
	}
	peers, err := call(ctx, c.Nodes.ListPeers, &weftv1.ListPeersRequest{})
	if err != nil {
		return out, before, err
	}
	boards, err := call(ctx, c.Nodes.SyncStatus, &weftv1.SyncStatusRequest{})
	if err != nil {
		return out, before, err
	}
	people, err := call(ctx, c.Presence.Snapshot, &weftv1.PresenceSnapshotRequest{})
	if err != nil {
		return out, before, err
	}
	out = topOut{
		NodeID: info.NodeId, Name: info.Name, UptimeMs: info.UptimeMs, StorageFull: info.StorageFull, Sessions: traffic.Sessions, Watchers: traffic.Watchers,
		Listeners: traffic.Listeners, SyncStreams: traffic.SyncStreams, Peers: []peerOut{}, Traffic: rates(before, traffic), Behind: []topBehind{}, Teams: []topTeamOut{},
	}
	for _, p := range peers.Peers {
		out.Peers = append(out.Peers, peerOf(p))
	}
	behind := map[string]uint64{}
	for _, b := range boards.Boards {
		if b.Behind > 0 {
			behind[b.TeamId] += b.Behind
			out.Behind = append(out.Behind, topBehind{b.Team + "/" + b.Board, b.Behind})
		}
	}
	topics := map[string]uint32{}
	for _, t := range traffic.Topics {
		topics[t.TeamId] = t.Peers
	}
	for _, t := range people.Teams {
		n := countsOf(t.Counts)
		out.People.add(n)
		out.Teams = append(out.Teams, topTeamOut{t.TeamId, t.Team, n, topics[t.TeamId], behind[t.TeamId]})
	}
	return out, traffic, nil
}

func (c *countsOut) add(o countsOut) {
	c.Online += o.Online
	c.Away += o.Away
	c.Busy += o.Busy
	c.Reconnecting += o.Reconnecting
	c.Offline += o.Offline
}

// rates compares two looks at the traffic. A node that was started again between them began at 0.
func rates(before, after *weftv1.GetTrafficResponse) []trafficOut {
	was := map[string]*weftv1.Traffic{}
	over := after.UptimeMs - before.UptimeMs
	if after.UptimeMs < before.UptimeMs {
		over = after.UptimeMs
	} else {
		for _, t := range before.Kinds {
			was[t.Kind] = t
		}
	}
	over = max(over, 1)
	out := []trafficOut{}
	for _, t := range after.Kinds {
		out = append(out, trafficOut{
			t.Kind, t.SentBytes, t.ReceivedBytes,
			(t.SentBytes - min(was[t.Kind].GetSentBytes(), t.SentBytes)) * 1000 / over,
			(t.ReceivedBytes - min(was[t.Kind].GetReceivedBytes(), t.ReceivedBytes)) * 1000 / over,
		})
	}
	return out
}
