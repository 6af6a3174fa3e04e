package client

import (
	"context"
	"iter"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

// pageSize is how many entries Follow reads at a time.
const pageSize = 500

// FollowOptions say what Follow shows.
type FollowOptions struct {
	Team  string // id, name, or TEAM/BOARD
	Board string // id or name; empty: general
	Last  int    // entries to begin with; no upper limit
}

// Follow iterates over a board's messages: the last ones in display order, then each as it arrives, across restarts of
// the node, none left out and none twice. Signatures are checked. It ends when ctx ends, without an error, or with an
// error that trying again can't mend. A store that went back to an older backup (BAD_CURSOR) gives such an error.
func (c *Client) Follow(ctx context.Context, o FollowOptions) iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		f := follower{seen: map[board.Hash]bool{}, yield: yield}
		id, err := c.boardID(ctx, o)
		if err != nil {
			f.fail(ctx, err)
			return
		}
		stream := SyncOptions{Boards: []string{id}, View: weftv1.EntryView_ENTRY_VIEW_SIGNED}
		// First a cursor, then the pages, then the stream from the cursor on: what comes meanwhile is in the pages and
		// again in the stream's first batches, and is shown once.
		if stream.Cursor, err = c.cursor(ctx, stream); err != nil {
			f.fail(ctx, err)
			return
		}
		if !c.lastOnes(ctx, &f, id, o.Last) {
			return
		}
		for batch, err := range c.Sync(ctx, stream) {
			if err != nil {
				f.fail(ctx, err)
				return
			}
			if !f.batch(batch) {
				return
			}
		}
	}
}

// boardID finds the one board that Follow is about, so that a later board of the same name changes nothing.
func (c *Client) boardID(ctx context.Context, o FollowOptions) (id string, err error) {
	team, name := SplitPlace(o.Team, o.Board)
	err = c.retry(ctx, true, func() error {
		if name == "" {
			res, err := c.Teams.GetTeam(ctx, connect.NewRequest(&weftv1.GetTeamRequest{Team: team}))
			if err != nil {
				return err
			}
			teamID, err := board.ParseTeamID(res.Msg.Team.GetTeamId())
			id = board.GeneralID(teamID).String()
			return err
		}
		res, err := c.Boards.Unread(ctx, connect.NewRequest(&weftv1.UnreadRequest{Team: team, Board: name}))
		if err == nil && len(res.Msg.Boards) == 1 {
			id = res.Msg.Boards[0].BoardId
		}
		return err
	})
	return id, err
}

// cursor is where the node's changes stand now.
func (c *Client) cursor(ctx context.Context, o SyncOptions) (string, error) {
	for batch, err := range c.Sync(ctx, o) {
		if err != nil || batch.Cursor != "" {
			return batch.GetCursor(), err
		}
	}
	return "", ctx.Err()
}

// lastOnes yields the newest n entries, oldest first.
func (c *Client) lastOnes(ctx context.Context, f *follower, id string, n int) bool {
	var pages [][]*weftv1.Entry
	before := ""
	for n > 0 {
		page, err := c.page(ctx, id, before, uint32(min(n, pageSize)))
		if err != nil {
			f.fail(ctx, err)
			return false
		}
		pages = append(pages, page.Entries)
		n -= len(page.Entries)
		if before = page.Before; before == "" {
			break
		}
	}
	for i := len(pages) - 1; i >= 0; i-- {
		for _, e := range pages[i] {
			if !f.show(e, nil) {
				return false
			}
		}
	}
	return true
}

func (c *Client) page(ctx context.Context, id, before string, limit uint32) (page *weftv1.HistoryResponse, err error) {
	err = c.retry(ctx, true, func() error {
		res, err := c.Boards.History(ctx, connect.NewRequest(&weftv1.HistoryRequest{
			Board: id, Limit: limit, Before: before, View: weftv1.EntryView_ENTRY_VIEW_SIGNED,
		}))
		if err == nil {
			page = res.Msg
		}
		return err
	})
	return page, err
}

// follower turns entries into messages, each once.
type follower struct {
	seen  map[board.Hash]bool // entries of the pages, until the stream is past them
	yield func(*Message, error) bool
}

// fail yields an error, unless the consumer's context has ended.
func (f *follower) fail(ctx context.Context, err error) {
	if ctx.Err() == nil {
		f.yield(nil, err)
	}
}

func (f *follower) batch(b *weftv1.SyncResponse) bool {
	for _, ev := range b.Events {
		if shown := ev.GetShown(); shown != nil && !f.show(shown.Entry, shown) {
			return false
		}
	}
	if b.Live {
		f.seen = nil
	}
	return true
}

// show yields an entry; ev is the event that it came with, nil for one of a page.
func (f *follower) show(e *weftv1.Entry, ev *weftv1.EntryShown) bool {
	m, err := Decode(e)
	if err != nil {
		return f.yield(nil, err) && false
	}
	if f.seen[m.ID] {
		return true
	}
	if ev == nil {
		f.seen[m.ID] = true
	} else {
		m.Late, m.Vector = ev.Late, ev.Vector
	}
	return f.yield(m, nil)
}
