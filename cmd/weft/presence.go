package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
	"weft/client"
)

// personOut is how a person is shown. last_active, like everything that ends in _ms, is in milliseconds since 1970.
type personOut struct {
	UserID     string           `json:"user_id"`
	Name       string           `json:"name"`
	State      string           `json:"state"`
	LastActive uint64           `json:"last_active"`
	SinceMs    uint64           `json:"since_ms"`
	UntilMs    uint64           `json:"until_ms"`
	Status     string           `json:"status"`
	Devices    uint32           `json:"devices"`
	Shown      []shownDeviceOut `json:"device_list,omitempty"`
}

type shownDeviceOut struct {
	Device    string `json:"device"`
	NodeID    string `json:"node_id"`
	State     string `json:"state"`
	Payload   []byte `json:"payload,omitempty"` // base64
	PayloadMs uint64 `json:"payload_ms,omitempty"`
}

type countsOut struct {
	Online       uint32 `json:"online"`
	Away         uint32 `json:"away"`
	Busy         uint32 `json:"busy"`
	Reconnecting uint32 `json:"reconnecting"`
	Offline      uint32 `json:"offline"`
}

type teamPresenceOut struct {
	Type   string      `json:"type,omitempty"` // in streams
	TeamID string      `json:"team_id"`
	Team   string      `json:"team"`
	People []personOut `json:"people"`
	Counts countsOut   `json:"counts"`
}

func personOf(p *weftv1.PersonPresence) personOut {
	out := personOut{UserID: p.UserId, Name: p.Name, State: p.State, LastActive: p.LastActiveMs, SinceMs: p.SinceMs, UntilMs: p.UntilMs, Status: p.Status, Devices: p.Devices}
	out.Shown = devicesOf(p.ShownDevices)
	return out
}

func devicesOf(devices []*weftv1.DevicePresence) (out []shownDeviceOut) {
	for _, d := range devices {
		out = append(out, shownDeviceOut{d.Device, d.NodeId, d.State, d.Payload, d.PayloadMs})
	}
	return out
}

func countsOf(c *weftv1.PresenceCounts) countsOut {
	return countsOut{c.GetOnline(), c.GetAway(), c.GetBusy(), c.GetReconnecting(), c.GetOffline()}
}

func teamPresenceOf(t *weftv1.TeamPresence) teamPresenceOut {
	out := teamPresenceOut{TeamID: t.TeamId, Team: t.Team, People: make([]personOut, len(t.People)), Counts: countsOf(t.Counts)}
	for i, p := range t.People {
		out.People[i] = personOf(p)
	}
	return out
}

func (a *app) presenceCommand() *cobra.Command {
	var follow, devices bool
	var of []string
	cmd := &cobra.Command{
		Use:   "presence [TEAM]",
		Short: "Who is online, away, busy or offline",
		Long: `Shows the people of a team, or of all teams: who is there, since when, when they were last active, and what they say of
themselves. With --follow it goes on with every change, until interrupted; of teams with more than 256 people it then shows
counts, and the people named by --of.

With --json: one object for each team with its people; with --follow then an object for each change. Times are in
milliseconds since 1970.`,
		Example: `  weft presence crew
  weft presence crew --follow
  weft presence crew --json | jq -r '.people[] | select(.state == "online").name'
  weft presence set busy --status "in a meeting" --for 1h`,
		Args:              between(0, "TEAM"),
		ValidArgsFunction: a.completeTeams,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			if follow {
				return interrupted(cmd.Context(), a.followPresence(cmd.Context(), c, client.PresenceOptions{Teams: args, People: of, Devices: devices}))
			}
			req := &weftv1.PresenceSnapshotRequest{People: of, Everybody: len(of) == 0, Devices: devices}
			if len(args) > 0 {
				req.Team = args[0]
			}
			if err := a.showPresence(cmd.Context(), c, req); err != nil || a.json {
				return err
			}
			return a.remindOfInvisible(cmd.Context(), c)
		}),
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what changes, until interrupted")
	cmd.Flags().BoolVar(&devices, "devices", false, "show each person's devices, and what they share")
	cmd.Flags().StringArrayVar(&of, "of", nil, "only this `USER`; may be repeated")
	cmd.AddCommand(a.presenceSetCommand(), a.presenceIdleCommand(), a.presenceWhyCommand(), a.presencePayloadCommand())
	return cmd
}

