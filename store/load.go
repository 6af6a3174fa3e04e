package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
)

// load reads what is kept in memory. short says what is missing that was there before, or "".
func (s *Store) load() (short string, err error) {
	m := newMemory()
	var was uint32 // the store's format
	err = s.view(func(_ *memory, txn *badger.Txn) (err error) {
		if was, err = s.checkFormat(txn); err != nil || was == 0 {
			return err
		}
		s.loadTwins(txn)
		ld := loader{s: s, m: m, txn: txn, boards: map[board.ID][]*logState{}}
		return ld.load()
	})
	if err != nil {
		return "", err
	}
	if was == 0 {
		if err := s.checkWitnessFresh(); err != nil {
			return "", err
		}
		if err := s.makeStore(); err != nil {
			return "", err
		}
	}
	if err := s.lostTeams(m); err != nil {
		return "", err
	}
	for _, ts := range m.teams {
		if err := s.evaluateTeam(m, ts); err != nil {
			return "", err
		}
	}
	nobody := newTeam(board.TeamID{})
	sizes := func(_ *memory, txn *badger.Txn) error {
		for _, ts := range m.teams {
			ts.loadSize(txn)
		}
		return nil
	}
	for id, b := range m.boards { // of a team that is not known any more: kept on disk, not shown
		if b.team == nil {
			b.team = nobody
			delete(m.boards, id)
		}
	}
	for _, b := range m.boards {
		for _, l := range b.logs {
			if !b.governance {
				b.team.records.Add(int64(l.st.Hi - l.st.Lo + 1))
			}
		}
	}
	if err := s.view(sizes); err != nil {
		return "", err
	}
	s.mem.Store(m)
	m.loadFloors()
	if err := s.countAll(m); err != nil {
		return "", err
	}
	if err := s.indexSigners(m); err != nil {
		return "", err
	}
	if was != 0 && was < format {
		if err := s.upgrade(m, was); err != nil {
			return "", err
		}
	}
	if err := s.indexNewUsers(); err != nil {
		return "", err
	}
	return s.checkWitness(m)
}

// loader reads the tables that are kept in memory.
type loader struct {
	s       *Store
	m       *memory
	txn     *badger.Txn
	records *badger.Txn              // where the records are; nil: txn
	boards  map[board.ID][]*logState // logs whose board is not made yet
	signers []foundSigner
	forks   []*board.Fork
}

func (ld *loader) load() error {
	steps := []struct {
		table byte
		f     func(key, content []byte) error
	}{
		{tOrigin, ld.origin}, {tTeam, ld.team}, {tStretch, ld.stretch}, {tBits, ld.bits}, {tOwnBits, ld.ownBits},
		{tDamaged, ld.damaged}, {tRejudge, ld.rowsInto(ld.m.rejudge)}, {tReview, ld.rowsInto(ld.m.review)}, {tSweep, ld.sweep}, {tWaiting, ld.waiting},
		{tLater, ld.rowsInto(ld.m.later)}, {tSigner, ld.signer}, {tFork, ld.fork},
	}
	for _, st := range steps {
		if err := ld.each(st.table, st.f); err != nil {
			return err
		}
	}
	if err := ld.attach(); err != nil {
		return err
	}
	ld.loadSigners()
	ld.s.forksMu.Lock()
	ld.s.forks = ld.forks
	ld.s.forksMu.Unlock()
	if err := ld.each(tMark, ld.mark); err != nil {
		return err
	}
	g, err := lastChangeGroup(ld.txn, ^uint64(0))
	if err != nil {
		return fmt.Errorf("couldn't read the end of the change log: %w: restore the folder from a backup, or move it away: what teammates hold comes back", board.ErrDamaged)
	}
	if g.n > 0 {
		ld.m.arrival, ld.m.changeCheck = g.first+g.n-1, g.check
	}
	return nil
}

