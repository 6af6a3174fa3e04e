package store

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestAKillBetweenTwoStepsOfBadgersLeavesAnEmptyFile: it makes a value log and a memtable at each start, empty at first, and cuts
// those that it deletes to nothing before they are gone.
func TestAKillBetweenTwoStepsOfBadgersLeavesAnEmptyFile(t *testing.T) {
	for _, name := range []string{"099999.vlog", "1000000.vlog", "99999.mem", "100000.mem", "000000.vlog", "00000.mem"} {
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