// showPresence prints teams one after the other. Large ones come in pages.
func (a *app) showPresence(ctx context.Context, c *client.Client, req *weftv1.PresenceSnapshotRequest) error {
	var teams []*weftv1.TeamPresence
	for {
		res, err := call(ctx, c.Presence.Snapshot, req)
		if err != nil {
			return err
		}
		for _, t := range res.Teams {
			if n := len(teams); n > 0 && teams[n-1].TeamId == t.TeamId {
				teams[n-1].People = append(teams[n-1].People, t.People...)
				continue
			}
			teams = append(teams, t)
		}
		if req.After = res.Next; req.After == "" {
			break
		}
	}
	if len(teams) == 0 && !a.json {
		a.say("You are in no team here: weft team create NAME, or weft join LINK")
	}
	slices.SortStableFunc(teams, func(x, y *weftv1.TeamPresence) int { return strings.Compare(x.Team, y.Team) })
	shown := 0
	for _, t := range teams {
		if len(req.People) > 0 && len(t.People) == 0 && !a.json {
			continue // nobody of those who were asked for is in it
		}
		if shown++; shown > 1 && !a.json {
			a.say("")
		}
		if err := a.printTeamPresence(teamPresenceOf(t)); err != nil {
			return err
		}
	}
	return a.out.broken()
}

func (a *app) printTeamPresence(t teamPresenceOut) error {
	if a.json {
		return a.printJSON(t)
	}
	a.say("%s  %s", a.paint(bold, oneLine(t.Team)), t.Counts.words())
	if len(t.People) == 0 {
		return a.out.broken()
	}
	return printEach(a, t.People, "", "NAME\tSTATE\tLAST ACTIVE\tSTATUS", func(p personOut) []any {
		return []any{p.who(), p.stateWords(), p.activeWords(), strings.TrimSpace(p.Status + " " + p.deviceWords())}
	})
}

// words leave out what nobody is.
func (c countsOut) words() string {
	var parts []string
	for _, x := range []struct {
		n    uint32
		name string
	}{{c.Online, "online"}, {c.Busy, "busy"}, {c.Away, "away"}, {c.Reconnecting, "reconnecting"}, {c.Offline, "offline"}} {
		if x.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", x.n, x.name))
		}
	}
	return strings.Join(parts, ", ")
}

func (p personOut) who() string { return nameOr(p.Name, p.UserID) }

func (p personOut) stateWords() string {
	s := p.State
	if p.SinceMs > 0 {
		s += " since " + clock(p.SinceMs, now())
	}
	if p.UntilMs > 0 {
		s += " until " + clock(p.UntilMs, now())
	}
	if p.Devices > 1 {
		s += fmt.Sprintf(", %d devices", p.Devices)
	}
	return s
}

func (p personOut) activeWords() string {
	switch {
	case p.State == "online":
		return "now"
	case p.LastActive == 0:
		return "not known"
	}
	return clock(p.LastActive, now())
}

// deviceWords are the devices in brackets, where they were asked for.
func (p personOut) deviceWords() string {
	var parts []string
	for _, d := range p.Shown {
		s := d.Device + " " + d.State + " at " + shortNode(d.NodeID)
		if len(d.Payload) > 0 {
			s += ": " + shortened(oneLine(string(d.Payload)), 60)
		}
		parts = append(parts, s)
	}
	if len(parts) == 0 {
		return ""
	}
	return "[" + strings.Join(parts, "; ") + "]"
}

// presenceChangeOut is a change in a stream.
type presenceChangeOut struct {
	Type   string `json:"type"`
	TeamID string `json:"team_id"`
	Team   string `json:"team"`
	personOut
	Was   string `json:"was"`
	Cause string `json:"cause"`
}