// each reads a table. Damaged values are counted and left out.
func (ld *loader) each(table byte, f func(key, content []byte) error) error {
	it := ld.txn.NewIterator(badger.IteratorOptions{Prefix: []byte{table}})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		k := it.Item().KeyCopy(nil)
		v, err := it.Item().ValueCopy(nil)
		if err == nil {
			v, err = unseal(k, v)
		}
		if err == nil {
			err = f(k, v)
		}
		if errors.Is(err, errDecode) {
			ld.s.noteValue("table "+string(table), k)
			continue
		}
		if err != nil {
			return fmt.Errorf("couldn't read table %c: %w", table, err)
		}
	}
	return nil
}

func logOfKey(key []byte) (logNum, error) {
	if len(key) < 5 {
		return 0, errDecode
	}
	return logNum(binary.BigEndian.Uint32(key[1:])), nil
}

func (ld *loader) log(key []byte) (*logState, error) {
	n, err := logOfKey(key)
	if err != nil || int(n) >= len(ld.m.logs) || ld.m.logs[n] == nil {
		return nil, errDecode
	}
	return ld.m.logs[n], nil
}

func (ld *loader) origin(key, c []byte) error {
	n, err := logOfKey(key)
	if err != nil {
		return err
	}
	b, o, err := parseOrigin(c)
	if err != nil {
		return err
	}
	if int(n) > len(ld.m.logs)+1<<20 {
		return errDecode
	}
	for len(ld.m.logs) <= int(n) {
		ld.m.logs = append(ld.m.logs, nil)
	}
	l := &logState{num: n, origin: o, limit: board.All}
	ld.m.logs[n] = l
	ld.boards[b] = append(ld.boards[b], l)
	if o.Node == ld.s.nodeID {
		ld.m.epochs = max(ld.m.epochs, o.Epoch.N)
	}
	return nil
}

func (ld *loader) team(key, c []byte) error {
	if len(key) != 33 {
		return errDecode
	}
	ts := newTeam(board.TeamID(key[1:]))
	ts.genesis = bytes.Clone(c)
	if len(c) == 0 {
		ts.genesis = nil
	}
	ld.m.teams[ts.id] = ts
	ld.m.boards[ts.governance.id] = ts.governance
	return nil
}

func (ld *loader) stretch(key, c []byte) error {
	l, err := ld.log(key)
	if err != nil {
		return err
	}
	return l.parseStretch(c)
}

func (ld *loader) bits(key, c []byte) error {
	l, err := ld.log(key)
	if err != nil || len(key) != 9 || l.st.Hi == 0 {
		return errDecode
	}
	n := binary.BigEndian.Uint32(key[5:])
	ck, err := parseChunk(c)
	if err == nil && n != chunkOf(l.st.Hi) && n <= chunkOf(l.st.Hi) {
		*l.bits.grown(n) = ck
	}
	return err
}

// ownBits are keyed by half a user id: that of the local users must differ.
func (ld *loader) ownBits(key, c []byte) error {
	if len(key) != 25 {
		return errDecode
	}
	num := int(binary.BigEndian.Uint32(key[17:]))
	ck, err := parseChunk(c)
	if err != nil || num >= len(ld.m.logs) || ld.m.logs[num] == nil {
		return errDecode
	}
	l := ld.m.logs[num]
	for u := range *ld.s.users.Load() {
		if bytes.Equal(u[:16], key[1:17]) {
			if l.own == nil {
				l.own = map[board.UserID]*bitset{}
			}
			if l.own[u] == nil {
				l.own[u] = &bitset{}
			}
			*l.own[u].grown(binary.BigEndian.Uint32(key[21:])) = ck
		}
	}
	return nil
}

func (ld *loader) damaged(key, c []byte) error {
	l, err := ld.log(key)
	if err != nil {
		return err
	}
	l.damaged, err = parseRows(c)
	return err
}

func (ld *loader) waiting(key, c []byte) error {
	switch {
	case len(key) != 33:
		return errDecode
	case len(ld.m.waiting) < maxWaiting:
		ld.m.waiting[[16]byte(key[1:17])] = struct{}{}
	default:
		ld.m.waitAll = true
	}
	return nil
}

