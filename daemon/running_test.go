package daemon

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestAStopThatHangsSaysWhichPart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	d := &Daemon{cfg: Config{StopTimeout: 20 * time.Millisecond}, log: newLogger(io.Discard, "text", slog.LevelInfo), done: make(chan struct{}), ctx: ctx, stop: cancel}
	release := make(chan struct{})
	defer close(release)
	d.goUntilStop(&d.carry, "mesh", func() error { <-release; return nil })
	d.goUntilStop(&d.serve, "API", func() error { return nil })
	d.serve.Wait() // it has ended, and isn't named
	go d.end()
	if err := d.Stop(); err == nil || !strings.Contains(err.Error(), "as mesh didn't end") {
		t.Errorf("got %v", err)
	}
}
