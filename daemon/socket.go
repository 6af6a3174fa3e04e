package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// longestSocket is what every system takes as the path of a Unix socket (Linux 107 bytes, macOS 103).
const longestSocket = 100

// SocketPath is where the daemon in dir serves the API: DIR/run/weft.sock; where that is too long for a socket, a place
// in the folder for temporary files, which DIR/run/socket then names.
func SocketPath(dir string) string {
	path := filepath.Join(dir, "run", "weft.sock")
	if len(path) <= longestSocket {
		return path
	}
	if named, err := os.ReadFile(filepath.Join(dir, "run", "socket")); err == nil {
		return strings.TrimSpace(string(named))
	}
	return shortSocket(dir)
}

// shortSocket is the same for the same folder and account, so that it needs no cleaning up between runs.
func shortSocket(dir string) string {
	h := sha256.Sum256([]byte(dir))
	return filepath.Join(os.TempDir(), fmt.Sprintf("weft-%d-%s", os.Getuid(), hex.EncodeToString(h[:8])), "weft.sock")
}

// placeSocket is SocketPath for a daemon that is about to listen: it writes down where a socket that couldn't be in dir is.
func placeSocket(dir string) (string, error) {
	note := filepath.Join(dir, "run", "socket")
	if err := os.Remove(note); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", notWritable(dir, err)
	}
	path := SocketPath(dir)
	if path == filepath.Join(dir, "run", "weft.sock") {
		return path, nil
	}
	if err := writeSynced(note, []byte(path+"\n")); err != nil {
		return "", notWritable(dir, err)
	}
	return path, nil
}
