package main

import (
	"context"

	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
	"weft/client"
)

type requestOut struct {
	Team     string   `json:"team"`
	TeamID   string   `json:"team_id"`
	UserID   string   `json:"user_id"`
	Name     string   `json:"name"`
	Note     string   `json:"note"`
	AskedMs  uint64   `json:"asked_ms"`
	Homes    []string `json:"homes"`
	ObjectID string   `json:"object_id"`
}

func (a *app) teamRequestsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "requests [TEAM]",
		Short: "Who asks to be let in",
		Long: `Lists the people who have asked to join a team whose policy is --join approval, with their notes. Answer with
weft team approve or weft team reject. The name is what the person calls themselves: make sure who it is.`,
		Example: `  weft team requests crew
  weft team approve crew ben`,
		Args:              between(0, "TEAM"),
		ValidArgsFunction: a.completeTeams,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			req := &weftv1.ListRequestsRequest{}
			if len(args) > 0 {
				req.Team = args[0]
			}
			res, err := call(cmd.Context(), c.Teams.ListRequests, req)
			if err != nil {
				return err
			}
			out := make([]requestOut, len(res.Requests))
			for i, r := range res.Requests {
				out[i] = requestOut{r.Team, r.TeamId, r.UserId, r.Name, r.Note, r.AskedMs, list(r.Homes), r.ObjectId}
			}
			return printEach(a, out, "Nobody asks to be let in.", "TEAM\tNAME\tASKED\tNOTE\tUSER", func(r requestOut) []any {
				return []any{r.Team, r.Name, clock(r.AskedMs, now()), r.Note, r.UserID}
			})
		}),
	}
}

func (a *app) teamApproveCommand() *cobra.Command {
	var role string
	cmd := a.changeCommand(change{
		use:     "approve TEAM USER",
		short:   "Let in somebody who asked",
		example: "  weft team approve crew ben",
		args:    exactly("TEAM", "USER"), complete: a.completeRequests,
		check: func([]string) error { return oneOf("role", role, "member", "muted", "reader") },
		do: func(ctx context.Context, c *client.Client, args []string, wait uint64) (*weftv1.ChangeResponse, error) {
			return call(ctx, c.Teams.Approve, &weftv1.ApproveRequest{Team: args[0], User: args[1], Role: role, WaitMs: wait})
		},
	})
	cmd.Flags().StringVar(&role, "role", "member", "what they may do: member, muted or reader")
	return cmd
}

func (a *app) teamRejectCommand() *cobra.Command {
	var reason string
	cmd := a.changeCommand(change{
		use:     "reject TEAM USER",
		short:   "Refuse somebody who asked to be let in",
		long:    `Refuses a request. The person is told, with the reason if there is one, and can't ask again; weft team role TEAM USER member lets them in after all.`,
		example: `  weft team reject crew mallory --reason "I don't know you"`,
		args:    exactly("TEAM", "USER"), complete: a.completeRequests,
		do: func(ctx context.Context, c *client.Client, args []string, wait uint64) (*weftv1.ChangeResponse, error) {
			return call(ctx, c.Teams.Reject, &weftv1.RejectRequest{Team: args[0], User: args[1], Reason: reason, WaitMs: wait})
		},
	})
	return withReason(cmd, &reason)
}
