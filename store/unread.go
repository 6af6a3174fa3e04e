package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
)

// Unread counts: each log has a bit for each record that stands for a shown entry that counts as unread, and for each
// local user a bit for each record of theirs. What is unread is the set bits above what the mark covers, less one's own.
// An entry with several records is read if any of them is covered: those that stand above the mark while another of
// their records is below it are found on disk (j) and taken off.

// ErrUnknownUser says that this node keeps no marks for the user.
var ErrUnknownUser = errors.New("the user is not served by this node")

// Unread counts the entries of a board that the user has not read. Errors wrap board.ErrNotFound or ErrUnknownUser.
func (s *Store) Unread(u board.UserID, b board.ID) (uint64, error) {
	if !s.isUser(u) {
		return 0, fmt.Errorf("couldn't count what is unread: %w: %w", ErrUnknownUser, board.ErrNotFound)
	}
	bs, ok := s.memory().board(b)
	if !ok {
		return 0, fmt.Errorf("couldn't count what is unread in board %s: %w", b, board.ErrNotFound)
	}
	return s.unread(u, bs)
}

func (s *Store) unread(u board.UserID, bs *boardState) (uint64, error) {
	bs.mu.Lock()
	mk := bs.markOf(u)
	if mk.known || bs.multi() == 0 {
		defer bs.mu.Unlock()
		if !mk.known {
			mk.unread, mk.known = bs.countUnread(u, mk.vector), true
		}
		return mk.unread, nil
	}
	bs.mu.Unlock()
	return s.unreadMulti(u, bs)
}

// UnreadAll counts for all message boards.
func (s *Store) UnreadAll(u board.UserID) ([]UnreadCount, error) {
	if !s.isUser(u) {
		return nil, fmt.Errorf("couldn't count what is unread: %w: %w", ErrUnknownUser, board.ErrNotFound)
	}
	var out []UnreadCount
	for _, bs := range s.messageBoards() {
		n, err := s.unread(u, bs)
		if err != nil {
			return nil, err
		}
		out = append(out, UnreadCount{bs.team.id, bs.id, n})
	}
	return out, nil
}

// multi is how many shown entries have several records; the caller holds b.mu.
func (b *boardState) multi() (n uint64) {
	for _, l := range b.logs {
		n += l.multi
	}
	return n
}

// covered says up to which seq each log is covered by a mark; the caller holds b.mu.
func (b *boardState) covered(v board.Vector) map[*logState]uint64 {
	if len(v) == 0 {
		return nil
	}
	out := make(map[*logState]uint64, len(b.logs))
	for n, logs := range b.byNode {
		if len(v.Node(n)) == 0 {
			continue
		}
		for _, p := range b.full.Covered(v, n) {
			for _, l := range logs {
				if l.origin.Epoch == p.Epoch {
					out[l] = p.Seq
				}
			}
		}
	}
	return out
}

// countUnread counts by bits alone; the caller holds b.mu.
func (b *boardState) countUnread(u board.UserID, v board.Vector) (n uint64) {
	covered := b.covered(v)
	for _, l := range b.logs {
		if read := max(covered[l], l.floor); read < l.st.Hi {
			n += l.bits.countAfter(read, l.own[u])
		}
	}
	return n
}

// unreadMulti counts where entries have several records. It holds flips, so that what it reads from disk and the bits in
// memory are of one commit.
func (s *Store) unreadMulti(u board.UserID, bs *boardState) (n uint64, err error) {
	s.flips.RLock()
	defer s.flips.RUnlock()
	err = s.view(func(m *memory, txn *badger.Txn) error {
		bs.mu.Lock()
		defer bs.mu.Unlock()
		mk := bs.markOf(u)
		if mk.known {
			n = mk.unread
			return nil
		}
		n = bs.countUnread(u, mk.vector)
		covered := bs.covered(mk.vector)
		for _, l := range bs.logs {
			if l.multi == 0 {
				continue
			}
			less, err := s.readElsewhere(m, txn, l, covered, l.own[u])
			if err != nil {
				return err
			}
			n -= min(n, less)
		}
		mk.unread, mk.known = n, true
		return nil
	})
	return n, err
}

