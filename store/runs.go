package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
)

// eachRecord reads records from first on, in order, until f says stop or last was read. It checks that seqs run without
// a hole. bad is the record at fault where the error wraps errDecode.
func eachRecord(txn *badger.Txn, l logNum, first, last uint64, f func(seq uint64, r stored) (more bool)) (bad uint64, err error) {
	prefix := logKey(tRecord, l)
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	seq := first
	for it.Seek(recordKey(pos{l, first})); seq <= last; it.Next() {
		r, err := recordAt(it, seq)
		if err != nil {
			return seq, err
		}
		if !f(seq, r) {
			return 0, nil
		}
		seq++
	}
	return 0, nil
}

// eachRecordBack is eachRecord downwards, from last to first.
func eachRecordBack(txn *badger.Txn, l logNum, last, first uint64, f func(seq uint64, r stored) (more bool)) (bad uint64, err error) {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: logKey(tRecord, l), Reverse: true})
	defer it.Close()
	seq := last
	for it.Seek(recordKey(pos{l, last})); seq >= first; it.Next() {
		r, err := recordAt(it, seq)
		if err != nil {
			return seq, err
		}
		if !f(seq, r) {
			return 0, nil
		}
		seq--
	}
	return 0, nil
}

// recordAt reads the record at which an iterator stands and which must be that of seq.
func recordAt(it *badger.Iterator, seq uint64) (r stored, err error) {
	if !it.Valid() {
		return r, fmt.Errorf("records end before %d: %w", seq, errDecode)
	}
	k := it.Item().Key()
	if len(k) != 13 || binary.BigEndian.Uint64(k[5:]) != seq {
		return r, fmt.Errorf("record %d is missing: %w", seq, errDecode)
	}
	v, err := it.Item().ValueCopy(nil)
	if err != nil {
		return r, fmt.Errorf("couldn't read record %d: %w: %w", seq, err, errDecode)
	}
	c, err := unseal(k, v)
	if err != nil {
		return r, err
	}
	return parseStored(c)
}

// findLog finds what is held of an origin.
func (s *Store) findLog(b board.ID, o board.Origin) (*logState, error) {
	bs, ok := s.memory().board(b)
	if !ok {
		return nil, fmt.Errorf("couldn't read log: board %s: %w", b, board.ErrNotFound)
	}
	l := bs.log(o)
	if l == nil {
		return nil, fmt.Errorf("couldn't read log of node %s: %w", o.Node, board.ErrNotHeld)
	}
	return l, nil
}

// Run reads records of one origin from first on, to be sent to a peer: as many as fit into maxBytes, but at least up to
// the next signed head, and not beyond last unless there is no signed head before. The last item carries a HeadSig; on
// this node's own log it is made now. Errors wrap board.ErrNotFound, ErrNotHeld or ErrDamaged.
func (s *Store) Run(ctx context.Context, b board.ID, o board.Origin, first, last uint64, maxBytes int) (*board.Run, error) {
	l, err := s.findLog(b, o)
	if err != nil {
		return nil, err
	}
	st, claim := l.stretchOf()
	if first < claim.Lo || first > claim.Hi {
		return nil, fmt.Errorf("couldn't read record %d of node %s: %d to %d are held: %w", first, o.Node, claim.Lo, claim.Hi, board.ErrNotHeld)
	}
	own := o.Node == s.nodeID
	r := &board.Run{Board: b, Origin: o, First: first}
	err = s.view(func(m *memory, txn *badger.Txn) error {
		if err := s.linkBefore(txn, l, st, r); err != nil {
			return err
		}
		size, signed := 0, 0
		head, headSig := l.head()
		bad, err := eachRecord(txn, l.num, first, claim.Hi, func(seq uint64, rec stored) bool {
			it := board.Item{Entry: rec.entry, Received: rec.received, HeadSig: rec.headSig}
			if seq == head {
				it.HeadSig = headSig
			}
			r.Items = append(r.Items, it)
			size += len(rec.entry.Raw) + len(rec.entry.Body) + len(it.HeadSig) + 88
			if len(it.HeadSig) > 0 || own {
				signed = len(r.Items)
			}
			over := size >= maxBytes || seq >= last || len(r.Items) == board.MaxRunItems
			return !over || signed == 0 && len(r.Items) < board.MaxRunItems
		})
		if err != nil && signed == 0 {
			return s.damagedRun(l, bad, err)
		}
		if err != nil {
			s.damagedRun(l, bad, err)
		}
		if signed == 0 {
			return fmt.Errorf("couldn't read log of node %s from %d on: no signed head follows: %w", o.Node, first, board.ErrNotHeld)
		}
		r.Items = r.Items[:signed]
		return nil
	})
	if err != nil {
		return nil, err
	}
	if end := &r.Items[len(r.Items)-1]; own && len(end.HeadSig) == 0 {
		hashes := r.Hashes()
		sig := board.SignHead(s.opts.Node, board.Position{Board: b, Node: o.Node, Epoch: o.Epoch, Seq: r.LastSeq(), Hash: hashes[len(hashes)-1]})
		end.HeadSig = sig[:]
	}
	return r, nil
}

