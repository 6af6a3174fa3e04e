package main

import (
	"context"

	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
	"weft/client"
)

const (
	pageSize    = 1000 // the most that History gives at a time
	defaultLast = 50
)

type entryOut struct {
	EntryID     string `json:"entry_id"`
	Author      string `json:"author"`
	AuthorName  string `json:"author_name"`
	HLC         uint64 `json:"hlc,string"`
	TimeMs      uint64 `json:"time_ms"`
	Kind        string `json:"kind"`
	Text        string `json:"text"`
	BoardID     string `json:"board_id"`
	ClientMsgID string `json:"client_msg_id"`
	ReplyTo     string `json:"reply_to,omitempty"`
	Own         bool   `json:"own"`
	Read        bool   `json:"read"`
	Late        bool   `json:"late,omitempty"`
	Void        string `json:"void,omitempty"` // with --void: why it doesn't count
	Twin        string `json:"twin,omitempty"`
}

func entryOf(e *weftv1.Entry) entryOut {
	return entryOut{EntryID: e.EntryId, Author: e.Author, AuthorName: e.AuthorName, HLC: e.Hlc, TimeMs: e.TimeMs, Kind: e.Kind, Text: e.Text,
		BoardID: e.BoardId, ClientMsgID: e.ClientMsgId, ReplyTo: e.ReplyTo, Own: e.Own, Read: e.Read, Void: e.Void, Twin: e.Twin}
}

// readFlags are the flags of weft read.
type readFlags struct {
	last               uint64
	follow, mark, void bool
}

func (a *app) readCommand() *cobra.Command {
	var f readFlags
	cmd := &cobra.Command{
		Use:   "read TEAM[/BOARD]",
		Short: "Read a board, oldest first",
		Long: `Prints the newest entries of a board, oldest first. With --follow it goes on with what arrives, over restarts of the
daemon too; an entry that arrives late is marked as such, since its place is further up. So is one of two that a device
signed under one number: look at that device, it or a copy of it tells different things to different people. With --mark
everything up to what was printed counts as read.

Where an entry that was printed stops counting, because its author had been removed before they wrote it, --follow says so.

With --json, hlc is text: as a number it is more than jq and JavaScript can hold. It isn't needed for sorting: the order
of the lines is the order of the entries. With --follow a line of kind hidden says that the entry with that entry_id, printed
before, doesn't count any more.`,
		Example: `  weft read crew
  weft read crew/commits --last 100000 --json | jq -r .text
  weft read crew --follow --mark`,
		Args:              exactly("TEAM[/BOARD]"),
		ValidArgsFunction: a.completePlaces,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			at, err := parsePlace(args[0])
			if err != nil {
				return err
			}
			if f.void && f.mark {
				return wrongUsage("--void and --mark don't go together: what doesn't count is never unread")
			}
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			r := reader{app: a, client: c, at: at, flags: f}
			if f.follow {
				return r.follow(cmd.Context())
			}
			return r.read(cmd.Context())
		}),
	}
	cmd.Flags().Uint64Var(&f.last, "last", defaultLast, "how many of the newest entries; as many as you like")
	cmd.Flags().BoolVarP(&f.follow, "follow", "f", false, "go on with what arrives, until interrupted")
	cmd.Flags().BoolVar(&f.void, "void", false, "for owners and admins: show what doesn't count, too, and why")
	cmd.Flags().BoolVar(&f.mark, "mark", false, "mark everything up to what is printed as read")
	return cmd
}

// reader is one run of weft read.
type reader struct {
	*app
	client *client.Client
	at     place
	flags  readFlags
	shown  *recent // with --follow: what the pages have printed
}

func (r *reader) page(ctx context.Context, before, after string, limit uint64) (*weftv1.HistoryResponse, error) {
	return call(ctx, r.client.Boards.History, &weftv1.HistoryRequest{
		Team: r.at.team, Board: r.at.board, Limit: uint32(min(limit, pageSize)), Before: before, After: after, IncludeVoid: r.flags.void,
	})
}

// read prints the newest entries. More than a page is found by walking back page by page, which keeps nothing but a
// token, and then printed by walking forward again: memory doesn't grow with --last.
func (r *reader) read(ctx context.Context) error {
	if r.flags.last == 0 {
		return nil
	}
	page, err := r.page(ctx, "", "", r.flags.last)
	if err != nil {
		return err
	}
	found := inPage(page)
	for found < r.flags.last && page.Before != "" && len(page.Entries) > 0 {
		if page, err = r.page(ctx, page.Before, "", r.flags.last-found); err != nil {
			return err
		}
		found += inPage(page)
	}
	r.sayStart(page)
	damaged := uint64(0)
	for {
		damaged += uint64(page.Damaged)
		if err := r.show(page.Entries); err != nil {
			return err
		}
		if found -= min(found, inPage(page)); found == 0 || len(page.Entries) == 0 || page.After == "" {
			break
		}
		if page, err = r.page(ctx, "", page.After, found); err != nil {
			return err
		}
	}
	r.sayDamaged(damaged)
	return r.markShown(ctx, page.Vector)
}

// inPage is how many entries a page is about. Those that it leaves out count: they may be back when it is read again.
func inPage(page *weftv1.HistoryResponse) uint64 {
	return uint64(len(page.Entries)) + uint64(page.Damaged)
}

// sayStart tells a person why a board begins where it does.
func (r *reader) sayStart(page *weftv1.HistoryResponse) {
	switch {
	case r.json:
	case page.HistoryArriving && page.Before == "":
		r.note("older history is still arriving; weft sync shows how far it is")
	case page.HistoryStartsHere && page.Before == "":
		r.note("history starts here; older entries were pruned")
	case len(page.Entries) == 0:
		r.note("nothing was posted here yet")
	}
}

// sayDamaged tells of entries that are left out, in JSON too: what is printed isn't all.
func (r *reader) sayDamaged(n uint64) {
	if n > 0 {
		r.note("left out: %s that can't be read here and come again from other nodes (weft sync shows how far that is)", plural(n, "entry", "entries"))
	}
}

func (r *reader) show(entries []*weftv1.Entry) error {
	for _, e := range entries {
		if err := r.showEntry(entryOf(e)); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) showEntry(e entryOut) error {
	who := oneLine(e.AuthorName)
	if who == "" {
		who = shortened(e.Author, 9)
	}
	if r.shown != nil {
		r.shown.add(e.EntryID, clock(e.TimeMs, now())+" "+who+": "+shortened(oneLine(e.Text), 40))
	}
	return r.print(e, func() {
		tag := ""
		if e.Kind != "post" {
			tag = " [" + oneLine(e.Kind) + "]"
		}
		if e.Late {
			tag += " [arrived late]"
		}
		if e.Void != "" {
			tag += " [doesn't count: " + oneLine(e.Void) + "]"
		}
		if e.Twin != "" {
			tag += " [one of two under one number]"
		}
		r.say("%s %s%s: %s", r.paint(dim, clock(e.TimeMs, now())), r.paint(bold, who), tag, indented(e.Text))
	})
}

func (r *reader) markShown(ctx context.Context, vector string) error {
	if !r.flags.mark || vector == "" {
		return nil
	}
	_, err := call(ctx, r.client.Boards.MarkRead, &weftv1.MarkReadRequest{Team: r.at.team, Board: r.at.board, Vector: vector})
	return err
}
