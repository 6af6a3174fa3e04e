package store

import (
	"encoding/binary"
	"errors"
	"slices"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
)

// Damage seldom comes alone: a value log that is gone takes hundreds of records with it. So where one record is found
// damaged, its whole log is read through at once: what is damaged of it is fetched again in one go, and what this node
// says that it holds, and lacks, is right from then on.

// surveys are the logs that are to be read through.
type surveys struct {
	mu    sync.Mutex
	logs  map[logNum]bool // true: large values only
	nudge chan struct{}   // nil: nobody reads through
}

// surveyAtOnce is how many records are looked at in one snapshot.
const surveyAtOnce = 20_000

// maxRanges bounds what is noted damaged of one log; what lies close together is joined then.
const maxRanges = 512

// suspect has a log read through. large: only values that stand in the value log.
func (s *Store) suspect(n logNum, large bool) {
	if s.surveys.nudge == nil {
		return
	}
	s.surveys.mu.Lock()
	old, was := s.surveys.logs[n]
	s.surveys.logs[n] = large && (!was || old)
	s.surveys.mu.Unlock()
	select {
	case s.surveys.nudge <- struct{}{}:
	default:
	}
}

// Suspects says whether it is just being looked at how much is damaged.
func (s *Store) Suspects() bool {
	s.surveys.mu.Lock()
	defer s.surveys.mu.Unlock()
	return len(s.surveys.logs) > 0
}

// DamagedIn is how many records of a board are known to be damaged, and how many more are held above those and yet not
// named in what this node says that it holds.
func (s *Store) DamagedIn(b board.ID) (damaged, above uint64) {
	bs, ok := s.memory().board(b)
	if !ok {
		return 0, 0
	}
	bs.mu.Lock()
	defer bs.mu.Unlock()
	for _, l := range bs.logs {
		if len(l.damaged) == 0 {
			continue
		}
		n := countRows(l.damaged)
		damaged += n
		if missing := l.st.Hi - min(l.st.Hi, max(l.intact.Hi, l.st.Lo-1)); missing > n {
			above += missing - n
		}
	}
	return damaged, above
}

// Headless are the logs of a board that are held from a record on that is damaged, so that nothing of them is in its Holding.
func (s *Store) Headless(b board.ID) (out []board.Origin) {
	bs, ok := s.memory().board(b)
	if !ok {
		return nil
	}
	bs.mu.Lock()
	defer bs.mu.Unlock()
	for _, l := range bs.logs {
		if len(l.damaged) > 0 && l.intact.Hi < l.st.Lo {
			out = append(out, l.origin)
		}
	}
	return out
}

// surveyLogs reads through the logs that are suspected, one at a time.
func (s *Store) surveyLogs() {
	for {
		select {
		case <-s.surveys.nudge:
		case <-s.stop:
			return
		}
		for {
			n, large, ok := s.nextSurvey()
			if !ok {
				break
			}
			found, origin, err := s.survey(n, large)
			if err != nil {
				s.opts.Log.Warn("couldn't read through a log that has damage", "error", err)
			}
			task := &surveyTask{s: s, log: n, origin: origin, found: found, done: make(chan struct{})}
			if s.submit(s.stop, task) != nil {
				return
			}
			<-task.done
			s.surveys.mu.Lock()
			if s.surveys.logs[n] == large {
				delete(s.surveys.logs, n)
			}
			s.surveys.mu.Unlock()
		}
	}
}

func (s *Store) nextSurvey() (n logNum, large, ok bool) {
	s.surveys.mu.Lock()
	defer s.surveys.mu.Unlock()
	for n, large = range s.surveys.logs {
		return n, large, true
	}
	return 0, false, false
}

