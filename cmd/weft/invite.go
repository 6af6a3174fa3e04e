package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
	"weft/client"
	"weft/team"
)

// inviteFlags are those of weft team invite.
type inviteFlags struct {
	role, expires, revoke string
	uses                  uint32
	admit, list           bool
}

func (a *app) teamInviteCommand() *cobra.Command {
	var f inviteFlags
	revoke := a.changeCommand(change{
		use: "invite TEAM", args: exactly("TEAM"),
		do: func(ctx context.Context, c *client.Client, args []string, wait uint64) (*weftv1.ChangeResponse, error) {
			return call(ctx, c.Teams.RevokeInvite, &weftv1.RevokeInviteRequest{Team: args[0], Invite: strings.TrimSuffix(f.revoke, "…"), WaitMs: wait})
		},
	})
	cmd := &cobra.Command{
		Use:   "invite TEAM",
		Short: "Make a link with which others join; list and withdraw such links",
		Long: `Prints a link. Whoever holds it can join, so send it over a channel that you trust. This node must be reachable while
the link is used, since it is the one that admits.

In a team whose policy is --join approval the link only lets people ask, unless --admit is given; in one with --join
open it is the team's one link, for everyone. Withdrawing a link keeps those in the team who came by it.`,
		Example: `  weft team invite crew
  weft team invite crew --uses 20 --expires 30d
  weft team invite crew --role reader
  weft team invite crew --list
  weft team invite crew --revoke nu3v6k2wq`,
		Args:              exactly("TEAM"),
		ValidArgsFunction: a.completeTeams,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			switch {
			case f.list && f.revoke != "":
				return wrongUsage("--list and --revoke don't go together")
			case f.list:
				return a.listInvites(cmd.Context(), args[0])
			case f.revoke != "":
				return revoke.RunE(cmd, args)
			}
			return a.invite(cmd.Context(), args[0], f)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.role, "role", "member", "what they may do: member (write) or reader")
	flags.Uint32Var(&f.uses, "uses", 1, "how many people may use the link, at most 1000")
	flags.StringVar(&f.expires, "expires", "7d", "how long the link is good: 30m, 48h, 7d")
	flags.BoolVar(&f.admit, "admit", false, "in a team that asks for approval: a link that lets in without it")
	flags.BoolVar(&f.list, "list", false, "show the links that were not withdrawn, and how often each was used")
	flags.StringVar(&f.revoke, "revoke", "", "withdraw a link: its id, or the beginning of it, as --list shows it")
	return cmd
}

func (a *app) listInvites(ctx context.Context, team string) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	res, err := call(ctx, c.Teams.ListInvites, &weftv1.ListInvitesRequest{Team: team})
	if err != nil {
		return err
	}
	return printEach(a, invitesOf(res.Invites), "No links: weft team invite "+shellWord(team)+" makes one", "INVITE\tROLE\tUSED\tGOOD\tBY", func(i inviteOut) []any {
		return []any{shortened(i.InviteID, 9), i.Role, fmt.Sprintf("%d of %d", i.Used, i.Quota), i.good(now()), i.By}
	})
}

func (a *app) invite(ctx context.Context, name string, f inviteFlags) error {
	if err := oneOf("role", f.role, "member", "reader"); err != nil {
		return err
	}
	if f.uses < 1 || f.uses > team.MaxQuota {
		return wrongUsage("--uses: %d: a link is for 1 to %d people; make several links for more", f.uses, team.MaxQuota)
	}
	age, err := parseAge(f.expires)
	if err != nil {
		return wrongUsage("--expires: %w", err)
	}
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	res, err := call(ctx, c.Teams.CreateInvite, &weftv1.CreateInviteRequest{Team: name, Role: f.role, Uses: f.uses, ExpiresInMs: uint64(age.Milliseconds()), Admit: f.admit})
	if err != nil {
		return err
	}
	out := struct {
		Link      string `json:"link"`
		InviteID  string `json:"invite_id"`
		ExpiresMs uint64 `json:"expires_ms"`
		Ask       bool   `json:"ask,omitempty"`
	}{res.Link, res.InviteId, res.ExpiresMs, res.Ask}
	if err := a.print(out, func() { a.say("%s", res.Link) }); err != nil {
		return err
	}
	if !a.json {
		a.noteLink(res, f.uses)
	}
	return nil
}

// noteLink says beside the link how far it goes.
func (a *app) noteLink(res *weftv1.CreateInviteResponse, uses uint32) {
	switch {
	case res.Ask:
		a.note("with this link people ask to be let in: weft join LINK --note TEXT; weft team requests shows them")
	case res.ExpiresMs == 0:
		a.note("with this link everyone can join, as long as the team is open")
	case isTerminal(a.err):
		a.note("good for %s until %s; on the other machine: weft join LINK", plural(uint64(max(uses, 1)), "person", "people"),
			clock(res.ExpiresMs, now().Add(-24*time.Hour)))
	}
	switch reach, err := linkReach(res.Link); {
	case err != nil || reach == reachFar:
	case reach == reachNone:
		a.note("the link names no address of this node, so the other node must know one already (weft peer add)")
	default:
		a.note("the addresses in the link are loopback ones: only nodes on this machine can use it (see weft run --listen)")
	}
}
