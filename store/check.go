package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
)

// maxProblems bounds what Check says in words.
const maxProblems = 100

// Check reads everything again: checksums, the chain of each log, and that the indexes name what they should. Records
// found damaged are fetched again from peers. progress, which may be nil, hears of it about once in 10,000 records. The error is
// ctx's, or of the database; damage is no error.
func (s *Store) Check(ctx context.Context, progress func(CheckProgress)) (CheckProgress, error) {
	c := checker{s: s, ctx: ctx, progress: progress}
	m := s.memory()
	m.mu.RLock()
	logs := append([]*logState(nil), m.logs...)
	boards := make([]*boardState, 0, len(m.boards))
	for _, b := range m.boards {
		boards = append(boards, b)
	}
	m.mu.RUnlock()
	for _, l := range logs {
		if l == nil {
			continue
		}
		if err := s.view(func(m *memory, txn *badger.Txn) error { return c.log(txn, l) }); err != nil {
			return c.CheckProgress, err
		}
	}
	for _, b := range boards {
		if err := c.display(b); err != nil {
			return c.CheckProgress, err
		}
	}
	c.Done = true
	if progress != nil {
		progress(c.CheckProgress)
	}
	return c.CheckProgress, nil
}

type checker struct {
	CheckProgress
	s        *Store
	ctx      context.Context
	progress func(CheckProgress)
}

func (c *checker) problem(format string, a ...any) {
	c.Damaged++
	if len(c.Problems) < maxProblems {
		c.Problems = append(c.Problems, fmt.Sprintf(format, a...))
	}
}

// damaged tells of damaged records of a log, in ranges.
func (c *checker) damaged(name string, r rows) {
	switch {
	case r.from == 0:
		return
	case r.from == r.to:
		c.problem("%s: record %d is damaged", name, r.from)
	default:
		c.problem("%s: records %d to %d are damaged", name, r.from, r.to)
		c.Damaged += r.to - r.from
	}
}

func (c *checker) tick() error {
	if c.Records++; c.Records%10_000 == 0 {
		if c.progress != nil {
			c.progress(c.CheckProgress)
		}
		return c.ctx.Err()
	}
	return nil
}

// log follows the chain of one log and looks its entries up.
func (c *checker) log(txn *badger.Txn, l *logState) error {
	st, _ := l.stretchOf()
	name := fmt.Sprintf("board %s, node %s, epoch %d", l.board.id.String()[:8], l.origin.Node.String()[:16], l.origin.Epoch.N)
	prev := st.LoPrev
	known := true // prev's hash
	var run rows  // damaged, and not told of yet
	defer func() { c.damaged(name, run) }()
	for seq := st.Lo; seq <= st.Hi; {
		var stop error
		bad, err := eachRecord(txn, l.num, seq, st.Hi, func(at uint64, r stored) bool {
			if stop = c.tick(); stop != nil {
				return false
			}
			rec := board.Record{Board: l.board.id, Origin: l.origin, Seq: at, Prev: prev, Entry: r.entry.ID, Received: r.received}
			h := rec.Hash()
			switch {
			case !r.hash.IsZero() && known && h != r.hash:
				c.problem("%s: the hash of record %d does not fit those before it", name, at)
				h = r.hash
			case !r.hash.IsZero():
				h, known = r.hash, true
			}
			prev = board.Link{Epoch: l.origin.Epoch, Seq: at, Hash: h}
			if why := c.indexed(txn, l, at, &r); why != "" {
				c.problem("%s: record %d: %s", name, at, why)
			}
			return true
		})
		if stop != nil {
			return stop
		}
		if !errors.Is(err, errDecode) {
			if err == nil && known && prev.Hash != st.HiHash {
				c.problem("%s: its last hash is not the one that was noted", name)
			}
			return err
		}
		if run.to+1 != bad {
			c.damaged(name, run)
			run.from = bad
		}
		run.to = bad
		c.s.damaged(l, bad)
		seq, known = bad+1, false
		prev = board.Link{Epoch: l.origin.Epoch, Seq: bad}
	}
	return nil
}

// indexed says what is wrong with how a record is indexed, or "".
func (c *checker) indexed(txn *badger.Txn, l *logState, seq uint64, r *stored) string {
	e, err := get(txn, appendPostKey(nil, postKey{l.board.id, r.entry.Header.PostID()}))
	if err != nil || e == nil {
		return "its post is not indexed"
	}
	list, err := parsePostList(e)
	if err != nil {
		return "its post's index is damaged"
	}
	here := false
	for i, p := range list.recs {
		if p == (pos{l.num, seq}) {
			here = true
			if i == list.shown {
				if d, err := get(txn, appendDisplayKey(nil, l.board.id, r.entry.Order())); err != nil || d == nil {
					return "it shows, but is not in display order"
				}
			}
		}
	}
	if !here && len(list.recs) < maxPostRecords {
		return "its post's index does not name it"
	}
	return ""
}

// display counts a board's display order.
func (c *checker) display(b *boardState) error {
	n := uint64(0)
	b.mu.Lock()
	want := uint64(0)
	for _, l := range b.logs {
		want += l.shown
	}
	commits := b.commits
	b.mu.Unlock()
	err := c.s.view(func(m *memory, txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: append([]byte{tDisplay}, b.id[:]...)})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			if n++; n%10_000 == 0 && c.ctx.Err() != nil {
				return c.ctx.Err()
			}
			if _, _, err := parseDisplay(it.Item()); err != nil {
				c.problem("board %s: display order is damaged", b.id.String()[:8])
			}
		}
		return nil
	})
	b.mu.Lock()
	quiet := commits == b.commits
	b.mu.Unlock()
	if err == nil && quiet && n != want {
		c.problem("board %s: %d entries are in display order instead of %d", b.id.String()[:8], n, want)
	}
	return err
}

// Compact rewrites the database's tables into as few as possible; it takes a while and much of the disk's time.
func (s *Store) Compact(ctx context.Context) error {
	s.dbMu.RLock()
	defer s.dbMu.RUnlock()
	if s.db == nil {
		return ErrClosed
	}
	s.compactors.mu.Lock()
	defer s.compactors.mu.Unlock()
	s.compactorsRun()                   // since Flatten starts them when it is done
	s.db.SetDiscardTs(s.snaps.oldest()) // else what was removed lately stays, and is not looked at again
	if err := s.db.Flatten(2); err != nil {
		return fmt.Errorf("couldn't compact: %w", err)
	}
	return nil
}
