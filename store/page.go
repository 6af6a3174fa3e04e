package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
)

// Bounds of one page.
const (
	defaultPage = 50
	maxPage     = 1000
)

// Page reads entries in display order. Entries whose records are damaged are left out and counted; they are on their way
// again from peers. Errors wrap board.ErrNotFound or ErrDamaged.
func (s *Store) Page(ctx context.Context, b board.ID, q PageQuery) (Page, error) {
	bs, ok := s.memory().board(b)
	if !ok {
		return Page{}, fmt.Errorf("couldn't read board %s: %w", b, board.ErrNotFound)
	}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultPage
	}
	limit = min(limit, maxPage)
	p := Page{Vector: s.Vector(b)} // before the entries are read: they cover it
	err := s.view(func(m *memory, txn *badger.Txn) error {
		sc := displayScan{s: s, m: m, txn: txn, board: bs, void: q.IncludeVoid}
		var err error
		if q.After != nil {
			p.Older = true
			p.Newer, err = sc.up(*q.After, limit, &p)
		} else {
			p.Newer = q.Before != nil
			p.Older, err = sc.down(q.Before, limit, &p)
		}
		return err
	})
	if err != nil {
		return Page{}, err
	}
	if p.Newer || q.After != nil && len(p.Entries) == 0 {
		p.Vector = nil
	}
	return p, nil
}

// displayScan reads the display order of a board.
type displayScan struct {
	s     *Store
	m     *memory
	txn   *badger.Txn
	board *boardState
	void  bool // entries that do not count, too
}

// prefix of the board's shown entries.
func (sc *displayScan) prefix() []byte { return append([]byte{tDisplay}, sc.board.id[:]...) }

// displayTables are read side by side; their keys differ in the first byte only.
var displayTables = [...]byte{tDisplay, tVoid}

// each calls f with the items of the display order from seek on, the item at seek left out, until f says stop.
func (sc *displayScan) each(seek []byte, reverse bool, f func(*badger.Item) (more bool, err error)) error {
	tables := displayTables[:1]
	if sc.void {
		tables = displayTables[:]
	}
	var its []*badger.Iterator
	for _, table := range tables {
		from := slices.Clone(seek)
		from[0] = table
		it := sc.txn.NewIterator(badger.IteratorOptions{Reverse: reverse, Prefix: from[:17:17]})
		defer it.Close()
		if it.Seek(from); it.Valid() && slices.Equal(it.Item().Key(), from) {
			it.Next()
		}
		its = append(its, it)
	}
	for {
		var next *badger.Iterator
		for _, it := range its {
			if !it.Valid() {
				continue
			}
			if next == nil || (bytes.Compare(it.Item().Key()[1:], next.Item().Key()[1:]) < 0) != reverse {
				next = it
			}
		}
		if next == nil {
			return nil
		}
		if more, err := f(next.Item()); !more || err != nil {
			return err
		}
		next.Next()
	}
}

// down reads up to limit entries before k (nil: the newest), oldest first in p. more: there are older ones.
func (sc *displayScan) down(k *board.OrderKey, limit int, p *Page) (more bool, err error) {
	seek := append(sc.prefix(), bytes.Repeat([]byte{0xff}, 25)...)
	if k != nil {
		seek = appendDisplayKey(nil, sc.board.id, *k)
	}
	more, err = sc.collect(seek, true, limit, p)
	slices.Reverse(p.Entries)
	return more, err
}

// up reads up to limit entries after k. more: there are newer ones.
func (sc *displayScan) up(k board.OrderKey, limit int, p *Page) (more bool, err error) {
	return sc.collect(appendDisplayKey(nil, sc.board.id, k), false, limit, p)
}

func (sc *displayScan) collect(seek []byte, reverse bool, limit int, p *Page) (more bool, err error) {
	err = sc.each(seek, reverse, func(it *badger.Item) (bool, error) {
		if len(p.Entries) == limit {
			more = true
			return false, nil
		}
		return true, sc.add(it, p)
	})
	return more, err
}

