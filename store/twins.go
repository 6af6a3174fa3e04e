package store

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
)

// Twins are two entries of one device in one board that carry the same number (dev_epoch, dev_seq) and are not the same:
// the device, or a copy of it, says different things to different people. Both are shown, with a flag (trust §7).
//
// To look each number up would cost every entry an index row. Instead what is held of a device is kept in memory as
// spans of numbers without a hole, linked by dev_prev: an entry that goes on from a span, upwards or downwards, is none.
// After a start the spans are found again from the device's last entries (devHead) by following dev_prev.

// devSpan is a row of a device's entries that are held, each naming the one before.
type devSpan struct {
	epoch, lo, hi uint64
	hiID          board.Hash // the entry at hi
	loPrev        board.Hash // what the entry at lo names as the one before it
	open          bool       // loPrev is the entry at lo itself: what that one names was not read yet
	stuck         bool       // the entry that loPrev names is not here
}

const (
	maxSpans    = 8    // of a device in a board; of more the oldest is forgotten, and a twin in it not noticed
	maxTwinWalk = 4096 // entries that are followed back for one
	maxTwins    = 4096 // flagged entries that are kept
	twinPrefix  = "twin/"
)

// lookForTwin notes that an entry comes, and flags it if another one is held under its number.
func (g *group) lookForTwin(b *boardState, e *board.Entry) error {
	h := &e.Header
	if b.governance || h.DevSeq == 0 {
		return nil
	}
	dev, err := g.device(deviceKey{b.id, h.Device})
	if err != nil {
		return err
	}
	dev.recallSpan(h.DevEpoch)
	covered, next := -1, -1
	for i := range dev.spans {
		s := &dev.spans[i]
		if s.epoch != h.DevEpoch {
			continue
		}
		if s.lo <= h.DevSeq && h.DevSeq <= s.hi {
			covered = i
		}
		if h.DevSeq == s.hi+1 && h.DevPrev == s.hiID {
			next = i
		}
	}
	if covered < 0 {
		if covered, err = g.walkDown(b, dev, h); err != nil {
			return err
		}
	}
	if covered >= 0 {
		if r, _, err := g.byID(b, e.ID); err != nil || r.entry != nil { // the same one, recorded again
			return err
		}
		if err := g.flagTwin(b, dev.spans[covered].hiID, e); err != nil {
			return err
		}
	}
	dev.extend(next, e)
	return nil
}

// appendSpans: of each span that recallSpan would not find again epoch 8, lo 8, hi 8, hiID 32, loPrev 32, open 1; then how
// many they are, 1. Nothing where there is none: that is so while a device's entries come in a row.
func (d *device) appendSpans(b []byte) []byte {
	n := byte(0)
	for _, s := range d.spans {
		if slices.ContainsFunc(d.heads, func(x devHead) bool { return x.id == s.hiID }) {
			continue
		}
		for _, v := range []uint64{s.epoch, s.lo, s.hi} {
			b = binary.BigEndian.AppendUint64(b, v)
		}
		b = append(append(b, s.hiID[:]...), s.loPrev[:]...)
		if b = append(b, 0); s.open {
			b[len(b)-1] = 1
		}
		n++
	}
	if n > 0 {
		b = append(b, n)
	}
	return b
}

const spanBytes = 89

// cutSpans reads what appendSpans wrote, and leaves what stands before it. With one to eight spans the length of the whole
// is never one without.
func cutSpans(c []byte) (spans []devSpan, rest []byte, err error) {
	if len(c) < 8 || (len(c)-8)%devHeadBytes == 0 {
		return nil, c, nil
	}
	n := int(c[len(c)-1])
	if at := len(c) - 1 - n*spanBytes; n < 1 || n > maxSpans || at < 8 {
		return nil, nil, errDecode
	} else {
		c, rest = c[at:], c[:at]
	}
	u := binary.BigEndian.Uint64
	for ; n > 0; n-- {
		s := devSpan{epoch: u(c), lo: u(c[8:]), hi: u(c[16:]), open: c[88] == 1}
		copy(s.hiID[:], c[24:])
		copy(s.loPrev[:], c[56:])
		if s.lo > s.hi || c[88] > 1 {
			return nil, nil, errDecode
		}
		spans, c = append(spans, s), c[spanBytes:]
	}
	return spans, rest, nil
}

// recallSpan begins with the end of the device's chain that is kept on disk.
func (d *device) recallSpan(epoch uint64) {
	for _, x := range d.heads {
		if x.epoch == epoch && !slices.ContainsFunc(d.spans, func(s devSpan) bool { return s.hiID == x.id }) {
			d.addSpan(devSpan{epoch: epoch, lo: x.seq, hi: x.seq, hiID: x.id, loPrev: x.id, open: true})
		}
	}
}

func (d *device) addSpan(s devSpan) {
	if len(d.spans) >= maxSpans {
		d.spans = slices.Delete(d.spans, 0, 1)
	}
	d.spans = append(d.spans, s)
}

