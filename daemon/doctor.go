package daemon

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	weftv1 "weft/api/weft/v1"
	"weft/store"
)

// Levels of a check's outcome.
const (
	levelOK   = "ok"
	levelWarn = "warn" // works, but worse than it could
	levelFail = "fail" // something weft needs is missing
)

const (
	// wantUDPBuffer is what quic-go asks the kernel for; with less, bursts are dropped before weft sees them.
	wantUDPBuffer = 7 << 20
	// wantFiles is enough for 256 peers, Badger's tables and the API's callers.
	wantFiles = 4096
	// badSkew is a difference of clocks that people notice in the order of messages; above 60 s posts are refused.
	badSkew = 2 * time.Second
	// maxSkew is where a node refuses stamps (CLOCK_AHEAD).
	maxSkew = time.Minute
)

// Doctor looks at the machine on which the node in c.Dir runs or would run. It needs no running daemon.
func Doctor(c Config) []*weftv1.DoctorCheck {
	checks := []*weftv1.DoctorCheck{
		checkUDPBuffer("/proc/sys/net/core/rmem_max", "net.core.rmem_max"),
		checkUDPBuffer("/proc/sys/net/core/wmem_max", "net.core.wmem_max"),
		checkFiles(),
		checkDisk(c),
		checkClock(time.Now()),
		checkRecoveryKey(c.Dir),
	}
	return checks
}

func check(name, level, found, advice string) *weftv1.DoctorCheck {
	return &weftv1.DoctorCheck{Name: name, Level: level, Found: found, Advice: advice}
}

func checkUDPBuffer(path, sysctl string) *weftv1.DoctorCheck {
	raw, err := os.ReadFile(path)
	n, bad := strconv.Atoi(strings.TrimSpace(string(raw)))
	switch {
	case err != nil || bad != nil:
		return check(sysctl, levelOK, "not known on this system", "")
	case n < wantUDPBuffer:
		return check(sysctl, levelWarn, fmt.Sprintf("%d bytes", n),
			fmt.Sprintf("QUIC wants %d to lose nothing in bursts; run as root: sysctl -w %s=%d, and keep it in /etc/sysctl.d/weft.conf", wantUDPBuffer, sysctl, wantUDPBuffer))
	}
	return check(sysctl, levelOK, fmt.Sprintf("%d bytes", n), "")
}

func checkFiles() *weftv1.DoctorCheck {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return check("open files", levelWarn, err.Error(), "")
	}
	found := fmt.Sprintf("%d allowed", limit.Cur)
	if limit.Cur < wantFiles {
		return check("open files", levelWarn, found, fmt.Sprintf("allow at least %d: ulimit -n %d, or LimitNOFILE= in the systemd unit", wantFiles, wantFiles))
	}
	return check("open files", levelOK, found, "")
}

func checkDisk(c Config) *weftv1.DoctorCheck {
	free, err := freeSpace(c.Dir)
	if err != nil {
		return check("disk", levelFail, err.Error(), "make the folder readable, or choose another --dir")
	}
	found := fmt.Sprintf("%d MiB free", free>>20)
	switch {
	case free < uint64(c.MinFree):
		return check("disk", levelFail, found, fmt.Sprintf("posts are refused below %s; free some space", c.MinFree))
	case free < 4*uint64(c.MinFree):
		return check("disk", levelWarn, found, fmt.Sprintf("posts will be refused below %s", c.MinFree))
	}
	return check("disk", levelOK, found, "")
}

// freeSpace is what an ordinary process may still write to the file system of dir, or of the nearest folder above it
// that exists.
func freeSpace(dir string) (uint64, error) {
	for {
		var st unix.Statfs_t
		err := unix.Statfs(dir, &st)
		if err == nil {
			return st.Bavail * uint64(st.Bsize), nil
		}
		above := filepath.Dir(dir)
		if err != unix.ENOENT || above == dir {
			return 0, fmt.Errorf("couldn't ask for the free space of %s: %w", dir, err)
		}
		dir = above
	}
}