// add reads the entry that an index item names.
func (sc *displayScan) add(it *badger.Item, p *Page) error {
	_, at, err := parseDisplay(it)
	if err != nil {
		p.Damaged++
		return ignoreDamaged(sc.s.damagedRead("display order", err))
	}
	if l := sc.m.log(at.log); l == nil || l.isPruned(at.seq) {
		return nil
	}
	e, err := sc.s.shownAt(sc.m, sc.txn, at)
	if errors.Is(err, board.ErrNotFound) {
		return nil
	}
	if err != nil {
		p.Damaged++
		return ignoreDamaged(err)
	}
	p.Entries = append(p.Entries, *e)
	return nil
}

// ignorePruned makes an entry that went below a floor look like none.
func ignorePruned(err error) error {
	if errors.Is(err, board.ErrNotFound) {
		return nil
	}
	return err
}

func ignoreDamaged(err error) error {
	if errors.Is(err, board.ErrDamaged) {
		return nil
	}
	return err
}

// parseDisplay reads an item of the display order: its hlc, and the record that stands for the entry.
func parseDisplay(it *badger.Item) (h board.HLC, p pos, err error) {
	k := it.Key()
	v, err := it.ValueCopy(nil)
	if err != nil {
		return 0, p, fmt.Errorf("%w: %w", errDecode, err)
	}
	c, err := unseal(k, v)
	if err != nil || len(k) != displayKeySize {
		return 0, p, errDecode
	}
	p, err = parsePosition(c)
	return board.HLC(binary.BigEndian.Uint64(k[17:])), p, err
}

// Hash is sha256 over the ids of the entries that show, in display order, and how many they are: equal where boards are
// equal. It reads the whole board. Errors wrap board.ErrNotFound or ErrDamaged.
func (s *Store) Hash(ctx context.Context, b board.ID) (h board.Hash, n uint64, err error) {
	bs, ok := s.memory().board(b)
	if !ok {
		return h, 0, fmt.Errorf("couldn't hash board %s: %w", b, board.ErrNotFound)
	}
	sum := sha256.New()
	err = s.view(func(m *memory, txn *badger.Txn) error {
		sc := displayScan{s: s, m: m, txn: txn, board: bs}
		it := txn.NewIterator(badger.IteratorOptions{Prefix: sc.prefix()})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			if n++; n%1024 == 0 && ctx.Err() != nil {
				return fmt.Errorf("couldn't hash board: %w", ctx.Err())
			}
			_, at, err := parseDisplay(it.Item())
			if err != nil {
				return s.damagedRead("display order", err)
			}
			if l := m.log(at.log); l == nil || l.isPruned(at.seq) {
				n--
				continue
			}
			e, err := s.shownAt(m, txn, at)
			if err != nil {
				return err
			}
			sum.Write(e.Entry.ID[:])
		}
		return nil
	})
	sum.Sum(h[:0])
	return h, n, err
}

// lastShown is the newest entry of a board; nil: there is none. It is kept in memory once read.
func (s *Store) lastShown(bs *boardState) *Shown {
	bs.mu.Lock()
	last, ok := bs.last, bs.lastOK
	wasMoved := bs.commits
	bs.mu.Unlock()
	if ok {
		return last
	}
	var p Page
	err := s.view(func(m *memory, txn *badger.Txn) error {
		sc := displayScan{s: s, m: m, txn: txn, board: bs}
		_, err := sc.down(nil, 1, &p)
		return err
	})
	if err != nil {
		return nil
	}
	if len(p.Entries) > 0 {
		last = &p.Entries[0]
	}
	bs.mu.Lock()
	if bs.commits == wasMoved { // nothing was committed meanwhile
		bs.last, bs.lastOK = last, true
	}
	bs.mu.Unlock()
	return last
}
