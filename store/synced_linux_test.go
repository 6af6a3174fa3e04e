package store

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// dirtyBytes is how much of the mapped files below dir with this end of the name was written to and is not on the disk, as the kernel says.
func dirtyBytes(t *testing.T, dir, suffix string) (n int) {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ours := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) > 0 && !strings.HasSuffix(fields[0], ":"): // the head of a mapping: addresses … path
			ours = strings.Contains(lines.Text(), dir+"/") && strings.HasSuffix(lines.Text(), suffix)
		case ours && (fields[0] == "Shared_Dirty:" || fields[0] == "Private_Dirty:"):
			kb, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			n += kb << 10
		}
	}
	return n
}

// dirtIsSeen says whether this file system's mapped pages are dirty after a write and clean after msync. In memory
// (tmpfs) they never get clean, and there is nothing to be seen.
func dirtIsSeen(t *testing.T) bool {
	t.Helper()
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "probe"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(1 << 16); err != nil {
		t.Fatal(err)
	}
	m, err := unix.Mmap(int(f.Fd()), 0, 1<<16, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(m)
	m[0] = 1
	if dirtyBytes(t, dir, "probe") == 0 {
		return false
	}
	return unix.Msync(m, unix.MS_SYNC) == nil && dirtyBytes(t, dir, "probe") == 0
}

// A kill -9 doesn't find a missing fsync, since the kernel keeps what was written; only a power cut would. So this asks
// the kernel what of the log it has not written yet.
func TestAnAcknowledgedPostIsNotOnlyInTheKernelsMemory(t *testing.T) {
	if !dirtIsSeen(t) {
		t.Log("the temporary folder's file system doesn't tell what is on disk: nothing was tested")
		return
	}
	f := newTeamNode(t, 1, nil)
	for i := range 20 {
		if _, err := f.s.Append(context.Background(), []Draft{f.draft(strings.Repeat("x", 2000*i+1), strconv.Itoa(i))}); err != nil {
			t.Fatal(err)
		}
		for _, suffix := range []string{".mem", ".vlog"} { // where small and large values are written first
			if n := dirtyBytes(t, f.dir, suffix); n > 0 {
				t.Fatalf("post %d was acknowledged with %d bytes of the store's %s file not on disk", i, n, suffix)
			}
		}
	}
}
