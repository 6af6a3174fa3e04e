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

	"weft/board"
)

// The witness is a small file beside the database that says how far the change log went and which teams this node takes
// part in: store id 16, arrival 8, check 8, teams 32 each, crc32c 4. A database whose files were cut opens without a word;
// the witness shows what is missing then, and of which teams governance has to be fetched again.
const witnessName = "witness"

// lookEvery is how often housekeep does what nobody waits for.
const lookEvery = 10 * time.Second

// writeWitness writes it anew, atomically.
func (s *Store) writeWitness() error {
	s.witnessMu.Lock() // before it is looked what to write: the last to look is the last to write
	defer s.witnessMu.Unlock()
	m := s.memory()
	m.mu.RLock()
	arrival, check := m.arrival, m.changeCheck
	var teams []byte
	for t := range m.teams {
		teams = append(teams, t[:]...)
	}
	m.mu.RUnlock()
	return s.writeWitnessIn(s.opts.Dir, arrival, check, teams)
}

func (s *Store) writeWitnessIn(dir string, arrival, check uint64, teams []byte) error {
	id := s.ID()
	b := append(make([]byte, 0, 36+len(teams)), id[:]...)
	b = binary.BigEndian.AppendUint64(b, arrival)
	b = binary.BigEndian.AppendUint64(b, check)
	b = append(b, teams...)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	name := filepath.Join(dir, witnessName)
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

// housekeep keeps the witness young while something is written, and lets the compactors rest while they have nothing to do.
func (s *Store) housekeep() {
	tick := time.NewTicker(lookEvery)
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
		s.restCompactors()
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
	n := len(b) - 4
	if n < 32 || n%32 != 0 || binary.BigEndian.Uint32(b[n:]) != crc32.Checksum(b[:n], castagnoli) {
		s.opts.Log.Warn("the store's witness is damaged")
		return nil
	}
	return b[:n]
}

// lostTeams makes this node take part again in teams that the witness names and the database has lost. Their governance
// comes from teammates.
func (s *Store) lostTeams(m *memory) error {
	b := s.readWitness()
	if len(b) <= 32 {
		return nil
	}
	txn := s.db.NewTransactionAt(s.snaps.last(), true)
	defer txn.Discard()
	lost := 0
	for b = b[32:]; len(b) > 0; b = b[32:] {
		id := board.TeamID(b[:32])
		if m.teams[id] != nil {
			continue
		}
		k := teamKey(id)
		if err := txn.Set(k, seal(k, nil)); err != nil {
			return fmt.Errorf("couldn't take part again in a team: %w", err)
		}
		ts := newTeam(id)
		m.teams[id], m.boards[ts.governance.id] = ts, ts.governance
		lost++
	}
	if lost == 0 {
		return nil
	}
	s.opts.Log.Warn("teams were lost with the damage: what they are comes back from teammates", "teams", lost)
	if err := s.commitAt(txn, func() {}); err != nil {
		return fmt.Errorf("couldn't take part again in a team: %w", err)
	}
	return nil
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
	case [16]byte(b[:16]) != s.ID():
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
	s.metrics.damaged.Inc()
	s.opts.Log.Error("the store opened shorter than it was: its files were damaged or an old copy was put back; what teammates hold comes back by itself", "missing", short)
	if err := s.writeWitness(); err != nil {
		s.opts.Log.Warn("witness is old", "error", err)
	}
}
