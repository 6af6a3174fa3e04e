package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
)

type syncOut struct {
	Team              string      `json:"team"`
	Board             string      `json:"board"`
	TeamID            string      `json:"team_id"`
	BoardID           string      `json:"board_id"`
	Behind            uint64      `json:"behind"`
	From              []string    `json:"from"`
	Floor             uint64      `json:"floor"`
	Pending           uint64      `json:"pending"`
	UpToDate          bool        `json:"up_to_date"`
	Unavailable       uint64      `json:"unavailable"`
	HistoryStartsHere bool        `json:"history_starts_here"`
	HistoryArriving   bool        `json:"history_arriving"`
	Entries           uint64      `json:"entries"`
	Governance        bool        `json:"governance"`
	Hidden            []hiddenOut `json:"hidden,omitempty"`
}

// hiddenOut are entries of somebody's device that must exist and that no node has shown.
type hiddenOut struct {
	UserID   string `json:"user_id"`
	User     string `json:"user"`
	DeviceID string `json:"device_id"`
	Missing  uint64 `json:"missing"`
	SinceMs  uint64 `json:"since_ms"`
}

func hiddenOf(hidden []*weftv1.HiddenEntries) (out []hiddenOut) {
	for _, h := range hidden {
		out = append(out, hiddenOut{h.UserId, h.User, h.DeviceId, h.Missing, h.SinceMs})
	}
	return out
}

func (a *app) syncCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "sync [TEAM]",
		Short: "Is everything here? What is missing, and from whom",
		Long: `Says of each board whether this node has everything that it has heard of: how many records it is behind and from which
nodes, whether older history is still arriving or was pruned, and what no connected node has.`,
		Example: `  weft sync
  weft sync crew --json | jq -e .up_to_date`,
		Args:              between(0, "TEAM"),
		ValidArgsFunction: a.completeTeams,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			req := &weftv1.SyncStatusRequest{}
			if len(args) > 0 {
				req.Team = args[0]
			}
			res, err := call(cmd.Context(), c.Nodes.SyncStatus, req)
			if err != nil {
				return err
			}
			boards := make([]syncOut, len(res.Boards))
			for i, b := range res.Boards {
				boards[i] = syncOut{b.Team, b.Board, b.TeamId, b.BoardId, b.Behind, list(b.From), b.FloorHlc, b.Pending, b.UpToDate,
					b.Unavailable, b.HistoryStartsHere, b.HistoryArriving, b.Entries, b.Governance, hiddenOf(b.Hidden)}
			}
			teams, err := call(cmd.Context(), c.Teams.ListTeams, &weftv1.ListTeamsRequest{})
			if err != nil {
				return err
			}
			out := map[string]bool{} // teams of which nothing comes any more
			for _, t := range teams.Teams {
				out[t.TeamId] = teamOf(t).isOut()
			}
			row := func(b syncOut) []any { return syncRow(b, out[b.TeamID]) }
			if err := printEach(a, boards, "No boards yet: weft team create NAME, or weft join LINK", "BOARD\tENTRIES\tSTATE", row); err != nil {
				return err
			}
			boards = slices.DeleteFunc(boards, func(b syncOut) bool { return out[b.TeamID] })
			if a.json || len(boards) == 0 {
				return nil
			}
			a.sayHeard(res, alone(boards, teams.Teams), now())
			return a.out.broken()
		}),
	}
}

// alone says whether none of the boards' teams has another node.
func alone(boards []syncOut, teams []*weftv1.Team) bool {
	shown := map[string]bool{}
	for _, b := range boards {
		shown[b.TeamID] = true
	}
	for _, t := range teams {
		if shown[t.TeamId] && t.Nodes > 1 {
			return false
		}
	}
	return true
}

// sayHeard says how much the states are worth: who is cut off has no news.
func (a *app) sayHeard(res *weftv1.SyncStatusResponse, alone bool, now time.Time) {
	heard := "and nobody was heard since this node started"
	if res.LastHeardMs > 0 {
		ago := time.Duration(now.UnixMilli()-int64(res.LastHeardMs)) * time.Millisecond
		heard = fmt.Sprintf("and the last one was heard %s ago", wall(ago.Round(time.Second)))
	}
	switch {
	case alone:
		a.say("There is no other node yet, so this is all there is.")
	case res.PeersConnected == 0:
		a.say("No peer is connected, %s: there may be news that nobody could tell.", heard)
	}
}

func syncRow(b syncOut, out bool) []any {
	name := b.Team + "/" + b.Board
	if b.Governance {
		name = b.Team + " (members and rules)"
	}
	if out {
		return []any{name, b.Entries, "you are out of the team: what is here stays, nothing more comes"}
	}
	return []any{name, b.Entries, syncState(b)}
}

func syncState(b syncOut) string {
	s := "up to date"
	switch {
	case b.HistoryArriving:
		s = fmt.Sprintf("older history is arriving, %d to go", b.Behind)
	case b.Behind > 0:
		s = fmt.Sprintf("behind by %d", b.Behind)
	case !b.UpToDate:
		s = "not known yet"
	}
	if len(b.From) > 0 {
		s += " from " + nodeNames(b.From)
	}
	if b.Unavailable > 0 {
		s += fmt.Sprintf("; no connected node has %d of them", b.Unavailable)
	}
	if b.Pending > 0 {
		s += fmt.Sprintf("; %d are here and wait for what isn't yet: a right, or what comes before them", b.Pending)
	}
	for _, h := range b.Hidden {
		s += fmt.Sprintf("; %s of %s not heard of from any node since %s: kept back, or on a node that is off", plural(h.Missing, "entry", "entries"), oneLine(h.User), clock(h.SinceMs, now()))
	}
	if b.HistoryStartsHere {
		s += "; history starts here (older entries were pruned)"
	}
	return s
}

// nodeNames names nodes by the end of their ids: all of them begin alike.
func nodeNames(ids []string) string {
	s := ""
	for i, id := range ids {
		if i == 3 {
			return s + fmt.Sprintf(" and %d more", len(ids)-3)
		}
		if i > 0 {
			s += ", "
		}
		s += shortNode(id)
	}
	return s
}

func shortNode(id string) string {
	if len(id) > 8 {
		return "…" + id[len(id)-8:]
	}
	return id
}