// readElsewhere counts the unread bits of a log whose entries have another record that is covered.
func (s *Store) readElsewhere(m *memory, txn *badger.Txn, l *logState, covered map[*logState]uint64, own *bitset) (n uint64, err error) {
	prefix := logKey(tMulti, l.num)
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	read := max(covered[l], l.floor)
	if read >= l.st.Hi {
		return 0, nil
	}
	for it.Seek(appendMultiKey(nil, pos{l.num, read + 1})); it.Valid(); it.Next() {
		v, err := it.Item().ValueCopy(nil)
		if err != nil {
			return 0, fmt.Errorf("couldn't count what is unread: %w", err)
		}
		key := it.Item().Key()
		c, err := unseal(key, v)
		if err != nil {
			s.noteValue("records of an entry", key)
			continue
		}
		others, err := parsePositions(c)
		if err != nil || len(key) != 13 {
			continue
		}
		seq := binary.BigEndian.Uint64(key[5:])
		if own != nil && own.get(seq) || !l.bits.get(seq) {
			continue
		}
		if slices.ContainsFunc(others, func(p pos) bool { o := m.log(p.log); return o != nil && p.seq <= covered[o] }) {
			n++
		}
	}
	return n, nil
}

// Read says whether the user's mark covers a record. Entries with several records may be read by another one.
func (s *Store) Read(u board.UserID, b board.ID, o board.Origin, seq uint64) bool {
	bs, ok := s.memory().board(b)
	if !ok {
		return false
	}
	bs.mu.Lock()
	defer bs.mu.Unlock()
	return bs.full.Includes(bs.markOf(u).vector, o.Node, board.Point{Epoch: o.Epoch, Seq: seq})
}

// Mark is the user's read mark in a board.
func (s *Store) Mark(u board.UserID, b board.ID) board.Vector {
	bs, ok := s.memory().board(b)
	if !ok {
		return nil
	}
	bs.mu.Lock()
	defer bs.mu.Unlock()
	return slices.Clone(bs.markOf(u).vector)
}

// markTask merges a vector into a mark.
type markTask struct {
	s     *Store
	user  board.UserID
	board board.ID
	v     board.Vector
	all   bool // instead of v: what the board holds when this is carried out
	done  chan error

	unread  uint64 // after the mark, before what is written together with it
	counted bool
}

func (t *markTask) prepare(g *group) error {
	b := g.m.boards[t.board]
	if b == nil {
		return fmt.Errorf("couldn't mark board %s: %w", t.board, board.ErrNotFound)
	}
	b.mu.Lock()
	now := b.markOf(t.user).vector
	for _, md := range g.marks { // an earlier one of this group
		if md.board == b && md.user == t.user {
			now = md.vector
		}
	}
	v := t.v
	if t.all {
		v = b.holding.Vector()
	}
	merged := board.MergeMax(&b.full, now, v)
	if t.counted = b.multi() == 0; t.counted { // else it needs the disk: Unread counts later
		t.unread = b.countUnread(t.user, merged)
	}
	b.mu.Unlock()
	if merged.Equal(now) {
		return nil
	}
	g.touched[b] = struct{}{}
	g.marks = append(g.marks, markDelta{b, t.user, merged})
	g.changeMark(t.user, t.board)
	if err := g.put(markKey(t.user, t.board), appendVector(nil, merged)); err != nil {
		return errors.Join(errAbort, err)
	}
	return nil
}

func (t *markTask) finish(err error) { t.done <- err }

// MergeMark merges a vector into the user's mark of a board and returns what is unread then: in the moment of the mark,
// whatever is posted meanwhile (but for boards of which some entries have several records: there a little later). A mark never goes back; it
// may cover what is not held yet. Errors wrap board.ErrNotFound, ErrUnknownUser, ErrClosed or ErrOutcomeUnknown.
func (s *Store) MergeMark(ctx context.Context, u board.UserID, b board.ID, v board.Vector) (uint64, error) {
	if len(v) > board.MaxVector {
		return 0, fmt.Errorf("couldn't mark: %d leaves: %w", len(v), board.ErrTooLarge)
	}
	return s.mark(ctx, &markTask{s: s, user: u, board: b, v: v})
}

func (s *Store) mark(ctx context.Context, t *markTask) (uint64, error) {
	if !s.isUser(t.user) {
		return 0, fmt.Errorf("couldn't mark: %w: %w", ErrUnknownUser, board.ErrNotFound)
	}
	t.done = make(chan error, 1)
	if err := s.do(ctx, t, t.done); err != nil {
		return 0, err
	}
	if t.counted {
		return t.unread, nil
	}
	return s.Unread(t.user, t.board)
}

