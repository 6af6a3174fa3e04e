package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
	"weft/client"
	"weft/daemon"
)

type policyOut struct {
	Join            string   `json:"join"`
	Visibility      string   `json:"visibility"`
	KeepMs          uint64   `json:"keep_ms"`
	KeepEntries     uint64   `json:"keep_entries"`
	KeepBytes       uint64   `json:"keep_bytes"`
	AuthorPerSecond uint32   `json:"author_per_second"`
	AuthorBurst     uint32   `json:"author_burst"`
	TeamBytes       uint64   `json:"team_bytes"`
	TeamEntries     uint64   `json:"team_entries"`
	Receipts        bool     `json:"receipts"`
	Admitters       []string `json:"admitters"`
}

func policyOf(p *weftv1.Policy) policyOut {
	return policyOut{p.GetJoin(), p.GetVisibility(), p.GetKeepMs(), p.GetKeepEntries(), p.GetKeepBytes(), p.GetAuthorPerSecond(), p.GetAuthorBurst(),
		p.GetTeamBytes(), p.GetTeamEntries(), p.GetReceipts(), list(p.GetAdmitters())}
}

// policyFlags are those of weft team policy; empty: as it is.
type policyFlags struct {
	join, visibility, keep, keepBytes, teamBytes string
	keepEntries, teamEntries                     uint64
	rate, burst                                  uint32
	receipts                                     bool
}

func (a *app) teamPolicyCommand() *cobra.Command {
	var f policyFlags
	var req *weftv1.SetPolicyRequest
	var changing *cobra.Command
	changing = a.changeCommand(change{
		use:   "policy TEAM",
		short: "The rules of a team: who may join, how long entries are kept, how much may be written",
		long: `Without flags it shows the rules; with flags it changes those that are named, which only owners can.

--join says how people come in: link (each link lets in so many people), approval (whoever has the team's link may ask,
an owner or admin answers), open (whoever has the team's link is let in), closed (nobody). Changing to open or approval
prints the team's link.

--keep, --keep-entries and --keep-bytes say what each board keeps; what is older is pruned on all nodes alike.` + charterRule,
		example: `  weft team policy crew
  weft team policy crew --join approval
  weft team policy crew --keep 90d --keep-entries 100000
  weft team policy crew --keep forever --author-rate 5`,
		args: exactly("TEAM"),
		check: func(args []string) (err error) {
			req, err = f.request(changing, args[0])
			return err
		},
		do: func(ctx context.Context, c *client.Client, args []string, wait uint64) (*weftv1.ChangeResponse, error) {
			req.WaitMs = wait
			return call(ctx, c.Teams.SetPolicy, req)
		},
	})
	change := changing.RunE
	changing.RunE = func(cmd *cobra.Command, args []string) error {
		if f.given(cmd) {
			return change(cmd, args)
		}
		return action(a.showPolicy)(cmd, args)
	}
	flags := changing.Flags()
	flags.StringVar(&f.join, "join", "", "how people come in: open, approval, link or closed")
	flags.StringVar(&f.visibility, "visibility", "", "who may learn that the team exists: public, members or hidden")
	flags.StringVar(&f.keep, "keep", "", "how long entries are kept: 90d, 12h, or forever")
	flags.Uint64Var(&f.keepEntries, "keep-entries", 0, "how many entries a board keeps; 0: all")
	flags.StringVar(&f.keepBytes, "keep-bytes", "", "how much a board keeps: 500MiB; 0: all")
	flags.Uint32Var(&f.rate, "author-rate", 0, "entries per second that one author may write; 0: the node's own limit")
	flags.Uint32Var(&f.burst, "author-burst", 0, "entries at once; 0: the node's own limit")
	flags.StringVar(&f.teamBytes, "team-bytes", "", "how much the team may hold in all; 0: the node's own limit")
	flags.Uint64Var(&f.teamEntries, "team-entries", 0, "how many entries the team may hold in all; 0: the node's own limit")
	flags.BoolVar(&f.receipts, "receipts", false, "nodes say when a message was delivered and read")
	return changing
}

var policyNames = []string{"join", "visibility", "keep", "keep-entries", "keep-bytes", "author-rate", "author-burst", "team-bytes", "team-entries", "receipts"}

func (f *policyFlags) given(cmd *cobra.Command) bool {
	for _, n := range policyNames {
		if cmd.Flags().Changed(n) {
			return true
		}
	}
	return false
}

