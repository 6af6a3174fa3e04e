package store

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"weft/board"
)

// maxDamageNews bounds what was found damaged and not yet noted on disk.
const maxDamageNews = 1 << 16

// damaged notes that a record cannot be read. The committer lowers what this node says that it holds, so that the
// record is fetched again from a peer; Ingest puts it back into its place.
func (s *Store) damaged(l *logState, seq uint64) {
	s.damageMu.Lock()
	_, known := s.damageNews[pos{l.num, seq}]
	if !known && len(s.damageNews) < maxDamageNews {
		s.damageNews[pos{l.num, seq}] = struct{}{}
	}
	s.damageMu.Unlock()
	if known {
		return
	}
	s.noteDamage("record", recordKey(pos{l.num, seq}))
	select {
	case s.damageNudge <- struct{}{}:
	default:
	}
}

// noteValue notes that a value other than a record is damaged. It is made anew when it is written next, or with all others
// when the store is mended.
func (s *Store) noteValue(what string, key []byte) {
	s.damagedValues.Add(1)
	s.noteDamage(what, key)
}

// damagedNow is how much is damaged now: records that have not come back yet, and other values found since the store was
// opened or mended.
func (s *Store) damagedNow() uint64 {
	s.damageMu.Lock()
	news := maps.Clone(s.damageNews)
	s.damageMu.Unlock()
	n := s.damagedValues.Load()
	m := s.memory()
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, l := range m.logs {
		if l != nil {
			n += l.damagedRecords()
		}
	}
	for p := range news { // the committer has not noted them yet
		if int(p.log) < len(m.logs) && m.logs[p.log] != nil && !m.logs[p.log].isDamaged(p.seq) {
			n++
		}
	}
	return n
}

// damagedRecords is how many records of a log are known to be damaged.
func (l *logState) damagedRecords() (n uint64) {
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	return countRows(l.damaged)
}

func (l *logState) isDamaged(seq uint64) bool {
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	return inRows(l.damaged, seq)
}

// noteDamage counts and logs a damaged value.
func (s *Store) noteDamage(what string, key []byte) {
	n := s.damageFound.Add(1)
	s.metrics.damaged.Inc()
	if n <= 20 || n%1000 == 0 {
		s.opts.Log.Warn("stored data is damaged", "what", what, "key", fmt.Sprintf("%x", key), "found", n)
	}
}

// noteDamaged writes what was found damaged into the group.
func (g *group) noteDamaged() error {
	s := g.s
	s.damageMu.Lock()
	news := s.damageNews
	s.damageNews = map[pos]struct{}{}
	s.damageMu.Unlock()
	for p := range news {
		if int(p.log) >= len(g.m.logs) || g.m.logs[p.log] == nil {
			continue
		}
		l := g.m.logs[p.log]
		d := g.delta(l)
		if p.seq < d.st.Lo || p.seq > d.st.Hi || inRows(d.damaged, p.seq) {
			continue
		}
		if _, err := g.load(p); err == nil {
			continue // mended meanwhile
		}
		d.damaged, d.mended = addRow(slices.Clone(d.damaged), rows{p.seq, p.seq}), true
		s.suspect(p.log, false)
		if err := g.put(logKey(tDamaged, l.num), appendRows(nil, d.damaged)); err != nil {
			return err
		}
	}
	return nil
}

// findIntact finds what is held below the first damaged record.
func (g *group) findIntact(d *logDelta) error {
	if len(d.damaged) == 0 {
		return nil
	}
	d.intact = d.st
	d.intact.Hi = d.damaged[0].from - 1
	if d.intact.Hi < d.st.Lo {
		d.intact.Hi, d.intact.HiHash = d.st.Lo-1, d.st.LoPrev.Hash
		return nil
	}
	for range board.HeadEvery + 1 {
		h, bad, err := chainHash(g.txn, d.log, d.st, d.intact.Hi)
		if !errors.Is(err, errDecode) {
			d.intact.HiHash = h
			return err
		}
		g.s.damaged(d.log, bad) // more is damaged than was noted
		if bad <= d.st.Lo {
			break
		}
		d.intact.Hi = bad - 1
	}
	d.intact.Hi, d.intact.HiHash = d.st.Lo-1, d.st.LoPrev.Hash // claim nothing until all is noted
	return nil
}
