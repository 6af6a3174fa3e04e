package store

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
)

// deviceKey names a device in a board.
type deviceKey struct {
	board  board.ID
	device board.DeviceID
}

// device is what was last seen of a device in a board.
type device struct {
	latest board.HLC // the greatest stamp of its shown entries
	heads  []devHead // by use, the latest last; at most maxDevHeads
	spans  []devSpan // see lookForTwin; on disk are those that do not end with a head
}

// devHead is the end of one chain of a device's entries.
type devHead struct {
	epoch, seq uint64
	id         board.Hash
	hlc        board.HLC
}

const (
	maxDevHeads  = 4
	maxDevices   = 8192    // cached
	maxWaiting   = 1 << 16 // ids kept in memory of entries that others wait for
	devHeadBytes = 56
)

// append: latest 8, then of each head epoch 8, seq 8, id 32, hlc 8, then spans (appendSpans).
func (d *device) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(d.latest))
	for _, h := range d.heads {
		b = binary.BigEndian.AppendUint64(b, h.epoch)
		b = binary.BigEndian.AppendUint64(b, h.seq)
		b = append(b, h.id[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(h.hlc))
	}
	return d.appendSpans(b)
}

func parseDevice(c []byte) (*device, error) {
	spans, c, err := cutSpans(c)
	if err != nil || len(c) < 8 || (len(c)-8)%devHeadBytes != 0 {
		return nil, errDecode
	}
	u := binary.BigEndian.Uint64
	d := &device{latest: board.HLC(u(c)), spans: spans}
	for c = c[8:]; len(c) > 0; c = c[devHeadBytes:] {
		h := devHead{epoch: u(c), seq: u(c[8:]), hlc: board.HLC(u(c[48:]))}
		copy(h.id[:], c[16:])
		if slices.ContainsFunc(spans, func(s devSpan) bool { return s.hiID == h.id }) {
			return nil, errDecode // such a span is never written
		}
		d.heads = append(d.heads, h)
	}
	return d, nil
}

// device is what is known of a device, to be changed by the group. The cache is thrown away if the group is.
func (g *group) device(k deviceKey) (*device, error) {
	if d := g.devices[k]; d != nil {
		return d, nil
	}
	d := g.m.devices[k]
	if d == nil {
		c, err := g.get(appendDeviceKey(nil, k))
		if err != nil && !errors.Is(err, errDecode) {
			return nil, err
		}
		if d = (&device{}); err == nil && c != nil {
			if p, err := parseDevice(c); err == nil {
				d = p
			}
		}
		if len(g.m.devices) >= maxDevices {
			g.m.devices = map[deviceKey]*device{}
		}
		g.m.devices[k] = d
	}
	g.devices[k] = d
	return d, nil
}

const reasonOrder = "not later than the device's entry before it"

// checkOrder says why an entry is void by its order: its stamp must be greater than that of the entry that its dev_prev
// names (trust §7). Where that one is not here yet the question stays open (w).
func (g *group) checkOrder(b *boardState, e *board.Entry) (void string, err error) {
	if b.governance {
		return "", nil
	}
	h := &e.Header
	dev, err := g.device(deviceKey{b.id, h.Device})
	if err != nil {
		return "", err
	}
	at := slices.IndexFunc(dev.heads, func(x devHead) bool { return x.epoch == h.DevEpoch })
	if h.DevSeq > 1 {
		var prev board.HLC
		known := at >= 0 && dev.heads[at].id == h.DevPrev
		if known {
			prev = dev.heads[at].hlc
		} else if prev, known, err = g.stampOf(b, h.DevPrev); err != nil {
			return "", err
		}
		switch {
		case !known:
			if err := g.wait(h.DevPrev, e.ID); err != nil {
				return "", err
			}
		case h.HLC <= prev:
			void = reasonOrder
		}
	}
	head := devHead{h.DevEpoch, h.DevSeq, e.ID, h.HLC}
	switch {
	case at < 0:
		dev.heads = append(dev.heads, head)
		if len(dev.heads) > maxDevHeads {
			dev.heads = slices.Delete(dev.heads, 0, 1)
		}
	case h.DevSeq > dev.heads[at].seq:
		dev.heads = append(slices.Delete(dev.heads, at, at+1), head)
	}
	return void, nil
}

