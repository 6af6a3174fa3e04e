package rpc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
)

// maxSocketPath is what every system takes as the path of a Unix socket (Linux 107 bytes, macOS 103).
const maxSocketPath = 100

// liveProbe is how long ListenUnix waits for an answer of whoever may still be serving the socket.
const liveProbe = time.Second

// ErrSocketInUse says that another process serves the socket.
var ErrSocketInUse = errors.New("another weft serves this socket")

// ErrSocketPath says that the path can't be a private socket: too long, or its folder belongs to somebody else.
var ErrSocketPath = errors.New("not a place for a private socket")

// refusedConnections counts connections of other users since the process started.
var refusedConnections atomic.Uint64

// ListenUnix opens the API's socket: mode 0600, in a folder of mode 0700 that it makes, or repairs where it is this
// user's. The socket of a process that is gone is replaced; a live one gives ErrSocketInUse. Connections of other users
// (root excepted) are closed at once and counted. Closing the listener removes the socket.
func ListenUnix(path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("couldn't listen on %s: %d bytes are more than the %d that a socket path may have; choose a shorter folder: %w", path, len(path), maxSocketPath, ErrSocketPath)
	}
	if err := privateFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", path)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("couldn't listen on %s: %w", path, ErrSocketInUse)
		}
		return nil, fmt.Errorf("couldn't listen on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("couldn't make %s private: %w", path, err)
	}
	return &privateListener{l.(*net.UnixListener)}, nil
}

// privateFolder makes dir with mode 0700, or brings it to that mode. The folder guards the socket in the moment between
// its making and its chmod.
func privateFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("couldn't make folder %s for the socket: %w", dir, err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("couldn't look at folder %s: %w", dir, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("couldn't use %s for the socket: not a folder: %w", dir, ErrSocketPath)
	}
	if uid, ok := owner(info); ok && uid != os.Geteuid() {
		return fmt.Errorf("couldn't use folder %s for the socket: it belongs to user %d; choose one of your own: %w", dir, uid, ErrSocketPath)
	}
	if info.Mode().Perm() == 0o700 {
		return nil
	}
	if info.Mode()&fs.ModeSticky != 0 {
		return fmt.Errorf("couldn't use folder %s for the socket: it is shared; choose one of your own: %w", dir, ErrSocketPath)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("couldn't make folder %s private: %w", dir, err)
	}
	return nil
}

// removeStale removes a socket that nobody serves.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("couldn't look at %s: %w", path, err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("couldn't listen on %s: a file that is no socket is in the way; move it: %w", path, ErrSocketPath)
	}
	c, err := net.DialTimeout("unix", path, liveProbe)
	if err == nil {
		c.Close()
		return fmt.Errorf("couldn't listen on %s: %w; stop it, or choose another --dir", path, ErrSocketInUse)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("couldn't tell whether %s is still served: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("couldn't remove the socket that a stopped weft left at %s: %w", path, err)
	}
	return nil
}

type privateListener struct{ *net.UnixListener }

// Accept returns the next connection of this process's user or of root.
func (l *privateListener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if allowed(c) == nil {
			return c, nil
		}
		refusedConnections.Add(1)
		c.Close()
	}
}

// allowedUser says whether a process of user peer may use the socket of a process of user own.
func allowedUser(peer, own int) error {
	if peer == own || peer == 0 {
		return nil
	}
	return fmt.Errorf("couldn't serve user %d: the socket is of user %d", peer, own)
}
