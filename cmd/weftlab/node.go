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
	"time"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/client"
)

// node is a running daemon in a process of its own.
type node struct {
	*client.Client
	dir  string
	cmd  *exec.Cmd
	log  *tail
	exit chan error
}

// tail keeps the end of what a process wrote, for the message when it fails.
type tail struct {
	mu sync.Mutex
	b  []byte // guarded by mu
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if over := len(t.b) - 4096; over > 0 {
		t.b = t.b[over:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.b))
}

// program is the path of the weft program: as told, beside weftlab, or built into the data folder.
func (l *lab) program(ctx context.Context) (string, error) {
	if l.weft != "" {
		return l.weft, nil
	}
	if self, err := os.Executable(); err == nil {
		if p := filepath.Join(filepath.Dir(self), "weft"); executable(p) {
			l.weft = p
			return p, nil
		}
	}
	p, err := filepath.Abs(filepath.Join(l.data, "weft"))
	if err != nil {
		return "", err
	}
	l.say("building weft")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", p, "weft/cmd/weft").CombinedOutput(); err != nil {
		return "", fmt.Errorf("couldn't build the weft program; name one with --weft: %w\n%s", err, out)
	}
	l.weft = p
	return p, nil
}

func executable(p string) bool {
	st, err := os.Stat(p)
	return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0
}

// startNode starts a daemon in dir and waits for its first answer. Its mesh listens on loopback, its quotas are lifted.
func (l *lab) startNode(ctx context.Context, dir, name string, args ...string) (*node, error) {
	program, err := l.program(ctx)
	if err != nil {
		return nil, err
	}
	n := &node{dir: dir, log: &tail{}, exit: make(chan error, 1)}
	n.cmd = exec.Command(program, append([]string{"run", "--dir", dir, "--name", name, "--mdns=false",
		"--listen", "/ip4/127.0.0.1/udp/0/quic-v1", "--post-rate", "-1"}, args...)...)
	n.cmd.Stdout, n.cmd.Stderr = n.log, n.log
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := n.cmd.Start(); err != nil {
		return nil, fmt.Errorf("couldn't start %s: %w", program, err)
	}
	go func() { n.exit <- n.cmd.Wait() }()
	if err := n.dial(ctx); err != nil {
		n.kill()
		return nil, fmt.Errorf("couldn't start node %s: %w\n%s", name, err, n.log)
	}
	return n, nil
}

// dial waits until the daemon answers on its socket.
func (n *node) dial(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for {
		c, err := client.Dial(ctx, client.Options{Socket: n.socket(), RetryFor: -1})
		if err == nil {
			n.Client = c
			return nil
		}
		select {
		case err := <-n.exit:
			n.exit <- err
			return fmt.Errorf("it ended: %w", err)
		case <-ctx.Done():
			return err
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// socket is where the daemon says that its socket is.
func (n *node) socket() string {
	if b, err := os.ReadFile(filepath.Join(n.dir, "run", "socket")); err == nil {
		return strings.TrimSpace(string(b))
	}
	return filepath.Join(n.dir, "run", "weft.sock")
}

func (n *node) usage() (usage, error) { return processUsage(n.cmd.Process.Pid) }

// stop asks the daemon to end and waits for it.
func (n *node) stop() error {
	if n.Client != nil {
		n.Client.Close()
	}
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("couldn't stop a node: %w", err)
	}
	select {
	case err := <-n.exit:
		if err != nil {
			return fmt.Errorf("couldn't stop a node cleanly: %w\n%s", err, n.log)
		}
		return nil
	case <-time.After(20 * time.Second):
		n.kill()
		return fmt.Errorf("couldn't stop a node within 20 s\n%s", n.log)
	}
}

func (n *node) kill() {
	n.cmd.Process.Kill()
	<-n.exit
}

// createTeam founds a team; link is an invite with many uses.
func (n *node) createTeam(ctx context.Context, name string) (link string, err error) {
	if _, err := n.Teams.CreateTeam(ctx, connect.NewRequest(&weftv1.CreateTeamRequest{Name: name})); err != nil {
		return "", err
	}
	inv, err := n.Teams.CreateInvite(ctx, connect.NewRequest(&weftv1.CreateInviteRequest{Team: name, Uses: 100}))
	if err != nil {
		return "", err
	}
	return inv.Msg.Link, nil
}

func (n *node) join(ctx context.Context, link string) error {
	_, err := n.Teams.Join(ctx, connect.NewRequest(&weftv1.JoinTeamRequest{Link: link}))
	return err
}

// amongThree measures l.runs times among the daemons of three people in one team.
func (l *lab) amongThree(ctx context.Context, once func(context.Context, *lab, []*node) error) error {
	nodes, err := l.mesh(ctx, "ann", "bob", "cid")
	if err != nil {
		return err
	}
	defer stopAll(nodes)
	for range l.runs {
		if err := once(ctx, l, nodes); err != nil {
			return err
		}
	}
	return nil
}

// mesh starts n daemons in one team called "crew", of which the first is the founder.
func (l *lab) mesh(ctx context.Context, names ...string) (nodes []*node, err error) {
	defer func() {
		if err != nil {
			stopAll(nodes)
			nodes = nil
		}
	}()
	var link string
	for i, name := range names {
		dir, err := l.tempDir()
		if err != nil {
			return nodes, err
		}
		n, err := l.startNode(ctx, dir, name)
		if err != nil {
			return nodes, err
		}
		nodes = append(nodes, n)
		if i == 0 {
			link, err = n.createTeam(ctx, "crew")
		} else {
			err = n.join(ctx, link)
		}
		if err != nil {
			return nodes, err
		}
	}
	return nodes, nil
}

func stopAll(nodes []*node) (err error) {
	for _, n := range nodes {
		err = errors.Join(err, n.stop())
	}
	return err
}

// cpuOf is what nodes have used so far.
func cpuOf(nodes ...*node) (sum time.Duration, err error) {
	for _, n := range nodes {
		u, err := n.usage()
		if err != nil {
			return 0, err
		}
		sum += u.cpu
	}
	return sum, nil
}
