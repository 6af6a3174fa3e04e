package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// The file of settings is written by people: what is wrong in it is said, and what is taken can be said again.
func FuzzConfigFile(f *testing.F) {
	for _, text := range []string{
		"", "name = \"Ada\"\nlisten = [\"/ip4/127.0.0.1/udp/0/quic-v1\"]\nmdns = false\nmin-free = \"1GiB\"\nlog-level = \"debug\"\n",
		"dir = \"x\"", "listen = 5", "peer = [1]", "post-rate = -2", "stop-timeout = \"1h\"", "[name]\na = 1", "name = 1979-05-27", "\x00", "min-free = 18446744073709551616",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, ConfigFile), text, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(map[string][]string{"dir": {dir}}, func(string) string { return "" })
		if err != nil {
			if !errors.Is(err, ErrConfig) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		if c.Dir != dir {
			t.Fatalf("the file moved the folder to %s", c.Dir)
		}
		for _, s := range c.Settings() {
			if _, isList := s.field.Interface().([]string); isList {
				continue // a comma within an item divides it
			}
			if err := s.Set(s.String()); err != nil {
				t.Fatalf("%s was taken and can't be said again: %v", s.Name, err)
			}
		}
	})
}

// Key files and sizes are read from disk and from people too.
func FuzzKeyFile(f *testing.F) {
	f.Add(keyText(nodeKeyFile, [32]byte{1}), "1GiB")
	f.Add([]byte("weft"), "-1")
	f.Add([]byte{}, "99999999999TiB")
	f.Fuzz(func(t *testing.T, text []byte, size string) {
		if seed, err := parseKeyText(nodeKeyFile, text); err == nil {
			if again, err := parseKeyText(nodeKeyFile, keyText(nodeKeyFile, seed)); err != nil || again != seed {
				t.Fatalf("a key that was read is written otherwise: %v", err)
			}
		}
		if n, err := ParseSize(size); err == nil {
			if again, err := ParseSize(n.String()); err != nil || again != n {
				t.Fatalf("%q is %s is %d", size, n, again)
			}
		}
	})
}
