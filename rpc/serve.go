package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Limits of the HTTP server on the socket.
const (
	stopGrace         = 2 * time.Second  // for calls under way when the node stops
	readHeaderTimeout = 10 * time.Second // a caller that says nothing is cut
	idleTimeout       = 5 * time.Minute
	maxHeaderBytes    = 64 << 10
	maxHTTP2Streams   = 1024 // calls at a time on one HTTP/2 connection
)

// errStopping is why the streams and waits of a node that stops end.
var errStopping = errors.New("the node is stopping")

type stopKey struct{}

// Serve answers HTTP/1.1 and unencrypted HTTP/2 on l until ctx ends. Then streams and waits end at once with
// UNAVAILABLE (reason STOPPING), calls under way get two seconds, and whatever is left is cut. It closes l. A nil log
// is silent. The error is nil after an ordered stop.
func Serve(ctx context.Context, l net.Listener, handler http.Handler, log *slog.Logger) error {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	base, cut := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), stopKey{}, ctx))
	defer cut()
	server := &http.Server{
		Handler:           handler,
		Protocols:         &protocols,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxHTTP2Streams},
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("couldn't go on serving the API: %w", err)
	case <-ctx.Done():
	}
	grace, done := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer done()
	if err := server.Shutdown(grace); err != nil {
		cut()
		server.Close()
	}
	<-failed
	return nil
}

// untilStop derives a context for something long: it ends with errStopping as its cause when the node stops.
func untilStop(ctx context.Context) (context.Context, context.CancelFunc) {
	stop, ok := ctx.Value(stopKey{}).(context.Context)
	if !ok {
		return context.WithCancel(ctx)
	}
	long, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(stop, func() { cancel(errStopping) })
	return long, func() { unhook(); cancel(context.Canceled) }
}
