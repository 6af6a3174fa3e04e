package main

import (
	"strings"

	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
)

// place is the TEAM[/BOARD] of a command line.
type place struct{ team, board string }

// parsePlace splits at the first slash; without one the board is the team's first.
func parsePlace(s string) (place, error) {
	if name, direct := strings.CutPrefix(s, "@"); direct && name != "" {
		return place{}, notYet("direct conversations aren't", "direct conversations come in a later version; until then, make a team for two")
	}
	t, b, named := strings.Cut(s, "/")
	if t == "" || named && b == "" {
		return place{}, wrongUsage("%q isn't a board: write TEAM or TEAM/BOARD", s)
	}
	return place{t, b}, nil
}

type boardOut struct {
	BoardID string `json:"board_id"`
	Team    string `json:"team"`
	Board   string `json:"board"`
	TeamID  string `json:"team_id"`
	Entries uint64 `json:"entries"`
	Unread  uint64 `json:"unread"`
}

func boardOf(b *weftv1.Board) boardOut {
	return boardOut{b.BoardId, b.Team, b.Name, b.TeamId, b.Entries, b.Unread}
}

func (a *app) boardCommand() *cobra.Command {
	create := &cobra.Command{
		Use:               "create TEAM NAME",
		Short:             "Add a board to a team",
		Example:           "  weft board create crew commits",
		Args:              exactly("TEAM", "NAME"),
		ValidArgsFunction: a.completeTeams,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			res, err := call(cmd.Context(), c.Boards.CreateBoard, &weftv1.CreateBoardRequest{Team: args[0], Name: args[1]})
			if err != nil {
				return err
			}
			out := struct {
				BoardID string `json:"board_id"`
				Team    string `json:"team"`
				Board   string `json:"board"`
			}{res.BoardId, args[0], args[1]}
			return a.print(out, func() {
				a.say("Created board %s/%s. Next: weft post %s \"hello\"", oneLine(args[0]), oneLine(args[1]), shellWord(args[0]+"/"+args[1]))
			})
		}),
	}
	list := &cobra.Command{
		Use:   "list [TEAM]",
		Short: "The boards of a team, or of all teams",
		Example: `  weft board list
  weft board list crew --json`,
		Args:              between(0, "TEAM"),
		ValidArgsFunction: a.completeTeams,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			res, err := call(cmd.Context(), c.Boards.ListBoards, &weftv1.ListBoardsRequest{Team: strings.Join(args, "")})
			if err != nil {
				return err
			}
			boards := make([]boardOut, len(res.Boards))
			for i, b := range res.Boards {
				boards[i] = boardOf(b)
			}
			return printEach(a, boards, "No boards yet: weft team create NAME, or weft join LINK", "BOARD\tUNREAD\tENTRIES\tID", func(b boardOut) []any {
				return []any{b.Team + "/" + b.Board, b.Unread, b.Entries, b.BoardID}
			})
		}),
	}
	return group("board", "Add and list boards", "  weft board create crew commits\n  weft board list crew", create, list)
}
