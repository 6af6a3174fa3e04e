package store

import (
	"errors"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
)

// prunePerGroup is about how many records one commit prunes.
const prunePerGroup = 300

// pruneSome removes some of what stands below floors.
func (g *group) pruneSome() error {
	left := prunePerGroup
	if g.beside {
		left /= 4
	}
	for l := range g.m.pruning {
		if left <= 0 {
			return nil
		}
		done, err := g.pruneLog(l, &left)
		if err != nil {
			return err
		}
		if !done {
			return nil
		}
		g.published = append(g.published, func() { delete(g.m.pruning, l) })
		if err := g.orderAgain(l.board); err != nil {
			return err
		}
	}
	return nil
}

// pruneLog goes on with one log.
func (g *group) pruneLog(l *logState, left *int) (done bool, err error) {
	d := g.delta(l)
	upTo := min(l.floor, d.st.Hi)
	if l.origin.Node == g.s.nodeID && g.newestOwn(l) { // the next epoch has to seal something
		upTo = min(upTo, d.st.Hi-1)
	}
	if upTo < d.st.Lo {
		return true, nil
	}
	stop, h, err := g.pruneStop(d, min(upTo, d.st.Lo+uint64(*left)-1), upTo)
	if err != nil {
		return false, err
	}
	for seq := d.st.Lo; seq <= stop; seq++ {
		if err := g.pruneOne(d, seq); err != nil {
			return false, err
		}
	}
	*left -= int(stop - d.st.Lo + 1)
	g.s.pruned.Add(stop - d.st.Lo + 1)
	g.s.metrics.pruned.Add(float64(stop - d.st.Lo + 1))
	d.st.Lo, d.st.LoPrev, d.grown, d.lower = stop+1, board.Link{Epoch: l.origin.Epoch, Seq: stop, Hash: h}, true, true
	if d.headSeq <= stop {
		d.headSeq, d.headSig = 0, nil
	}
	return stop == upTo, g.pruneRows(d)
}

// newestOwn says whether a log is the last one of its node in its board.
func (g *group) newestOwn(l *logState) bool {
	logs := g.logsOf(l.board, l.origin.Node)
	return len(logs) == 0 || logs[len(logs)-1] == l
}

// pruneStop finds a record to stop at whose hash is known: what is left is linked to it.
func (g *group) pruneStop(d *logDelta, stop, upTo uint64) (uint64, board.Hash, error) {
	for {
		h, err := g.hashAt(d, stop)
		if err == nil {
			return stop, h, nil
		}
		if !errors.Is(err, errDecode) {
			return 0, h, err
		}
		if stop == upTo { // damaged up to the floor: the floor says what its hash is
			for _, f := range d.log.board.team.state.Load().Floors(d.log.board.id) {
				if f.Position.Node == d.log.origin.Node && f.Position.Epoch == d.log.origin.Epoch && f.Position.Seq == stop {
					return stop, f.Position.Hash, nil
				}
			}
			return stop, h, nil
		}
		stop = min(upTo, stop-stop%board.HeadEvery+board.HeadEvery)
	}
}

// pruneRows forgets what is noted of rows that are gone.
func (g *group) pruneRows(d *logDelta) error {
	l, lo := d.log, d.st.Lo
	if len(d.damaged) > 0 {
		d.damaged, d.mended = rowsFrom(d.damaged, lo), true
		if len(d.damaged) == 0 {
			if err := g.remove(logKey(tDamaged, l.num)); err != nil {
				return err
			}
		} else if err := g.put(logKey(tDamaged, l.num), appendRows(nil, d.damaged)); err != nil {
			return err
		}
	}
	for n := l.bits.first; n < chunkOf(lo) && n < l.bits.first+uint32(len(l.bits.chunks)); n++ {
		if err := g.remove(appendBitsKey(nil, l.num, n)); err != nil {
			return err
		}
	}
	for u, own := range l.own {
		for n := own.first; n < chunkOf(lo) && n < own.first+uint32(len(own.chunks)); n++ {
			if err := g.remove(appendOwnBitsKey(nil, u, l.num, n)); err != nil {
				return err
			}
		}
	}
	if d.st.Hi >= lo {
		return nil
	}
	d.gone = true
	for _, table := range []byte{tRejudge, tReview, tLater, tDamaged} {
		if err := g.remove(logKey(table, l.num)); err != nil {
			return err
		}
	}
	return nil
}

