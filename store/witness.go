package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// The witness is a small file beside the database that says how far the change log went: store id 16, arrival 8, check
// 8, crc32c 4. A database whose files were cut opens without a word; the witness shows what is missing then.
const witnessName = "witness"

const witnessEvery = 10 * time.Second

// writeWitness writes it anew, atomically.
func (s *Store) writeWitness() error {
	m := s.memory()
	m.mu.RLock()
	b := append(make([]byte, 0, 36), s.id[:]...)
	b = binary.BigEndian.AppendUint64(b, m.arrival)
	b = binary.BigEndian.AppendUint64(b, m.changeCheck)
	m.mu.RUnlock()
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	name := filepath.Join(s.opts.Dir, witnessName)
	f, err := os.OpenFile(name+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("couldn't write witness: %w", err)
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		return fmt.Errorf("couldn't write witness: %w", err)
	}
	return nil
}

// watchWitness keeps the witness young while something is written.
func (s *Store) watchWitness() {
	tick := time.NewTicker(witnessEvery)
	defer tick.Stop()
	last := uint64(0)
	for {
		select {
		case <-tick.C:
		case <-s.stop:
			return
		}
		if n := s.written.Load(); n != last && !s.full.Load() {
			last = n
			if err := s.writeWitness(); err != nil {
				s.opts.Log.Warn("witness is old", "error", err)
			}
		}
	}
}

// readWitness is nil where there is none, or none that can be read.
func (s *Store) readWitness() []byte {
	b, err := os.ReadFile(filepath.Join(s.opts.Dir, witnessName))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.opts.Log.Warn("couldn't read the store's witness", "error", err)
		}
		return nil
	}
	if len(b) != 36 || binary.BigEndian.Uint32(b[32:]) != crc32.Checksum(b[:32], castagnoli) {
		s.opts.Log.Warn("the store's witness is damaged")
		return nil
	}
	return b
}

// checkWitnessFresh refuses to make a new store where another one was.
func (s *Store) checkWitnessFresh() error {
	if s.readWitness() == nil {
		return nil
	}
	return fmt.Errorf("couldn't open store in %s: its database is empty, which it was not: restore the folder from a backup, or move it away: what teammates hold comes back: %w", s.opts.Dir, ErrManifestMissing)
}

// checkWitness compares what was opened with what was there before. What is missing is no reason to stop: the node goes
// on in a new epoch and fetches it from its peers.
func (s *Store) checkWitness(m *memory) (short string, err error) {
	b := s.readWitness()
	if b == nil {
		return "", s.writeWitness()
	}
	arrival, check := binary.BigEndian.Uint64(b[16:]), binary.BigEndian.Uint64(b[24:])
	switch {
	case [16]byte(b[:16]) != s.id:
		short = "the database is not the one that was here before"
	case arrival > m.arrival:
		short = fmt.Sprintf("the last %d changes are missing", arrival-m.arrival)
	case arrival > 0:
		err := s.view(func(_ *memory, txn *badger.Txn) error {
			g, err := lastChangeGroup(txn, arrival)
			if err != nil || g.n == 0 || g.check != check && g.first+g.n-1 == arrival {
				short = "older changes are not those that were here before"
			}
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	return short, nil
}

// noteShort reports that the store opened shorter than it was.
func (s *Store) noteShort(short string) {
	s.short = short
	s.damageCount.Add(1)
	s.metrics.damaged.Inc()
	s.opts.Log.Error("the store opened shorter than it was: its files were damaged or an old copy was put back; what teammates hold comes back by itself", "missing", short)
	if err := s.writeWitness(); err != nil {
		s.opts.Log.Warn("witness is old", "error", err)
	}
}
