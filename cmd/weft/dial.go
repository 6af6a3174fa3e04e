package main

import (
	"context"
	"errors"
	"os"
	"time"

	"connectrpc.com/connect"

	"weft/client"
	"weft/daemon"
)

func getenv(name string) string { return os.Getenv(name) }

// connect reaches the daemon in the folder that --dir, WEFT_DIR or the default names.
func (a *app) connect(ctx context.Context) (*client.Client, error) {
	dir, err := daemon.FindDir(a.dir, getenv)
	if err != nil {
		return nil, err
	}
	socket := daemon.SocketPath(dir)
	waits := time.AfterFunc(a.patience, func() {
		a.note("the daemon in %s takes the call and doesn't answer: it is overloaded, or stands still (stopped by a debugger, a suspended machine); waiting", dir)
	})
	defer waits.Stop()
	c, err := client.Dial(ctx, client.Options{Socket: socket, Retrying: a.retrying})
	if client.ReasonOf(err) == "NO_NODE" && !errors.Is(err, os.ErrPermission) {
		if process, held := daemon.Holder(dir); held {
			return nil, notAnswering{dir, process, err}
		}
		return nil, noDaemon{dir, socket, err}
	}
	return c, err
}

// retrying tells a person why nothing seems to happen.
func (a *app) retrying(err error, wait time.Duration) {
	a.held.waits(err, wait, now())
	if wait >= time.Second && !a.json && isTerminal(a.err) {
		a.note("waiting %s: %s", wall(wait), oneLine(err.Error()))
	}
}

// dirFlag is the flag --dir in the form in which daemon.Load takes flags.
func (a *app) dirFlag() map[string][]string {
	if a.dir == "" {
		return nil
	}
	return map[string][]string{"dir": {a.dir}}
}

// call is one call of the API without the envelope.
func call[Req, Res any](ctx context.Context, method func(context.Context, *connect.Request[Req]) (*connect.Response[Res], error), req *Req) (*Res, error) {
	res, err := method(ctx, connect.NewRequest(req))
	if err != nil {
		return nil, err
	}
	return res.Msg, nil
}
