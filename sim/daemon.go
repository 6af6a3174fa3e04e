package sim

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"

	"weft/client"
	"weft/daemon"
)

// Daemon is a whole daemon on a host of a Net, with a client at its API: everything that `weft run` starts, but for the
// kernel's sockets.
type Daemon struct {
	*client.Client
	Name string
	Host Host

	net *Net
	tb  testing.TB
	dir string
	log io.Writer

	mu   sync.Mutex
	door *pipes         // guarded by mu; nil while it is down
	run  *daemon.Daemon // of the test's goroutine
}

// StartDaemon makes a daemon with a new folder and starts it. Call it inside a synctest bubble; it ends with the test.
// log, if not nil, gets its log lines.
func StartDaemon(tb testing.TB, n *Net, h Host, name string, log io.Writer) *Daemon {
	tb.Helper()
	d := &Daemon{Name: name, Host: h, net: n, tb: tb, dir: tb.TempDir(), log: log}
	d.Client = client.New(client.Options{Dial: d.dial})
	tb.Cleanup(func() { d.Client.Close() })
	tb.Cleanup(d.Stop)
	d.Start()
	return d
}

func (d *Daemon) dial(ctx context.Context) (net.Conn, error) {
	d.mu.Lock()
	door := d.door
	d.mu.Unlock()
	if door == nil {
		return nil, syscall.ECONNREFUSED
	}
	c, err := door.dial(ctx)
	if errors.Is(err, net.ErrClosed) {
		return nil, syscall.ECONNREFUSED // as a socket that nobody serves any more
	}
	return c, err
}

// Dir is the daemon's folder. Nothing but the daemon may write into it while it runs.
func (d *Daemon) Dir() string { return d.dir }

// Start starts the daemon from its folder.
func (d *Daemon) Start() {
	d.tb.Helper()
	door := newPipes()
	cfg := daemon.DefaultConfig()
	cfg.Dir, cfg.Name, cfg.MDNS, cfg.MinFree = d.dir, d.Name, false, 1
	cfg.Listen = []string{d.net.Address(d.Host)}
	cfg.PostRate = -1
	cfg.Wiring = daemon.Wiring{
		Version: "sim", LogTo: d.log, Libp2p: d.net.Options(d.Host, 0),
		Listen: func(string) (net.Listener, error) { return door, nil },
	}
	run, err := daemon.Start(d.tb.Context(), cfg)
	if err != nil {
		d.tb.Fatalf("couldn't start daemon %s: %v", d.Name, err)
	}
	d.run = run
	d.mu.Lock()
	d.door = door
	d.mu.Unlock()
}

// Stop ends the daemon in order. One that is down stays down.
func (d *Daemon) Stop() {
	if d.run == nil {
		return
	}
	d.mu.Lock()
	d.door = nil
	d.mu.Unlock()
	if err := d.run.Stop(); err != nil {
		d.tb.Errorf("daemon %s ended with: %v", d.Name, err)
	}
	d.run = nil
}
