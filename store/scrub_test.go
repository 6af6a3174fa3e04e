package store

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// aTable is the path of a table file that Badger wrote.
func aTable(t *testing.T) string {
	t.Helper()
	f := newTeamNode(t, 1, nil)
	for range 50 {
		f.post("some text")
	}
	if err := f.s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.close()
	names := tableFiles(f.dir)
	if len(names) == 0 {
		t.Fatal("no table was written")
	}
	return names[0]
}

// Badger deletes a table by cutting it to nothing first: in that moment it must not pass for a damaged one.
func TestATableThatIsBeingDeletedIsNotDamaged(t *testing.T) {
	name := aTable(t)
	if err := checkTable(name, (&pointers{}).note); err != nil {
		t.Fatalf("a healthy table: %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		if err := os.Truncate(name, 0); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(30*time.Millisecond, func() { os.Remove(name) })
		if err := checkTable(name, (&pointers{}).note); err != nil {
			t.Fatalf("a table that is being deleted: %v", err)
		}
	})
}

func TestATableThatStaysCutIsDamaged(t *testing.T) {
	name := aTable(t)
	if err := os.Truncate(name, 0); err != nil {
		t.Fatal(err)
	}
	if checkTable(name, (&pointers{}).note) == nil {
		t.Fatal("an empty table passes for a healthy one")
	}
}

// However long the machine takes to remove a table that a compaction has replaced: the store is healthy.
func TestATableThatIsNotInUseIsNotDamaged(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	f.post("some text")
	replaced := filepath.Join(f.dir, "999999.sst")
	if err := os.WriteFile(replaced, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, damaged := f.s.scrubOne([]string{replaced}); damaged != "" {
		t.Fatalf("a table that is not in use has the store mended: %s", damaged)
	}
}

// A process that is killed while it writes a table leaves a piece of one: the store is healthy, and stays the same one.
func TestAHalfWrittenTableIsNotDamage(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	for range 50 {
		f.post("some text")
	}
	if err := f.s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	id := f.s.ID()
	f.close()
	whole, err := os.ReadFile(tableFiles(f.dir)[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.dir, "999999.sst"), whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	f.open()
	if f.s.ID() != id {
		t.Fatal("the store was mended")
	}
}
