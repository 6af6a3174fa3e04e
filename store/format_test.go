package store

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/dgraph-io/badger/v4"
)

// formats are the numbers in a folder: the MANIFEST's and the database's.
func (f *fixture) formats() (manifest uint16, database uint32) {
	f.t.Helper()
	b, err := os.ReadFile(filepath.Join(f.dir, badger.ManifestFilename))
	if err != nil {
		f.t.Fatal(err)
	}
	err = f.s.view(func(_ *memory, txn *badger.Txn) error {
		c, err := get(txn, storeKey("format"))
		database = binary.BigEndian.Uint32(c)
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return binary.BigEndian.Uint16(b[4:]), database
}

// TestAnOlderStoreIsUpgraded: what a store of format 2 shows and should not, since it forgot that something was pending,
// is put right. The number in the MANIFEST comes first; it may be the new one already when the upgrade begins.
func TestAnOlderStoreIsUpgraded(t *testing.T) {
	for _, manifest := range []byte{2, format} {
		f := newTeamNode(t, 1, nil)
		early := f.state()
		g := f.join(2)
		removal := f.removal(g)
		g.post("x")
		f.pull(g)
		f.post("y")
		f.judgeAgain(early) // pending, by a state of the past
		l := f.logOf(g)
		f.s.probe(func(m *memory) { delete(m.later, l) }) // as a store of format 2 would have it
		f.object(removal)
		f.settle()
		if got := f.texts(); !slices.Equal(got, []string{"x", "y"}) {
			t.Fatalf("before it is upgraded %q shows", got)
		}
		txn := f.s.db.NewTransactionAt(f.s.snaps.last(), true)
		k := storeKey("format")
		if err := txn.Set(k, seal(k, binary.BigEndian.AppendUint32(nil, 2))); err != nil {
			t.Fatal(err)
		}
		if err := txn.Delete(logKey(tLater, l.num)); err != nil {
			t.Fatal(err)
		}
		if err := f.s.commitAt(txn, func() {}); err != nil {
			t.Fatal(err)
		}
		f.close()
		file, err := os.OpenFile(filepath.Join(f.dir, badger.ManifestFilename), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt([]byte{0, manifest}, 4); err != nil {
			t.Fatal(err)
		}
		file.Close()
		f.open()
		if _, err := os.Stat(f.dir + damagedSuffix); err == nil {
			t.Fatal("taken for damage")
		}
		if a, b := f.formats(); a != format || b != format {
			t.Fatalf("formats %d and %d", a, b)
		}
		f.settle()
		if got := f.texts(); !slices.Equal(got, []string{"y"}) {
			t.Errorf("upgraded, %q shows", got)
		}
		if p, err := f.s.Check(context.Background(), nil); err != nil || p.Damaged != 0 {
			t.Errorf("%v %v", p.Problems, err)
		}
		f.reopen()
		if f.s.pendingWork() {
			t.Error("upgraded once more")
		}
	}
}
