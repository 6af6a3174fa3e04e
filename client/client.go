package client

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/api/weft/v1/weftv1connect"
)

// Limits of a client.
const (
	maxConnections  = 256
	maxAnswer       = 64 << 20 // bytes of one message from the node
	defaultRetryFor = 30 * time.Second
	firstBackoff    = 50 * time.Millisecond
	maxBackoff      = 5 * time.Second
)

// Options of Dial. Socket or Dial is needed.
type Options struct {
	Socket string // path of the node's socket
	// Dial connects in place of Socket, for simulated networks; nil: the socket.
	Dial func(ctx context.Context) (net.Conn, error)
	// RetryFor is how long Post and PostAll try again while the node can't be reached; 0: 30 s, negative: not at all.
	// Streams (Sync, Follow, WatchPresence, Attach, Subscribe) try until their context ends.
	RetryFor time.Duration
	// Retrying is told of each wait before another try; nil: nobody is. It may be called by several goroutines.
	Retrying func(err error, wait time.Duration)
	Log      *slog.Logger // nil: silent
}

// Client talks to one node. It is safe for concurrent use.
type Client struct {
	Nodes    weftv1connect.NodeServiceClient
	Teams    weftv1connect.TeamServiceClient
	Boards   weftv1connect.BoardServiceClient
	Streams  weftv1connect.SyncServiceClient
	Presence weftv1connect.PresenceServiceClient
	Live     weftv1connect.LiveServiceClient

	options   Options
	transport *http.Transport
}

// New makes a client without asking the node anything.
func New(o Options) *Client {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.RetryFor == 0 {
		o.RetryFor = defaultRetryFor
	}
	// HTTP/1.1 with a connection for each call under way: on a Unix socket that costs less than HTTP/2's framing, and no
	// call waits behind another.
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if o.Dial != nil {
				return o.Dial(ctx)
			}
			return (&net.Dialer{}).DialContext(ctx, "unix", o.Socket)
		},
		MaxIdleConns:        maxConnections,
		MaxIdleConnsPerHost: maxConnections,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true,
	}
	h := &http.Client{Transport: transport}
	options := []connect.ClientOption{
		connect.WithInterceptors(explainer{}),
		connect.WithReadMaxBytes(maxAnswer),
		connect.WithAcceptCompression("gzip", nil, nil), // nothing is gained on a socket
	}
	const base = "http://weft"
	return &Client{
		Nodes:     weftv1connect.NewNodeServiceClient(h, base, options...),
		Teams:     weftv1connect.NewTeamServiceClient(h, base, options...),
		Boards:    weftv1connect.NewBoardServiceClient(h, base, options...),
		Streams:   weftv1connect.NewSyncServiceClient(h, base, options...),
		Presence:  weftv1connect.NewPresenceServiceClient(h, base, options...),
		Live:      weftv1connect.NewLiveServiceClient(h, base, options...),
		options:   o,
		transport: transport,
	}
}

// Dial makes a client and checks that a node answers. Its error says what to do where none does.
func Dial(ctx context.Context, o Options) (*Client, error) {
	c := New(o)
	if _, err := c.Nodes.GetInfo(ctx, connect.NewRequest(&weftv1.GetInfoRequest{})); err != nil {
		c.Close()
		return nil, fmt.Errorf("couldn't reach a node at %s: %w", o.Socket, err)
	}
	return c, nil
}

// Close lets go of idle connections. Calls under way go on.
func (c *Client) Close() error {
	c.transport.CloseIdleConnections()
	return nil
}
