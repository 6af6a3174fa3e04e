package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/client"
	"weft/daemon"
)

const (
	startTime = 30 * time.Second // what a start may take at most
	stopTime  = 10 * time.Second
)

// node is one weft run in a folder of its own.
type node struct {
	demo *demo
	name string
	dir  string
	log  bytes.Buffer // of one process after the other; read when it has ended
	cmd  *exec.Cmd
	done chan error
}

func newNode(d *demo, name string) *node {
	return &node{demo: d, name: name, dir: filepath.Join(d.folder, strings.ToLower(name))}
}

// start runs the node and waits until it answers.
func (n *node) start(ctx context.Context) error {
	n.cmd = exec.Command(n.demo.program, "run", "--dir", n.dir, "--name", n.name, "--mdns=false",
		"--listen", "/ip4/127.0.0.1/udp/0/quic-v1", "--listen", "/ip4/127.0.0.1/tcp/0", "--log-level", "warn")
	n.cmd.Stderr = &n.log
	n.cmd.SysProcAttr = dieWithParent()
	if err := n.cmd.Start(); err != nil {
		return fmt.Errorf("couldn't start %s (make build makes it): %w", n.demo.program, err)
	}
	n.done = make(chan error, 1)
	go func(cmd *exec.Cmd, done chan error) { done <- cmd.Wait() }(n.cmd, n.done)
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := n.dial(ctx)
		if err == nil {
			return c.Close()
		}
		select {
		case end := <-n.done:
			n.cmd = nil
			return fmt.Errorf("%s's node ended: %v\n%s", n.name, end, n.log.String())
		case <-ctx.Done():
			return fmt.Errorf("%s's node doesn't answer: %w", n.name, err)
		case <-tick.C:
		}
	}
}

func (n *node) dial(ctx context.Context) (*client.Client, error) {
	return client.Dial(ctx, client.Options{Socket: daemon.SocketPath(n.dir)})
}

// kill is kill -9; nothing if the node doesn't run.
func (n *node) kill() {
	if n.cmd == nil {
		return
	}
	// An error says that it ended by itself.
	if err := n.cmd.Process.Kill(); err == nil || errors.Is(err, os.ErrProcessDone) {
		<-n.done
	}
	n.cmd = nil
}

// stop ends the node in order.
func (n *node) stop() error {
	if n.cmd == nil {
		return nil
	}
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-n.done:
		n.cmd = nil
		if err != nil {
			return fmt.Errorf("%s's node: %w\n%s", n.name, err, n.log.String())
		}
		return nil
	case <-time.After(stopTime):
		return fmt.Errorf("%s's node doesn't stop", n.name)
	}
}

// weft runs one command line at the node, with text as its standard input.
func (n *node) weft(ctx context.Context, input string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, n.demo.program, append([]string{"--dir", n.dir}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("weft %s: %w: %s", strings.Join(args[:min(2, len(args))], " "), err, stderr.String())
	}
	return string(out), nil
}

// state is what a node holds.
type state struct {
	name    string
	hash    string // over the hashes of all boards
	entries uint64
	unread  string
}

func (n *node) state(ctx context.Context) (state, error) {
	c, err := n.dial(ctx)
	if err != nil {
		return state{}, err
	}
	defer c.Close()
	st := state{name: n.name}
	unread, err := c.Boards.Unread(ctx, connect.NewRequest(&weftv1.UnreadRequest{Team: "crew"}))
	if err != nil {
		return st, err
	}
	whole := sha256.New()
	var counts []string
	for _, b := range unread.Msg.Boards {
		res, err := c.Nodes.BoardHash(ctx, connect.NewRequest(&weftv1.BoardHashRequest{Team: "crew", Board: b.BoardId}))
		if err != nil {
			return st, err
		}
		io.WriteString(whole, b.BoardId+res.Msg.Hash) // a hash never fails
		st.entries += res.Msg.Entries
		counts = append(counts, fmt.Sprintf("%s/%s %d", b.Team, b.Board, b.Unread))
	}
	st.hash, st.unread = hex.EncodeToString(whole.Sum(nil)[:16]), strings.Join(counts, ", ")
	return st, nil
}

// feed is the log of the repository, a line for each commit, oldest first.
func (d *demo) feed(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "git", "-C", d.repository, "log", "--reverse", "--format=%h %as %an: %s")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("couldn't read the git log of %s: %w", d.repository, err)
	}
	return string(out), nil
}
