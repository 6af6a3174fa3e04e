package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weft/client"
	"weft/daemon"
)

// patience is how long a test waits for what must come.
const patience = 60 * time.Second

// loopback are arguments of weft run that keep a test's nodes to themselves.
var loopback = []string{"--mdns=false", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1", "--listen", "/ip4/127.0.0.1/tcp/0"}

// process is a `weft run` of its own.
type process struct {
	dir  string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how; read after done

	mu     sync.Mutex
	stderr bytes.Buffer // guarded by mu
	stdout bytes.Buffer // guarded by mu
}

// lockedWriter writes to a buffer that others read meanwhile.
type lockedWriter struct {
	mu  *sync.Mutex
	buf *bytes.Buffer
}

func (w lockedWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.Write(b)
}

// launch starts weft run in dir and doesn't wait for anything.
func launch(dir string, env []string, args ...string) (*process, error) {
	p := &process{dir: dir, done: make(chan struct{})}
	p.cmd = exec.Command("weft", append(append([]string{"run", "--dir", dir}, loopback...), args...)...)
	p.cmd.Env = env
	p.cmd.Stdout, p.cmd.Stderr = lockedWriter{&p.mu, &p.stdout}, lockedWriter{&p.mu, &p.stderr}
	p.cmd.SysProcAttr = dieWithParent()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// log is what the process wrote to both streams so far.
func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stdout.String() + p.stderr.String()
}

// ready waits until the node answers.
func (p *process) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := client.Dial(ctx, client.Options{Socket: daemon.SocketPath(p.dir)})
		if err == nil {
			return c.Close()
		}
		select {
		case <-p.done:
			return fmt.Errorf("weft run ended (%v):\n%s", p.err, p.log())
		case <-ctx.Done():
			return fmt.Errorf("weft run doesn't answer: %v\n%s", err, p.log())
		case <-tick.C:
		}
	}
}

// kill is kill -9.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// stop asks the process to end and returns how it did.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.done:
		return p.err
	case <-time.After(patience):
		p.kill()
		return fmt.Errorf("weft run doesn't stop:\n%s", p.log())
	}
}

// startNode starts a node for a test and waits until it answers. It is killed with the test.
func startNode(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	p, err := launch(dir, os.Environ(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	if err := p.ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// shortDir is a temporary folder whose path leaves room for a socket in it.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "weft")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "n")
}

// weft runs one command line against the node and returns what it wrote to standard output.
func (p *process) weft(t *testing.T, args ...string) string {
	t.Helper()
	return p.feed(t, "", args...)
}

// feed is weft with text as its standard input.
func (p *process) feed(t *testing.T, text string, args ...string) string {
	t.Helper()
	cmd := exec.Command("weft", append([]string{"--dir", p.dir}, args...)...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(text), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("weft %q: %v\n%s%s", args, err, stderr.String(), p.log())
	}
	return string(out)
}
