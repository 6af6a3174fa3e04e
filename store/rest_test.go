package store

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The compactors of an idle store don't look for work; as soon as there is some, they do it.
func TestCompactorsRestWhileNothingIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTeamNode(t, 1, nil)
		rest := func() {
			t.Helper()
			time.Sleep(3 * lookEvery)
			if !f.s.compactors.resting.Load() || compactorsRunning() > 0 {
				t.Fatalf("nothing was written, and %d compactors run", compactorsRunning())
			}
		}
		rest()
		f.post("a little")
		synctest.Wait() // a goroutine that has not run yet does not show what it is
		if n := compactorsRunning(); n > 0 {
			t.Fatalf("%d compactors were woken for a few bytes", n)
		}
		for i := range 8 * 140 { // eight memtables: level 0 is full with five
			d := f.draft(strings.Repeat("x", 60<<10), fmt.Sprint("large ", i))
			if _, err := f.s.Append(t.Context(), []Draft{d}); err != nil {
				t.Fatal(err)
			}
		}
		if f.s.compactors.resting.Load() {
			t.Fatal("the compactors rest while tables are written")
		}
		rest()
		if n := f.s.db.Levels()[0].NumTables; n >= 5 {
			t.Fatalf("the compactors rest, and level 0 has %d tables", n)
		}
		if err := f.s.Compact(t.Context()); err != nil { // which ends and starts them too
			t.Fatal(err)
		}
		synctest.Wait()
		if compactorsRunning() == 0 {
			t.Fatal("no compactor runs after Compact")
		}
		rest()
	})
}

// compactorsRunning counts Badger's goroutines.
func compactorsRunning() int {
	b := make([]byte, 1<<20)
	return strings.Count(string(b[:runtime.Stack(b, true)]), ".runCompactor(")
}