// survey finds what is damaged of a log.
func (s *Store) survey(n logNum, large bool) (found []rows, o board.Origin, err error) {
	l := s.memory().log(n)
	if l == nil || l.board == nil {
		return nil, o, nil
	}
	st, _ := l.stretchOf()
	for seq := max(st.Lo, l.floorOf()+1); seq <= st.Hi; {
		select {
		case <-s.stop:
			return found, l.origin, nil
		default:
		}
		to := min(st.Hi, seq+surveyAtOnce-1)
		if err = s.view(func(_ *memory, txn *badger.Txn) error {
			found = surveyRows(txn, n, rows{seq, to}, large, found)
			return nil
		}); err != nil {
			return found, l.origin, err
		}
		seq = to + 1
	}
	return found, l.origin, nil
}

func (l *logState) floorOf() uint64 {
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	return l.floor
}

// surveyRows adds to found what is damaged of some rows.
func surveyRows(txn *badger.Txn, n logNum, r rows, large bool, found []rows) []rows {
	bad := func(from, to uint64) {
		if k := len(found) - 1; k >= 0 && found[k].to+1 == from {
			found[k].to = to
			return
		}
		found = append(found, rows{from, to})
	}
	it := txn.NewIterator(badger.IteratorOptions{Prefix: logKey(tRecord, n)})
	defer it.Close()
	next := r.from
	for it.Seek(recordKey(pos{n, r.from})); it.Valid(); it.Next() {
		item := it.Item()
		key := item.Key()
		if len(key) != 13 {
			continue
		}
		seq := binary.BigEndian.Uint64(key[5:])
		if seq > r.to {
			break
		}
		if seq > next {
			bad(next, seq-1)
		}
		next = seq + 1
		if large && item.EstimatedSize() < maxInTable {
			continue
		}
		if item.Value(func(v []byte) error { _, err := unseal(key, v); return err }) != nil {
			bad(seq, seq)
		}
	}
	if next <= r.to {
		bad(next, r.to)
	}
	return found
}

// surveyTask notes what was found damaged of a log.
type surveyTask struct {
	s      *Store
	log    logNum
	origin board.Origin
	found  []rows
	done   chan struct{}
}

// checkedAgain is how many records of one range are read once more before they are noted.
const checkedAgain = 64

func (t *surveyTask) prepare(g *group) error {
	if len(t.found) == 0 || int(t.log) >= len(g.m.logs) || g.m.logs[t.log] == nil || g.m.logs[t.log].origin != t.origin {
		return nil
	}
	d := g.delta(g.m.logs[t.log])
	var all []rows
	n := uint64(0)
	for _, r := range t.found {
		r.from, r.to = max(r.from, d.st.Lo), min(r.to, d.st.Hi)
		for ; r.from <= r.to && r.to-r.from < checkedAgain; r.from++ { // mended meanwhile?
			if _, err := g.load(pos{t.log, r.from}); err != nil {
				break
			}
		}
		if r.from <= r.to {
			all, n = append(all, r), n+r.to-r.from+1
		}
	}
	all = joinRows(append(all, d.damaged...), maxRanges)
	if slices.Equal(all, d.damaged) {
		return nil
	}
	t.s.opts.Log.Warn("records are damaged: they are fetched again from teammates", "board", d.log.board.id.String(), "records", n)
	d.damaged, d.mended = all, true
	if err := g.put(logKey(tDamaged, t.log), appendRows(nil, d.damaged)); err != nil {
		return errors.Join(errAbort, err)
	}
	return nil
}

func (t *surveyTask) finish(error) { close(t.done) }

// joinRows sorts rows and joins those that touch, and if more than most are left, those that lie close together: a
// record that is fetched again without need does no harm.
func joinRows(rs []rows, most int) []rows {
	slices.SortFunc(rs, func(a, b rows) int {
		switch {
		case a.from < b.from:
			return -1
		case a.from > b.from:
			return 1
		}
		return 0
	})
	for gap := uint64(1); ; gap *= 2 {
		var out []rows
		for _, r := range rs {
			if k := len(out) - 1; k >= 0 && r.from <= out[k].to+gap {
				out[k].to = max(out[k].to, r.to)
				continue
			}
			out = append(out, r)
		}
		if len(out) <= most {
			return out
		}
		rs = out
	}
}
