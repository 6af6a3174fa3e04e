package main

import (
	"time"

	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
)

func (a *app) sayCommand() *cobra.Command {
	m := &weftv1.LiveSend{}
	var ttl time.Duration
	cmd := &cobra.Command{
		Use:   "say TEAM[/BOARD] TEXT",
		Short: "Tell those who are there now; nothing is stored",
		Long: `Sends a live message: it reaches the people of the team who are there now, once, and is gone. Who comes later never sees
it; weft watch shows it to those who look. With --to it goes to one person only, to the nodes where they are.

--kind tells programs what it is: typing, cursor, call, … With a kind the text may be left out.`,
		Example: `  weft say crew "standup now"
  weft say crew/general --kind typing
  weft say crew "phone?" --to ben --kind call`,
		Args:              between(1, "TEAM", "TEXT"),
		ValidArgsFunction: a.completePlaces,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			at, err := parsePlace(args[0])
			if err != nil {
				return err
			}
			switch {
			case m.Kind == "" && (len(args) == 1 || args[1] == ""):
				return wrongUsage("TEXT is missing: %s", cmd.UseLine())
			case len(args) == 2:
				m.Body = []byte(args[1])
			}
			if ttl < 0 || ttl > maxLive {
				return wrongUsage("--ttl: %s: use up to %s", ttl, maxLive)
			}
			m.TtlMs, m.Board = uint32(wholeMs(ttl)), at.board
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			res, err := c.Say(cmd.Context(), at.team, m)
			if err != nil {
				return err
			}
			out := struct {
				ID     string `json:"id"`
				People uint32 `json:"people"`
				Nodes  uint32 `json:"nodes"`
				Missed uint32 `json:"missed,omitempty"`
			}{People: res.People, Nodes: res.Nodes, Missed: res.Missed}
			if len(res.Ids) > 0 {
				out.ID = res.Ids[0]
			}
			return a.print(out, func() {
				switch {
				case res.People == 0 && m.Target != "":
					a.say("Said, but %s isn't there.", oneLine(m.Target))
				case res.People == 0:
					a.say("Said, but nobody else is there.")
				default:
					a.say("Said to %s who %s there.", plural(uint64(res.People), "person", "people"), isAre(res.People))
				}
				if res.Missed > 0 {
					a.say("%s didn't get it: out of reach, or too far behind.", plural(uint64(res.Missed), "node", "nodes"))
				}
			})
		}),
	}
	cmd.Flags().StringVar(&m.Kind, "kind", "", "what it is, for programs: typing, cursor, call, … (default: text)")
	cmd.Flags().StringVar(&m.Target, "to", "", "only to this USER")
	cmd.Flags().DurationVar(&ttl, "ttl", 0, "for how long it is worth delivering, up to 5s (default 5s)")
	return cmd
}

// maxLive is how long a live message may be under way.
const maxLive = 5 * time.Second

func isAre(n uint32) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
