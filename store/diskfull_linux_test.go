package store

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fullEnv holds a folder in which this test binary, alone in its mount namespace, is to fill a small disk.
const fullEnv = "WEFT_STORE_FULL"

// TestSmallDiskIsNeverFilled mounts a tmpfs of 160 MiB in a mount namespace of a process of its own (root, or a user
// namespace, is enough for that), and posts until the store refuses. It must refuse long before the disk is full, go on
// reading, open again, and go on when there is space.
func TestSmallDiskIsNeverFilled(t *testing.T) {
	if dir := os.Getenv(fullEnv); dir != "" {
		fillDisk(t, dir)
		return
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestSmallDiskIsNeverFilled$", "-test.v")
	cmd.Env = append(os.Environ(), fullEnv+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil && strings.Contains(err.Error(), "operation not permitted") {
		t.Logf("this machine allows no mount namespace, so the real disk was not filled: %v (TestWatchdogStopsWritesAndRecovers covers the rest)", err)
		return
	}
	if err != nil || !bytes.Contains(out, []byte("--- PASS")) {
		t.Fatalf("%v\n%s", err, out)
	}
}

func fillDisk(t *testing.T, dir string) {
	ctx := context.Background()
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatal("couldn't make mounts private: ", err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=160m"); err != nil {
		t.Fatal("couldn't mount tmpfs: ", err)
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 30<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
	f := newTeamNode(t, 1, func(o *Options) { o.Now, o.MinFree, o.DiskEvery = nil, 48<<20, 20*time.Millisecond })
	raw := make([]byte, 45_000) // incompressible: 60,000 characters
	rnd := rand.NewChaCha8([32]byte{})
	stored := 0
	for ; stored < 20_000; stored += 8 {
		var ds []Draft
		for i := range 8 {
			rnd.Read(raw)
			ds = append(ds, f.draft(base64.StdEncoding.EncodeToString(raw), fmt.Sprint(stored+i)))
		}
		_, err := f.s.Append(ctx, ds)
		if errors.Is(err, ErrStorageFull) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if free, _ := freeSpace(dir); free == 0 || stored == 20_000 || stored == 0 {
		t.Fatalf("%d posts, %d bytes free", stored, free)
	}
	if n := len(f.texts()); n != stored {
		t.Fatalf("%d of %d are read", n, stored)
	}
	f.reopen() // a full disk is no reason not to start
	if n := len(f.texts()); n != stored {
		t.Fatalf("%d of %d are read after opening again", n, stored)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	f.await(func() bool { return !f.s.Status().Full })
	f.post("fits again")
}
