package store

import (
	"context"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
)

// Cursor stands after the last change that is committed.
func (s *Store) Cursor() Cursor {
	m := s.memory()
	m.mu.RLock()
	defer m.mu.RUnlock()
	return Cursor{s.ID(), m.arrival, m.changeCheck}
}

// Changes reads what comes after c, at most limit changes (0: 256), and the cursor that stands after the last one. Where
// it returns no change the end was reached, and the cursor returned still moves past changes that f leaves out.
//
// A cursor of another store, beyond the end, or of a tail that this store lost gives an error that wraps ErrBadCursor:
// read the boards by pages and go on from Store.Cursor as it was before. Entries whose records are damaged are left out;
// they come again when they are mended.
func (s *Store) Changes(ctx context.Context, c Cursor, limit int, f Filter) ([]Change, Cursor, error) {
	if limit <= 0 {
		limit = 256
	}
	end := s.Cursor()
	if c.IsZero() {
		c.Store = s.ID()
	}
	if c.Store != s.ID() || c.Arrival > end.Arrival {
		return nil, c, fmt.Errorf("couldn't go on from the cursor: %w", ErrBadCursor)
	}
	r := changeReader{s: s, f: f, limit: limit, at: c, end: end.Arrival}
	err := s.view(func(m *memory, txn *badger.Txn) error {
		r.m, r.txn = m, txn
		return r.read(ctx)
	})
	return r.out, r.at, err
}

// changeReader reads the change log.
type changeReader struct {
	s     *Store
	m     *memory
	txn   *badger.Txn
	f     Filter
	limit int
	at    Cursor
	end   uint64
	out   []Change

	chain board.Position // of the last record read: spares the next one's hash
}

// maxScan is how many changes one call looks at that its filter leaves out.
const maxScan = 1 << 16

// read begins at the value that holds the cursor's change.
func (r *changeReader) read(ctx context.Context) error {
	from := uint64(1)
	if r.at.Arrival > 0 {
		g, err := r.groupOf(r.at.Arrival)
		if err != nil {
			return err
		}
		if g.check != r.at.Check {
			return fmt.Errorf("couldn't go on from the cursor: the store has other changes there: %w", ErrBadCursor)
		}
		from = g.first
	}
	it := r.txn.NewIterator(badger.IteratorOptions{Prefix: []byte{tChange}})
	defer it.Close()
	next, start := from, r.at.Arrival
	for it.Seek(changeKey(from)); it.Valid() && next <= r.end; it.Next() {
		g, err := readChangeGroup(it.Item())
		if err != nil {
			return r.s.damagedRead("change log", err)
		}
		if g.first != next {
			return r.s.damagedRead("change log", errDecode)
		}
		if err := r.group(g); err != nil {
			return err
		}
		if next = g.first + g.n; len(r.out) >= r.limit || r.at.Arrival-start > maxScan || ctx.Err() != nil {
			return nil
		}
	}
	if next <= r.end {
		return r.s.damagedRead("change log", errDecode)
	}
	return nil
}

func readChangeGroup(it *badger.Item) (changeGroup, error) {
	v, err := it.ValueCopy(nil)
	if err != nil {
		return changeGroup{}, fmt.Errorf("%w: %w", errDecode, err)
	}
	c, err := unseal(it.Key(), v)
	if err != nil {
		return changeGroup{}, err
	}
	return parseChangeGroup(it.Key(), c)
}

// groupOf is the value that holds the change with this arrival.
func (r *changeReader) groupOf(arrival uint64) (changeGroup, error) {
	g, err := lastChangeGroup(r.txn, arrival)
	if err == nil && (g.n == 0 || arrival >= g.first+g.n) {
		err = errDecode
	}
	if err != nil {
		return g, r.s.damagedRead("change log", err)
	}
	return g, nil
}

// lastChangeGroup is the last value at or before an arrival; n == 0: there is none.
func lastChangeGroup(txn *badger.Txn, arrival uint64) (g changeGroup, err error) {
	it := txn.NewIterator(badger.IteratorOptions{Reverse: true, Prefix: []byte{tChange}})
	defer it.Close()
	it.Seek(changeKey(arrival))
	if !it.ValidForPrefix([]byte{tChange}) {
		return g, nil
	}
	return readChangeGroup(it.Item())
}

// group reads those changes of a value that come after the cursor, up to the limit.
func (r *changeReader) group(g changeGroup) error {
	arrival := g.first
	for arrival < g.first+g.n {
		c, err := g.next()
		if err != nil || c.n == 0 || arrival+c.n > g.first+g.n {
			return r.s.damagedRead("change log", errDecode)
		}
		for i := range c.n {
			if arrival+i <= r.at.Arrival {
				continue
			}
			if len(r.out) >= r.limit {
				return nil
			}
			if err := r.change(c, i, arrival+i); err != nil {
				return err
			}
			r.at.Arrival, r.at.Check = arrival+i, g.check
		}
		arrival += c.n
	}
	return nil
}