// rowsFrom is what of ascending rows stands at or above lo.
func rowsFrom(rs []rows, lo uint64) (out []rows) {
	for _, r := range rs {
		if r.to >= lo {
			out = append(out, rows{max(r.from, lo), r.to})
		}
	}
	return out
}

// pruneOne removes a record with all that names it.
func (g *group) pruneOne(d *logDelta, seq uint64) error {
	b, p := d.log.board, pos{d.log.num, seq}
	r, err := g.load(p)
	if err != nil && !errors.Is(err, errDecode) {
		return err
	}
	if derr := g.remove(recordKey(p)); derr != nil || err != nil {
		return derr // a damaged record's own indexes name nothing any more, and are left out when they are read
	}
	g.records++
	g.shrank(b, r.entry)
	key := postKey{b.id, r.entry.Header.PostID()}
	list, err := g.postList(key)
	if err != nil {
		return err
	}
	if len(list.recs) == 1 && list.recs[0] == p {
		return g.pruneSingle(d, seq, key, &r, list.shown == 0)
	}
	return g.pruneAmong(d, p, key, &r, list)
}

// pruneSingle is the plain case of a post with one record.
func (g *group) pruneSingle(d *logDelta, seq uint64, key postKey, r *stored, shown bool) error {
	b, e := d.log.board, r.entry
	if err := g.remove(appendPostKey(g.s.keys.take(33), key)); err != nil {
		return err
	}
	if err := g.remove(appendEntryKey(g.s.keys.take(17), e.ID)); err != nil {
		return err
	}
	if r.void != "" {
		return g.remove(appendVoidKey(make([]byte, 0, displayKeySize), b.id, e.Order()))
	}
	if !shown {
		return nil
	}
	d.shown--
	g.lost[b] = true
	if e.Header.Kind.Counts() {
		g.setBit(d, seq, false)
	}
	return g.remove(appendDisplayKey(g.s.keys.take(displayKeySize), b.id, e.Order()))
}

// pruneAmong is about a post with other records: one of them may stand for it now.
func (g *group) pruneAmong(d *logDelta, p pos, key postKey, r *stored, list postList) error {
	b, e := d.log.board, r.entry
	mine := judged{p, d, e.Order(), e.Header, r.void == "", d.log.counts(d.limit, p.seq)}
	var js []judged
	var old judged
	var same *judged
	for i, q := range list.recs {
		j := mine
		if q != p {
			var ok bool
			var err error
			if j, ok, err = g.judge(q); err != nil {
				return err
			} else if !ok {
				j.pos = q
			}
			js = append(js, j)
			if ok && j.order.ID == e.ID && same == nil {
				same = &j
			}
		}
		if i == list.shown {
			old = j
		}
	}
	if err := g.pruneEntry(b, r, same); err != nil {
		return err
	}
	rep := chooseShown(js, old.pos)
	g.silent = true
	err := g.moveShown(b, old, js, rep)
	g.silent = false
	if err != nil {
		return err
	}
	left := postList{shown: rep}
	for _, j := range js {
		left.recs = append(left.recs, j.pos)
	}
	if len(left.recs) == 0 {
		return g.remove(appendPostKey(make([]byte, 0, 37), key))
	}
	return g.put(appendPostKey(make([]byte, 0, 37), key), left.append(nil))
}

