package daemon

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAFlagBeatsTheEnvironmentWhichBeatsTheFileWhichBeatsTheDefault(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, ConfigFile, "log-level = \"warn\"\nlog-format = \"json\"\nname = \"from file\"\nmdns = false\nmin-free = \"1GiB\"\n")
	c, err := Load(
		map[string][]string{"dir": {dir}, "name": {"from flag"}},
		env("WEFT_NAME", "from env", "WEFT_LOG_LEVEL", "debug", "WEFT_DIR", "/elsewhere"),
	)
	if err != nil {
		t.Fatal(err)
	}
	if c.Dir != dir || c.Name != "from flag" || c.LogLevel != slog.LevelDebug || c.LogFormat != "json" || c.MDNS || c.MinFree != 1<<30 {
		t.Errorf("got %+v", c)
	}
	if c.StopTimeout != DefaultConfig().StopTimeout {
		t.Errorf("stop-timeout is %s, which nobody said", c.StopTimeout)
	}
}

func TestListsComeRepeatedByCommasOrAsAList(t *testing.T) {
	want := []string{"/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/2"}
	dir := t.TempDir()
	flags := map[string][]string{"dir": {dir}, "listen": want}
	for name, load := range map[string]func() (Config, error){
		"flags": func() (Config, error) { return Load(flags, env("WEFT_LISTEN", "/ip4/10.0.0.1/tcp/9")) },
		"environment": func() (Config, error) {
			return Load(nil, env("WEFT_DIR", dir, "WEFT_LISTEN", strings.Join(want, " , ")))
		},
		"file": func() (Config, error) {
			write(t, dir, ConfigFile, `listen = ["/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/2"]`)
			return Load(nil, env("WEFT_DIR", dir))
		},
	} {
		c, err := load()
		if err != nil || !slices.Equal(c.Listen, want) {
			t.Errorf("by %s: %v, %v", name, c.Listen, err)
		}
	}
}

func TestWhatTheFileMayNotSay(t *testing.T) {
	for name, text := range map[string]string{
		"an unknown key":        "lisen = [\"/ip4/0.0.0.0/tcp/1\"]",
		"a section":             "[log]\nlevel = \"debug\"",
		"the folder it lies in": "dir = \"/tmp\"",
		"a list for text":       "name = [\"a\"]",
		"text for a list":       "listen = \"/ip4/0.0.0.0/tcp/1\"",
		"numbers in a list":     "listen = [1]",
		"broken TOML":           "name = \"a",
		"a bad value":           "mdns = \"perhaps\"",
		"a bad size":            "min-free = \"much\"",
		"a bad level":           "log-level = \"loud\"",
		"a bad format":          "log-format = \"xml\"",
		"an open metrics port":  "metrics = \"0.0.0.0:9464\"",
		"a wrong address":       "listen = [\"0.0.0.0:4001\"]",
		"a peer without its id": "peer = [\"/ip4/192.0.2.7/tcp/4001\"]",
		"a nameless port":       "metrics = \":9464\"",
		"an endless name":       "name = \"" + strings.Repeat("x", 65) + "\"",
	} {
		dir := t.TempDir()
		write(t, dir, ConfigFile, text)
		if _, err := Load(nil, env("WEFT_DIR", dir)); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestEverySettingHasAHelpTextAndSurvivesItsOwnText(t *testing.T) {
	c := DefaultConfig()
	c.Listen = []string{"/ip4/0.0.0.0/tcp/1"}
	c.StopTimeout = 90 * time.Second
	var again Config
	for i, s := range c.Settings() {
		if len(s.Help) < 20 || strings.Contains(s.Help, "\n") {
			t.Errorf("%s: help is %q", s.Name, s.Help)
		}
		other := again.Settings()[i]
		if s.String() == "" {
			continue
		}
		if err := other.Set(s.String()); err != nil || other.String() != s.String() {
			t.Errorf("%s: %q became %q, %v", s.Name, s.String(), other.String(), err)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "17": 17, "1KiB": 1024, "256 MiB": 256 << 20, "2GiB": 2 << 30, "5B": 5} {
		got, err := ParseSize(text)
		if err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "x", "-1", "1.5GiB", "99999999TiB", "MiB"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q was taken for %d", text, got)
		}
	}
	if s := Size(256 << 20).String(); s != "256MiB" {
		t.Error(s)
	}
}

func TestDefaultFolder(t *testing.T) {
	if d := DefaultDir(env("XDG_DATA_HOME", "/data", "HOME", "/home/a")); d != "/data/weft" {
		t.Error(d)
	}
	if d := DefaultDir(env("XDG_DATA_HOME", "relative is not allowed", "HOME", "/home/a")); d != "/home/a/.local/share/weft" {
		t.Error(d)
	}
}

func TestALongFolderGetsItsSocketElsewhere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 120))
	if err := os.MkdirAll(filepath.Join(dir, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	path, err := placeSocket(dir)
	if err != nil || len(path) > longestSocket {
		t.Fatalf("%s, %v", path, err)
	}
	t.Setenv("TMPDIR", t.TempDir()) // of the command line, which may differ from the daemon's
	if found := SocketPath(dir); found != path {
		t.Errorf("clients look at %s, the daemon listens on %s", found, path)
	}
}

func TestMemoryHasASoftLimit(t *testing.T) {
	for _, c := range []struct {
		env  []string
		want Size
	}{
		{nil, softMemory},
		{[]string{"GOMEMLIMIT", "1GiB"}, 0}, // the runtime's own
		{[]string{"GOMEMLIMIT", "1GiB", "WEFT_MEMORY_LIMIT", "100MiB"}, 100 << 20},
	} {
		got, err := Load(map[string][]string{"dir": {t.TempDir()}}, env(c.env...))
		if err != nil || got.MemoryLimit != c.want {
			t.Errorf("%v: limit %d, not %d: %v", c.env, got.MemoryLimit, c.want, err)
		}
	}
}