// change turns the i-th change of an item into what a client hears, if it passes the filter.
func (r *changeReader) change(c rawChange, i, arrival uint64) error {
	out := Change{Kind: c.kind, Late: c.late, User: c.user, Arrival: arrival}
	var bs *boardState
	switch c.kind {
	case EntryShown, EntryHidden:
		l := r.m.log(c.at.log)
		if l == nil { // pruned
			return nil
		}
		bs = l.board
	case MarkMoved, BoardGained, FloorMoved:
		bs, _ = r.m.board(c.board)
		if bs == nil || c.kind == MarkMoved && c.user != r.f.User {
			return nil
		}
	case TeamChanged:
		out.Team = c.team
	}
	if bs != nil {
		out.Team, out.Board = bs.team.id, bs.id
	}
	if r.f.Teams != nil && !r.f.Teams[out.Team] {
		return nil
	}
	if c.kind == EntryShown || c.kind == EntryHidden {
		if err := r.entry(pos{c.at.log, c.at.seq + i}, &out); err != nil {
			return ignorePruned(ignoreDamaged(err))
		}
	}
	if c.kind == FloorMoved {
		out.FloorHLC = r.s.startsAt(bs)
	}
	r.out = append(r.out, out)
	return nil
}

// entry reads the record of an entry that was shown or hidden.
func (r *changeReader) entry(p pos, out *Change) error {
	e, err := r.s.shownAt(r.m, r.txn, p)
	if err != nil {
		return err
	}
	out.Entry = e.Entry.ID
	if out.Kind == EntryHidden {
		out.Rule, out.Reason = e.Rule, e.Void
		if out.Reason == "" {
			out.Reason = r.s.whyHidden(r.m.log(p.log), p.seq)
		}
		return nil
	}
	out.Shown = e
	at := board.Position{Board: out.Board, Node: e.Origin.Node, Epoch: e.Origin.Epoch, Seq: p.seq}
	if last := r.chain; last.Board == at.Board && last.Origin() == at.Origin() && last.Seq+1 == at.Seq {
		rec := board.Record{Board: at.Board, Origin: e.Origin, Seq: at.Seq, Entry: e.Entry.ID, Received: e.Received,
			Prev: board.Link{Epoch: last.Epoch, Seq: last.Seq, Hash: last.Hash}}
		at.Hash = rec.Hash()
	} else if at, err = r.s.positionOf(r.txn, r.m.log(p.log), p.seq); err != nil {
		return err
	}
	r.chain, out.Position = at, at
	return nil
}

// whyHidden says why an entry is hidden that counts by itself.
func (s *Store) whyHidden(l *logState, seq uint64) string {
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	if !l.counts(l.limit, seq) {
		return "the node that recorded it does not vouch for it any more"
	}
	return "another entry stands for it"
}

// Subscribe gives a channel of capacity one that is filled after each commit, and what ends the subscription. A nudge
// says that there may be something new, no more: read after your own cursor.
func (s *Store) Subscribe() (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	s.subsMu.Lock()
	s.subs[ch] = struct{}{}
	s.subsMu.Unlock()
	return ch, func() {
		s.subsMu.Lock()
		delete(s.subs, ch)
		s.subsMu.Unlock()
	}
}

// OnCommit has f called after each commit with what it changed, in order, by the committer: f must not block and must
// not call what writes to the store. It is for replication; clients read Changes.
func (s *Store) OnCommit(f func([]Committed)) {
	s.subsMu.Lock()
	defer s.subsMu.Unlock()
	s.hooks = append(s.hooks, f)
}

// notify tells replication, and then nudges everybody: who is nudged may ask it what it makes of the commit.
func (s *Store) notify(events []Committed) {
	s.subsMu.Lock()
	hooks := s.hooks
	s.subsMu.Unlock()
	if len(events) > 0 {
		for _, f := range hooks {
			f(events)
		}
	}
	s.subsMu.Lock()
	defer s.subsMu.Unlock()
	for ch := range s.subs {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// events says what a group changed, for replication.
func (g *group) events() (out []Committed) {
	for _, d := range g.logs {
		l := d.log
		orphaned, restored := g.orphaned[l], g.restored[l]
		if !d.grown && !d.mended && len(orphaned)+len(restored) == 0 {
			continue
		}
		st := d.st
		if len(d.damaged) > 0 {
			if st = d.intact; st.Hi < st.Lo {
				st.Hi = 0
			}
		}
		if d.gone {
			st.Hi = 0
		}
		out = append(out, Committed{
			Team: l.board.team.id, Board: l.board.id, Governance: l.board.governance, Origin: l.origin,
			Own: l.origin.Node == g.s.nodeID, Stretch: st, Lost: d.mended && len(d.damaged) > 0 || d.lower, Orphaned: orphaned, Restored: restored,
		})
	}
	for t, changed := range g.teams {
		if changed {
			out = append(out, Committed{Team: t.id, State: true})
		}
	}
	return out
}

// WaitVector waits until the board holds everything at or below v. Errors wrap board.ErrNotFound or ctx's.
func (s *Store) WaitVector(ctx context.Context, b board.ID, v board.Vector) error {
	for {
		bs, ok := s.memory().board(b)
		if !ok {
			return fmt.Errorf("couldn't wait for board %s: %w", b, board.ErrNotFound)
		}
		bs.mu.Lock()
		if bs.holding.Covers(v) {
			bs.mu.Unlock()
			return nil
		}
		if bs.moved == nil {
			bs.moved = make(chan struct{})
		}
		moved := bs.moved
		bs.mu.Unlock()
		select {
		case <-moved:
		case <-s.reopened():
		case <-ctx.Done():
			return fmt.Errorf("couldn't wait for the board to hold what was asked for: %w", ctx.Err())
		case <-s.stop:
			return ErrClosed
		}
	}
}
