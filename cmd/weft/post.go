package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
	"weft/client"
)

type postOut struct {
	EntryID     string `json:"entry_id"`
	Origin      string `json:"origin"`
	Seq         uint64 `json:"seq"`
	State       string `json:"state"`
	Replicated  uint32 `json:"replicated"`
	Nodes       uint32 `json:"nodes"`
	Duplicate   bool   `json:"duplicate"`
	HLC         uint64 `json:"hlc,string"` // above 2^53, which jq and JavaScript round
	ClientMsgID string `json:"client_msg_id"`
}

func postOf(r *weftv1.PostResult, id string) postOut {
	return postOut{r.EntryId, r.Origin, r.Seq, r.State, r.Replicated, r.Nodes, r.Duplicate, r.Hlc, id}
}

// postFlags are the flags of weft post.
type postFlags struct {
	wait      string
	waitNodes uint32
	id        string
	replyTo   string
	timeout   time.Duration
}

func (a *app) postCommand() *cobra.Command {
	var f postFlags
	cmd := &cobra.Command{
		Use:   "post TEAM[/BOARD] TEXT|-",
		Short: "Write to a board",
		Long: `Writes an entry and returns when it is on this node's disk. With - each line of standard input becomes an entry; lines
go in batches, in their order, and posting slows down by itself where the node asks for it. Empty lines are left out.

--id makes a repetition harmless: an entry with the same id shows once, at whatever node it is repeated. With - the entries
get ID/1, ID/2 and so on, so that a feed which broke off can simply be run again.

With --json, hlc is text: as a number it is more than jq and JavaScript can hold.`,
		Example: `  weft post crew "hello"
  weft post crew/commits "built" --wait replicated --wait-nodes 2
  git log --reverse --format='%h %s' | weft post crew/commits - --id import-1`,
		Args:              exactly("TEAM[/BOARD]", "TEXT"),
		ValidArgsFunction: a.completePlaces,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			at, err := parsePlace(args[0])
			if err != nil {
				return err
			}
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			ctx := cmd.Context()
			if f.timeout > 0 {
				var stop context.CancelFunc
				ctx, stop = context.WithTimeout(ctx, f.timeout)
				defer stop()
			}
			if args[1] == "-" {
				return a.postLines(ctx, c, at, f)
			}
			return a.postOne(ctx, c, at, args[1], f)
		}),
	}
	cmd.Flags().StringVar(&f.wait, "wait", "stored", "return when it is: stored (here), replicated (on other nodes)")
	cmd.Flags().Uint32Var(&f.waitNodes, "wait-nodes", 0, "with --wait replicated: on how many other nodes (default 1)")
	cmd.Flags().StringVar(&f.id, "id", "", "client_msg_id: makes posting again harmless, 1 to 64 bytes (default: a random one)")
	cmd.Flags().StringVar(&f.replyTo, "reply-to", "", "entry id of what this answers")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 0, "give up after this long; what was acknowledged stays (default: never)")
	return cmd
}

func (a *app) postOne(ctx context.Context, c *client.Client, at place, text string, f postFlags) error {
	if f.id == "" {
		f.id = client.NewMsgID()
	}
	r, err := c.Post(ctx, client.Post{Team: at.team, Board: at.board, Text: text, ClientMsgID: f.id, ReplyTo: f.replyTo, Wait: f.wait, WaitNodes: f.waitNodes})
	if err != nil {
		return err
	}
	return a.print(postOf(r, f.id), func() {
		switch {
		case r.Duplicate:
			a.say("It was posted before (%s).", r.EntryId)
		case r.State == "replicated":
			a.say("Posted; %d of %s it.", r.Replicated, plural(uint64(r.Nodes), "other node has", "other nodes have"))
		default:
			a.say("Posted; on disk here.")
		}
	})
}

func (a *app) postLines(ctx context.Context, c *client.Client, at place, f postFlags) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	lines := readLines(ctx, a.in, f.id)
	var posted, duplicates uint64
	a.held.begin(a)
	defer a.held.end()
	for r, err := range c.PostAll(ctx, client.FeedOptions{Team: at.team, Board: at.board, Wait: f.wait, WaitNodes: f.waitNodes}, lines.items) {
		if err != nil && errors.Is(ctx.Err(), context.Canceled) {
			return fmt.Errorf("interrupted after %s; what was acknowledged stays", plural(posted, "entry", "entries"))
		}
		if err != nil {
			return fmt.Errorf("after %s: %w", plural(posted, "entry", "entries"), err)
		}
		posted++
		a.held.goesOn()
		if r.Duplicate {
			duplicates++
		}
		if a.json {
			if err := a.printJSON(postOf(r, lineID(f.id, posted))); err != nil {
				return err
			}
		}
	}
	if lines.err != nil {
		return fmt.Errorf("after %s: %w", plural(posted, "entry", "entries"), lines.err)
	}
	if !a.json {
		a.say("Posted %s%s.", plural(posted, "entry", "entries"), ofWhich(duplicates))
	}
	return nil
}

func ofWhich(duplicates uint64) string {
	if duplicates == 0 {
		return ""
	}
	return fmt.Sprintf(", %d of which had been posted before", duplicates)
}
