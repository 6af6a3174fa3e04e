package client

import (
	"context"
	"iter"

	weftv1 "weft/api/weft/v1"
)

// SyncOptions say what a stream is about.
type SyncOptions struct {
	Cursor string   // go on after it; empty: begin with a snapshot
	Teams  []string // only these; empty: all
	Boards []string // only these (ids, or TEAM/BOARD); empty: all of the teams
	View   weftv1.EntryView
	Last   uint32 // with an empty cursor: newest entries of each board to begin with, at most 1,000
}

// Sync iterates over batches of everything that the user may see, for ever: it opens the stream again after the last
// cursor when the node stops, restarts or can't be reached, with a back-off. It ends when ctx ends, without an error, or with an
// error that trying again can't mend; BAD_CURSOR is one: read the boards by History and go on from Error.Cursor, or
// begin again without a cursor. Keep a batch's cursor once its events are processed; Ack it to let operators see that.
// Where a stream breaks within its snapshot (batches without a cursor), the snapshot comes again.
func (c *Client) Sync(ctx context.Context, o SyncOptions) iter.Seq2[*weftv1.SyncResponse, error] {
	return func(yield func(*weftv1.SyncResponse, error) bool) {
		var b backoff
		err := c.again(ctx, &b, func(ctx context.Context) (bool, error) {
			req := &weftv1.SyncRequest{Cursor: o.Cursor, Teams: o.Teams, Boards: o.Boards, View: o.View, Last: o.Last}
			return receive(ctx, &b, c.Streams.Sync, req, func(batch *weftv1.SyncResponse) bool {
				if !yield(batch, nil) {
					return false
				}
				if batch.Cursor != "" {
					o.Cursor = batch.Cursor
				}
				return true
			})
		})
		if err != nil {
			yield(nil, err)
		}
	}
}