// stampOf is the hlc of an entry of this board, if it is held.
func (g *group) stampOf(b *boardState, id board.Hash) (board.HLC, bool, error) {
	r, _, err := g.byID(b, id)
	if err != nil || r.entry == nil {
		return 0, false, err
	}
	return r.entry.Header.HLC, true, nil
}

// byID finds an entry of a board; a zero record: it is not held.
func (g *group) byID(b *boardState, id board.Hash) (r stored, p pos, err error) {
	c, err := g.get(appendEntryKey(make([]byte, 0, 17), id))
	if err != nil || c == nil {
		return r, p, ignoreDamage(err)
	}
	if p, err = parsePosition(c); err != nil {
		return r, p, nil
	}
	r, err = g.load(p)
	if err != nil || r.entry.ID != id || r.entry.Header.Board != b.id {
		return stored{}, p, ignoreDamage(err)
	}
	return r, p, nil
}

// ignoreDamage makes damaged data look like missing data, where that only leaves a question open.
func ignoreDamage(err error) error {
	if errors.Is(err, errDecode) {
		return nil
	}
	return err
}

// wait notes that entry id's order is open until prev comes.
func (g *group) wait(prev, id board.Hash) error {
	k := [16]byte(prev[:16])
	if _, before := g.m.waiting[k]; !before || g.asked[k] != nil {
		if g.asked == nil {
			g.asked = map[[16]byte][]board.Hash{}
		}
		g.asked[k] = append(g.asked[k], id)
	}
	if len(g.m.waiting) < maxWaiting {
		g.m.waiting[k] = struct{}{}
	} else {
		g.m.waitAll = true
	}
	return g.put(appendWaitingKey(nil, prev, id), nil)
}

// resolveWaiting answers the open questions of entries that waited for e.
func (g *group) resolveWaiting(b *boardState, e *board.Entry) error {
	if _, ok := g.m.waiting[[16]byte(e.ID[:16])]; !ok && !g.m.waitAll || b.governance {
		return nil
	}
	var waiting [][]byte
	if ids := g.asked[[16]byte(e.ID[:16])]; ids != nil && !g.m.waitAll {
		// Newest first, each record answers the question of the one written before it. An iterator over this group's
		// writes would sort all of them, for each record.
		for _, id := range ids {
			waiting = append(waiting, appendWaitingKey(nil, e.ID, id))
		}
		delete(g.asked, [16]byte(e.ID[:16]))
	} else {
		it := g.txn.NewIterator(badger.IteratorOptions{Prefix: append([]byte{tWaiting}, e.ID[:16]...)})
		for it.Rewind(); it.Valid(); it.Next() {
			waiting = append(waiting, it.Item().KeyCopy(nil))
		}
		it.Close()
	}
	for _, k := range waiting {
		var id board.Hash
		copy(id[:], k[17:])
		if err := g.remove(k); err != nil {
			return err
		}
		if err := g.reorder(b, e, id); err != nil {
			return err
		}
	}
	delete(g.m.waiting, [16]byte(e.ID[:16]))
	return nil
}

// reorder judges the order of an entry again, whose id begins as id does, now that prev is here.
func (g *group) reorder(b *boardState, prev *board.Entry, id board.Hash) error {
	c, err := g.get(appendEntryKey(make([]byte, 0, 17), id))
	if err != nil || c == nil {
		return ignoreDamage(err)
	}
	p, err := parsePosition(c)
	if err != nil {
		return nil
	}
	r, err := g.load(p)
	if err != nil || r.entry.Header.Board != b.id || r.entry.Header.DevPrev != prev.ID || r.entry.Header.HLC > prev.Header.HLC || r.void != "" {
		return ignoreDamage(err)
	}
	key := postKey{b.id, r.entry.Header.PostID()}
	list, err := g.postList(key)
	if err != nil || len(list.recs) == 0 {
		return err
	}
	for _, q := range list.recs { // every record of the entry says that it is void
		if err := g.markVoid(q, r.entry.ID, reasonOrder); err != nil {
			return err
		}
	}
	return g.settle(b, key, list, list.recs, pos{})
}

// markVoid rewrites the record at p, if it is of entry id.
func (g *group) markVoid(p pos, id board.Hash, why string) error {
	r, err := g.load(p)
	if err != nil || r.entry.ID != id {
		return ignoreDamage(err)
	}
	r.void = why
	return g.put(recordKey(p), r.append(nil, p.seq))
}
