package client

import (
	"context"
	"errors"

	"connectrpc.com/connect"
)

// errEnded is a stream that ended without an error, which no node does on purpose.
var errEnded = errors.New("the stream has ended")

// again opens a stream, and opens it again with a back-off when the node stops, restarts or can't be reached. It ends
// with nil when ctx ends or the consumer has had enough (more is false), or with an error that trying again can't mend.
func (c *Client) again(ctx context.Context, b *backoff, stream func(context.Context) (more bool, err error)) error {
	for {
		more, err := stream(ctx)
		if !more || ctx.Err() != nil {
			return nil
		}
		wait, exhausted := exhausted(err)
		if !exhausted {
			if !passing(err) {
				return err
			}
			wait = b.wait()
		}
		if c.pause(ctx, err, wait) != nil {
			return nil
		}
	}
}

// receive reads one stream to its end. more is false where take has had enough.
func receive[Req, Res any](
	ctx context.Context, b *backoff, open func(context.Context, *connect.Request[Req]) (*connect.ServerStreamForClient[Res], error), req *Req, take func(*Res) bool,
) (more bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := open(ctx, connect.NewRequest(req))
	if err != nil {
		return true, explain(err)
	}
	defer stream.Close()
	for stream.Receive() {
		b.reset()
		if !take(stream.Msg()) {
			cancel() // Close would otherwise read the stream to its end, which never comes
			return false, nil
		}
	}
	if err := stream.Err(); err != nil {
		return true, explain(err)
	}
	return true, explain(connect.NewError(connect.CodeUnavailable, errEnded))
}
