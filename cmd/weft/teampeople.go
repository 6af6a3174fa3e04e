package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
	"weft/client"
)

// settable are the roles that weft team role gives; power is given by weft team admin and weft team owner.
var settable = []string{"member", "muted", "reader", "removed", "banned"}

func (a *app) teamRoleCommand() *cobra.Command {
	var reason string
	cmd := a.changeCommand(change{
		use:   "role TEAM USER ROLE",
		short: "Say what somebody may do",
		long: `Gives somebody a role: member (reads and writes), muted (reads; may write again when unmuted), reader, removed or
banned. To lift a removal or a ban, give another role. Admins are made by weft team admin add, owners by weft team owner
add. What somebody wrote before this node heard of the change stays; what they write elsewhere without having heard of
it doesn't count anywhere.`,
		example: `  weft team role crew ben muted --reason "until Monday"
  weft team role crew ben member`,
		args: exactly("TEAM", "USER", "ROLE"), complete: a.completeRole,
		check: func(args []string) error { return checkRole(args[2]) },
		do: func(ctx context.Context, c *client.Client, args []string, wait uint64) (*weftv1.ChangeResponse, error) {
			return call(ctx, c.Teams.SetRole, &weftv1.SetRoleRequest{Team: args[0], User: args[1], Role: args[2], Reason: reason, WaitMs: wait})
		},
	})
	return withReason(cmd, &reason)
}

// checkRole points those who want to give power at the commands that do.
func checkRole(role string) error {
	switch {
	case slices.Contains(settable, role):
		return nil
	case role == "admin", role == "owner":
		return wrongUsage("power is given by the charter: weft team %s add TEAM USER", role)
	}
	return wrongUsage("%q isn't a role: use member, muted, reader, removed or banned", role)
}

func withReason(cmd *cobra.Command, reason *string) *cobra.Command {
	cmd.Flags().StringVar(reason, "reason", "", "why, for everyone in the team and for the person")
	return cmd
}

func (a *app) teamRemoveCommand() *cobra.Command {
	var reason string
	cmd := a.changeCommand(change{
		use:   "remove TEAM USER",
		short: "Take somebody out of a team",
		long: `Takes somebody out of a team. Their nodes are told who did it, and get nothing more. What they had they keep; nothing can
take back what somebody has read. An invite doesn't let them in again: weft team role TEAM USER member does.

A person who is an admin or owner has to lose that first: weft team admin remove TEAM USER --keep-as removed does both.`,
		example: `  weft team remove crew ben --reason "moved to another team"`,
		args:    exactly("TEAM", "USER"), complete: a.completeMembers,
		do: func(ctx context.Context, c *client.Client, args []string, wait uint64) (*weftv1.ChangeResponse, error) {
			return call(ctx, c.Teams.SetRole, &weftv1.SetRoleRequest{Team: args[0], User: args[1], Role: "removed", Reason: reason, WaitMs: wait})
		},
	})
	return withReason(cmd, &reason)
}

func (a *app) teamBanCommand() *cobra.Command {
	var reason string
	cmd := a.changeCommand(change{
		use:   "ban TEAM USER",
		short: "Take somebody out of a team, whoever else promotes them at the same time",
		long: `Like remove, and stronger: where others give the person a role or approve a request at the same time without having
heard of the ban, the ban holds. Lifting it takes an admin who has seen it: weft team role TEAM USER member.`,
		example: `  weft team ban crew eve --reason spam`,
		args:    exactly("TEAM", "USER"), complete: a.completeMembers,
		ask: func(args []string) string { return fmt.Sprintf("Ban %q from team %q?", args[1], args[0]) },
		do: func(ctx context.Context, c *client.Client, args []string, wait uint64) (*weftv1.ChangeResponse, error) {
			return call(ctx, c.Teams.SetRole, &weftv1.SetRoleRequest{Team: args[0], User: args[1], Role: "banned", Reason: reason, WaitMs: wait})
		},
	})
	return withReason(cmd, &reason)
}

