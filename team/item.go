package team

import (
	"slices"

	"weft/board"
)

// item is an object inside an Evaluator. What counts is decided for each signature of it: the best of them holds.
type item struct {
	*fact
	copies []*signed
	found  finding
	place  *place // of an admission
}

// signed is an object with the signature of one key, as entries carry it.
type signed struct {
	of  *item
	key [32]byte
	at  []*record // that carry it, linked or not
}

// place of an admission in the order of its invite.
type place struct {
	proof  proof
	sig    []byte // by the invite's key, until it was looked at
	queued bool   // among its ticket's fresh

	own bool // a counting record of the admitter's own log carries it; the first one is:
	at  board.Epoch
	seq uint64
}

// proof is whether the invite's key signed; it is looked at once, when the invite is here.
type proof uint8

const (
	unchecked proof = iota
	proven
	disproven
)

// copy is the item as this key signed it; it may be new.
func (it *item) copy(key [32]byte) (s *signed, added bool) {
	for _, s := range it.copies {
		if s.key == key {
			return s, false
		}
	}
	s = &signed{of: it, key: key}
	it.copies = append(it.copies, s)
	return s, true
}

// carry notes that a record carries the signed item, and says whether that is news.
func (s *signed) carry(r *record) bool {
	if r.carries != nil {
		return false
	}
	r.carries, s.at = s, append(s.at, r)
	return r.seg != nil
}

// ruled says whether the item was judged before.
func (it *item) ruled() bool { return it.found.rule != unjudged }

// valid says whether the item counts.
func (it *item) valid() bool { return it.found.status() == Valid }

func compareItems(a, b *item) int { return compareHashes(a.hash, b.hash) }

func compareHashes(a, b board.Hash) int { return slices.Compare(a[:], b[:]) }
