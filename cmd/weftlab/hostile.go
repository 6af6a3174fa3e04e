package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
	"weft/sim/attack"
)

// hostileBench measures what honest people feel of a hostile peer: the way of a post from A to a reader at B, without one
// and beside one that floods A in every way it can with half a core.
type hostileBench struct {
	chat chatBench
}

func (b *hostileBench) flags(c *cobra.Command) { b.chat.flags(c) }

// hostileMemory is how much A may take beside the attacker.
const hostileMemory = 512 << 20

func (b *hostileBench) run(ctx context.Context, l *lab) error {
	nodes, err := l.mesh(ctx, "ann", "bob")
	if err != nil {
		return err
	}
	defer stopAll(nodes)
	ann := nodes[0]
	info, err := ann.Nodes.GetInfo(ctx, connect.NewRequest(&weftv1.GetInfoRequest{}))
	if err != nil {
		return err
	}
	inv, err := ann.Teams.CreateInvite(ctx, connect.NewRequest(&weftv1.CreateInviteRequest{Team: "crew", Uses: 1000}))
	if err != nil {
		return err
	}
	for range l.runs {
		if err := b.once(ctx, l, nodes, info.Msg.Listen[0], inv.Msg.Link); err != nil {
			return err
		}
	}
	return nil
}

func (b *hostileBench) once(ctx context.Context, l *lab, nodes []*node, target, link string) error {
	alone, err := b.chat.carry(ctx, l, nodes)
	if err != nil {
		return err
	}
	h, err := startHostile(ctx, target, link)
	if err != nil {
		return err
	}
	defer h.stop()
	beside, err := b.chat.carry(ctx, l, nodes)
	if err != nil {
		return fmt.Errorf("couldn't post beside a hostile peer: %w", err)
	}
	cpu, rounds := h.stop()
	most, err := mostMemory(nodes[0])
	if err != nil {
		return err
	}
	counters, err := attack.Socket{Path: nodes[0].socket()}.Counters(ctx)
	if err != nil {
		return err
	}
	p50a, p99a, _ := quantiles(alone.late)
	p50b, p99b, worst := quantiles(beside.late)
	l.out.add("post on A until readable on B, alone: p99", p99a, "ms", bar{})
	l.out.add("the same beside a hostile peer: p99", p99b, "ms", bar{})
	l.out.add("p99 beside a hostile peer ÷ p99 alone", p99b/max(p99a, 0.001), "×", atMost(2))
	l.out.add("most memory of A beside a hostile peer", float64(most)/(1<<20), "MiB", atMost(hostileMemory>>20))
	l.out.add("panics at A", counters["weft_p2p_panics_total"], "", atMost(0))
	l.out.field("hostile_cpu_s", cpu.Seconds())
	l.say("hostile: alone p50 %.1f ms, p99 %.1f ms; beside p50 %.1f ms, p99 %.1f ms, worst %.0f ms; the attacker used %.1f s of CPU in %.0f s, %d rounds of %d floods; bans %.0f, offences and refusals at A: see its metrics",
		p50a, p99a, p50b, p99b, worst, cpu.Seconds(), h.ran.Seconds(), rounds, len(floods), counters["weft_p2p_bans_total"])
	if got := len(beside.late); got != beside.load.posts {
		return fmt.Errorf("couldn't see %d of %d posts at B beside a hostile peer", beside.load.posts-got, beside.load.posts)
	}
	return nil
}

// hostile is a process that attacks, round after round, with half a core: it is stopped for as long as it runs.
type hostile struct {
	cancel context.CancelFunc
	ended  chan struct{}
	ran    time.Duration
	cpu    time.Duration // of rounds that are over
	rounds int
	err    error
}

// slice is how long the attacker runs, and then is stopped.
const slice = 10 * time.Millisecond

func startHostile(ctx context.Context, target, link string) (*hostile, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("couldn't find this program: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	h := &hostile{cancel: cancel, ended: make(chan struct{})}
	args := []string{"attack", "--target", target, "--link", link, "--seconds", fmt.Sprint(floodTime.Seconds()), "--only", strings.Join(floods, ",")}
	go func() {
		defer close(h.ended)
		start := time.Now()
		for ctx.Err() == nil {
			if err := h.round(ctx, self, args); err != nil {
				h.err = err
				break
			}
		}
		h.ran = time.Since(start)
	}()
	return h, nil
}

// round is one process.
func (h *hostile) round(ctx context.Context, self string, args []string) error {
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log := &tail{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("couldn't start the attacker: %w", err)
	}
	exit := make(chan error, 1)
	go func() { exit <- cmd.Wait() }()
	tick := time.NewTicker(slice)
	defer tick.Stop()
	for running := true; ; {
		select {
		case err := <-exit:
			h.rounds++
			h.cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
			if exited := (*exec.ExitError)(nil); errors.As(err, &exited) && exited.ExitCode() == 2 {
				return fmt.Errorf("couldn't attack: %s", log)
			}
			return nil
		case <-tick.C:
			if running = !running; running {
				cmd.Process.Signal(syscall.SIGCONT)
			} else {
				cmd.Process.Signal(syscall.SIGSTOP)
			}
		}
	}
}

// stop ends the attacker and says what it used.
func (h *hostile) stop() (cpu time.Duration, rounds int) {
	h.cancel()
	<-h.ended
	return h.cpu, h.rounds
}

// mostMemory that a process had at a time, in bytes.
func mostMemory(n *node) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("couldn't read what a node uses (this bench needs Linux): %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			var kb uint64
			if _, err := fmt.Sscan(v, &kb); err != nil {
				return 0, fmt.Errorf("couldn't read what a node uses: %w", err)
			}
			return kb << 10, nil
		}
	}
	return 0, errors.New("couldn't read what a node uses: no VmHWM in its status")
}
