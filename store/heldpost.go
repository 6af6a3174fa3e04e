package store

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
)

// heldPost is what is on disk of a post that comes again.
type heldPost struct {
	held    bool // it is answered by what is here
	receipt Receipt
	refused error // with held: it is recorded as void
	some    bool  // something of it is here, though nothing that answers it
}

// heldPost looks for a post: for what shows of it, or for one entry of it, even a void one. A void entry does not keep
// another one of the same post from being written.
func (s *Store) heldPost(m *memory, txn *badger.Txn, key postKey, entry board.Hash) (h heldPost, err error) {
	c, err := get(txn, appendPostKey(make([]byte, 0, 37), key))
	if err != nil || c == nil {
		return h, ignoreDamage(err)
	}
	h.some = true
	list, err := parsePostList(c)
	if err != nil {
		return h, nil
	}
	recs := list.recs
	if list.shown >= 0 {
		recs = recs[list.shown:][:1]
	}
	for _, p := range recs {
		l := m.log(p.log)
		if l == nil {
			continue
		}
		r, err := loadRecord(txn, p)
		if errors.Is(err, errDecode) && l.isPruned(p.seq) {
			continue
		}
		if errors.Is(err, errDecode) {
			s.damaged(l, p.seq)
			return h, fmt.Errorf("couldn't read the entry that is kept: %w", board.ErrDamaged)
		}
		if err != nil {
			return h, err
		}
		if r.void != "" && r.entry.ID != entry {
			continue
		}
		if r.void != "" {
			h.refused = s.voidError(&r.entry.Header, r.void)
		}
		at, err := s.positionOf(txn, l, p.seq)
		h.held, h.receipt = err == nil, Receipt{Entry: r.entry.ID, Position: at, HLC: r.entry.Header.HLC, Duplicate: true}
		return h, err
	}
	return h, nil
}