// pruneEntry has an entry's indexes name another record of it, if one is left. It may be void without the one that went,
// so it is judged again.
func (g *group) pruneEntry(b *boardState, r *stored, left *judged) error {
	void := appendVoidKey(make([]byte, 0, displayKeySize), b.id, r.entry.Order())
	if left == nil {
		if r.void != "" {
			if err := g.remove(void); err != nil {
				return err
			}
		}
		return g.remove(appendEntryKey(make([]byte, 0, 17), r.entry.ID))
	}
	if r.void != "" {
		if err := g.put(void, appendPosition(nil, left.pos)); err != nil {
			return err
		}
	}
	g.review(left.d.log, rows{left.seq, left.seq})
	return g.put(appendEntryKey(make([]byte, 0, 17), r.entry.ID), appendPosition(nil, left.pos))
}

// orderAgain has those entries of a board judged again that are void by the order of their device: who comes later never
// sees the entry before them, where that is pruned.
func (g *group) orderAgain(b *boardState) error {
	txn := g.s.db.NewTransactionAt(g.s.snaps.last(), false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{Prefix: append([]byte{tVoid}, b.id[:]...)})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		_, p, err := parseDisplay(it.Item())
		if err != nil {
			continue
		}
		r, err := g.load(p)
		if err != nil || r.void != reasonOrder {
			continue
		}
		if l := g.logNumbered(p.log); l != nil && l.st.Lo <= p.seq && p.seq > l.floor {
			g.review(l, rows{p.seq, p.seq})
		}
	}
	return nil
}

// dropBelow forgets chunks below n.
func (s *bitset) dropBelow(n uint32) {
	if n <= s.first {
		return
	}
	k := min(int(n-s.first), len(s.chunks))
	s.first, s.chunks = s.first+uint32(k), slices.Clone(s.chunks[k:])
}

// dropBelow forgets bits of rows that were pruned; the caller holds board.mu.
func (l *logState) dropBelow(n uint32) {
	l.bits.dropBelow(n)
	for _, own := range l.own {
		own.dropBelow(n)
	}
}

// forget takes a log out of which nothing is left; the caller holds b.mu.
func (b *boardState) forget(l *logState) {
	is := func(x *logState) bool { return x == l }
	b.logs = slices.DeleteFunc(slices.Clone(b.logs), is)
	n := l.origin.Node
	if b.byNode[n] = slices.DeleteFunc(slices.Clone(b.byNode[n]), is); len(b.byNode[n]) == 0 {
		delete(b.byNode, n)
	}
	none := board.Stretch{Epoch: l.origin.Epoch}
	b.holding.Set(n, none)
	b.full.Set(n, none)
	if b.run == l {
		b.run = nil
	}
}

// forgetPruned forgets the numbers of logs of which nothing is left.
func (g *group) forgetPruned() {
	for _, d := range g.logs {
		if d.gone {
			g.m.mu.Lock()
			g.m.logs[d.log.num] = nil
			g.m.mu.Unlock()
			delete(g.m.rejudge, d.log)
			delete(g.m.review, d.log)
			delete(g.m.later, d.log)
		}
	}
}

// floored says whether anything of a board was pruned by the team's policy; the caller holds b.mu.
func (b *boardState) floored() bool {
	for _, n := range b.full.Nodes() {
		if len(b.full.Floors(n)) > 0 {
			return true
		}
	}
	return false
}

// startsAt is the stamp of the oldest entry that shows; 0: none does.
func (s *Store) startsAt(b *boardState) (h board.HLC) {
	b.mu.Lock()
	floored := b.floored()
	b.mu.Unlock()
	if !floored {
		return 0
	}
	var p Page
	err := s.view(func(m *memory, txn *badger.Txn) error {
		sc := displayScan{s: s, m: m, txn: txn, board: b}
		_, err := sc.up(board.OrderKey{}, 1, &p)
		return err
	})
	if err != nil || len(p.Entries) == 0 {
		return 0
	}
	return p.Entries[0].Entry.Header.HLC
}
