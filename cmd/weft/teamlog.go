package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
	"weft/client"
)

type eventOut struct {
	ObjectID   string `json:"object_id"`
	Kind       string `json:"kind"`
	Author     string `json:"author"`
	AuthorName string `json:"author_name"`
	Words      string `json:"words"`
	Status     string `json:"status"`
	Reason     string `json:"reason,omitempty"`
	Rule       string `json:"rule,omitempty"`
	RecordedMs uint64 `json:"recorded_ms"`
	NodeID     string `json:"node_id,omitempty"`
}

func eventOf(e *weftv1.LogEvent) eventOut {
	return eventOut{e.GetObjectId(), e.GetKind(), e.GetAuthor(), e.GetAuthorName(), e.GetWords(), e.GetStatus(), e.GetReason(), e.GetRule(), e.GetRecordedMs(), e.GetNodeId()}
}

// sayEvent is a line of the log; what doesn't count says so and why.
func (a *app) sayEvent(e eventOut) {
	tail := ""
	switch {
	case e.Status == "void":
		tail = "  — doesn't count: " + oneLine(e.Reason)
	case e.Status != "counts":
		tail = "  — waits: " + oneLine(e.Reason)
	}
	a.say("%s %s  %s%s", a.paint(dim, clock(e.RecordedMs, now())), a.paint(dim, shortened(e.ObjectID, 9)), oneLine(e.Words), tail)
}

const logPage = 1000 // the most that Log gives at a time

func (a *app) teamLogCommand() *cobra.Command {
	var last uint64
	cmd := &cobra.Command{
		Use:   "log TEAM",
		Short: "Who changed what in a team, oldest first",
		Long: `Prints what was done to a team, in words, as this node has it: by whom, when, and what became void
and why. All nodes that have the same records say the same of what counts.`,
		Example: `  weft team log crew
  weft team log crew --last 20 --json | jq -r 'select(.status == "void").words'`,
		Args:              exactly("TEAM"),
		ValidArgsFunction: a.completeTeams,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			events, err := teamLog(cmd.Context(), c, args[0], last)
			if err != nil {
				return err
			}
			for i := len(events) - 1; i >= 0; i-- {
				e := eventOf(events[i])
				if err := a.print(e, func() { a.sayEvent(e) }); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	cmd.Flags().Uint64Var(&last, "last", 100, "how many of the newest; as many as you like")
	return cmd
}

// teamLog are the newest events, the newest first.
func teamLog(ctx context.Context, c *client.Client, team string, last uint64) (events []*weftv1.LogEvent, err error) {
	before := ""
	for uint64(len(events)) < last {
		res, err := call(ctx, c.Teams.Log, &weftv1.LogRequest{Team: team, Limit: uint32(min(last-uint64(len(events)), logPage)), Before: before})
		if err != nil {
			return nil, err
		}
		events = append(events, res.Events...)
		if before = res.Before; before == "" {
			break
		}
	}
	return events, nil
}

type whyOut struct {
	Team    string     `json:"team"`
	UserID  string     `json:"user_id"`
	Name    string     `json:"name"`
	Role    string     `json:"role"`
	Words   string     `json:"words"`
	Because []eventOut `json:"because"`
}

func (a *app) teamWhyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "why [TEAM] USER",
		Short: "Why somebody has the role that they have",
		Long: `Explains somebody's present role in a team from the records: what gave it, what was replaced, and what doesn't count.
Without TEAM it does so for each team in which this node knows them.`,
		Example: `  weft team why crew ben
  weft team why ben`,
		Args:              between(1, "TEAM", "USER"),
		ValidArgsFunction: a.completeMembers,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			if len(args) == 2 {
				return a.why(cmd.Context(), c, args[0], args[0], args[1])
			}
			return a.whyEverywhere(cmd.Context(), c, args[0])
		}),
	}
}

func (a *app) whyEverywhere(ctx context.Context, c *client.Client, user string) error {
	res, err := call(ctx, c.Teams.ListTeams, &weftv1.ListTeamsRequest{})
	if err != nil {
		return err
	}
	var unknown error
	found := false
	for _, t := range res.Teams {
		err := a.why(ctx, c, t.TeamId, t.Name, user)
		switch {
		case client.ReasonOf(err) == "NOT_FOUND":
			unknown = err
		case err != nil:
			return err
		default:
			found = true
		}
	}
	if found {
		return nil
	}
	if unknown != nil {
		return unknown
	}
	return fmt.Errorf("couldn't explain the role of %q: this node is in no team", user)
}

func (a *app) why(ctx context.Context, c *client.Client, team, name, user string) error {
	res, err := call(ctx, c.Teams.Why, &weftv1.WhyRequest{Team: team, User: user})
	if err != nil {
		return err
	}
	out := whyOut{Team: name, UserID: res.UserId, Name: res.Name, Role: res.Role, Words: res.Words, Because: []eventOut{}}
	for _, e := range res.Because {
		out.Because = append(out.Because, eventOf(e))
	}
	return a.print(out, func() {
		who := oneLine(out.Name)
		if who == "" {
			who = shortened(out.UserID, 9)
		}
		a.say("%s in %s: %s", a.paint(bold, who), oneLine(name), oneLine(out.Words))
		for _, e := range out.Because {
			a.sayEvent(e)
		}
	})
}

func (a *app) teamReissueCommand() *cobra.Command {
	var show bool
	cmd := a.changeCommand(change{
		use:   "reissue TEAM",
		short: "Do again what you did under a charter that lost",
		long: `When two changes of the charter are made at the same time, one of them wins everywhere. What was done under the other
one doesn't count. weft status tells you if that has happened to something you did; this does it again under the charter
that counts. --list only shows what it would be.`,
		example: `  weft team reissue crew --list
  weft team reissue crew`,
		args: exactly("TEAM"),
		do: func(ctx context.Context, c *client.Client, args []string, wait uint64) (*weftv1.ChangeResponse, error) {
			return call(ctx, c.Teams.Reissue, &weftv1.ReissueRequest{Team: args[0], WaitMs: wait})
		},
	})
	reissue := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if show {
			return action(a.listDropped)(cmd, args)
		}
		return reissue(cmd, args)
	}
	cmd.Flags().BoolVar(&show, "list", false, "show what it is, and do nothing")
	return cmd
}

func (a *app) listDropped(cmd *cobra.Command, args []string) error {
	c, err := a.connect(cmd.Context())
	if err != nil {
		return err
	}
	defer c.Close()
	res, err := call(cmd.Context(), c.Teams.ListDropped, &weftv1.ListDroppedRequest{Team: args[0]})
	if err != nil {
		return err
	}
	type droppedOut struct {
		eventOut
		Reissuable bool `json:"reissuable"`
	}
	for _, d := range res.Acts {
		out := droppedOut{eventOf(d.Event), d.Reissuable}
		if err := a.print(out, func() { a.sayEvent(out.eventOut) }); err != nil {
			return err
		}
	}
	if !a.json && len(res.Acts) == 0 {
		a.say("Nothing that you did was dropped.")
	}
	return a.out.broken()
}
