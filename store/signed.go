package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
	"weft/team"
)

// AppendSigned writes an entry that a device signed elsewhere to this node's log. It is idempotent like Append. An entry
// that is well-formed but does not count is recorded as void, so that the device's numbers stay gapless, and refused with a
// *Refused beside its Receipt. Errors wrap those of Append, board.ErrBadSignature, ErrClockAhead or ErrOutOfOrder.
func (s *Store) AppendSigned(ctx context.Context, e *board.Entry) (Receipt, error) {
	if err := s.writable(); err != nil {
		return Receipt{}, err
	}
	s.notePost()
	h := &e.Header
	ts, ok := s.memory().team(h.Team)
	if !ok {
		return Receipt{}, fmt.Errorf("couldn't take entry: %w: %w", ErrUnknownTeam, board.ErrNotFound)
	}
	b, ok := s.memory().board(h.Board)
	if !ok || b.team != ts || b.governance {
		return Receipt{}, fmt.Errorf("couldn't take entry: board %s: %w", h.Board, board.ErrNotFound)
	}
	if h.Kind.Governance() || e.BodyGone || h.Author == (board.UserID{}) {
		return Receipt{}, fmt.Errorf("couldn't take entry: %s is no kind of message: %w", h.Kind, board.ErrMalformed)
	}
	if board.Ahead(h.HLC, s.opts.Now()) {
		return Receipt{}, fmt.Errorf("couldn't take entry stamped %s, it is %s here: %w", h.HLC.Time(), s.opts.Now(), board.ErrClockAhead)
	}
	if !e.Verify() {
		s.metrics.badSignature.Inc()
		return Receipt{}, fmt.Errorf("couldn't take entry %s: %w", e.ID, board.ErrBadSignature)
	}
	st := ts.state.Load()
	if _, closed := st.Closed(); closed {
		return Receipt{}, mayNotWrite(st, h.Author)
	}
	if v := st.CheckEntry(h, nil); v.Status == team.Pending {
		return Receipt{}, verdictError(st, h.Author, v)
	}
	p := pending{s: s, drafts: []Draft{{Team: h.Team, Board: h.Board, Author: h.Author, ClientMsgID: h.ClientMsgID}},
		claims: make([]*claim, 1), mine: make([]bool, 1), boards: []*boardState{b}, entry: e.ID}
	if err := p.claimAll(ctx); err != nil {
		return Receipt{}, err
	}
	if p.mine[0] {
		t := &appendTask{s: s, board: b.id, slots: []slot{{e, p.claims[0], p.claims[0].key}}}
		if err := s.enqueueTask(ctx, t, len(e.Raw)+len(e.Body)+1024); err != nil {
			p.release(0, err)
			return Receipt{}, err
		}
	}
	rs, err := p.wait(ctx)
	if rs == nil {
		return Receipt{}, err
	}
	return rs[0], err
}

// enqueueTask hands a task to the committer once there is room for it.
func (s *Store) enqueueTask(ctx context.Context, t *appendTask, size int) error {
	t.size = int64(size)
	if err := s.room.Acquire(ctx, t.size); err != nil {
		return fmt.Errorf("couldn't queue entries: %w", err)
	}
	if err := s.submit(ctx.Done(), t); err != nil {
		s.room.Release(t.size)
		return err
	}
	return nil
}

// AppendObject records a governance object in this node's log on the team's governance board. The same object with the
// same signature is recorded once by this node. Errors wrap ErrUnknownTeam, board.ErrMalformed, ErrStorageFull,
// ErrClosed or ErrOutcomeUnknown.
func (s *Store) AppendObject(ctx context.Context, t board.TeamID, o *team.Object) (Receipt, error) {
	if err := s.writable(); err != nil {
		return Receipt{}, err
	}
	ts, ok := s.memory().team(t)
	if !ok {
		return Receipt{}, fmt.Errorf("couldn't record object: %w: %w", ErrUnknownTeam, board.ErrNotFound)
	}
	h := team.ObjectHeader(t, o)
	if len(o.Body) == 0 || len(o.Body) > board.MaxBody {
		return Receipt{}, fmt.Errorf("couldn't record object of %d bytes: %w", len(o.Body), board.ErrMalformed)
	}
	s.firstAppend(ctx, ts.governance)
	c := s.chain(deviceKey{h.Board, board.DeviceID(s.nodeID)})
	c.mu.Lock() // also makes the check for duplicates and the append one
	defer c.mu.Unlock()
	if r, held, err := s.heldObject(h.Board, &h, o); held || err != nil {
		return r, err
	}
	h.Device, h.DevEpoch, h.DevSeq, h.DevPrev, h.HLC = board.DeviceID(s.nodeID), c.epoch, c.seq+1, c.prev, s.tick()
	e := board.NewEntry(h, o.Body)
	e.Sign(s.opts.Node)
	cl := &claim{key: postKey{h.Board, h.PostID()}}
	task := &appendTask{s: s, board: h.Board, slots: []slot{{entry: e, claim: cl, key: cl.key}}, objects: []*team.Object{o}}
	cl.touched = true
	if err := s.enqueueTask(ctx, task, len(e.Raw)+len(e.Body)+1024); err != nil {
		return Receipt{}, err
	}
	c.seq, c.prev = h.DevSeq, e.ID
	if err := s.await(ctx, cl); err != nil {
		return Receipt{}, err
	}
	return cl.receipt, cl.err
}