// MarkAll marks everything as read that the board holds when the mark is written: what somebody saw unread before that
// is read after it.
func (s *Store) MarkAll(ctx context.Context, u board.UserID, b board.ID) (uint64, error) {
	return s.mark(ctx, &markTask{s: s, user: u, board: b, all: true})
}

// ReadUpTo marks what stands at or before k: in each log the longest prefix whose shown entries all do.
func (s *Store) ReadUpTo(ctx context.Context, u board.UserID, b board.ID, k board.OrderKey) (uint64, error) {
	bs, ok := s.memory().board(b)
	if !ok {
		return 0, fmt.Errorf("couldn't mark board %s: %w", b, board.ErrNotFound)
	}
	v, err := s.vectorUpTo(ctx, bs, k)
	if err != nil {
		return 0, err
	}
	return s.MergeMark(ctx, u, b, v)
}

// vectorUpTo finds the vector for ReadUpTo by reading the entries after k.
func (s *Store) vectorUpTo(ctx context.Context, bs *boardState, k board.OrderKey) (v board.Vector, err error) {
	first := map[logNum]uint64{} // of each log the first record that stands after k
	after := func(p pos) {
		if at, ok := first[p.log]; !ok || p.seq < at {
			first[p.log] = p.seq
		}
	}
	err = s.view(func(m *memory, txn *badger.Txn) error {
		bs.mu.Lock()
		logs, multi := slices.Clone(bs.logs), bs.multi() > 0
		his := make([]uint64, len(logs))
		for i, l := range logs {
			his[i] = l.st.Hi
		}
		bs.mu.Unlock()
		if err := s.eachAfter(ctx, txn, bs, k, multi, after); err != nil {
			return err
		}
		for i, l := range logs {
			hi := his[i]
			if at, ok := first[l.num]; ok {
				hi = min(hi, at-1)
			}
			if st, _ := l.stretchOf(); hi < st.Lo {
				continue
			}
			at, err := s.positionOf(txn, l, hi)
			if err != nil {
				return err
			}
			v = append(v, board.Leaf{Node: at.Node, Epoch: at.Epoch, Seq: at.Seq, Hash: at.Hash})
		}
		return nil
	})
	slices.SortFunc(v, func(a, b board.Leaf) int {
		return board.Origin{Node: a.Node, Epoch: a.Epoch}.Compare(board.Origin{Node: b.Node, Epoch: b.Epoch})
	})
	return v, err
}

// eachAfter names the records of the entries that stand after k, all of them if multi.
func (s *Store) eachAfter(ctx context.Context, txn *badger.Txn, bs *boardState, k board.OrderKey, multi bool, f func(pos)) error {
	prefix := append([]byte{tDisplay}, bs.id[:]...)
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	seek, n := appendDisplayKey(nil, bs.id, k), 0
	for it.Seek(seek); it.Valid(); it.Next() {
		if bytes.Equal(it.Item().Key(), seek) {
			continue
		}
		_, p, err := parseDisplay(it.Item())
		if err != nil {
			return s.damagedRead("display order", err)
		}
		f(p)
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return fmt.Errorf("couldn't mark: %w", ctx.Err())
		}
		if !multi {
			continue
		}
		c, err := get(txn, appendMultiKey(nil, p))
		if err != nil {
			return s.damagedRead("records of an entry", err)
		}
		others, err := parsePositions(c)
		if err != nil {
			return s.damagedRead("records of an entry", err)
		}
		for _, o := range others {
			f(o)
		}
	}
	return nil
}

// appendVector and parseVector: leaves of node 32, epoch 16, seq 8, hash 32.
func appendVector(b []byte, v board.Vector) []byte {
	for _, l := range v {
		b = append(b, l.Node[:]...)
		b = appendLink(b, board.Link{Epoch: l.Epoch, Seq: l.Seq, Hash: l.Hash})
	}
	return b
}

func parseVector(c []byte) (v board.Vector, err error) {
	const size = 32 + linkSize
	if len(c)%size != 0 {
		return nil, errDecode
	}
	for ; len(c) > 0; c = c[size:] {
		var l board.Leaf
		copy(l.Node[:], c)
		k := parseLink(c[32:])
		l.Epoch, l.Seq, l.Hash = k.Epoch, k.Seq, k.Hash
		v = append(v, l)
	}
	return v, nil
}
