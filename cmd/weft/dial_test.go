package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"weft/daemon"
)

// written is a writer that says when something was written.
type written struct {
	bytes.Buffer
	first chan struct{}
}

func (w *written) Write(b []byte) (int, error) {
	n, err := w.Buffer.Write(b)
	if w.first != nil {
		close(w.first)
		w.first = nil
	}
	return n, err
}

// A daemon that stands still takes calls, since the kernel does, and answers none: nobody should wonder what a command waits for.
func TestACommandSaysThatTheDaemonStandsStill(t *testing.T) {
	dir := shortDir(t)
	socket := daemon.SocketPath(dir)
	if err := os.MkdirAll(strings.TrimSuffix(socket, "/weft.sock"), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var out bytes.Buffer
	first := make(chan struct{})
	errs := &written{first: first}
	a := newApp(nil, &out, errs)
	a.patience = time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int)
	go func() { ended <- a.run(ctx, []string{"--dir", dir, "status", "--json"}) }()
	<-first
	cancel()
	if code := <-ended; code != exitRefused || out.Len() > 0 || !strings.Contains(errs.String(), "takes the call and doesn't answer") {
		t.Errorf("status %d, it printed %q and said %q", code, out.String(), errs.String())
	}
}
