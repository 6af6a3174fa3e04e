package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
	"weft/client"
)

// charterChange is a command that changes the charter.
func (a *app) charterChange(s change, fill func(args []string, req *weftv1.ChangeCharterRequest)) *cobra.Command {
	s.do = func(ctx context.Context, c *client.Client, args []string, wait uint64) (*weftv1.ChangeResponse, error) {
		req := &weftv1.ChangeCharterRequest{Team: args[0], WaitMs: wait}
		fill(args, req)
		return call(ctx, c.Teams.ChangeCharter, req)
	}
	return a.changeCommand(s)
}

func withKeepAs(cmd *cobra.Command, keepAs *string) *cobra.Command {
	cmd.PreRunE = func(*cobra.Command, []string) error { return oneOf("keep-as", *keepAs, settable...) }
	cmd.Flags().StringVar(keepAs, "keep-as", "member", "what they stay: member, muted, reader, removed or banned")
	return cmd
}

// charterRule ends the help text of each change of the charter.
const charterRule = `

A change of the charter counts when the first owner or more than half of all owners have agreed; their nodes agree by
themselves to the first one they see. weft team proposals shows one that still waits.`

func (a *app) teamAdminCommand() *cobra.Command {
	var keepAs string
	return group("admin", "Give or take the power to manage people",
		`  weft team admin add crew ben
  weft team admin remove crew ben --keep-as removed`,
		a.charterChange(change{
			use: "add TEAM USER", short: "Make somebody an admin: they invite, remove, mute and create boards",
			long:    strings.TrimSpace(charterRule),
			example: "  weft team admin add crew ben", args: exactly("TEAM", "USER"), complete: a.completeMembers,
		}, func(args []string, req *weftv1.ChangeCharterRequest) { req.AddAdmins = args[1:2] }),
		withKeepAs(a.charterChange(change{
			use: "remove TEAM USER", short: "Take that power back",
			long: `Takes an admin's power. What they did as one before this node heard of it stays; what they do elsewhere without having
heard of it doesn't count.` + charterRule,
			example: `  weft team admin remove crew ben
  weft team admin remove crew ben --keep-as banned     out of the team, in one step`,
			args: exactly("TEAM", "USER"), complete: a.completeMembers,
		}, func(args []string, req *weftv1.ChangeCharterRequest) {
			req.RemoveAdmins, req.KeepAs = args[1:2], keepAs
		}), &keepAs),
	)
}

func (a *app) teamOwnerCommand() *cobra.Command {
	var keepAs, handoverKeepAs string
	return group("owner", "Add or remove owners, or hand the team over",
		`  weft team owner add crew ben
  weft team owner handover crew ben`,
		a.charterChange(change{
			use: "add TEAM USER", short: "Make somebody an owner",
			long: `Adds an owner, behind those there are. Owners change the charter: who has power, the rules, the end of the team. With two
owners the first one can remove the second, not the other way round; with three or more, more than half of them can
remove the first.` + charterRule,
			example: "  weft team owner add crew ben", args: exactly("TEAM", "USER"), complete: a.completeMembers,
		}, func(args []string, req *weftv1.ChangeCharterRequest) { req.AddOwners = args[1:2] }),
		withKeepAs(a.charterChange(change{
			use: "remove TEAM USER", short: "Take an owner's power",
			long:    `Takes an owner's power.` + charterRule,
			example: "  weft team owner remove crew ben --keep-as removed", args: exactly("TEAM", "USER"), complete: a.completeMembers,
			ask: func(args []string) string {
				return fmt.Sprintf("Take the ownership of team %q from %q?", args[0], args[1])
			},
		}, func(args []string, req *weftv1.ChangeCharterRequest) {
			req.RemoveOwners, req.KeepAs = args[1:2], keepAs
		}), &keepAs),
		withKeepAs(a.charterChange(change{
			use: "handover TEAM USER", short: "Make somebody the first owner in your place",
			long: `USER takes your place among the owners; you stay in the team as what --keep-as says. There is no way back without the
new owner.` + charterRule,
			example: `  weft team owner handover crew ben
  weft team owner handover crew ben --keep-as removed      and leave`,
			args: exactly("TEAM", "USER"), complete: a.completeMembers,
			ask: func(args []string) string { return fmt.Sprintf("Hand team %q over to %q?", args[0], args[1]) },
		}, func(args []string, req *weftv1.ChangeCharterRequest) {
			req.HandoverTo, req.KeepAs = args[1], handoverKeepAs
		}), &handoverKeepAs),
	)
}