// extend adds an entry to the span that it goes on from (next; -1: none), or before, or begins one.
func (d *device) extend(next int, e *board.Entry) {
	h := &e.Header
	if next < 0 {
		for i := range d.spans {
			if s := &d.spans[i]; s.epoch == h.DevEpoch && s.lo == h.DevSeq+1 && !s.open && s.loPrev == e.ID {
				s.lo, s.loPrev, s.stuck = h.DevSeq, h.DevPrev, false
				return
			}
		}
		d.addSpan(devSpan{epoch: h.DevEpoch, lo: h.DevSeq, hi: h.DevSeq, hiID: e.ID, loPrev: h.DevPrev})
		return
	}
	s := &d.spans[next]
	s.hi, s.hiID = h.DevSeq, e.ID
	for i := range d.spans { // it may close the hole to the next one
		if t := &d.spans[i]; t.epoch == s.epoch && t.lo == s.hi+1 && !t.open && t.loPrev == s.hiID {
			s.hi, s.hiID = t.hi, t.hiID
			d.spans = slices.Delete(d.spans, i, i+1)
			return
		}
	}
}

// walkDown follows spans that lie above an entry down to it, as far as what they name is held. It is the span that turns
// out to cover the entry's number, or -1.
func (g *group) walkDown(b *boardState, dev *device, h *board.Header) (int, error) {
	for i := range dev.spans {
		s := &dev.spans[i]
		if s.epoch != h.DevEpoch || s.hi < h.DevSeq {
			continue
		}
		for n := 0; s.lo > h.DevSeq && !s.stuck && n < maxTwinWalk; n++ {
			r, _, err := g.byID(b, s.loPrev)
			switch {
			case err != nil:
				return -1, err
			case r.entry == nil:
				s.stuck = true
			case s.open:
				s.open, s.loPrev = false, r.entry.Header.DevPrev
			default:
				s.lo, s.loPrev = s.lo-1, r.entry.Header.DevPrev
			}
		}
		if s.lo <= h.DevSeq {
			return i, nil
		}
	}
	return -1, nil
}

// flagTwin flags an entry, and the one that is held under its number: it stands in the chain that ends with last.
func (g *group) flagTwin(b *boardState, last board.Hash, e *board.Entry) error {
	h, s := &e.Header, g.s
	var other board.Hash
	for id, n := last, 0; n < maxTwinWalk; n++ {
		r, _, err := g.byID(b, id)
		if err != nil {
			return err
		}
		if r.entry == nil || r.entry.Header.DevSeq < h.DevSeq {
			break
		}
		if r.entry.Header.DevSeq == h.DevSeq {
			other = id
			break
		}
		id = r.entry.Header.DevPrev
	}
	s.metrics.twins.Inc()
	s.opts.Log.Warn("a device signed two entries under one number; both are shown, with a mark",
		"device", h.Device.String()[:16], "board", b.id.String()[:8], "seq", h.DevSeq, "entry", e.ID.String()[:16])
	pairs := [][2]board.Hash{{e.ID, other}}
	if !other.IsZero() {
		pairs = append(pairs, [2]board.Hash{other, e.ID})
	}
	for _, p := range pairs {
		if s.twins.count()+len(pairs) > maxTwins {
			return nil
		}
		if err := g.put(settingKey(twinPrefix+string(p[0][:])), append(make([]byte, 0, 36), p[1][:]...)); err != nil {
			return fmt.Errorf("couldn't flag an entry: %w", err)
		}
		g.published = append(g.published, func() { s.twins.add(p[0], p[1]) })
	}
	return nil
}

// Twin says whether another entry of the same device carries the same number as this one, and which (zero: it was not
// found). At most 4,096 flags are kept.
func (s *Store) Twin(entry board.Hash) (other board.Hash, flagged bool) {
	s.twins.mu.RLock()
	defer s.twins.mu.RUnlock()
	other, flagged = s.twins.of[entry]
	return other, flagged
}

// twins are the entries that are flagged, on disk as settings.
type twins struct {
	mu sync.RWMutex
	of map[board.Hash]board.Hash
}

func (t *twins) count() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.of)
}

func (t *twins) add(entry, other board.Hash) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil {
		t.of = map[board.Hash]board.Hash{}
	}
	t.of[entry] = other
}

// loadTwins reads the flags that are kept.
func (s *Store) loadTwins(txn *badger.Txn) {
	of := map[board.Hash]board.Hash{}
	eachSetting(txn, twinPrefix, func(k string, v []byte) {
		if len(k) == len(twinPrefix)+32 && len(v) == 32 && len(of) < maxTwins {
			of[board.Hash([]byte(k[len(twinPrefix):]))] = board.Hash(v)
		}
	})
	s.twins.mu.Lock()
	s.twins.of = of
	s.twins.mu.Unlock()
}

// eachSetting goes through readable settings by their prefix.
func eachSetting(txn *badger.Txn, prefix string, f func(k string, v []byte)) {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: settingKey(prefix)})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		k := it.Item().KeyCopy(nil)
		if v, err := it.Item().ValueCopy(nil); err == nil {
			if c, err := unseal(k, v); err == nil {
				f(string(k[1:]), c)
			}
		}
	}
}
