package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"weft/board"
)

// compression of tables. Measured with 300,000 posts of English text: Snappy takes 487 bytes a post and a catch-up brings
// 23,000 a second; zstd (level 1) takes 421 bytes and brings 18,000.
const compression = options.Snappy

// maxInTable is how large a value may be to stand in a table; larger ones stand in Badger's value log. For a value
// larger than a block its builder of tables takes four times the value's size and keeps the memory: a catch-up of bodies of
// 60 KB took 500 MB a node, and 30 MB since. Also, compactions needn't copy what is large.
const maxInTable = 16 << 10

// openFirst opens the database for the first time and reads everything that is kept in memory.
func (s *Store) openFirst() error {
	dir := s.opts.Dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("couldn't make the store's folder: %w: choose a folder that you may write to (--dir), or change its owner", err)
	}
	if err := writableFolder(dir); err != nil {
		return err
	}
	if err := s.enoughSpace(); err != nil {
		return err
	}
	if err := checkManifest(dir); err != nil {
		return err
	}
	if err := upgradeManifest(dir); err != nil {
		return err
	}
	tables := tablesInUse(dir)
	s.valueFiles = valueFiles(dir)
	damaged := checkIndexes(tables)
	if damaged == "" {
		s.unscrubbed, damaged = s.scrub(tables, scrubFirst)
	}
	if damaged == "" {
		damaged = manifestDamage(dir)
	}
	var err error
	if damaged == "" {
		damaged, err = s.openAndLoad()
	}
	if damaged != "" {
		s.unscrubbed = nil
		if err = s.mend(damaged); err == nil {
			_, err = s.openAndLoad()
		}
	}
	return err
}

// openAndLoad opens the database and reads what is kept in memory. Tables that the MANIFEST does not name, and that
// Badger therefore deletes, are kept beside until it is sure that nothing is missing without them.
func (s *Store) openAndLoad() (damaged string, err error) {
	aside, err := setAside(s.opts.Dir)
	if err != nil {
		return "", err
	}
	db, err := s.openBadger(s.opts.Dir, 2)
	if err != nil {
		if strings.Contains(err.Error(), "file does not exist for table") {
			return err.Error(), errors.Join(putBack(s.opts.Dir, aside))
		}
		return "", errors.Join(err, putBack(s.opts.Dir, aside))
	}
	s.setDB(db)
	short, err := s.load()
	if err != nil {
		db.Close()
		return "", errors.Join(err, putBack(s.opts.Dir, aside))
	}
	if short != "" && len(aside) > 0 {
		s.db = nil
		db.Close()
		return short, putBack(s.opts.Dir, aside)
	}
	if short != "" {
		s.noteShort(short)
	}
	return "", os.RemoveAll(filepath.Join(s.opts.Dir, asideFolder))
}

// enoughSpace refuses to open on a disk where Badger could die: it maps its files and is killed by SIGBUS when the disk
// is full, at Open too.
func (s *Store) enoughSpace() error {
	free, err := s.opts.FreeSpace(s.opts.Dir)
	if err != nil {
		return fmt.Errorf("couldn't ask for free space in %s: %w", s.opts.Dir, err)
	}
	s.free.Store(free)
	s.full.Store(free < s.opts.MinFree)
	if need := uint64(4 * s.opts.MemTable); free < min(need, s.opts.MinFree) {
		return fmt.Errorf("couldn't open store in %s: %d MiB are free: %w", s.opts.Dir, free>>20, ErrStorageFull)
	}
	return nil
}

func writableFolder(dir string) error {
	f, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		if errors.Is(err, syscall.ENOSPC) {
			return fmt.Errorf("couldn't write to %s: %w", dir, ErrStorageFull)
		}
		return fmt.Errorf("couldn't write to the store's folder %s: %w: change its owner or choose another one (--dir)", dir, err)
	}
	f.Close()
	return os.Remove(f.Name())
}

// openBadger opens the database with the settings that measured well for small memory and safe commits.
func (s *Store) openBadger(dir string, compactors int) (*badger.DB, error) {
	return s.openDatabase(dir, compactors, true)
}

// openScratch opens a database that is of no use before it is closed: then all of it is synced.
func (s *Store) openScratch(dir string) (*badger.DB, error) { return s.openDatabase(dir, 2, false) }