func (a *app) teamRelayCommand() *cobra.Command {
	return group("relay", "Nodes that carry a team without being anybody's home in it",
		"  weft team relay add crew 12D3KooW…",
		a.charterChange(change{
			use: "add TEAM NODE", short: "Have a node carry the team: it holds and hands on all boards",
			long: strings.TrimSpace(charterRule), example: "  weft team relay add crew 12D3KooW…", args: exactly("TEAM", "NODE"),
		}, func(args []string, req *weftv1.ChangeCharterRequest) { req.AddRelays = args[1:2] }),
		a.charterChange(change{
			use: "remove TEAM NODE", short: "End that",
			long: strings.TrimSpace(charterRule), example: "  weft team relay remove crew 12D3KooW…", args: exactly("TEAM", "NODE"),
		}, func(args []string, req *weftv1.ChangeCharterRequest) { req.RemoveRelays = args[1:2] }),
	)
}

func (a *app) teamRenameCommand() *cobra.Command {
	return a.charterChange(change{
		use: "rename TEAM NAME", short: "Give a team another name", long: strings.TrimSpace(charterRule),
		example: `  weft team rename crew "night crew"`, args: exactly("TEAM", "NAME"),
	}, func(args []string, req *weftv1.ChangeCharterRequest) { req.Name = args[1] })
}

func (a *app) teamDisbandCommand() *cobra.Command {
	var successor string
	cmd := a.changeCommand(change{
		use:   "disband TEAM",
		short: "End a team",
		long: `Closes a team for good. Everyone in it is told; what was written stays readable to them, and nothing more can be
written. With --successor they are pointed at another team.` + charterRule,
		example: `  weft team disband crew
  weft team disband crew --successor "night crew"`,
		args: exactly("TEAM"),
		ask: func(args []string) string {
			return fmt.Sprintf("Disband team %q for good? Nobody can write in it any more.", args[0])
		},
		do: func(ctx context.Context, c *client.Client, args []string, wait uint64) (*weftv1.ChangeResponse, error) {
			return call(ctx, c.Teams.Disband, &weftv1.DisbandRequest{Team: args[0], Successor: successor, WaitMs: wait})
		},
	})
	cmd.Flags().StringVar(&successor, "successor", "", "the team that goes on in its place: an id or a name")
	return cmd
}

type proposalOut struct {
	CharterID string   `json:"charter_id"`
	Version   uint64   `json:"version"`
	By        string   `json:"by"`
	ByName    string   `json:"by_name"`
	Words     string   `json:"words"`
	Acked     []string `json:"acked"`
	Missing   []string `json:"missing"`
	Valid     bool     `json:"valid"`
	Counts    bool     `json:"counts"`
	Mine      bool     `json:"mine"`
}

func (a *app) teamProposalsCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "proposals TEAM",
		Short:             "Changes of the charter that wait for owners",
		Example:           "  weft team proposals crew",
		Args:              exactly("TEAM"),
		ValidArgsFunction: a.completeTeams,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			res, err := call(cmd.Context(), c.Teams.Proposals, &weftv1.ProposalsRequest{Team: args[0]})
			if err != nil {
				return err
			}
			out := make([]proposalOut, len(res.Proposals))
			for i, p := range res.Proposals {
				out[i] = proposalOut{p.CharterId, p.Version, p.By, p.ByName, p.Words, list(p.Acked), list(p.Missing), p.Valid, p.Counts, p.Mine}
			}
			if !a.json && len(out) > 0 {
				defer a.say("Agree with: weft team agree %s CHARTER", shellWord(args[0]))
			}
			return printEach(a, out, "No change of the charter waits for anybody.", "CHARTER\tBY\tAGREED\tMISSING\tWHAT", func(p proposalOut) []any {
				return []any{shortened(p.CharterID, 9), p.ByName, names(p.Acked), names(p.Missing), p.Words}
			})
		}),
	}
}

// names is a list for a table.
func names(s []string) string {
	if len(s) == 0 {
		return "-"
	}
	return strings.Join(s, ", ")
}

func (a *app) teamAgreeCommand() *cobra.Command {
	return a.changeCommand(change{
		use:   "agree TEAM [CHARTER]",
		short: "Agree to a change of the charter that somebody proposed",
		long: `Signs a proposed charter as this device. An owner's signature makes it count with the others; an admin's helps to decide
between two that were proposed at the same time. Nodes agree by themselves to the first one they see, so this is for a
second one, of which a device never signs two with the same effect.`,
		example: "  weft team agree crew",
		args:    between(1, "TEAM", "CHARTER"),
		do: func(ctx context.Context, c *client.Client, args []string, wait uint64) (*weftv1.ChangeResponse, error) {
			req := &weftv1.AcknowledgeRequest{Team: args[0], WaitMs: wait}
			if len(args) > 1 {
				req.Charter = strings.TrimSuffix(args[1], "…")
			}
			return call(ctx, c.Teams.Acknowledge, req)
		},
	})
}
