package client

import (
	"context"
	"iter"

	weftv1 "weft/api/weft/v1"
)

// Limits of one batch of a feed.
const (
	maxBatch      = 1000
	maxBatchBytes = 1 << 20
)

// FeedOptions say where a feed goes.
type FeedOptions struct {
	Team  string // id, name, or TEAM/BOARD
	Board string
	Wait  string // stored (default) or replicated, for each batch
	// WaitNodes is, with replicated, on how many other nodes; 0: one.
	WaitNodes uint32
}

// FeedItem is one entry of a feed. Items without a ClientMsgID get a random one.
type FeedItem struct {
	Text        string
	ClientMsgID string
}

// PostAll posts what items delivers, in its order, until items is closed: what waits in the channel goes in one call, so
// a slow feed is posted at once and a fast one in batches (a channel with a buffer of some hundreds helps). It waits out
// RESOURCE_EXHAUSTED and tries again as Post does. The iterator gives a result for each item in order; an error is the
// last thing it gives: the items before are posted. The caller closes items, and reads on from it or ends its writer
// where the iteration ends early.
func (c *Client) PostAll(ctx context.Context, o FeedOptions, items <-chan FeedItem) iter.Seq2[*weftv1.PostResult, error] {
	team, board := SplitPlace(o.Team, o.Board)
	return func(yield func(*weftv1.PostResult, error) bool) {
		f := feed{items: items}
		for {
			posts, err := f.batch(ctx)
			if len(posts) > 0 {
				res, postErr := c.post(ctx, &weftv1.PostRequest{Team: team, Board: board, Wait: o.Wait, WaitNodes: o.WaitNodes, Posts: posts}, true)
				if postErr != nil {
					yield(nil, postErr)
					return
				}
				for _, r := range res.Results {
					if !yield(r, nil) {
						return
					}
				}
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if f.ended {
				return
			}
		}
	}
}

// feed gathers batches.
type feed struct {
	items <-chan FeedItem
	over  *weftv1.NewPost // did not fit into the last batch
	ended bool
}

// batch waits for an item and takes what waits behind it. The posts before a bad item come with its error.
func (f *feed) batch(ctx context.Context) ([]*weftv1.NewPost, error) {
	var posts []*weftv1.NewPost
	size := 0
	if f.over != nil {
		posts, size, f.over = append(posts, f.over), len(f.over.Text), nil
	}
	for len(posts) < maxBatch {
		item, ok, err := f.next(ctx, len(posts) == 0)
		if err != nil || !ok {
			return posts, err
		}
		if err := checkText(item.Text); err != nil {
			return posts, err
		}
		if item.ClientMsgID == "" {
			item.ClientMsgID = NewMsgID()
		}
		post := &weftv1.NewPost{Text: item.Text, ClientMsgId: item.ClientMsgID}
		if size += len(item.Text); size > maxBatchBytes && len(posts) > 0 {
			f.over = post
			return posts, nil
		}
		posts = append(posts, post)
	}
	return posts, nil
}

// next is the next item; not ok where the feed has ended, or where nothing waits and the caller doesn't either.
func (f *feed) next(ctx context.Context, wait bool) (item FeedItem, ok bool, err error) {
	if wait {
		select {
		case item, ok = <-f.items:
			f.ended = !ok
			return item, ok, nil
		case <-ctx.Done():
			return item, false, ctx.Err()
		}
	}
	select {
	case item, ok = <-f.items:
		f.ended = !ok
		return item, ok, nil
	default:
		return item, false, nil
	}
}