// request has what was given, and leaves out the rest.
func (f *policyFlags) request(cmd *cobra.Command, team string) (*weftv1.SetPolicyRequest, error) {
	req := &weftv1.SetPolicyRequest{Team: team}
	given := cmd.Flags().Changed
	if given("join") {
		if err := oneOf("join", f.join, "open", "approval", "link", "closed"); err != nil {
			return nil, err
		}
		req.Join = &f.join
	}
	if given("visibility") {
		if err := oneOf("visibility", f.visibility, "public", "members", "hidden"); err != nil {
			return nil, err
		}
		req.Visibility = &f.visibility
	}
	if given("keep") {
		ms := uint64(0)
		if f.keep != "forever" && f.keep != "0" {
			age, err := parseAge(f.keep)
			if err != nil {
				return nil, wrongUsage("--keep: %w, or forever", err)
			}
			ms = uint64(age.Milliseconds())
		}
		req.KeepMs = &ms
	}
	for _, s := range []struct {
		flag, text string
		to         **uint64
	}{{"keep-bytes", f.keepBytes, &req.KeepBytes}, {"team-bytes", f.teamBytes, &req.TeamBytes}} {
		if !given(s.flag) {
			continue
		}
		size, err := daemon.ParseSize(s.text)
		if err != nil {
			return nil, wrongUsage("--%s: %w", s.flag, err)
		}
		bytes := uint64(size)
		*s.to = &bytes
	}
	if given("keep-entries") {
		req.KeepEntries = &f.keepEntries
	}
	if given("team-entries") {
		req.TeamEntries = &f.teamEntries
	}
	if given("author-rate") {
		req.AuthorPerSecond = &f.rate
	}
	if given("author-burst") {
		req.AuthorBurst = &f.burst
	}
	if given("receipts") {
		req.Receipts = &f.receipts
	}
	return req, nil
}

func (a *app) showPolicy(cmd *cobra.Command, args []string) error {
	c, err := a.connect(cmd.Context())
	if err != nil {
		return err
	}
	defer c.Close()
	res, err := call(cmd.Context(), c.Teams.GetTeam, &weftv1.GetTeamRequest{Team: args[0]})
	if err != nil {
		return err
	}
	return a.print(policyOf(res.Policy), func() { a.sayPolicy(res.Policy) })
}

func (a *app) sayPolicy(p *weftv1.Policy) {
	a.say("join       %s", p.GetJoin())
	a.say("visibility %s", p.GetVisibility())
	a.say("keep       %s", keepWords(p))
	if w := quotaWords(p); w != "" {
		a.say("limits     %s", w)
	}
	if p.GetReceipts() {
		a.say("receipts   on")
	}
}

// keepWords says what is kept.
func keepWords(p *weftv1.Policy) string {
	words := "for ever"
	if p.GetKeepMs() > 0 {
		words = "for " + ageWords(time.Duration(min(p.KeepMs, 1<<52))*time.Millisecond)
	}
	if p.GetKeepEntries() > 0 {
		words += fmt.Sprintf(", at most %d entries of a board", p.KeepEntries)
	}
	if p.GetKeepBytes() > 0 {
		words += fmt.Sprintf(", at most %s of a board", daemon.Size(p.KeepBytes))
	}
	return words
}

func ageWords(d time.Duration) string {
	if d >= 24*time.Hour && d%(24*time.Hour) == 0 {
		return plural(uint64(d/(24*time.Hour)), "day", "days")
	}
	return d.String()
}

func quotaWords(p *weftv1.Policy) string {
	var parts []string
	if p.GetAuthorPerSecond() > 0 {
		parts = append(parts, strconv.FormatUint(uint64(p.AuthorPerSecond), 10)+" entries a second of one author")
	}
	if p.GetAuthorBurst() > 0 {
		parts = append(parts, strconv.FormatUint(uint64(p.AuthorBurst), 10)+" at once")
	}
	if p.GetTeamEntries() > 0 {
		parts = append(parts, strconv.FormatUint(p.TeamEntries, 10)+" entries in all")
	}
	if p.GetTeamBytes() > 0 {
		parts = append(parts, daemon.Size(p.TeamBytes).String()+" in all")
	}
	if len(parts) == 0 {
		return ""
	}
	return names(parts)
}

func (a *app) teamNodeCommand() *cobra.Command {
	set := func(s change, allowed bool) *cobra.Command {
		s.args, s.complete = exactly("TEAM", "NODE"), a.completeMembers
		s.do = func(ctx context.Context, c *client.Client, args []string, wait uint64) (*weftv1.ChangeResponse, error) {
			return call(ctx, c.Teams.SetNode, &weftv1.SetNodeRequest{Team: args[0], Node: args[1], Allowed: allowed, WaitMs: wait})
		}
		return a.changeCommand(s)
	}
	return group("node", "Keep a machine out of a team, or let it in again",
		`  weft team node deny crew 12D3KooW…
  weft team node allow crew 12D3KooW…`,
		set(change{
			use: "deny TEAM NODE", short: "Keep a node out: nobody of the team gives it anything or takes anything it records",
			long: `Keeps a node out of a team, whoever's home it is: one that was modified, cloned or stolen. What it has recorded before
counts; people whose home it is need another one. NODE is an id (weft team members shows them), or a person who has only
one.`,
			example: "  weft team node deny crew 12D3KooW…",
		}, false),
		set(change{
			use: "allow TEAM NODE", short: "Let a node in again that was denied",
			long: `Lifts a denial, also that of a node which was shown to contradict itself. What it recorded while it was denied
counts again.`,
			example: "  weft team node allow crew 12D3KooW…",
		}, true),
	)
}