// heldObject looks for a record of the same object with the same signature in this node's own log.
func (s *Store) heldObject(b board.ID, h *board.Header, o *team.Object) (r Receipt, held bool, err error) {
	err = s.view(func(m *memory, txn *badger.Txn) error {
		c, err := get(txn, appendPostKey(nil, postKey{b, h.PostID()}))
		if err != nil || c == nil {
			return ignoreDamage(err)
		}
		list, err := parsePostList(c)
		if err != nil {
			return nil
		}
		for _, p := range list.recs {
			l := m.log(p.log)
			rec, err := loadRecord(txn, p)
			if err != nil || l == nil || l.origin.Node != s.nodeID || !bytes.Equal(rec.entry.Body, o.Body) {
				continue
			}
			at, err := s.positionOf(txn, l, p.seq)
			if err != nil {
				return err
			}
			r, held = Receipt{rec.entry.ID, at, rec.entry.Header.HLC, true}, true
			return nil
		}
		return nil
	})
	return r, held, err
}

// ReRecord records entries again in this node's own log whose records at these seqs do not count, if no other record of
// them does: the same entries, new records. Errors wrap board.ErrNotFound, ErrNotHeld, ErrDamaged, ErrStorageFull,
// ErrClosed or ErrOutcomeUnknown.
func (s *Store) ReRecord(ctx context.Context, t board.TeamID, b board.ID, o board.Origin, seqs []uint64) error {
	if err := s.writable(); err != nil {
		return err
	}
	l, err := s.findLog(b, o)
	if err != nil {
		return err
	}
	s.firstAppend(ctx, l.board)
	for len(seqs) > 0 {
		n := min(len(seqs), 64)
		if err := s.reRecord(ctx, l, seqs[:n]); err != nil {
			return err
		}
		seqs = seqs[n:]
	}
	return nil
}

func (s *Store) reRecord(ctx context.Context, l *logState, seqs []uint64) error {
	task := &appendTask{s: s, board: l.board.id, orphan: true}
	size := 0
	err := s.view(func(m *memory, txn *badger.Txn) error {
		for _, seq := range seqs {
			r, err := loadRecord(txn, pos{l.num, seq})
			if errors.Is(err, errDecode) {
				return s.damagedRun(l, seq, err)
			}
			if err != nil {
				return err
			}
			cl := &claim{key: postKey{l.board.id, r.entry.Header.PostID()}, touched: true}
			task.slots = append(task.slots, slot{entry: r.entry, claim: cl, key: cl.key})
			size += len(r.entry.Raw) + len(r.entry.Body) + 1024
		}
		return nil
	})
	if err != nil || len(task.slots) == 0 {
		return err
	}
	if err := s.enqueueTask(ctx, task, size); err != nil {
		return err
	}
	for i := range task.slots {
		if err := s.await(ctx, task.slots[i].claim); err != nil {
			return err
		}
		if err := task.slots[i].claim.err; err != nil {
			return err
		}
	}
	return nil
}

// Orphans finds the records of a board that do not count, while their entries would and no other record of them does.
func (s *Store) Orphans(ctx context.Context, b board.ID) (map[board.Origin][]uint64, error) {
	bs, ok := s.memory().board(b)
	if !ok {
		return nil, fmt.Errorf("couldn't look for orphans in board %s: %w", b, board.ErrNotFound)
	}
	out := map[board.Origin][]uint64{}
	err := s.view(func(m *memory, txn *badger.Txn) error {
		bs.mu.Lock()
		type part struct {
			l        *logState
			from, to uint64
		}
		var parts []part
		for _, l := range bs.logs {
			if l.limit < l.st.Hi && !bs.governance {
				parts = append(parts, part{l, max(l.limit+1, l.st.Lo), l.st.Hi})
			}
		}
		bs.mu.Unlock()
		for _, p := range parts {
			for seq := p.from; seq <= p.to && ctx.Err() == nil; seq++ {
				orphan, err := s.orphan(txn, bs, pos{p.l.num, seq})
				if err != nil {
					return err
				}
				if orphan {
					out[p.l.origin] = append(out[p.l.origin], seq)
				}
			}
		}
		return ctx.Err()
	})
	return out, err
}

// orphan says whether the entry of a record that does not count shows nowhere else.
func (s *Store) orphan(txn *badger.Txn, bs *boardState, p pos) (bool, error) {
	r, err := loadRecord(txn, p)
	if err != nil || r.void != "" {
		return false, ignoreDamage(err)
	}
	c, err := get(txn, appendPostKey(nil, postKey{bs.id, r.entry.Header.PostID()}))
	if err != nil || c == nil {
		return false, ignoreDamage(err)
	}
	list, err := parsePostList(c)
	return err == nil && list.shown < 0, nil
}
