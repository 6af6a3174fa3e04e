package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// namespaceEnv is set in a weftlab that runs in a network namespace of its own: there, loopback carries nothing but the
// nodes of the bench, and the kernel's counters of it are exact.
const namespaceEnv = "WEFTLAB_NAMESPACE"

func inNamespace() bool { return os.Getenv(namespaceEnv) != "" }

// inNamespace runs a bench in a new network namespace and takes over its figures. Not done: the system doesn't allow it.
func (l *lab) inNamespace(ctx context.Context, bench string, args ...string) (done bool, err error) {
	self, err := os.Executable()
	if err != nil {
		return false, err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"bench", bench, "--json", "--data", l.data, "--weft", l.weft, "--runs", strconv.Itoa(l.runs)}, args...)...)
	cmd.Env = append(os.Environ(), namespaceEnv+"=1")
	cmd.Stderr = os.Stderr
	var out bytes.Buffer
	cmd.Stdout = &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		return false, nil // not allowed here
	}
	if err := cmd.Wait(); err != nil {
		return true, fmt.Errorf("couldn't measure in a network namespace: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var res struct{ Figures []figure }
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &res); err != nil {
		return true, fmt.Errorf("couldn't read the figures measured in a network namespace: %w", err)
	}
	l.out.figures = append(l.out.figures, res.Figures...)
	return true, nil
}

// raiseLoopback turns a new namespace's loopback on.
func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("couldn't turn loopback on: %w", err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("couldn't turn loopback on: %w", err)
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("couldn't turn loopback on: %w", err)
	}
	return nil
}

// loopbackBytes is what loopback has carried so far, headers included, each packet once.
func loopbackBytes() (uint64, error) {
	b, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		return 0, fmt.Errorf("couldn't read the network's counters (this bench needs Linux): %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "lo:"); ok {
			return strconv.ParseUint(strings.Fields(v)[0], 10, 64)
		}
	}
	return 0, fmt.Errorf("couldn't find loopback in /proc/net/dev")
}