func (s *Store) openDatabase(dir string, compactors int, sync bool) (db *badger.DB, err error) {
	defer func() { // Badger panics on some damaged files
		if r := recover(); r != nil {
			db, err = nil, fmt.Errorf("couldn't open the database in %s: its files are damaged (%v): restore the folder from a backup, or move it away: what teammates hold comes back", s.opts.Dir, r)
		}
	}()
	if err := removeEmpty(dir); err != nil {
		return nil, err
	}
	o := badger.DefaultOptions(dir)
	o.SyncWrites, o.DetectConflicts, o.MetricsEnabled = sync, false, false
	o.MemTableSize, o.NumMemtables = s.opts.MemTable, 2
	o.BlockCacheSize, o.IndexCacheSize = 16<<20, 16<<20
	// Level 0 is compacted in one go from 10 tables on, into a level of 64 MiB: from 5 tables on, into 16 MiB, took half
	// as much CPU again.
	o.BaseTableSize, o.BaseLevelSize = tableSize, 64<<20
	o.ValueThreshold, o.ValueLogFileSize = maxInTable, 32<<20
	o.NumCompactors, o.NumLevelZeroTables, o.NumLevelZeroTablesStall = compactors, 10, 20
	if compactors == 0 { // only to be read: nothing may wait for a compaction
		o.NumLevelZeroTables, o.NumLevelZeroTablesStall = 1<<20, 1<<21
	}
	o.Compression, o.BlockSize = compression, blockSize
	o.VerifyValueChecksum = true // without it Badger keeps a lock for ever, or panics, where a value's header is damaged
	o.ChecksumVerificationMode = options.OnBlockRead
	o.ExternalMagicVersion = format
	o.NumGoroutines = 2
	log := badgerLog{log: s.opts.Log}
	if sync { // the store itself
		log.filled = s.spaceTables
	}
	o.Logger = log
	db, err = badger.OpenManaged(o)
	switch {
	case err == nil:
		return db, nil
	case strings.Contains(err.Error(), "Cannot acquire directory lock"):
		return nil, fmt.Errorf("couldn't open store in %s: %w (%v)", s.opts.Dir, ErrLocked, err)
	case errors.Is(err, syscall.ENOSPC):
		return nil, fmt.Errorf("couldn't open store in %s: %w: %w", s.opts.Dir, ErrStorageFull, err)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("couldn't open store in %s: %w: change the owner of its files", s.opts.Dir, err)
	}
	return nil, fmt.Errorf("couldn't open the database in %s: %w: restore the folder from a backup, or move it away: what teammates hold comes back", s.opts.Dir, err)
}

// makeStore writes what a new store begins with.
func (s *Store) makeStore() error {
	var id [16]byte
	s.opts.Random(id[:])
	s.setID(id)
	txn := s.db.NewTransactionAt(s.snaps.last(), true)
	defer txn.Discard()
	for name, content := range map[string][]byte{"format": binary.BigEndian.AppendUint32(nil, format), "id": id[:]} {
		k := storeKey(name)
		if err := txn.Set(k, seal(k, append([]byte(nil), content...))); err != nil {
			return fmt.Errorf("couldn't make store: %w", err)
		}
	}
	if err := s.commitAt(txn, func() {}); err != nil {
		return fmt.Errorf("couldn't make store: %w", err)
	}
	return nil
}

// reopen opens the database again and reads everything anew, after a commit whose outcome is unknown.
// lost says, for replication, what is held no more or no longer in the same way.
func (s *Store) reopen() (lost []Committed, err error) {
	before := s.memory()
	s.dbMu.Lock()
	err = s.closeDB()
	if err == nil {
		var db *badger.DB
		if db, err = s.openBadger(s.opts.Dir, 2); err == nil {
			s.setDB(db)
		}
	}
	s.dbMu.Unlock()
	if err != nil {
		return nil, err
	}
	if _, err := s.load(); err != nil {
		return nil, err
	}
	s.chainsMu.Lock()
	s.chains = map[deviceKey]*chain{}
	s.chainsMu.Unlock()
	s.again.mu.Lock()
	close(s.again.ch)
	s.again.ch = make(chan struct{})
	s.again.mu.Unlock()
	return s.lostSince(before), nil
}

// lostSince compares what is held with what was.
func (s *Store) lostSince(before *memory) (lost []Committed) {
	for _, l := range before.logs {
		if l == nil || l.board.team.id == (board.TeamID{}) {
			continue
		}
		_, was := l.stretchOf()
		var now board.Stretch
		if bs, ok := s.memory().board(l.board.id); ok {
			bs.mu.Lock()
			now, _ = bs.holding.Get(l.origin)
			bs.mu.Unlock()
		}
		if now.Lo != was.Lo || now.Hi != was.Hi {
			lost = append(lost, Committed{Team: l.board.team.id, Board: l.board.id, Governance: l.board.governance,
				Origin: l.origin, Own: l.origin.Node == s.nodeID, Stretch: now, Lost: true})
		}
	}
	for _, t := range s.Teams() {
		lost = append(lost, Committed{Team: t, State: true})
	}
	return lost
}

// setDB begins to use a database; the caller holds dbMu, or is alone.
func (s *Store) setDB(db *badger.DB) {
	s.db = db
	s.spacing.db.Store(db)
	s.compactors.anew()
	s.snaps.mu.Lock()
	s.snaps.ts, s.snaps.active = db.MaxVersion(), map[uint64]int{}
	s.snaps.mu.Unlock()
	db.SetDiscardTs(db.MaxVersion())
}

// closeQuietly closes a database that may be broken.
func closeQuietly(db *badger.DB) {
	defer func() { recover() }()
	db.Close()
}

// closePatience is how long a database that may be broken has to close. On a disk that refuses writes Badger tries for ever
// to write what it has in memory, while everybody waits for an answer.
const closePatience = 30 * time.Second

// closeDB closes the database if it is open; after an error its folder is in use until the process ends. The caller holds dbMu.
func (s *Store) closeDB() error {
	db := s.db
	s.db = nil
	if db == nil {
		return nil
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		closeQuietly(db)
		s.fault("closed")
	}()
	patience := time.NewTimer(s.opts.closePatience)
	defer patience.Stop()
	select {
	case <-closed:
		return nil
	case <-patience.C:
		return fmt.Errorf("couldn't close the database within %s: the disk takes no writes", s.opts.closePatience)
	}
}