func (a *app) teamLeaveCommand() *cobra.Command {
	return a.changeCommand(change{
		use:   "leave TEAM",
		short: "Stop being in a team",
		long: `Ends your membership. What is here stays here, to read; nothing new comes. An owner can't leave: hand the team over
(weft team owner handover), let another owner take your place (weft team owner remove), or weft team disband.`,
		example: "  weft team leave crew",
		args:    exactly("TEAM"),
		do: func(ctx context.Context, c *client.Client, args []string, wait uint64) (*weftv1.ChangeResponse, error) {
			return call(ctx, c.Teams.Leave, &weftv1.LeaveRequest{Team: args[0], WaitMs: wait})
		},
	})
}

func (a *app) teamRecutCommand() *cobra.Command {
	var reason string
	cmd := a.changeCommand(change{
		use:   "recut TEAM USER",
		short: "Mend a removal that made too much of somebody's past void",
		long: `A removal, ban or muting names what its author's node had of the person; what it had not, doesn't count. Where that was
too little (the node was behind), an owner or admin whose node has everything takes the cut again: what this node has
counts again everywhere. The role stays as it is.`,
		example: "  weft team recut crew ben",
		args:    exactly("TEAM", "USER"), complete: a.completeMembers,
		do: func(ctx context.Context, c *client.Client, args []string, wait uint64) (*weftv1.ChangeResponse, error) {
			return call(ctx, c.Teams.Recut, &weftv1.RecutRequest{Team: args[0], User: args[1], Reason: reason, WaitMs: wait})
		},
	})
	return withReason(cmd, &reason)
}

type memberOut struct {
	UserID      string   `json:"user_id"`
	Name        string   `json:"name"`
	Role        string   `json:"role"`
	Homes       []string `json:"homes"`
	Devices     []string `json:"devices"`
	LastHeardMs uint64   `json:"last_heard_ms"`
	Connected   bool     `json:"connected"`
	You         bool     `json:"you"`
	By          string   `json:"by,omitempty"`
	ByName      string   `json:"by_name,omitempty"`
	SinceMs     uint64   `json:"since_ms,omitempty"`
	Reason      string   `json:"reason,omitempty"`
	Left        bool     `json:"left,omitempty"`
}

// heard says when somebody's node was last heard.
func (m memberOut) heard() string {
	switch {
	case m.You:
		return "you"
	case m.Connected:
		return "now"
	case m.LastHeardMs == 0:
		return "-"
	}
	return clock(m.LastHeardMs, now())
}

func (m memberOut) roleWords() string {
	words := m.Role
	if m.Left {
		words = "left"
	}
	if m.ByName != "" && !m.Left {
		words += " by " + m.ByName
	}
	if m.Reason != "" {
		words += ": " + m.Reason
	}
	return words
}

func (a *app) teamMembersCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "members TEAM",
		Short: "Who is in a team, with their roles and nodes",
		Example: `  weft team members crew
  weft team members crew --all          who was removed or banned, too, and by whom`,
		Args:              exactly("TEAM"),
		ValidArgsFunction: a.completeTeams,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			res, err := call(cmd.Context(), c.Teams.ListMembers, &weftv1.ListMembersRequest{Team: args[0], WithRemoved: all})
			if err != nil {
				return err
			}
			members := make([]memberOut, len(res.Members))
			for i, m := range res.Members {
				members[i] = memberOut{m.UserId, m.Name, m.Role, list(m.Homes), list(m.Devices), m.LastHeardMs, m.Connected, m.You, m.By, m.ByName, m.SinceMs, m.Reason, m.Left}
			}
			return printEach(a, members, "Nobody.", "NAME\tROLE\tHEARD\tNODES\tUSER", func(m memberOut) []any {
				return []any{m.Name, m.roleWords(), m.heard(), nodeNames(m.Homes), m.UserID}
			})
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "people who were removed, banned or left, too")
	return cmd
}
