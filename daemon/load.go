package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/sys/unix"
)

// ErrConfig is wrapped by every error about a setting's name or value.
var ErrConfig = errors.New("wrong setting")

// ConfigFile is the name of the file of settings in a node's folder.
const ConfigFile = "weft.toml"

// Load puts the settings together: flags (name → values given, in order) over the environment over the file DIR/weft.toml
// over the defaults. A key of the file that no setting has is an error, so that a slip of the pen isn't silently ignored.
func Load(flags map[string][]string, getenv func(string) string) (Config, error) {
	c := DefaultConfig()
	var flag string
	if values := flags["dir"]; len(values) > 0 {
		flag = values[len(values)-1]
	}
	var err error
	if c.Dir, err = FindDir(flag, getenv); err != nil {
		return c, err
	}
	if err := c.readFile(filepath.Join(c.Dir, ConfigFile)); err != nil {
		return c, err
	}
	for _, s := range c.Settings() {
		if s.Name == "dir" {
			continue
		}
		if err := c.apply(s, flags, getenv); err != nil {
			return c, err
		}
	}
	if c.MemoryLimit == 0 && getenv("GOMEMLIMIT") == "" {
		c.MemoryLimit = softMemory
	}
	return c, c.Validate()
}

// softMemory is the memory limit where none is set. What is held lives in far less; it keeps the garbage of a catch-up
// with many large entries from doubling that.
const softMemory = 384 << 20

// FindDir is the folder of the node that is meant: that of the flag, or else of WEFT_DIR, or else DefaultDir; absolute.
func FindDir(flag string, getenv func(string) string) (string, error) {
	dir := flag
	if dir == "" {
		dir = getenv("WEFT_DIR")
	}
	if dir == "" {
		dir = DefaultDir(getenv)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("couldn't make %q absolute: %w", dir, err)
	}
	return abs, nil
}

func (c *Config) setting(name string) *Setting {
	settings := c.Settings()
	i := slices.IndexFunc(settings, func(s *Setting) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return settings[i]
}

// apply sets s from the flags, or else from the environment.
func (c *Config) apply(s *Setting, flags map[string][]string, getenv func(string) string) error {
	values, from := flags[s.Name], "--"+s.Name
	if len(values) == 0 {
		if v := getenv(s.Env); v != "" {
			values, from = []string{v}, s.Env
		}
	}
	for _, v := range values {
		if err := s.Set(v); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrConfig, from, err)
		}
	}
	return nil
}

func (c *Config) readFile(path string) error {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil // a folder that can't be one is refused when it is to be made
	}
	if err != nil {
		return fmt.Errorf("couldn't read the settings: %w", err)
	}
	var keys map[string]any
	if _, err := toml.Decode(string(raw), &keys); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrConfig, path, err)
	}
	for key, value := range keys {
		s := c.setting(key)
		if s == nil || !s.File {
			return fmt.Errorf("%w: %s: no setting is called %q here; there are: %s", ErrConfig, path, key, strings.Join(fileKeys(c), ", "))
		}
		if err := s.setFromFile(value); err != nil {
			return fmt.Errorf("%w: %s: %s: %w", ErrConfig, path, key, err)
		}
	}
	return nil
}

func fileKeys(c *Config) []string {
	var keys []string
	for _, s := range c.Settings() {
		if s.File {
			keys = append(keys, s.Name)
		}
	}
	sort.Strings(keys)
	return keys
}

// setFromFile takes a TOML value: a list for a list, text, number or boolean for the rest.
func (s *Setting) setFromFile(value any) error {
	_, wantsList := s.field.Interface().([]string)
	items, isList := value.([]any)
	if isList != wantsList {
		return fmt.Errorf("%v doesn't fit; a list is written [\"…\", \"…\"] and everything else without brackets", value)
	}
	if !wantsList {
		return s.Set(fmt.Sprint(value))
	}
	list := make([]string, len(items))
	for i, it := range items {
		text, ok := it.(string)
		if !ok {
			return fmt.Errorf("%v isn't text; write it in quotes", it)
		}
		list[i] = text
	}
	s.fresh = true
	return s.Set(strings.Join(list, ","))
}

// Validate says what is wrong with the values.
func (c *Config) Validate() error {
	switch {
	case c.Dir == "":
		return fmt.Errorf("%w: dir is empty", ErrConfig)
	case len(c.Name) > MaxNameBytes || !utf8.ValidString(c.Name):
		return fmt.Errorf("%w: name must be UTF-8 of at most %d bytes", ErrConfig, MaxNameBytes)
	case c.LogFormat != "text" && c.LogFormat != "json":
		return fmt.Errorf("%w: log-format %q: use text or json", ErrConfig, c.LogFormat)
	case c.Presence != "" && c.Presence != presenceOn && c.Presence != presenceOff:
		return fmt.Errorf("%w: presence %q: use on or off", ErrConfig, c.Presence)
	case c.PostRate < -1 || c.PostBurst < 0:
		return fmt.Errorf("%w: post-rate must be -1 or more and post-burst 0 or more", ErrConfig)
	}
	for _, a := range c.Listen {
		if _, err := ma.NewMultiaddr(a); err != nil {
			return fmt.Errorf("%w: listen %q: write it like /ip4/0.0.0.0/udp/4001/quic-v1: %w", ErrConfig, a, err)
		}
	}
	for _, a := range c.Peer {
		if _, err := peer.AddrInfoFromString(a); err != nil {
			return fmt.Errorf("%w: peer %q: write it like /ip4/192.0.2.7/udp/4001/quic-v1/p2p/12D3Koo…, as weft status shows it: %w", ErrConfig, a, err)
		}
	}
	if c.Metrics != "" {
		return validLoopback(c.Metrics)
	}
	return nil
}

// MaxNameBytes is how long a user's display name may be.
const MaxNameBytes = 64

func validLoopback(hostPort string) error {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		return fmt.Errorf("%w: metrics %q: write it like 127.0.0.1:9464", ErrConfig, hostPort)
	}
	if host == "localhost" {
		return nil
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || !addr.IsLoopback() {
		return fmt.Errorf("%w: metrics %q: only loopback addresses (127.0.0.1, [::1], localhost) are allowed, because the page has no password", ErrConfig, hostPort)
	}
	return nil
}