// head is the log's last signed head.
func (l *logState) head() (uint64, []byte) {
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	return l.headSeq, l.headSig
}

// linkBefore fills in the link of the run's first record.
func (s *Store) linkBefore(txn *badger.Txn, l *logState, st board.Stretch, r *board.Run) error {
	if r.First == st.Lo {
		r.Prev = st.LoPrev
		return nil
	}
	h, bad, err := chainHash(txn, l, st, r.First-1)
	if err != nil {
		return s.damagedRun(l, bad, err)
	}
	r.Prev = board.Link{Epoch: l.origin.Epoch, Seq: r.First - 1, Hash: h}
	return nil
}

func (s *Store) damagedRun(l *logState, bad uint64, err error) error {
	if !errors.Is(err, errDecode) {
		return err
	}
	s.damaged(l, bad)
	return fmt.Errorf("couldn't read record %d: %w", bad, board.ErrDamaged)
}

// RunBack reads records of one origin that end exactly at last: as many as fit into maxBytes, at least one. The last
// item has a HeadSig only where one is kept: who asks knows its hash. Errors wrap board.ErrNotFound, ErrNotHeld or
// ErrDamaged.
func (s *Store) RunBack(ctx context.Context, b board.ID, o board.Origin, last uint64, maxBytes int) (*board.Run, error) {
	l, err := s.findLog(b, o)
	if err != nil {
		return nil, err
	}
	st, claim := l.stretchOf()
	if last < st.Lo || last > st.Hi || claim.Hi < claim.Lo && len(l.rowsDamaged()) == 0 {
		return nil, fmt.Errorf("couldn't read record %d of node %s: %w", last, o.Node, board.ErrNotHeld)
	}
	r := &board.Run{Board: b, Origin: o}
	err = s.view(func(m *memory, txn *badger.Txn) error {
		head, headSig := l.head()
		size := 0
		bad, err := eachRecordBack(txn, l.num, last, st.Lo, func(seq uint64, rec stored) bool {
			size += len(rec.entry.Raw) + len(rec.entry.Body) + 88
			if len(r.Items) > 0 && size > maxBytes {
				return false
			}
			it := board.Item{Entry: rec.entry, Received: rec.received, HeadSig: rec.headSig}
			if seq == head {
				it.HeadSig = headSig
			}
			r.Items = append(r.Items, it)
			return len(r.Items) < board.MaxRunItems
		})
		if err != nil {
			if err = s.damagedRun(l, bad, err); len(r.Items) == 0 {
				return err
			}
		}
		slices.Reverse(r.Items)
		r.First = last - uint64(len(r.Items)) + 1
		return s.linkBefore(txn, l, st, r)
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (l *logState) rowsDamaged() []rows {
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	return l.damaged
}

// SignedHead is the last position of a log of which a signature can be shown; on this node's own log it is made now.
func (s *Store) SignedHead(b board.ID, o board.Origin) (board.Position, []byte, bool) {
	l, err := s.findLog(b, o)
	if err != nil {
		return board.Position{}, nil, false
	}
	st, claim := l.stretchOf()
	if claim.Hi < claim.Lo || claim.Hi == 0 {
		return board.Position{}, nil, false
	}
	p := board.Position{Board: b, Node: o.Node, Epoch: o.Epoch, Seq: claim.Hi, Hash: claim.HiHash}
	if o.Node == s.nodeID {
		sig := board.SignHead(s.opts.Node, p)
		return p, sig[:], true
	}
	head, sig := l.head()
	switch {
	case head == 0 || head > claim.Hi:
		return board.Position{}, nil, false
	case head == claim.Hi:
		return p, sig, true
	}
	err = s.view(func(m *memory, txn *badger.Txn) (err error) {
		h, _, err := chainHash(txn, l, st, head)
		p.Seq, p.Hash = head, h
		return err
	})
	return p, sig, err == nil
}
