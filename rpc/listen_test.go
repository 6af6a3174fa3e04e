package rpc

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shortDir is a folder whose path fits a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "weft")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestSocketIsPrivate(t *testing.T) {
	path := filepath.Join(shortDir(t), "a", "run", "weft.sock")
	l, err := ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := mode(t, path); got != 0o600 {
		t.Errorf("socket has mode %o, want 600", got)
	}
	if got := mode(t, filepath.Dir(path)); got != 0o700 {
		t.Errorf("folder has mode %o, want 700", got)
	}
	l.Close()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("closing left the socket behind: %v", err)
	}
}

func TestOpenFolderIsClosed(t *testing.T) {
	dir := filepath.Join(shortDir(t), "run")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := ListenUnix(filepath.Join(dir, "weft.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := mode(t, dir); got != 0o700 {
		t.Errorf("folder has mode %o, want 700", got)
	}
}

func TestSharedFolderIsRefused(t *testing.T) {
	dir := filepath.Join(shortDir(t), "run")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if l, err := ListenUnix(filepath.Join(dir, "weft.sock")); !errors.Is(err, ErrSocketPath) {
		if l != nil {
			l.Close()
		}
		t.Errorf("a folder like /tmp was taken: %v", err)
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	path := filepath.Join(shortDir(t), "weft.sock")
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false) // as a killed process leaves it
	old.Close()
	l, err := ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

func TestLiveSocketIsLeftAlone(t *testing.T) {
	path := filepath.Join(shortDir(t), "weft.sock")
	first, err := ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := ListenUnix(path); !errors.Is(err, ErrSocketInUse) {
		t.Fatalf("second listener: %v", err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("the first listener lost its socket: %v", err)
	}
	c.Close()
}

func TestFileInTheWayIsLeftAlone(t *testing.T) {
	path := filepath.Join(shortDir(t), "weft.sock")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ListenUnix(path); !errors.Is(err, ErrSocketPath) {
		t.Errorf("got %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
		t.Errorf("the file was touched: %q %v", b, err)
	}
}

func TestLongSocketPathIsRefused(t *testing.T) {
	path := filepath.Join(shortDir(t), strings.Repeat("x", 120), "weft.sock")
	if _, err := ListenUnix(path); !errors.Is(err, ErrSocketPath) || !strings.Contains(err.Error(), "shorter") {
		t.Errorf("got %v", err)
	}
}

func TestOnlyOwnUserAndRootMayConnect(t *testing.T) {
	for _, c := range []struct {
		peer, own int
		ok        bool
	}{{1000, 1000, true}, {0, 1000, true}, {1001, 1000, false}, {1001, 0, false}, {0, 0, true}} {
		if err := allowedUser(c.peer, c.own); (err == nil) != c.ok {
			t.Errorf("user %d at the socket of %d: %v", c.peer, c.own, err)
		}
	}
}

func TestKernelIsAskedWhoConnects(t *testing.T) {
	path := filepath.Join(shortDir(t), "weft.sock")
	l, err := ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := net.Dial("unix", path); err == nil {
			c.Close()
		}
	}()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := allowed(c.(*net.UnixConn)); err != nil {
		t.Errorf("own process is refused: %v", err)
	}
}
