package main

import (
	"fmt"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cpuTime is what this process has used, user and system.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// profileTo has the CPU's work written to a file until stop is called; "": nothing is written.
func profileTo(file string) (stop func(), err error) {
	if file == "" {
		return func() {}, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, fmt.Errorf("couldn't write the profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("couldn't profile: %w", err)
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
	}, nil
}

// usage of another process.
type usage struct {
	cpu time.Duration
	rss uint64 // bytes
}

// clockTick is the unit of times in /proc/PID/stat: 100 a second on every Linux that Go runs on (sysconf(_SC_CLK_TCK)).
const clockTick = 10 * time.Millisecond

// processUsage reads /proc/PID/stat and /proc/PID/status (proc(5)).
func processUsage(pid int) (u usage, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, fmt.Errorf("couldn't read what process %d uses (this bench needs Linux): %w", pid, err)
	}
	_, rest, ok := strings.Cut(string(stat), ") ") // the name in parentheses may hold spaces
	fields := strings.Fields(rest)
	if !ok || len(fields) < 13 {
		return u, fmt.Errorf("couldn't read what process %d uses: unknown form of /proc/%d/stat", pid, pid)
	}
	for _, i := range []int{11, 12} { // utime, stime
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return u, fmt.Errorf("couldn't read what process %d uses: %w", pid, err)
		}
		u.cpu += time.Duration(n) * clockTick
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u, fmt.Errorf("couldn't read what process %d uses: %w", pid, err)
	}
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseUint(strings.Fields(v)[0], 10, 64)
			if err != nil {
				return u, fmt.Errorf("couldn't read what process %d uses: %w", pid, err)
			}
			u.rss = kb << 10
		}
	}
	return u, nil
}

// allocated is what a file takes on disk; a sparse file takes less than its size.
func allocated(st os.FileInfo) int64 {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return s.Blocks * 512
	}
	return st.Size()
}
