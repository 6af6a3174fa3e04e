package store

import (
	"fmt"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
)

// Badger runs in managed mode: this store alone gives out its timestamps. A reader then never waits for a commit that is
// being synced, as it would otherwise, and sees exactly what was applied to memory when its snapshot was taken.

// snapshots gives out the timestamps at which readers read.
type snapshots struct {
	mu     sync.Mutex
	ts     uint64         // of the last commit that is applied
	active map[uint64]int // readers by timestamp
}

// begin takes a snapshot; end gives it back.
func (s *snapshots) begin() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active[s.ts]++
	return s.ts
}

func (s *snapshots) end(ts uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active[ts]--; s.active[ts] == 0 {
		delete(s.active, ts)
	}
}

// publish lets readers see a commit together with what apply changes in memory.
func (s *snapshots) publish(ts uint64, apply func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ts = ts
	apply()
}

// last is the timestamp of the last commit that is applied.
func (s *snapshots) last() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ts
}

// oldest is the timestamp of the oldest reader.
func (s *snapshots) oldest() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest := s.ts
	for ts := range s.active {
		oldest = min(oldest, ts)
	}
	return oldest
}

// discardEvery is after how many commits Badger is told what no reader needs any more.
const discardEvery = 64

// commitAt commits a transaction at the next timestamp and lets readers see it with what apply changes.
func (s *Store) commitAt(txn *badger.Txn, apply func()) error {
	s.wakeCompactors()
	ts := s.snaps.last() + 1
	if err := txn.CommitAt(ts, nil); err != nil {
		return err
	}
	if err := s.fault("committed"); err != nil {
		return err
	}
	s.snaps.publish(ts, apply)
	if ts%discardEvery == 0 {
		s.db.SetDiscardTs(s.snaps.oldest())
	}
	return nil
}

// view reads a snapshot. Safe while the database is being opened again. What f reads from memory is at least as new as
// the snapshot.
func (s *Store) view(f func(m *memory, txn *badger.Txn) error) error {
	s.dbMu.RLock()
	defer s.dbMu.RUnlock()
	if s.db == nil {
		if s.mending.Load() {
			return fmt.Errorf("couldn't read: the store was damaged and is being mended, try again in a while: %w", board.ErrDamaged)
		}
		return ErrClosed
	}
	return s.at(f)
}

// at is view for callers that are inside one already and need a newer snapshot.
func (s *Store) at(f func(m *memory, txn *badger.Txn) error) error {
	ts := s.snaps.begin()
	defer s.snaps.end(ts)
	txn := s.db.NewTransactionAt(ts, false)
	defer txn.Discard()
	return f(s.memory(), txn)
}
