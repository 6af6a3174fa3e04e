package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
)

// Which records are by which local user is noted as they are written. For a user who comes later it is found out once.

func indexedKey(u board.UserID) []byte { return storeKey("user" + string(u[:])) }

// indexNewUsers finds the records of those local users for whom that was never done.
func (s *Store) indexNewUsers() error {
	for u := range *s.users.Load() {
		if err := s.indexUser(u); err != nil {
			return err
		}
	}
	return nil
}

// AddUser has this node keep marks and unread counts for a further user.
func (s *Store) AddUser(ctx context.Context, u board.UserID) error {
	t := &userTask{s: s, user: u, done: make(chan error, 1)}
	return s.do(ctx, t, t.done)
}

// userTask adds a user. It is alone in its group, so that no record can be missed.
type userTask struct {
	s    *Store
	user board.UserID
	done chan error
}

func (t *userTask) prepare(g *group) error {
	if t.s.isUser(t.user) {
		return nil
	}
	next := map[board.UserID]bool{t.user: true}
	for u := range *t.s.users.Load() {
		next[u] = true
	}
	if err := t.s.indexUser(t.user); err != nil {
		return err
	}
	t.s.users.Store(&next)
	return nil
}

func (t *userTask) finish(err error) { t.done <- err }

// indexUser notes a user's records in all logs. It writes on its own, before the user is known to be local.
func (s *Store) indexUser(u board.UserID) error {
	done := false
	err := s.view(func(m *memory, txn *badger.Txn) error {
		c, err := get(txn, indexedKey(u))
		done = c != nil
		return ignoreDamage(err)
	})
	if err != nil || done {
		return err
	}
	found := map[*logState]*bitset{}
	err = s.view(func(m *memory, txn *badger.Txn) error {
		for _, l := range m.logs {
			if l == nil || l.board.governance {
				continue
			}
			for seq := l.st.Lo; seq <= l.st.Hi; {
				bad, err := eachRecord(txn, l.num, seq, l.st.Hi, func(at uint64, r stored) bool {
					if r.entry.Header.Author == u && r.entry.Header.Kind.Counts() {
						if found[l] == nil {
							found[l] = &bitset{}
						}
						found[l].grown(chunkOf(at)).set(at, true)
					}
					return true
				})
				if !errors.Is(err, errDecode) {
					if err != nil {
						return err
					}
					break
				}
				s.damaged(l, bad)
				seq = bad + 1
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("couldn't index the user's entries: %w", err)
	}
	return s.writeUserIndex(u, found)
}

func (s *Store) writeUserIndex(u board.UserID, found map[*logState]*bitset) error {
	s.compactors.mu.Lock()
	s.compactorsRun()
	s.compactors.mu.Unlock()
	ts := s.snaps.last() + 1
	wb := s.db.NewWriteBatchAt(ts)
	defer wb.Cancel()
	for l, bits := range found {
		for i, c := range bits.chunks {
			if c == nil {
				continue
			}
			k := appendOwnBitsKey(nil, u, l.num, bits.first+uint32(i))
			if err := wb.Set(k, seal(k, c.append(nil))); err != nil {
				return fmt.Errorf("couldn't index the user's entries: %w", err)
			}
		}
	}
	k := indexedKey(u)
	if err := wb.Set(k, seal(k, bytes.Clone(u[:16]))); err != nil {
		return fmt.Errorf("couldn't index the user's entries: %w", err)
	}
	if err := wb.Flush(); err != nil {
		return fmt.Errorf("couldn't index the user's entries: %w", err)
	}
	s.snaps.publish(ts, func() {
		for l, bits := range found {
			l.board.mu.Lock()
			if l.own == nil {
				l.own = map[board.UserID]*bitset{}
			}
			l.own[u] = bits
			for _, mk := range l.board.marks {
				mk.known = false
			}
			l.board.mu.Unlock()
		}
	})
	return nil
}
