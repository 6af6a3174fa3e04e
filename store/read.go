package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
)

// loadRecord reads one record. Errors wrap errDecode where it is damaged or missing.
func loadRecord(txn *badger.Txn, p pos) (stored, error) {
	c, err := get(txn, recordKey(p))
	if err != nil {
		return stored{}, err
	}
	if c == nil {
		return stored{}, fmt.Errorf("record %d is missing: %w", p.seq, errDecode)
	}
	return parseStored(c)
}

// hashAt is the hash of a record as the group sees it.
func (g *group) hashAt(d *logDelta, seq uint64) (board.Hash, error) {
	h, bad, err := chainHash(g.txn, d.log, d.st, seq)
	if errors.Is(err, errDecode) {
		g.s.damaged(d.log, bad)
	}
	return h, err
}

// chainHash computes the hash of a held record from the nearest one below it whose hash is kept: where the stretch
// begins, or at a multiple of board.HeadEvery. bad is the record at fault where the error wraps errDecode.
func chainHash(txn *badger.Txn, l *logState, st board.Stretch, seq uint64) (h board.Hash, bad uint64, err error) {
	if seq == st.Hi && !st.HiHash.IsZero() {
		return st.HiHash, 0, nil
	}
	if seq+1 == st.Lo {
		return st.LoPrev.Hash, 0, nil
	}
	at := seq - seq%board.HeadEvery
	var prev board.Link
	if at >= st.Lo {
		r, err := loadRecord(txn, pos{l.num, at})
		if err != nil {
			return h, at, err
		}
		if r.hash.IsZero() {
			return h, at, errDecode
		}
		prev = board.Link{Epoch: l.origin.Epoch, Seq: at, Hash: r.hash}
		at++
	} else {
		at, prev = st.Lo, st.LoPrev
	}
	for ; at <= seq; at++ {
		r, err := loadRecord(txn, pos{l.num, at})
		if err != nil {
			return h, at, err
		}
		rec := board.Record{Board: l.board.id, Origin: l.origin, Seq: at, Prev: prev, Entry: r.entry.ID, Received: r.received}
		prev = board.Link{Epoch: l.origin.Epoch, Seq: at, Hash: rec.Hash()}
	}
	return prev.Hash, 0, nil
}

// stretchOf reads a log's stretch, as claimed.
func (l *logState) stretchOf() (st, claimed board.Stretch) {
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	if len(l.damaged) > 0 {
		return l.st, l.intact
	}
	return l.st, l.st
}

// positionOf is the position of a held record.
func (s *Store) positionOf(txn *badger.Txn, l *logState, seq uint64) (board.Position, error) {
	st, _ := l.stretchOf()
	h, bad, err := chainHash(txn, l, st, seq)
	if errors.Is(err, errDecode) { // what the stretch says may be newer than the snapshot
		err = s.at(func(_ *memory, txn *badger.Txn) (err error) {
			h, bad, err = chainHash(txn, l, st, seq)
			return err
		})
	}
	if errors.Is(err, errDecode) {
		s.damaged(l, bad)
		err = fmt.Errorf("couldn't read record %d: %w", bad, board.ErrDamaged)
	}
	return board.Position{Board: l.board.id, Node: l.origin.Node, Epoch: l.origin.Epoch, Seq: seq, Hash: h}, err
}

// shownAt reads the record at p as readers see it.
func (s *Store) shownAt(m *memory, txn *badger.Txn, p pos) (*Shown, error) {
	l := m.log(p.log)
	if l == nil {
		return nil, fmt.Errorf("couldn't read entry: its log is unknown: %w", board.ErrDamaged)
	}
	r, err := loadRecord(txn, p)
	if errors.Is(err, errDecode) && l.isPruned(p.seq) {
		return nil, fmt.Errorf("couldn't read entry: it is pruned: %w", board.ErrNotFound)
	}
	if errors.Is(err, errDecode) {
		s.damaged(l, p.seq)
		return nil, fmt.Errorf("couldn't read entry: %w", board.ErrDamaged)
	}
	if err != nil {
		return nil, err
	}
	rule, void := voidWords(r.void)
	return &Shown{Entry: r.entry, Origin: l.origin, Seq: p.seq, Received: r.received, Void: void, Rule: rule}, nil
}

// EntryByID reads an entry of a board, shown or not. Errors wrap board.ErrNotFound or ErrDamaged.
func (s *Store) EntryByID(ctx context.Context, b board.ID, id board.Hash) (out *Shown, err error) {
	err = s.view(func(m *memory, txn *badger.Txn) error {
		c, err := get(txn, appendEntryKey(make([]byte, 0, 17), id))
		if err != nil {
			return s.damagedRead("entry", err)
		}
		if c == nil {
			return fmt.Errorf("couldn't find entry %s: %w", id, board.ErrNotFound)
		}
		p, err := parsePosition(c)
		if err != nil {
			return s.damagedRead("entry", err)
		}
		if out, err = s.shownAt(m, txn, p); err != nil {
			return err
		}
		if out.Entry.ID != id || out.Entry.Header.Board != b {
			return fmt.Errorf("couldn't find entry %s in this board: %w", id, board.ErrNotFound)
		}
		return nil
	})
	return out, err
}

// damagedRead turns a damaged value into board.ErrDamaged.
func (s *Store) damagedRead(what string, err error) error {
	if !errors.Is(err, errDecode) {
		return err
	}
	s.noteValue(what, nil)
	return fmt.Errorf("couldn't read %s: %w", what, board.ErrDamaged)
}

// Positions are all held records of an entry, at most 64. Errors wrap board.ErrNotFound or ErrDamaged.
func (s *Store) Positions(ctx context.Context, b board.ID, id board.Hash) (out []board.Position, err error) {
	e, err := s.EntryByID(ctx, b, id)
	if err != nil {
		return nil, err
	}
	err = s.view(func(m *memory, txn *badger.Txn) error {
		c, err := get(txn, appendPostKey(nil, postKey{b, e.Entry.Header.PostID()}))
		if err != nil {
			return s.damagedRead("post", err)
		}
		list, err := parsePostList(c)
		if err != nil {
			return s.damagedRead("post", err)
		}
		for _, p := range list.recs {
			r, err := loadRecord(txn, p)
			l := m.log(p.log)
			if err != nil || l == nil || r.entry.ID != id {
				continue
			}
			at, err := s.positionOf(txn, l, p.seq)
			if err != nil {
				return err
			}
			out = append(out, at)
		}
		return nil
	})
	return out, err
}
