package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
)

// TestAStoreOfAnotherFormatIsNotMended puts other numbers into the MANIFEST's head: such a store is refused, not taken for
// damage.
func TestAStoreOfAnotherFormatIsNotMended(t *testing.T) {
	for _, c := range []struct {
		name string
		at   int
		to   byte
		want error
	}{
		{"older", 5, oldestFormat - 1, ErrOlderFormat},
		{"newer", 5, format + 1, ErrNewerFormat},
		{"older database", 7, manifestVersion - 1, ErrOlderFormat},
		{"newer database", 7, manifestVersion + 1, ErrNewerFormat},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newTeamNode(t, 1, nil)
			f.fill(10)
			f.close()
			name := filepath.Join(f.dir, "MANIFEST")
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			was := b[c.at]
			b[c.at] = c.to
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(context.Background(), f.options()); !errors.Is(err, c.want) {
				t.Fatalf("opened: %v", err)
			}
			if _, err := os.Stat(f.dir + damagedSuffix); err == nil {
				t.Fatal("mended a store of another format")
			}
			b[c.at] = was
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
			f.open()
			if got := f.texts(); len(got) != 10 {
				t.Fatalf("%d of 10 entries are there", len(got))
			}
		})
	}
}

// TestTheNewestTwoDamagedStoresAreKept mends three times.
func TestTheNewestTwoDamagedStoresAreKept(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	f.fill(10)
	f.close()
	for _, round := range []string{"first", "second", "third"} {
		if err := os.WriteFile(filepath.Join(f.dir, "round"), []byte(round), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(f.dir, "MANIFEST"), 6); err != nil {
			t.Fatal(err)
		}
		f.reopen()
		if got := f.texts(); len(got) != 10 {
			t.Fatalf("%s: %d of 10 entries are there", round, len(got))
		}
		f.close()
	}
	for suffix, want := range map[string]string{damagedSuffix: "third", beforeSuffix: "second"} {
		got, err := os.ReadFile(filepath.Join(f.dir+suffix, "round"))
		if err != nil || string(got) != want {
			t.Errorf("%s is of round %q, not %q: %v", suffix, got, want, err)
		}
	}
}

// TestMendingHoldsLittleInMemory mends 50 MB, a third of them in large entries, and looks now and then at what is in use.
func TestMendingHoldsLittleInMemory(t *testing.T) {
	var watching atomic.Bool
	var parts int
	var most uint64
	f := newTeamNode(t, 1, func(o *Options) {
		o.fault = func(point string) error {
			if point == "mended a part" && watching.Load() { // while it opens; the committer passes other points
				if parts++; parts%20 == 0 {
					most = max(most, heapInUse())
				}
			}
			return nil
		}
	})
	posts := atLength(60_000)
	f.fill(posts)
	for range 10 {
		f.large(30)
	}
	f.close()
	if err := os.Truncate(filepath.Join(f.dir, "MANIFEST"), 6); err != nil {
		t.Fatal(err)
	}
	before := heapInUse()
	watching.Store(true)
	f.open()
	watching.Store(false)
	// Two databases with their caches and memtables, tables being built, and one commit.
	if most > before+128<<20 {
		t.Errorf("%d MB are in use while the store is being mended, %d MB before", most>>20, before>>20)
	}
	t.Logf("%d MB in use at most, %d MB before, %d parts", most>>20, before>>20, parts)
	if n := f.s.Status().Records; n < uint64(posts)+300 {
		t.Errorf("%d records are there", n)
	}
}

// atLength is n, and a quarter of it where tests are to be short: under the race detector.
func atLength(n int) int {
	if testing.Short() {
		return n / 4
	}
	return n
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
