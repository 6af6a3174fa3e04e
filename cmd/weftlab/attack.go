package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/client"
	"weft/sim/attack"
	"weft/team"
)

// attackRun is one `weftlab attack`.
type attackRun struct {
	target, link, socket string
	only                 []string
	seconds              float64
	json, list, powers   bool
}

func attackCommand() *cobra.Command {
	a := &attackRun{}
	c := &cobra.Command{
		Use:   "attack",
		Short: "Lie to a node in every way that the protocol allows",
		Long: `attack is a modified node. Without a link it is a stranger to the target; with one it joins the team as real members with
keys of their own, one for each attack (a node that is caught is banned), and then lies. Make the link at the target, for many
people: weft invite TEAM --uses 200. The team keeps the members and what they recorded: use one made for it.

With --metrics it reads the target's counters, and what it shows, through the target's socket: then it also says which rule
refused what, and at what cost. It exits with 1 if something did not hold.`,
		Example: `  weftlab attack --target /ip4/127.0.0.1/udp/4001/quic-v1/p2p/12D3Koo…
  weftlab attack --target ADDR --link weft:… --metrics DIR/run/weft.sock
  weftlab attack --target ADDR --link weft:… --only signature-burn,fork-in-5 --seconds 10 --json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.run(c.Context(), os.Stdout) },
	}
	f := c.Flags()
	f.StringVar(&a.target, "target", "", "multiaddr of the node, with /p2p/ (weft status names them)")
	f.StringVar(&a.link, "link", "", "an invite link, made at the target; without it only what a stranger can do is tried")
	f.StringVar(&a.socket, "metrics", "", "the target's socket: reads its counters and what it shows")
	f.BoolVar(&a.powers, "powers", false, "with --metrics at an owner's node: make attackers admins and remove them, for the attacks that need it")
	f.StringSliceVar(&a.only, "only", nil, "names of attacks")
	f.Float64Var(&a.seconds, "seconds", 1, "how long each flood goes on")
	f.BoolVar(&a.json, "json", false, "print a JSON object for each attack")
	f.BoolVar(&a.list, "list", false, "say which attacks there are, and end")
	return c
}

func (a *attackRun) run(ctx context.Context, out io.Writer) error {
	if a.list {
		return listAttacks(out)
	}
	if a.target == "" {
		return usageError{errors.New("couldn't attack nobody: name the node with --target")}
	}
	o := attack.Options{Target: a.target, Only: a.only, Seconds: a.seconds}
	if _, err := attack.Select(a.only...); err != nil {
		return usageError{err}
	}
	if a.link != "" {
		l, err := team.ParseLink(a.link)
		if err != nil {
			return usageError{err}
		}
		o.Link = l
	}
	if a.socket != "" {
		w, err := watch(ctx, a.socket, o.Link)
		if err != nil {
			return err
		}
		defer w.client.Close()
		o.Observer = w
		if a.powers && w.team != "" {
			o.Promote, o.Remove = w.promote, w.remove
		}
	}
	results, err := attack.Run(ctx, o, func(r attack.Result) {
		fmt.Fprintf(os.Stderr, "%-22s %s %s\n", r.Name, r.Verdict, r.Why)
	})
	if a.json {
		enc := json.NewEncoder(out)
		for _, r := range results {
			if err := enc.Encode(r); err != nil {
				return fmt.Errorf("couldn't print the results: %w", err)
			}
		}
	} else {
		attackTable(out, results)
	}
	if err != nil {
		return err
	}
	broken := 0
	for _, r := range results {
		if r.Verdict == attack.Broken {
			broken++
		}
	}
	if broken > 0 {
		return fmt.Errorf("%d of %d attacks did harm", broken, len(results))
	}
	return nil
}

func listAttacks(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "attack\tby a\ttries\twhat it does")
	for _, a := range attack.Attacks() {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", a.Name, a.As, a.Row, a.What)
	}
	return t.Flush()
}

// attackTable prints what came of the attacks.
func attackTable(out io.Writer, results []attack.Result) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "attack\tby a\tframes\tsent\tsent back\ttarget's CPU\tits heap\tverdict\trefused by")
	counts := map[attack.Verdict]int{}
	for _, r := range results {
		counts[r.Verdict]++
		by := strings.Join(r.Rules, ", ")
		if r.Why != "" {
			by = strings.TrimPrefix(by+"; ", "; ") + r.Why
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%.0f ms\t%+.1f MiB\t%s\t%s\n", r.Name, r.As, r.Frames, bytesOf(r.Sent), bytesOf(r.Received), r.CPU, r.Heap/(1<<20), r.Verdict, by)
	}
	t.Flush()
	fmt.Fprintf(out, "%d attacks: %d held, %d broken, %d not run\n", len(results), counts[attack.Held], counts[attack.Broken], counts[attack.NotRun])
}

func bytesOf(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}

// watcher sees the target through its socket.
type watcher struct {
	attack.Socket
	client *client.Client
	team   string // that of the link; empty: none
}

func watch(ctx context.Context, socket string, link *weftv1.InviteLink) (*watcher, error) {
	c, err := client.Dial(ctx, client.Options{Socket: socket})
	if err != nil {
		return nil, fmt.Errorf("couldn't reach the target's socket: %w", err)
	}
	w := &watcher{Socket: attack.Socket{Path: socket}, client: c}
	if link != nil {
		w.team = board.TeamID(link.Team).String()
	}
	return w, nil
}

// Shown are the newest texts of the team's first board.
func (w *watcher) Shown(ctx context.Context) (out []string, err error) {
	if w.team == "" {
		return nil, nil
	}
	res, err := w.client.Boards.History(ctx, connect.NewRequest(&weftv1.HistoryRequest{Team: w.team, Limit: 1000}))
	if err != nil {
		return nil, err
	}
	for _, e := range res.Msg.Entries {
		out = append(out, e.Text)
	}
	return out, nil
}

// Roles of the team's people.
func (w *watcher) Roles(ctx context.Context) (map[string]string, error) {
	out := map[string]string{}
	if w.team == "" {
		return out, nil
	}
	res, err := w.client.Teams.ListMembers(ctx, connect.NewRequest(&weftv1.ListMembersRequest{Team: w.team, WithRemoved: true}))
	if err != nil {
		return nil, err
	}
	for _, m := range res.Msg.Members {
		out[m.UserId] = m.Role
	}
	return out, nil
}

func (w *watcher) promote(ctx context.Context, u board.UserID) error {
	res, err := w.client.Teams.ChangeCharter(ctx, connect.NewRequest(&weftv1.ChangeCharterRequest{Team: w.team, AddAdmins: []string{u.String()}}))
	if err == nil && !res.Msg.Counts {
		err = fmt.Errorf("couldn't make an attacker an admin: it waits for %s", res.Msg.WaitsFor)
	}
	return err
}

func (w *watcher) remove(ctx context.Context, u board.UserID) error {
	_, err := w.client.Teams.SetRole(ctx, connect.NewRequest(&weftv1.SetRoleRequest{Team: w.team, User: u.String(), Role: "removed", Reason: "lies"}))
	return err
}

// floods are the attacks that keep a target busiest, for as long as they may.
var floods = []string{
	"frame-endless", "ask-vector-flood", "duplicates", "beat-flood", "governance-flood", "gap-flood", "cred-flood", "message-bomb",
	"vector-unknown-nodes", "push-bad-entry", "want-never-credit", "connection-flood",
}

// floodTime is how long each of them goes on beside honest posts.
const floodTime = 2 * time.Second
