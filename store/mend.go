package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
)

// Mending makes a new database of what can still be read of a damaged one. What follows from the records (display order,
// posts, bits, …) is made anew from them; records that are missing are noted, so that they are fetched from peers. The
// mended store has a new id and an empty change log: clients read the boards again, since nobody knows what they were
// not told. The damaged folder stays beside it, with ".damaged" behind its name, and the one before that
// with ".damaged.before".

// mendSuffix and damagedSuffix name the folders beside the store's own.
const (
	mendSuffix    = ".mending"
	damagedSuffix = ".damaged"
	beforeSuffix  = ".damaged.before"
)

// mend replaces the closed database in Options.Dir.
func (s *Store) mend(found string) error {
	start, dir := time.Now(), s.opts.Dir
	s.opts.Log.Error("the database is damaged: making a new one of what can be read; this may take a while", "found", found)
	s.metrics.damaged.Inc()
	if err := os.RemoveAll(dir + mendSuffix); err != nil {
		return fmt.Errorf("couldn't mend store: %w", err)
	}
	w := s.scratch()
	if err := w.salvage(dir, dir+mendSuffix); err != nil {
		return fmt.Errorf("couldn't mend store: %w", err)
	}
	err := s.makeWay(dir)
	if err == nil {
		err = os.Rename(dir, dir+damagedSuffix)
	}
	if err == nil {
		err = os.Rename(dir+mendSuffix, dir)
	}
	if err != nil {
		return fmt.Errorf("couldn't put the mended store in place: %w", err)
	}
	s.damagedValues.Store(0) // what was missing of the records is noted in the new one
	s.mended.Store(true)
	s.opts.Log.Warn("the store is mended: what is missing comes back from teammates", "took", time.Since(start), "damaged", dir+damagedSuffix)
	return nil
}

// makeWay keeps the damaged folder of the time before under another name: the newest two stay.
func (s *Store) makeWay(dir string) error {
	if _, err := os.Stat(dir + damagedSuffix); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := os.Stat(dir + beforeSuffix); err == nil {
		s.opts.Log.Warn("removing the oldest copy of a damaged store: the newest two are kept", "dir", dir+beforeSuffix)
	}
	if err := os.RemoveAll(dir + beforeSuffix); err != nil {
		return err
	}
	return os.Rename(dir+damagedSuffix, dir+beforeSuffix)
}

// scratch is a store that has nothing open and tells nobody, to make a database with while s is not usable.
func (s *Store) scratch() *Store {
	w := &Store{
		opts: s.opts, nodeID: s.nodeID, metrics: s.metrics, quota: s.quota, claims: map[postKey]*claim{},
		writing: map[postKey]struct{}{}, damageNews: map[pos]struct{}{}, damageNudge: make(chan struct{}, 1),
	}
	w.users.Store(s.users.Load())
	s.opts.Random(w.salt[:])
	return w
}

// salvage copies what can be read from one folder to another and makes the indexes anew.
func (s *Store) salvage(from, to string) error {
	if err := nameTables(from); err != nil {
		return err
	}
	old, err := s.openBadger(from, 0)
	if err != nil {
		return err
	}
	defer closeQuietly(old)
	txn := old.NewTransactionAt(old.MaxVersion(), false)
	_, err = s.checkFormat(txn)
	txn.Discard()
	if errors.Is(err, ErrNewerFormat) {
		return err
	}
	fresh, err := s.openScratch(to)
	if err != nil {
		return err
	}
	s.setDB(fresh)
	defer func() { s.db = nil }()
	for _, table := range []byte{tOrigin, tStretch, tTeam, tMark, tSetting, tFork} {
		if err := s.copyTable(old, fresh, table); err != nil {
			closeQuietly(fresh)
			return err
		}
	}
	if err = s.makeStore(); err == nil {
		err = s.reindex(old)
	}
	if w := s.readWitness(); err == nil && len(w) > 32 { // the mended store is another one, but of the same teams
		err = s.writeWitnessIn(to, 0, 0, w[32:])
	}
	return errors.Join(err, fresh.Close())
}

// copyTable copies the readable values of one table.
func (s *Store) copyTable(old, fresh *badger.DB, table byte) (err error) {
	ts := s.snaps.last() + 1
	wb := fresh.NewWriteBatchAt(ts)
	defer wb.Cancel()
	if err := s.eachReadable(old, table, wb.Set); err != nil {
		return err
	}
	if err := wb.Flush(); err != nil {
		return fmt.Errorf("couldn't copy table %c: %w", table, err)
	}
	s.snaps.publish(ts, func() {})
	return nil
}

