package client

import (
	"context"
	"iter"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
)

// Say gives messages to those people of a team who are there now (or to the targets that they name). The answer says how
// many people and nodes that were, and how many nodes missed it. Nobody stores them, and Say doesn't try again: a live message comes once or not at all.
func (c *Client) Say(ctx context.Context, team string, messages ...*weftv1.LiveSend) (*weftv1.LiveSendResponse, error) {
	res, err := c.Live.Send(ctx, connect.NewRequest(&weftv1.LiveSendRequest{Team: team, Messages: messages}))
	if err != nil {
		return nil, err
	}
	return res.Msg, nil
}

// LiveOptions say which live messages a subscription is about.
type LiveOptions struct {
	Teams []string // ids or names; empty: all
	Kinds []string // typing, call, …; "" is text; empty: all
}

// Subscribe iterates over batches of live messages from now on. It opens the stream again when the node stops, restarts
// or can't be reached, with a jittered back-off; what is said meanwhile is gone. A batch's Dropped counts messages that
// came faster than they were read. It ends when ctx ends, without an error, or with one that trying again can't mend.
func (c *Client) Subscribe(ctx context.Context, o LiveOptions) iter.Seq2[*weftv1.LiveSubscribeResponse, error] {
	return func(yield func(*weftv1.LiveSubscribeResponse, error) bool) {
		var b backoff
		err := c.again(ctx, &b, func(ctx context.Context) (bool, error) {
			return receive(ctx, &b, c.Live.Subscribe, &weftv1.LiveSubscribeRequest{Teams: o.Teams, Kinds: o.Kinds}, func(batch *weftv1.LiveSubscribeResponse) bool {
				return yield(batch, nil)
			})
		})
		if err != nil {
			yield(nil, err)
		}
	}
}
