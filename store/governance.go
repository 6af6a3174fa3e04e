package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
	"weft/team"
)

// GovernanceRecord is a record of a team's governance board.
type GovernanceRecord struct {
	Position board.Position
	Received board.HLC  // by the clock of the node whose log it is
	Object   board.Hash // of the object that its entry carries; zero: it carries none
	Kind     board.Kind
}

// GovernanceRecords are all records held of a team's governance board, log by log; damaged ones are left out. Errors wrap
// ErrUnknownTeam or ctx's.
func (s *Store) GovernanceRecords(ctx context.Context, t board.TeamID) (out []GovernanceRecord, err error) {
	err = s.eachGovernance(ctx, t, func(r GovernanceRecord, e *board.Entry) bool {
		if id := e.Header.ClientMsgID; len(id) == len(r.Object) {
			copy(r.Object[:], id)
		}
		out = append(out, r)
		return true
	})
	return out, err
}

// Object reads a governance object of a team. Errors wrap ErrUnknownTeam, board.ErrNotFound or ctx's.
func (s *Store) Object(ctx context.Context, t board.TeamID, h board.Hash) (o *team.Object, err error) {
	ts, ok := s.memory().team(t)
	if !ok {
		return nil, fmt.Errorf("couldn't find object: %w: %w", ErrUnknownTeam, board.ErrNotFound)
	}
	if g := ts.state.Load().Genesis(); g != nil && g.Hash == h {
		return g, nil
	}
	key := postKey{ts.governance.id, board.MakePostID(board.UserID{}, string(h[:]))}
	err = s.view(func(_ *memory, txn *badger.Txn) error {
		c, err := get(txn, appendPostKey(nil, key))
		if err != nil || c == nil {
			return ignoreDamage(err)
		}
		list, err := parsePostList(c)
		if err != nil {
			return nil
		}
		for _, p := range list.recs { // whoever recorded it may have put something else under its hash
			if r, err := loadRecord(txn, p); err == nil {
				if x, err := team.EntryObject(r.entry); err == nil && x.Hash == h {
					o = x
					return nil
				}
			}
		}
		return nil
	})
	if err == nil && o == nil {
		err = fmt.Errorf("couldn't find object %s: %w", h, board.ErrNotFound)
	}
	return o, err
}

func (s *Store) eachGovernance(ctx context.Context, t board.TeamID, f func(GovernanceRecord, *board.Entry) bool) error {
	ts, ok := s.memory().team(t)
	if !ok {
		return fmt.Errorf("couldn't read governance: %w: %w", ErrUnknownTeam, board.ErrNotFound)
	}
	ts.governance.mu.Lock()
	logs := append([]*logState(nil), ts.governance.logs...)
	ts.governance.mu.Unlock()
	for _, l := range logs {
		if err := s.governanceOf(ctx, l, f); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) governanceOf(ctx context.Context, l *logState, f func(GovernanceRecord, *board.Entry) bool) error {
	return s.view(func(_ *memory, txn *badger.Txn) error {
		st, _ := l.stretchOf()
		prev := st.LoPrev
		for seq := st.Lo; seq <= st.Hi; {
			bad, err := eachRecord(txn, l.num, seq, st.Hi, func(at uint64, r stored) bool {
				rec := board.Record{Board: l.board.id, Origin: l.origin, Seq: at, Prev: prev, Entry: r.entry.ID, Received: r.received}
				g := GovernanceRecord{Position: rec.Position(), Received: r.received, Kind: r.entry.Header.Kind}
				prev = board.Link{Epoch: l.origin.Epoch, Seq: at, Hash: g.Position.Hash}
				return ctx.Err() == nil && f(g, r.entry)
			})
			if ctx.Err() != nil {
				return fmt.Errorf("couldn't read governance: %w", ctx.Err())
			}
			if !errors.Is(err, errDecode) {
				return err
			}
			s.damaged(l, bad)
			seq, prev = bad+1, board.Link{Epoch: l.origin.Epoch, Seq: bad}
		}
		return nil
	})
}
