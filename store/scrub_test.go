package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// aTable is the path of a table file that Badger wrote.
func aTable(t *testing.T) string {
	t.Helper()
	f := newFixture(t)
	f.post(t, 200)
	if err := f.s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	dir := f.s.opts.Dir
	if err := f.s.Close(); err != nil {
		t.Fatal(err)
	}
	names := tableFiles(dir)
	if len(names) == 0 {
		t.Fatal("no table was written")
	}
	return names[0]
}
