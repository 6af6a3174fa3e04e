package store

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestAKillBetweenMakingAFileAndSizingIt: Badger makes a value log and a memtable at each start, empty at first.
func TestAKillBetweenMakingAFileAndSizingIt(t *testing.T) {
	for _, name := range []string{"099999.vlog", "1000000.vlog", "99999.mem", "100000.mem"} {
		f := newTeamNode(t, 1, nil)
		f.post("one")
		f.post("two")
		f.close()
		empty := filepath.Join(f.dir, name)
		if err := os.WriteFile(empty, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		f.open()
		f.post("three")
		if got := f.texts(); !slices.Equal(got, []string{"one", "two", "three"}) {
			t.Errorf("%s: after it: %q", name, got)
		}
	}
}

// TestAnEmptyFileAmongOlderOnesIsDamage: it had a content once, and is not taken away in silence.
func TestAnEmptyFileAmongOlderOnesIsDamage(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"000001.vlog": "", "000002.vlog": "x", "00009.mem": "", "00010.mem": "x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := removeUnbegun(dir); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 4 {
		t.Errorf("left: %v", left)
	}
}
