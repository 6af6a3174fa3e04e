package main

import (
	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
)

func (a *app) joinCommand() *cobra.Command {
	var note string
	cmd := &cobra.Command{
		Use:   "join LINK",
		Short: "Join the team that a link invites to",
		Long: `Joins a team. Returns when the team is usable here, within 20 s; of long boards the newest entries come first, and the
rest goes on arriving (weft sync shows how far it is).

A team may want to approve who comes: then this leaves your request, with the note, and the team appears here as soon as
somebody has approved it. weft team list shows how it stands.`,
		Example: `  weft join weft:…
  weft join weft:… --note "Ben from the second floor"`,
		Args: exactly("LINK"),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			res, err := call(cmd.Context(), c.Teams.Join, &weftv1.JoinTeamRequest{Link: args[0], Note: note})
			if err != nil {
				return err
			}
			out := struct {
				TeamID        string `json:"team_id"`
				Name          string `json:"name"`
				Role          string `json:"role"`
				AlreadyMember bool   `json:"already_member"`
				Entries       uint64 `json:"entries"`
				Asked         bool   `json:"asked,omitempty"`
			}{res.TeamId, res.Name, res.Role, res.AlreadyMember, res.Entries, res.Asked}
			return a.print(out, func() {
				if res.Asked {
					a.say("Asked to be let into team %s: somebody of the team has to approve. weft team list shows how it stands.", oneLine(res.Name))
					return
				}
				if res.AlreadyMember {
					a.say("You are in team %s already, as %s.", oneLine(res.Name), res.Role)
				} else {
					a.say("Joined team %s as %s; %s here.", oneLine(res.Name), res.Role, plural(res.Entries, "entry is", "entries are"))
				}
				a.say("Next: weft read %s --follow", shellWord(res.Name))
			})
		}),
	}
	cmd.Flags().StringVar(&note, "note", "", "who you are, for a team that approves who comes; at most 1,024 bytes")
	return cmd
}
