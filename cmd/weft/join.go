package main

import (
	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
)

func (a *app) joinCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "join LINK",
		Short: "Join the team that a link invites to",
		Long: `Joins a team. Returns when the team is usable here, within 20 s; of long boards the newest entries come first, and the
rest goes on arriving (weft sync shows how far it is).`,
		Example: "  weft join weft:…",
		Args:    exactly("LINK"),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			res, err := call(cmd.Context(), c.Teams.Join, &weftv1.JoinTeamRequest{Link: args[0]})
			if err != nil {
				return err
			}
			out := struct {
				TeamID        string `json:"team_id"`
				Name          string `json:"name"`
				Role          string `json:"role"`
				AlreadyMember bool   `json:"already_member"`
				Entries       uint64 `json:"entries"`
			}{res.TeamId, res.Name, res.Role, res.AlreadyMember, res.Entries}
			return a.print(out, func() {
				if res.AlreadyMember {
					a.say("You are in team %s already, as %s.", oneLine(res.Name), res.Role)
				} else {
					a.say("Joined team %s as %s; %s here.", oneLine(res.Name), res.Role, plural(res.Entries, "entry is", "entries are"))
				}
				a.say("Next: weft read %s --follow", shellWord(res.Name))
			})
		}),
	}
}
