package trust

import (
	"bytes"
	"crypto/sha256"
	"maps"
	"slices"

	"weft/board"
	"weft/team"

	weftv1 "weft/api/weft/v1"
)

// Held is one record of a node's log with the entry that it carries.
type Held struct {
	Record board.Record
	Hash   board.Hash // of Record
	Entry  *board.Entry
	Object *team.Object // what the entry carries, on the governance board; nil: nothing that is an object
}

// Hold joins a record with its entry, and decodes the object in it.
func Hold(r board.Record, e *board.Entry) *Held {
	h := &Held{Record: r, Hash: r.Hash(), Entry: e}
	if h.Record.Board == board.GovernanceID(e.Header.Team) {
		h.Object = object(e)
	}
	return h
}

// object that an entry of a governance board carries: its header is the one form that there is for it, and says nothing
// of its own.
func object(e *board.Entry) *team.Object {
	h := &e.Header
	o, err := team.ParseObject(h.Kind, e.Body)
	if err != nil || h.Author != (board.UserID{}) || !h.Cred.IsZero() || h.KeyID != 0 || h.ClientMsgID != string(o.Hash[:]) {
		return nil
	}
	return o
}

// item is what stands under a cut or not: an entry of a message board, or an object with one of its signers. (Two devices
// of one user sign acks of the same bytes; each signature counts or falls by itself.)
type item struct {
	hash   board.Hash
	signer [32]byte
}

func (h *Held) item() (item, bool) {
	switch {
	case h.Object != nil:
		return item{h.Object.Hash, h.Object.Key}, true
	case h.Record.Board == board.GovernanceID(h.Entry.Header.Team):
		return item{}, false
	}
	return item{hash: h.Entry.ID}, true
}

// logs are the records that hang on the beginning of their node's log by well-formed links. Others stand nowhere yet: what
// they carry is here, and under no cut.
type logs struct {
	given map[board.Hash]*Held
	held  map[board.Hash]*Held
	items map[item][]*Held
	seals map[board.Hash][]*Held // by the record that they seal
	met   Met
}

// Met counts the rules that had a say, so that a test can see that none is idle.
type Met map[string]int

func (m Met) mark(rule string) bool { m[rule]++; return true }

type stretch struct {
	board board.ID
	board.Origin
}

func (h *Held) stretch() stretch { return stretch{h.Record.Board, h.Record.Origin} }

func link(all []*Held) *logs {
	given := map[board.Hash]*Held{}
	for _, h := range all {
		given[h.Hash] = h
	}
	l := &logs{given, map[board.Hash]*Held{}, map[item][]*Held{}, map[board.Hash][]*Held{}, Met{}}
	linked := map[board.Hash]bool{}
	var hangs func(h *Held) bool
	hangs = func(h *Held) bool {
		if ok, known := linked[h.Hash]; known {
			return ok
		}
		ok := false
		r, p := h.Record, h.Record.Prev
		if p == (board.Link{}) {
			ok = r.Seq == 1
		} else if below := given[p.Hash]; below != nil {
			b := below.Record
			fits := b.Board == r.Board && b.Node == r.Node && b.Epoch == p.Epoch && b.Seq == p.Seq
			next := b.Epoch == r.Epoch && r.Seq == b.Seq+1
			seal := b.Epoch.N < r.Epoch.N && r.Seq == 1
			ok = fits && (next || seal) && hangs(below)
		}
		linked[h.Hash] = ok
		return ok
	}
	for _, h := range sorted(given) {
		if !hangs(h) {
			l.met.mark("record without what it hangs on")
			continue
		}
		l.held[h.Hash] = h
		if i, ok := h.item(); ok {
			l.items[i] = append(l.items[i], h)
		}
		if h.Record.Seq == 1 && h.Record.Prev != (board.Link{}) {
			l.seals[h.Record.Prev.Hash] = append(l.seals[h.Record.Prev.Hash], h)
		}
	}
	return l
}

// below says whether a is at or below b on the chain that ends in b.
func (l *logs) below(a, b *Held) bool {
	for b != nil {
		if a == b {
			return true
		}
		b = l.held[b.Record.Prev.Hash]
	}
	return false
}

// within says whether a record stands at or below one of the cut's positions. While nobody holds the record that a
// position names, its number stands for it.
func (l *logs) within(h *Held, cut *weftv1.Cut) bool {
	for _, m := range cut.GetPositions() {
		p, err := board.ParsePosition(m)
		if err != nil || p.Board != h.Record.Board || p.Node != h.Record.Node {
			continue
		}
		if at := l.held[p.Hash]; at != nil {
			if l.below(h, at) {
				return true
			}
		} else if h.Record.Epoch.N < p.Epoch.N || h.Record.Epoch == p.Epoch && h.Record.Seq <= p.Seq {
			return l.met.mark("below a position by its number")
		}
	}
	return false
}

// under says whether one of an item's records, counting or not, is within the cut.
func (l *logs) under(i item, cut *weftv1.Cut) bool {
	for _, h := range l.items[i] {
		if l.within(h, cut) {
			return true
		}
	}
	return false
}

// sorted are a map's values in the order of their hashes.
func sorted[V any](m map[board.Hash]V) []V {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b board.Hash) int { return bytes.Compare(a[:], b[:]) })
	out := make([]V, len(keys))
	for i, k := range keys {
		out[i] = m[k]
	}
	return out
}

func hashOf(b []byte) board.Hash { return sha256.Sum256(b) }
