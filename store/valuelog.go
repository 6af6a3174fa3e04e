package store

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/dgraph-io/badger/v4/table"
)

// Badger opens without a word where a file of its value log is gone or too short, and answers reads of what stood there
// with nothing. What the tables point at is noted while they are scrubbed, and compared with the files that are there.

// pointers are, by file of the value log, where the values end that tables point at.
type pointers struct {
	mu   sync.Mutex
	ends map[uint32]uint64
}

// isPointer marks a value of a table that says where in the value log the value stands.
const isPointer = 1 << 1

// note takes in what a table points at. A pointer is file, length and offset, as Badger has them in memory.
func (p *pointers) note(t *table.Table) {
	it := t.NewIterator(0)
	defer it.Close()
	ends := map[uint32]uint64{}
	for it.Rewind(); it.Valid(); it.Next() {
		if v := it.Value(); v.Meta&isPointer != 0 && len(v.Value) == 12 {
			w := binary.NativeEndian
			file, end := w.Uint32(v.Value), uint64(w.Uint32(v.Value[4:]))+uint64(w.Uint32(v.Value[8:]))
			ends[file] = max(ends[file], end)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ends == nil {
		p.ends = map[uint32]uint64{}
	}
	for file, end := range ends {
		p.ends[file] = max(p.ends[file], end)
	}
}

// valueFiles are the files of the value log and their sizes.
func valueFiles(dir string) map[uint32]uint64 {
	out := map[uint32]uint64{}
	names, err := os.ReadDir(dir)
	if err != nil {
		return out
	}
	for _, n := range names {
		base, ok := strings.CutSuffix(n.Name(), ".vlog")
		id, err := strconv.ParseUint(base, 10, 32)
		if !ok || err != nil {
			continue
		}
		if st, err := os.Stat(filepath.Join(dir, n.Name())); err == nil {
			out[uint32(id)] = uint64(st.Size())
		}
	}
	return out
}

// valuesMissing looks whether files of the value log are gone or too short, and has then all logs read through. A file
// that was not there before Open counts as gone: Badger may have made a new one of the same name.
func (s *Store) valuesMissing() {
	now := valueFiles(s.opts.Dir)
	what := ""
	s.pointers.mu.Lock()
	for file, end := range s.pointers.ends {
		size, was := s.valueFiles[file]
		switch {
		case !was:
			what = fmt.Sprintf("%06d.vlog is gone", file)
		case min(size, now[file]) < end:
			what = fmt.Sprintf("%06d.vlog is too short", file)
		default:
			continue
		}
		break
	}
	s.pointers.ends = nil // said once
	s.pointers.mu.Unlock()
	if what == "" {
		return
	}
	s.opts.Log.Warn("a part of the store is missing: looking which records stood in it", "found", what)
	m := s.memory()
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, l := range m.logs {
		if l != nil && l.board != nil {
			s.suspect(l.num, true)
		}
	}
}
