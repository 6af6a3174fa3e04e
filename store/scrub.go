package store

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"
)

// Badger passes over damaged blocks of its tables without a word: a scan skips them, a key in them looks absent. So all
// tables are read and their checksums compared at Open: as many as scrubFirst allows before anything is answered, the
// rest while the store is in use already. Damage has the store mended (mend.go).
const scrubFirst = 300 * time.Millisecond

// scrub checks tables for at most so long and returns those that are left.
func (s *Store) scrub(tables []string, most time.Duration) (left []string, damaged string) {
	deadline := time.Now().Add(most)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				mu.Lock()
				if len(tables) == 0 || damaged != "" || time.Now().After(deadline) {
					mu.Unlock()
					return
				}
				name := tables[0]
				tables = tables[1:]
				mu.Unlock()
				if err := checkTable(name, s.pointers.note); err != nil {
					mu.Lock()
					damaged = fmt.Sprintf("%s: %v", filepath.Base(name), err)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return tables, damaged
}

// tables are the database's table files, the newest first.
func tableFiles(dir string) (out []string) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, n := range names {
		if strings.HasSuffix(n.Name(), ".sst") {
			out = append(out, filepath.Join(dir, n.Name()))
		}
	}
	sort.Sort(sort.Reverse(sort.StringSlice(out)))
	return out
}

// tablesInUse are the table files that the MANIFEST names. What it does not name is half written, or half removed, by a
// process that was killed; where it cannot be read, all count.
func tablesInUse(dir string) []string {
	names := tableFiles(dir)
	m, _, err := replayManifest(dir)
	if err != nil {
		return names
	}
	return slices.DeleteFunc(names, func(name string) bool {
		id, ok := table.ParseFileID(filepath.Base(name))
		_, used := m.Tables[id]
		return ok && !used
	})
}

// checkTable reads a table: its index, and if blocks is given, all blocks, which it is called for then. One that is gone was compacted away. Badger cuts a
// table that it deletes to nothing before it removes it: the file is read rather than mapped, since a cut under a map
// kills the process, and what looks damaged is looked at again until it is gone, or still damaged after a while.
func checkTable(name string, blocks func(*table.Table)) (err error) {
	const looks, pause = 5, 20 * time.Millisecond
	for i := range looks {
		if i > 0 {
			time.Sleep(pause)
		}
		if err = readTable(name, blocks); err == nil {
			return nil
		}
	}
	return err
}

// readTable is one look at a table.
func readTable(name string, blocks func(*table.Table)) (err error) {
	defer func() { // Badger's reader panics on some damage
		if r := recover(); r != nil {
			err = fmt.Errorf("damaged: %.200v", r)
		}
	}()
	data, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	id, ok := table.ParseFileID(filepath.Base(name))
	if !ok {
		return fmt.Errorf("couldn't check %s: not the name of a table", filepath.Base(name))
	}
	t, err := table.OpenInMemoryTable(data, id, &table.Options{ReadOnly: true, BlockSize: blockSize, Compression: compression})
	if err != nil || blocks == nil {
		return err
	}
	if err = t.VerifyChecksum(); err == nil {
		blocks(t)
	}
	return err
}

// blockSize of tables, in bytes before compression.
const blockSize = 8 << 10

// checkIndexes reads the indexes of all tables: Badger dies of damaged ones.
func checkIndexes(tables []string) (damaged string) {
	for _, name := range tables {
		if err := checkTable(name, nil); err != nil {
			return fmt.Sprintf("%s: %v", filepath.Base(name), err)
		}
	}
	return ""
}

// scrubRest goes on where Open left off, a table at a time, and has the store mended if it finds damage.
func (s *Store) scrubRest(tables []string) {
	s.valuesMissing()
	if len(tables) > 0 {
		defer s.valuesMissing()
	}
	for len(tables) > 0 {
		select {
		case <-s.stop:
			return
		default:
		}
		var damaged string
		if tables, damaged = s.scrub(tables, 0); damaged == "" {
			tables, damaged = s.scrubOne(tables)
		}
		if damaged != "" {
			s.submit(s.stop, &mendTask{s: s, found: damaged})
			return
		}
	}
}

func (s *Store) scrubOne(tables []string) (left []string, damaged string) {
	if err := checkTable(tables[0], s.pointers.note); err != nil && s.live(tables[0]) {
		return nil, fmt.Sprintf("%s: %v", filepath.Base(tables[0]), err)
	}
	return tables[1:], ""
}

// live says whether the open database uses a table. One that a compaction has replaced is cut to nothing, and removed
// when the machine gets round to it: what it looks like meanwhile says nothing.
func (s *Store) live(name string) bool {
	id, ok := table.ParseFileID(filepath.Base(name))
	s.dbMu.RLock()
	defer s.dbMu.RUnlock()
	if !ok || s.db == nil {
		return false
	}
	return slices.ContainsFunc(s.db.Tables(), func(t badger.TableInfo) bool { return t.ID == id })
}

// mendTask has the committer mend the store.
type mendTask struct {
	s     *Store
	found string
}

func (t *mendTask) prepare(*group) error { return nil }

// finish runs between two groups: the task is alone in its own.
func (t *mendTask) finish(err error) {
	if err == nil {
		t.s.mendNow(t.found)
	}
}
