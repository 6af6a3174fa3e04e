package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
)

// maxPayload is what a device may show beside itself, in bytes.
const maxPayload = 1 << 10

func (a *app) presenceSetCommand() *cobra.Command {
	req := &weftv1.SetPresenceRequest{}
	var during time.Duration
	states := []string{"online", "away", "busy", "invisible"}
	cmd := &cobra.Command{
		Use:   "set STATE",
		Short: "Say how you want to be shown: online, away, busy or invisible",
		Long: `Says how the user of this node is shown, in all teams or in one. It outlasts this command and the daemon, until it is
changed or --for is over. online means: as the devices are. Somebody invisible looks like somebody offline, and still sees
the others. What is set for one team goes before what is set for all; --clear takes it back.`,
		Example: `  weft presence set busy --status "in a meeting" --for 1h
  weft presence set invisible --team crew
  weft presence set --clear`,
		Args:      between(0, "STATE"),
		ValidArgs: states,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			switch {
			case req.Clear && (len(args) > 0 || req.Status != "" || during != 0):
				return wrongUsage("--clear takes back what was set, so it goes with --team only")
			case len(args) == 0 && !req.Clear:
				return wrongUsage("STATE is missing: %s", strings.Join(states, ", "))
			}
			if len(args) > 0 {
				if args[0] == "offline" {
					return wrongUsage("nobody can be set offline: use invisible, or stop the node")
				}
				if err := oneOf("STATE", args[0], states...); err != nil {
					return wrongUsage("STATE: %q: use %s", args[0], strings.Join(states, ", "))
				}
				req.State = args[0]
			}
			var err error
			if req.ForMs, err = until(during); err != nil {
				return err
			}
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			res, err := call(cmd.Context(), c.Presence.SetPresence, req)
			if err != nil {
				return err
			}
			out := struct {
				State   string `json:"state"`
				UntilMs uint64 `json:"until_ms"`
			}{res.State, res.UntilMs}
			return a.print(out, func() {
				end := ""
				if res.UntilMs > 0 {
					end = " until " + clock(res.UntilMs, now())
				}
				a.say("You are shown as %s%s.", res.State, end)
			})
		}),
	}
	cmd.Flags().StringVar(&req.Status, "status", "", "a line that others see, at most 256 bytes")
	cmd.Flags().DurationVar(&during, "for", 0, "how long, like 1h (default: until you change it)")
	cmd.Flags().StringVar(&req.Team, "team", "", "in this TEAM only")
	cmd.Flags().BoolVar(&req.Clear, "clear", false, "take back what was set: for the --team, or for all")
	return cmd
}

// reasonOut is one home's word about somebody.
type reasonOut struct {
	TeamID        string           `json:"team_id"`
	Team          string           `json:"team"`
	NodeID        string           `json:"node_id"`
	Self          bool             `json:"self"`
	Health        string           `json:"health"`
	HealthSinceMs uint64           `json:"health_since_ms"`
	SuspectedBy   []string         `json:"suspected_by"`
	LeaseUntilMs  uint64           `json:"lease_until_ms"`
	Says          string           `json:"says"`
	Words         string           `json:"words"`
	Number        uint64           `json:"number"`
	Shown         []shownDeviceOut `json:"device_list,omitempty"`
}

func (a *app) presenceWhyCommand() *cobra.Command {
	req := &weftv1.PresenceWhyRequest{}
	cmd := &cobra.Command{
		Use:   "why USER",
		Short: "Why somebody is shown as they are: what each of their nodes says",
		Example: `  weft presence why ben
  weft presence why ben --team crew`,
		Args: exactly("USER"),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			req.User = args[0]
			res, err := call(cmd.Context(), c.Presence.Why, req)
			if err != nil {
				return err
			}
			out := struct {
				personOut
				Reasons []reasonOut `json:"reasons"`
			}{personOf(res.Shown), []reasonOut{}}
			for _, r := range res.Reasons {
				out.Reasons = append(out.Reasons, reasonOut{r.TeamId, r.Team, r.NodeId, r.Self, r.Health, r.HealthSinceMs, list(r.SuspectedBy),
					r.LeaseUntilMs, r.Says, r.Words, r.Number, devicesOf(r.Devices)})
			}
			return a.print(out, func() {
				a.say("%s is %s", a.paint(bold, oneLine(out.who())), out.stateWords())
				for _, r := range out.Reasons {
					a.say("  %s, node %s: %s", oneLine(r.Team), shortNode(r.NodeID), oneLine(r.Words))
					if len(r.SuspectedBy) > 0 {
						a.say("    doubted by %s since %s", nodeNames(r.SuspectedBy), clock(r.HealthSinceMs, now()))
					}
				}
			})
		}),
	}
	cmd.Flags().StringVar(&req.Team, "team", "", "in this TEAM only (default: all that you share)")
	return cmd
}

func (a *app) presencePayloadCommand() *cobra.Command {
	var erase bool
	cmd := &cobra.Command{
		Use:   "payload FILE|-",
		Short: "Show something beside this device, such as a position, or erase it",
		Long: `Shows up to 1 KiB beside this node's device to the people of your teams: a position with its time, what plays, anything
that holds only now. It is not stored; --erase takes it back. weft presence --devices shows it.`,
		Example: `  echo '{"lat":48.1,"lon":11.6,"time":"12:30"}' | weft presence payload -
  weft presence payload --erase`,
		Args: between(0, "FILE"),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			if erase == (len(args) > 0) {
				return wrongUsage("give a FILE (or - for standard input), or --erase")
			}
			req := &weftv1.ReportRequest{SetPayload: true}
			if !erase {
				var err error
				if req.Payload, err = a.readPayload(args[0]); err != nil {
					return err
				}
			}
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			if _, err := call(cmd.Context(), c.Presence.Report, req); err != nil {
				return err
			}
			out := struct {
				Bytes int `json:"bytes"`
			}{len(req.Payload)}
			return a.print(out, func() {
				if erase {
					a.say("Erased.")
					return
				}
				a.say("Shown beside this device: %s.", plural(uint64(out.Bytes), "byte", "bytes"))
			})
		}),
	}
	cmd.Flags().BoolVar(&erase, "erase", false, "take it back")
	return cmd
}

func (a *app) readPayload(name string) ([]byte, error) {
	in := a.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("couldn't read the payload: %w", err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxPayload+1))
	if err != nil {
		return nil, fmt.Errorf("couldn't read the payload: %w", err)
	}
	if len(b) == 0 {
		return nil, wrongUsage("the payload is empty: use --erase to take back what is shown")
	}
	if len(b) > maxPayload {
		return nil, fmt.Errorf("couldn't show the payload: it has more than %d bytes", maxPayload)
	}
	return b, nil
}
