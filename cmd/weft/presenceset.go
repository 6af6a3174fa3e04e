package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
	"weft/client"
)

// maxPayload is what a device may show beside itself, in bytes.
const maxPayload = 1 << 10

func (a *app) presenceSetCommand() *cobra.Command {
	req := &weftv1.SetPresenceRequest{}
	var during time.Duration
	states := []string{"online", "away", "busy", "invisible"}
	cmd := &cobra.Command{
		Use:   "set [STATE]",
		Short: "Say how you want to be shown: online, away, busy or invisible",
		Long: `Says how the user of this node is shown, in all teams or in one. It outlasts this command and the daemon, until it is
changed or --for is over. online means: as the devices are. Somebody invisible looks like somebody offline, and still sees
the others. What is set for one team goes before what is set for all; --clear takes it back.

Without anything it shows what is set.`,
		Example: `  weft presence set busy --status "in a meeting" --for 1h
  weft presence set invisible --team crew
  weft presence set --clear`,
		Args:      between(0, "STATE"),
		ValidArgs: states,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			switch flags := cmd.Flags(); {
			case flags.Changed("team") && req.Team == "":
				return wrongUsage("--team: it is empty, and this would be set for all teams: give a TEAM, or leave it out")
			case len(args) == 0 && !flags.Changed("status") && !flags.Changed("for") && !flags.Changed("team") && !req.Clear:
				return a.showSettings(cmd.Context())
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
				a.say("You are shown as %s%s%s.", res.State, end, shownWords(req.State, res.State))
			})
		}),
	}
	cmd.Flags().StringVar(&req.Status, "status", "", "a line that others see, at most 256 bytes")
	cmd.Flags().DurationVar(&during, "for", 0, "how long, like 1h (default: until you change it)")
	cmd.Flags().StringVar(&req.Team, "team", "", "in this TEAM only")
	cmd.Flags().BoolVar(&req.Clear, "clear", false, "take back what was set: for the --team, or for all")
	return cmd
}

// shownWords explain how somebody is shown who has set something.
func shownWords(set, shown string) string {
	switch {
	case set == "invisible":
		return ", and still see the others"
	case shown == "offline":
		return ": nothing of yours is there now, or you are invisible, or this node shows nobody (weft presence set, weft doctor)"
	}
	return ""
}

// settingOut is something that the user has set.
type settingOut struct {
	TeamID  string `json:"team_id"` // empty: for all teams
	Team    string `json:"team"`
	State   string `json:"state"`
	Status  string `json:"status"`
	UntilMs uint64 `json:"until_ms"`
}

func (s settingOut) words() string {
	out := "In all teams: "
	if s.TeamID != "" {
		out = "In team " + oneLine(nameOr(s.Team, s.TeamID)) + ": "
	}
	out += s.State
	if s.UntilMs > 0 {
		out += " until " + clock(s.UntilMs, now())
	}
	if s.Status != "" {
		out += ": " + oneLine(s.Status)
	}
	return out
}

func (a *app) settings(ctx context.Context, c *client.Client) (out []settingOut, err error) {
	res, err := call(ctx, c.Presence.Settings, &weftv1.PresenceSettingsRequest{})
	if err != nil {
		return nil, err
	}
	for _, s := range res.Settings {
		out = append(out, settingOut{s.TeamId, s.Team, s.State, s.Status, s.UntilMs})
	}
	return out, nil
}

// showSettings prints what the user has set.
func (a *app) showSettings(ctx context.Context) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	all, err := a.settings(ctx, c)
	if err != nil {
		return err
	}
	for _, s := range all {
		if err := a.print(s, func() { a.say("%s", s.words()) }); err != nil {
			return err
		}
	}
	if len(all) == 0 && !a.json {
		a.say("Nothing is set: you are shown as your devices are. weft presence set STATE (online, away, busy, invisible) sets something.")
	}
	return a.out.broken()
}

// remindOfInvisible tells somebody who looks at who is there that they themselves can't be seen: it is shown nowhere else.
func (a *app) remindOfInvisible(ctx context.Context, c *client.Client) error {
	all, err := a.settings(ctx, c)
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.State == "invisible" {
			a.note("you are invisible: %s. weft presence set online, or --clear, ends it", s.words())
		}
	}
	return nil
}

// until is how long a state is to hold, in milliseconds.
func until(d time.Duration) (uint64, error) {
	if d < 0 {
		return 0, wrongUsage("--for: %s is less than nothing", d)
	}
	return wholeMs(d), nil
}

// wholeMs is a duration in milliseconds, rounded up: where 0 means something else, little must not become nothing.
func wholeMs(d time.Duration) uint64 { return uint64((d + time.Millisecond - 1) / time.Millisecond) }

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

func (a *app) presenceIdleCommand() *cobra.Command {
	var during time.Duration
	var over bool
	cmd := &cobra.Command{
		Use:   "idle",
		Short: "Report that nobody uses this machine, which shows its user as away",
		Long: `For the hooks that desktops run when nobody uses them, and when somebody does again. The user is shown as away while no
other device of theirs is used, and online with --over. It holds until it is reported otherwise or the daemon stops.`,
		Example: `  weft presence idle --for 5m
  weft presence idle --over
  swayidle timeout 300 'weft presence idle --for 5m' resume 'weft presence idle --over'`,
		Args: exactly(),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			if over && during != 0 {
				return wrongUsage("--for says how long nobody has used it, --over that somebody does: give one of them")
			}
			ms, err := until(during)
			if err != nil {
				return err
			}
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			if _, err := call(cmd.Context(), c.Presence.Report, &weftv1.ReportRequest{Idle: !over, IdleMs: ms}); err != nil {
				return err
			}
			out := struct {
				Idle   bool   `json:"idle"`
				IdleMs uint64 `json:"idle_ms"`
			}{!over, ms}
			return a.print(out, func() {
				if over {
					a.say("Reported: somebody uses this machine.")
					return
				}
				a.say("Reported: nobody uses this machine.")
			})
		}),
	}
	cmd.Flags().DurationVar(&during, "for", 0, "for how long nobody has, like 5m")
	cmd.Flags().BoolVar(&over, "over", false, "somebody uses it again")
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