// checkClock finds clocks that were never set: machines without a battery wake up in 1970 or at their firmware's date.
func checkClock(now time.Time) *weftv1.DoctorCheck {
	if y := now.Year(); y < 2026 || y > 2100 {
		return check("clock", levelFail, now.UTC().Format(time.RFC3339), "set the clock, for instance by turning on NTP")
	}
	return check("clock", levelOK, now.UTC().Format(time.RFC3339), "")
}

// checkSkew compares the clock with those of peers: skew is how far theirs are ahead in the median, of n peers.
func checkSkew(skew time.Duration, n int) *weftv1.DoctorCheck {
	if n == 0 {
		return check("clock against peers", levelOK, "no peer has told its time yet", "")
	}
	found := fmt.Sprintf("%s behind %d peers", skew.Round(time.Millisecond), n)
	if skew < 0 {
		found = fmt.Sprintf("%s ahead of %d peers", (-skew).Round(time.Millisecond), n)
	}
	switch s := skew.Abs(); {
	case s > maxSkew:
		return check("clock against peers", levelFail, found, "posts are refused or sorted wrongly; turn on NTP here or there")
	case s > badSkew:
		return check("clock against peers", levelWarn, found, "messages may be sorted oddly; turn on NTP here or there")
	}
	return check("clock against peers", levelOK, found, "")
}

func checkRecoveryKey(dir string) *weftv1.DoctorCheck {
	keys := filepath.Join(dir, "keys")
	if HasRecoveryKey(dir) {
		if _, err := readKey(keys, recoveryKeyFile); err != nil {
			return check("recovery key", levelWarn, err.Error(), "bring the file back from a backup of the node's folder; without it the loss of this machine can't be undone")
		}
		return check("recovery key", levelWarn, "still on this machine",
			"whoever takes this disk is you: run weft device recovery-key once and keep the 24 words on paper")
	}
	if _, err := os.Stat(keys); err != nil {
		return check("recovery key", levelOK, "none yet; the first start makes it", "")
	}
	return check("recovery key", levelOK, "taken off this machine", "")
}

// checkListen says on which ports the mesh listens.
func checkListen(addrs []string) *weftv1.DoctorCheck {
	var quic, tcp int
	for _, a := range addrs {
		switch {
		case strings.Contains(a, "/quic-v1"):
			quic++
		case strings.Contains(a, "/tcp/"):
			tcp++
		}
	}
	found := fmt.Sprintf("%d QUIC and %d TCP addresses", quic, tcp)
	switch {
	case quic+tcp == 0:
		return check("mesh ports", levelFail, found, "nobody can reach this node; see --listen")
	case quic == 0:
		return check("mesh ports", levelWarn, found, "QUIC does better on bad networks; open a UDP port with --listen /ip4/0.0.0.0/udp/0/quic-v1")
	}
	return check("mesh ports", levelOK, found, "")
}

// checkSocket dials the API's own socket.
func checkSocket(path string) *weftv1.DoctorCheck {
	c, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return check("socket", levelFail, err.Error(), "restart the daemon")
	}
	c.Close()
	if st, err := os.Stat(path); err == nil && st.Mode().Perm()&0o077 != 0 {
		return check("socket", levelFail, fmt.Sprintf("%s has permissions %04o", path, st.Mode().Perm()), "others on this machine may use your node; restart the daemon")
	}
	return check("socket", levelOK, path, "")
}

// checkStore says how the store is.
func checkStore(s store.Status) *weftv1.DoctorCheck {
	found := fmt.Sprintf("%d records, %d MiB", s.Records, s.LSM>>20)
	if s.Mended {
		found += "; mended since the start, the damaged copy lies beside it"
	}
	switch {
	case s.Failed != "":
		return check("store", levelFail, s.Failed, "look at the log, then restart the daemon")
	case s.Damaged > 0:
		return check("store", levelWarn, fmt.Sprintf("%s; %d damaged records are not back yet", found, s.Damaged), "run weft check; what is damaged is fetched from peers again")
	case s.Short != "":
		return check("store", levelWarn, s.Short, "what was lost is fetched from peers again; look at this disk's health")
	case s.Full:
		return check("store", levelFail, "posts are refused: the disk is nearly full", "free some space; posting goes on by itself")
	}
	return check("store", levelOK, found, "")
}
