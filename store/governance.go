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
	Position board.Position // its hash is zero where it can't be known: above a damaged record
	Received board.HLC      // by the clock of the node whose log it is
	Object   board.Hash     // of the object that its entry carries; zero: it carries none
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
		w := walk{l, st.LoPrev, true}
		for seq := st.Lo; seq <= st.Hi; {
			bad, err := eachRecord(txn, l.num, seq, st.Hi, func(at uint64, r stored) bool {
				g := GovernanceRecord{Position: w.next(at, &r), Received: r.received, Kind: r.entry.Header.Kind}
				return ctx.Err() == nil && f(g, r.entry)
			})
			if ctx.Err() != nil {
				return fmt.Errorf("couldn't read governance: %w", ctx.Err())
			}
			if !errors.Is(err, errDecode) {
				return err
			}
			s.damaged(l, bad)
			seq = w.skip(bad)
		}
		return nil
	})
}

// walk follows the hashes of a log upwards.
type walk struct {
	l     *logState
	prev  board.Link // what the next record hangs on
	known bool       // prev's hash: not above a damaged record, up to one whose hash is kept with it
}

// next is the position of the record after the last one; its hash is zero if it isn't known.
func (w *walk) next(seq uint64, r *stored) board.Position {
	rec := board.Record{Board: w.l.board.id, Origin: w.l.origin, Seq: seq, Prev: w.prev, Entry: r.entry.ID, Received: r.received}
	at := rec.Position()
	if !w.known {
		at.Hash, w.known = r.hash, !r.hash.IsZero()
	}
	w.prev = board.Link{Epoch: at.Epoch, Seq: seq, Hash: at.Hash}
	return at
}

// skip passes over a damaged record, and returns where to go on.
func (w *walk) skip(bad uint64) uint64 {
	w.prev, w.known = board.Link{Epoch: w.l.origin.Epoch, Seq: bad}, false
	return bad + 1
}

// governOn tells the team's evaluator once more of the records above a mended one: while that was damaged, their hashes
// were not known, or they hung on nothing.
func (g *group) governOn(d *logDelta, at board.Position) error {
	w := walk{d.log, board.Link{Epoch: at.Epoch, Seq: at.Seq, Hash: at.Hash}, true}
	for seq := at.Seq + 1; seq <= d.st.Hi && !inRows(d.damaged, seq); seq++ {
		r, err := g.load(pos{d.log.num, seq})
		if errors.Is(err, errDecode) {
			g.s.damaged(d.log, seq)
			return nil
		}
		if err != nil {
			return err
		}
		prev := w.prev
		o, _ := team.EntryObject(r.entry) // nil: it is none
		if err := g.govern(d.log, o, w.next(seq, &r), prev); err != nil {
			return err
		}
	}
	return nil
}
