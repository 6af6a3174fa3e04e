package daemon

import (
	_ "embed"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/libp2p/go-libp2p"
)

// Config is every setting of a node. A setting named `log-level` is the flag --log-level of `weft run`, the environment
// variable WEFT_LOG_LEVEL and the key log-level of the file DIR/weft.toml; a flag beats the environment, which beats the
// file, which beats the default. The comment of a field is its help text.
type Config struct {
	// Folder of the node: keys, store and socket. Made on the first start. Not a key of the file, which lies in it.
	Dir string `weft:"dir" arg:"DIR" file:"-"`

	// Name under which others see the user of this node, 1 to 64 bytes. Used on the first start only; empty: the name of
	// the account that runs weft.
	Name string `weft:"name" arg:"NAME"`

	// Address of the mesh to listen on, as a multiaddr; may be repeated. None: QUIC and TCP on all interfaces, on ports
	// that the system chooses once and that are then kept.
	Listen []string `weft:"listen" arg:"MULTIADDR"`

	// Address of a node to stay connected to, as a multiaddr that ends in /p2p/ID; may be repeated.
	Peer []string `weft:"peer" arg:"MULTIADDR"`

	// Find teammates' nodes on the local network by multicast DNS.
	MDNS bool `weft:"mdns"`

	// Serve /metrics, /healthz and /readyz on this TCP port too, which must be a loopback one. They are always on the socket.
	Metrics string `weft:"metrics" arg:"HOST:PORT"`

	// Least severe log lines to write: debug, info, warn or error.
	LogLevel slog.Level `weft:"log-level" arg:"LEVEL"`

	// Form of the log lines on standard error: text or json.
	LogFormat string `weft:"log-format" arg:"FORMAT"`

	// Free disk space below which posts are refused with STORAGE_FULL, long before a full disk could harm the store.
	MinFree Size `weft:"min-free" arg:"SIZE"`

	// Memory that the Go runtime tries to stay under, for instance 512MiB; 0: GOMEMLIMIT where that is set (off: no
	// limit), or else 384MiB.
	MemoryLimit Size `weft:"memory-limit" arg:"SIZE"`

	// Entries a second that one author may post here on average. 0: the default of docs/limits.md; -1: no limit.
	PostRate int `weft:"post-rate" arg:"N"`

	// Entries that one author may post here at once before post-rate holds them back. 0: the default of docs/limits.md.
	PostBurst int `weft:"post-burst" arg:"N"`

	// Whether teammates see when people of this node are there: on or off. What they set themselves (weft presence set) is
	// kept in either case.
	Presence string `weft:"presence" arg:"on|off"`

	// Count the running node as a session of its own user, who is then shown as online. Without it only clients that attach
	// are.
	PresenceSession bool `weft:"presence-session"`

	// How long a stop may take before what is left is cut off. What was acknowledged is safe in either case.
	StopTimeout time.Duration `weft:"stop-timeout" arg:"DURATION"`

	Wiring `weft:"-"`
}

// Wiring is what the program that starts a node gives it and no person sets.
type Wiring struct {
	Version string          // of the program, shown by status
	LogTo   io.Writer       // where log lines go; nil: nowhere
	Libp2p  []libp2p.Option // for simulated networks
	Now     func() time.Time
	// Listen opens the API's socket; nil: rpc.ListenUnix. Simulations give a listener that needs no kernel.
	Listen func(path string) (net.Listener, error)
}

//go:embed config.go
var configSource []byte

// DefaultConfig is what holds where nothing else is said: the mesh on all interfaces over QUIC and TCP, the API on the
// socket only.
func DefaultConfig() Config {
	return Config{
		Dir:         DefaultDir(os.Getenv),
		MDNS:        true,
		LogLevel:    slog.LevelInfo,
		LogFormat:   "text",
		MinFree:     256 << 20,
		StopTimeout: 5 * time.Second,

		Presence:        presenceOn,
		PresenceSession: true,
	}
}

// DefaultDir is $XDG_DATA_HOME/weft, or ~/.local/share/weft where that isn't set; "weft" where neither is known.
func DefaultDir(getenv func(string) string) string {
	if d := getenv("XDG_DATA_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "weft")
	}
	home := getenv("HOME")
	if home == "" {
		home, _ = os.UserHomeDir()
	}
	if home == "" {
		return "weft"
	}
	return filepath.Join(home, ".local", "share", "weft")
}