func (s *Store) eachReadable(db *badger.DB, table byte, f func(k, v []byte) error) (err error) {
	defer func() {
		if r := recover(); r != nil { // what comes after is lost
			s.opts.Log.Warn("couldn't read on in a damaged table", "table", string(table), "why", fmt.Sprintf("%.200v", r))
		}
	}()
	txn := db.NewTransactionAt(db.MaxVersion(), false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{table}})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		k := it.Item().KeyCopy(nil)
		v, err := it.Item().ValueCopy(nil)
		if err != nil {
			continue
		}
		if _, err := unseal(k, v); err != nil {
			continue
		}
		if err := f(k, v); err != nil {
			return fmt.Errorf("couldn't copy table %c: %w", table, err)
		}
	}
	return nil
}

// reindex takes over the records of the old database, one log after the other, and makes everything anew that follows
// from them.
func (s *Store) reindex(old *badger.DB) error {
	m := newMemory()
	from := &recordReader{s: s, txn: old.NewTransactionAt(old.MaxVersion(), false)}
	defer from.txn.Discard()
	defer from.close()
	err := s.view(func(_ *memory, txn *badger.Txn) error {
		ld := loader{s: s, m: m, txn: txn, records: from.txn, boards: map[board.ID][]*logState{}}
		return ld.load()
	})
	if err != nil {
		return err
	}
	s.mem.Store(m)
	for _, b := range m.boards {
		if b.team == nil {
			b.team = newTeam(board.TeamID{})
		}
	}
	for _, l := range m.logs {
		if l != nil {
			l.bits, l.own, l.shown, l.multi = bitset{}, nil, 0, 0
		}
	}
	for _, l := range m.logs {
		if l == nil {
			continue
		}
		if err := s.reindexLog(l, from); err != nil {
			return err
		}
	}
	return s.finishReindex(m)
}

// finishReindex judges again what seals left open, and notes the local users as indexed.
func (s *Store) finishReindex(m *memory) error {
	for s.pendingRejudge() {
		g := s.beginQuiet()
		if err := g.rejudgeSome(); err != nil {
			return err
		}
		if err := s.commitQuiet(g); err != nil {
			return err
		}
	}
	g := s.beginQuiet()
	for u := range *s.users.Load() {
		if err := g.put(indexedKey(u), append([]byte(nil), u[:16]...)); err != nil {
			return err
		}
	}
	return s.commitQuiet(g)
}

// beginQuiet begins a group that tells nobody.
func (s *Store) beginQuiet() *group {
	s.beginGroup()
	g := s.newGroup()
	g.quiet = true
	return g
}

func (s *Store) commitQuiet(g *group) error {
	defer g.txn.Discard()
	if err := g.finish(); err != nil {
		return err
	}
	return s.commitAt(g.txn, g.apply)
}

// reindexLog follows one log in commits of some records each: no more than those are in memory.
func (s *Store) reindexLog(l *logState, from *recordReader) error {
	for seq := l.st.Lo; seq <= l.st.Hi; {
		g := s.beginQuiet()
		d := g.delta(l)
		for ; seq <= l.st.Hi && !g.full(); seq++ {
			if inRows(d.damaged, seq) {
				continue
			}
			r, err := from.read(pos{l.num, seq})
			if errors.Is(err, errDecode) {
				d.damaged, d.mended = addRow(d.damaged, rows{seq, seq}), true
				continue
			}
			if err != nil {
				return err
			}
			in := incoming{entry: r.entry, received: r.received, headSig: r.headSig, hash: r.hash, link: r.link, void: r.void}
			if in.void == reasonOrder {
				in.void = ""
			}
			if err := g.record(d, seq, in); err != nil {
				return err
			}
		}
		if len(d.damaged) > 0 {
			if err := g.put(logKey(tDamaged, l.num), appendRows(nil, d.damaged)); err != nil {
				return err
			}
		}
		if err := s.commitQuiet(g); err != nil {
			return err
		}
		if err := s.fault("mended a part"); err != nil {
			return err
		}
	}
	return nil
}

// mendNow closes the database, mends it and opens it again; the committer's. Readers are told meanwhile.
func (s *Store) mendNow(found string) {
	s.mending.Store(true)
	defer s.mending.Store(false)
	s.dbMu.Lock()
	err := s.closeDB()
	s.dbMu.Unlock()
	if err == nil {
		err = s.mend(found)
	}
	var lost []Committed
	if err == nil {
		lost, err = s.reopen()
	}
	s.notify(lost)
	if err != nil {
		why := fmt.Errorf("couldn't mend the damaged store: %w: restore the folder from a backup, or move it away: what teammates hold comes back", err)
		s.failed.Store(&why)
		s.opts.Log.Error("store refuses everything", "error", why)
	}
}