func (ld *loader) mark(key, c []byte) error {
	if len(key) != 49 {
		return errDecode
	}
	b := ld.m.boards[board.ID(key[33:])]
	v, err := parseVector(c)
	if err != nil || b == nil {
		return err
	}
	b.markOf(board.UserID(key[1:33])).vector = v
	return nil
}

// attach puts the logs into their boards. Boards of which nothing but records is known yet (their team's governance
// tells) are made too, and joined to their team when it is evaluated.
func (ld *loader) attach() error {
	for id, logs := range ld.boards {
		b := ld.m.boards[id]
		if b == nil {
			b = &boardState{id: id}
			ld.m.boards[id] = b
		}
		b.byNode = map[board.NodeID][]*logState{}
		slices.SortFunc(logs, func(x, y *logState) int { return x.origin.Epoch.Compare(y.origin.Epoch) })
		for _, l := range logs {
			l.board = b
			if l.st.Hi == 0 { // its stretch is damaged or was never written
				ld.m.logs[l.num] = nil
				continue
			}
			b.byNode[l.origin.Node] = append(b.byNode[l.origin.Node], l)
			b.logs = append(b.logs, l)
		}
		for _, l := range b.logs {
			if err := ld.check(l); err != nil {
				return err
			}
		}
		for _, l := range b.logs {
			b.claim(l)
		}
		for _, l := range b.logs {
			ld.link(b, l)
		}
	}
	return nil
}

// check reads a stretch's last record: it must be there, and its node's clock is never behind its own records.
func (ld *loader) check(l *logState) error {
	own := l.origin.Node == ld.s.nodeID
	txn := ld.txn
	if ld.records != nil {
		txn = ld.records
	}
	if r, err := loadRecord(txn, pos{l.num, l.st.Hi}); errors.Is(err, errDecode) {
		ld.s.damaged(l, l.st.Hi)
		ld.s.suspect(l.num, false)
		l.damaged = addRow(l.damaged, rows{l.st.Hi, l.st.Hi})
	} else if err != nil {
		return err
	} else if own {
		ld.s.resumeClock(max(r.received, r.entry.Header.HLC))
	}
	if len(l.damaged) == 0 {
		return nil
	}
	l.intact = l.st
	l.intact.Hi = l.damaged[0].from - 1
	if l.intact.Hi < l.st.Lo {
		l.intact.Hi = l.st.Lo - 1
		return nil
	}
	h, bad, err := chainHash(txn, l, l.st, l.intact.Hi)
	if errors.Is(err, errDecode) {
		ld.s.damaged(l, bad)
		ld.s.suspect(l.num, false)
		l.intact.Hi = l.st.Lo - 1
		return nil
	}
	l.intact.HiHash = h
	return err
}

// link finds which logs seal this one, and how far it counts.
func (ld *loader) link(b *boardState, l *logState) {
	for _, c := range b.byNode[l.origin.Node] {
		if c.st.Lo != 1 || c.st.LoPrev.Epoch != l.origin.Epoch {
			continue
		}
		l.children = append(l.children, c)
		if l.st.SealedBy(c.st) && (l.limit == board.All || c.st.LoPrev.Seq > l.limit) {
			l.limit = c.st.LoPrev.Seq
		}
	}
}

// maxResume is how far ahead of the wall clock this node's own last stamps may be to be gone on from. Were they further
// ahead, a clock that was once wrong would be wrong for ever.
const maxResume = 24 * time.Hour

// resumeClock makes this node's stamps go on after its own last ones, even if the wall clock was set back meanwhile.
func (s *Store) resumeClock(h board.HLC) {
	if h.Time().After(s.opts.Now().Add(maxResume)) {
		s.opts.Log.Warn("this node's clock is more than a day behind its own last records: stamps begin anew", "last", h.Time())
		return
	}
	s.clockMu.Lock()
	s.clock.Observe(h, h.Time())
	s.clockMu.Unlock()
}
