package main

import (
	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
)

type unreadOut struct {
	Team    string `json:"team"`
	Board   string `json:"board"`
	Unread  uint64 `json:"unread"`
	TeamID  string `json:"team_id"`
	BoardID string `json:"board_id"`
}

func (a *app) unreadCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "unread [TEAM[/BOARD]]",
		Short:   "How many entries you haven't read",
		Example: "  weft unread\n  weft unread crew --json | jq .boards[0].unread",
		Args:    between(0, "TEAM[/BOARD]"),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			req := &weftv1.UnreadRequest{}
			if len(args) > 0 {
				at, err := parsePlace(args[0])
				if err != nil {
					return err
				}
				req.Team, req.Board = at.team, at.board
			}
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			res, err := call(cmd.Context(), c.Boards.Unread, req)
			if err != nil {
				return err
			}
			boards := make([]unreadOut, len(res.Boards))
			for i, b := range res.Boards {
				boards[i] = unreadOut{b.Team, b.Board, b.Unread, b.TeamId, b.BoardId}
			}
			if a.json {
				return a.printJSON(struct {
					Boards []unreadOut `json:"boards"`
				}{boards})
			}
			return printEach(a, boards, "No boards yet: weft team create NAME, or weft join LINK", "BOARD\tUNREAD", func(b unreadOut) []any {
				return []any{b.Team + "/" + b.Board, b.Unread}
			})
		}),
	}
}

func (a *app) markCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "mark TEAM[/BOARD]",
		Short: "Mark a board, or all boards of a team, as read",
		Example: `  weft mark crew/commits
  weft mark crew          all boards of crew`,
		Args:              exactly("TEAM[/BOARD]"),
		ValidArgsFunction: a.completePlaces,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			at, err := parsePlace(args[0])
			if err != nil {
				return err
			}
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			boards := []place{at}
			if at.board == "" {
				res, err := call(cmd.Context(), c.Boards.ListBoards, &weftv1.ListBoardsRequest{Team: at.team})
				if err != nil {
					return err
				}
				boards = boards[:0]
				for _, b := range res.Boards {
					boards = append(boards, place{b.TeamId, b.BoardId})
				}
			}
			var unread uint64
			for _, b := range boards {
				res, err := call(cmd.Context(), c.Boards.MarkRead, &weftv1.MarkReadRequest{Team: b.team, Board: b.board, All: true})
				if err != nil {
					return err
				}
				unread += res.Unread
			}
			out := struct {
				Unread uint64 `json:"unread"`
			}{unread}
			return a.print(out, func() { a.say("Marked as read; %d unread.", unread) })
		}),
	}
}
