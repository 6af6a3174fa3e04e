package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrFolderInUse says that another daemon runs in the folder.
var ErrFolderInUse = errors.New("folder is in use")

// lockPatience is how long a start waits for the lock: a process that was killed holds it until the kernel has taken it
// down, and a supervisor starts the next one at once.
const lockPatience = 2 * time.Second

// lockFolder makes dir if need be and takes it for this process. The lock goes with the process, however it ends.
// Close the file to give it back.
func lockFolder(ctx context.Context, dir string) (*os.File, error) {
	if err := makeFolder(dir); err != nil {
		return nil, err
	}
	run := filepath.Join(dir, "run")
	if err := os.MkdirAll(run, 0o700); err != nil {
		return nil, notWritable(dir, err)
	}
	path := filepath.Join(run, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, notWritable(dir, err)
	}
	if err := flockWithin(ctx, f, lockPatience); err != nil {
		holder, _ := os.ReadFile(path)
		f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("couldn't lock %s: %w", path, err)
		}
		return nil, fmt.Errorf("couldn't start: a weft daemon (process %s) runs in %s already; talk to that one, or choose another --dir: %w",
			strings.TrimSpace(string(holder)), dir, ErrFolderInUse)
	}
	// For people only; the lock is what counts.
	if err := errors.Join(f.Truncate(0), writeAt(f, fmt.Sprintln(os.Getpid()))); err != nil {
		f.Close()
		return nil, notWritable(dir, err)
	}
	return f, nil
}

// flockWithin tries for a while; then the error wraps EWOULDBLOCK.
func flockWithin(ctx context.Context, f *os.File, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

// Holder says whether a daemon has the folder, be it one that doesn't answer because it is still starting or already
// stopping, and which process that is (as text, for people).
func Holder(dir string) (process string, held bool) {
	path := filepath.Join(dir, "run", "lock")
	f, err := os.Open(path)
	if err != nil {
		return "", false
	}
	defer f.Close() // gives the lock back too; a daemon that starts just now tries again
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
		return "", false
	}
	holder, _ := os.ReadFile(path)
	return strings.TrimSpace(string(holder)), true
}

func writeAt(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}

func makeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return notWritable(dir, err)
	}
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return notWritable(dir, err)
	}
	return nil
}

func notWritable(dir string, err error) error {
	return fmt.Errorf("couldn't write in the folder %s: give this account the right to (or choose another --dir): %w", dir, err)
}
