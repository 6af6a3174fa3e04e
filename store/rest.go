package store

import (
	"slices"
	"sync"
	"sync/atomic"
	_ "unsafe" // for go:linkname

	"github.com/dgraph-io/badger/v4"
)

// Badger's two compactors look every 50 ms whether there is something to do, which is five of six times that an idle
// daemon wakes, and most of what it costs. Tables change only when memory has filled up with what was written, so the
// compactors rest while the tables are in order and stay as they are, and wake after some bytes.
//
// Badger stops and starts them itself, as in Flatten, but lends nobody the means: hence the two names below. Should a
// later version have them no more, weft can't be linked.

//go:linkname stopCompactions github.com/dgraph-io/badger/v4.(*DB).stopCompactions
func stopCompactions(*badger.DB)

//go:linkname startCompactions github.com/dgraph-io/badger/v4.(*DB).startCompactions
func startCompactions(*badger.DB)

// compactors says whether Badger's compactors rest.
type compactors struct {
	mu      sync.Mutex // held by whoever stops them, starts them, or must not have them stopped
	resting atomic.Bool
	until   atomic.Uint64      // Store.written at which they wake
	tables  []badger.LevelInfo // at the last look; guarded by mu
}

// anew says that the database is another one, whose compactors run.
func (c *compactors) anew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resting.Store(false)
	c.tables = nil
}

// wakeCompactors is called by the committer before it writes.
func (s *Store) wakeCompactors() {
	c := &s.compactors
	if !c.resting.Load() || s.written.Load() < c.until.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.compactorsRun()
}

// compactorsRun starts the compactors if they rest. Called with compactors.mu held.
func (s *Store) compactorsRun() {
	if s.compactors.resting.Swap(false) {
		startCompactions(s.db)
	}
}

// restCompactors lets the compactors rest if no level is too full and no table has come or gone since the last look.
// They wake long before what is written meanwhile could make another two tables: a writer never waits for one who rests.
func (s *Store) restCompactors() {
	s.dbMu.RLock()
	defer s.dbMu.RUnlock()
	c := &s.compactors
	if s.db == nil || c.resting.Load() || !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	before, now := c.tables, s.db.Levels()
	c.tables = now
	if !slices.Equal(before, now) || slices.ContainsFunc(now, func(l badger.LevelInfo) bool { return l.Score >= 1 }) {
		return
	}
	c.until.Store(s.written.Load() + uint64(s.opts.MemTable)/8)
	stopCompactions(s.db)
	c.resting.Store(true)
}
