package store

import (
	"errors"
	"fmt"
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

// noteDamage counts and logs a damaged value.
func (s *Store) noteDamage(what string, key []byte) {
	n := s.damageCount.Add(1)
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
