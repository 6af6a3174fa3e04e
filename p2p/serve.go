package p2p

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/store"
)

const (
	// answerBytes is about how large one answer is: enough records for signatures to be checked in batches, little
	// enough that a live record behind it doesn't wait long.
	answerBytes = 128 << 10
	// maxCredit that one frame may give.
	maxCredit = 16 << 20
	// maxServing transfers for one stream at a time; more are told BUSY.
	maxServing = 64
	// smallTransfer: with at most so many records left, a transfer goes before larger ones, so that live records
	// overtake a catch-up.
	smallTransfer = 512
)

// transfer is one Want that is being answered. The link's writer owns it, except for credit and gone, which the reader
// changes under the link's mutex.
type transfer struct {
	id       uint64
	what     [32]byte // that was asked for
	team     board.TeamID
	board    board.ID
	node     board.NodeID
	rows     []board.Segment // what is left, in the order of sending
	backward bool
	started  bool // of a backward one: the run with the signed head was sent

	credit int  // bytes that may be sent; guarded by link.mu
	gone   bool // cancelled; guarded by link.mu
}

// left is how many records are still to be sent.
func (t *transfer) left() (n uint64) {
	for _, r := range t.rows {
		n += r.Last - r.First + 1
	}
	return n
}

// takeWant opens a transfer, or says why not. It is called by the reader.
func (k *link) takeWant(w *weftv1.Want) error {
	team, err := teamID(w.Team)
	if err != nil {
		return err
	}
	if len(w.Board) != 16 || len(w.Node) != 32 || len(w.Have) > board.MaxLeaves || w.Toward.GetEpoch() == 0 {
		return fmt.Errorf("%w: a want without ids, or with too much in it", errFrameBad)
	}
	t := &transfer{
		id: w.Id, what: whatOf(w), team: team, board: board.ID(w.Board), node: board.NodeID(w.Node),
		backward: w.Backward, credit: int(min(w.Credit, maxCredit)),
	}
	if !k.maySee(t) {
		k.m.stats.refused.WithLabelValues("want_of_stranger").Inc()
		k.refuse(t.id, weftv1.AnswerStatus_ANSWER_STATUS_NOT_MEMBER)
		return nil
	}
	have := make([]board.Point, len(w.Have))
	for i, p := range w.Have {
		have[i] = pointOf(p)
	}
	var joined bool
	t.rows, joined = k.m.o.Store.Path(t.board, t.node, have, pointOf(w.Toward))
	switch {
	case len(t.rows) == 0 && joined:
		k.send(answerFrame(&weftv1.Answer{Id: t.id, Done: true})) // the asker has it already
		return nil
	case len(t.rows) == 0, !joined && !t.backward:
		k.refuse(t.id, weftv1.AnswerStatus_ANSWER_STATUS_NOT_HELD)
		return nil
	case k.m.served.often(k.node, t.what, time.Now()):
		k.m.stats.refused.WithLabelValues("same_range").Inc()
		k.refuse(t.id, weftv1.AnswerStatus_ANSWER_STATUS_BUSY)
		return nil
	}
	if t.backward {
		slices.Reverse(t.rows)
	}
	k.mu.Lock()
	busy := len(k.mu.serving) >= maxServing
	twice := slices.ContainsFunc(k.mu.serving, func(o *transfer) bool { return o.id == t.id })
	if !busy && !twice && !k.mu.closed {
		k.mu.serving = append(k.mu.serving, t)
	}
	k.mu.Unlock()
	switch {
	case twice:
		return fmt.Errorf("%w: a want with the number of another one", errFrameBad)
	case busy:
		k.refuse(t.id, weftv1.AnswerStatus_ANSWER_STATUS_BUSY)
	}
	k.nudge()
	return nil
}

func pointOf(p *weftv1.EpochPoint) board.Point {
	return board.Point{Epoch: board.Epoch{N: p.GetEpoch(), R: p.GetEpochRandom()}, Seq: p.GetSeq()}
}

// maySee says whether the peer is a node of the transfer's team, and the board is one of that team that this stream is for.
func (k *link) maySee(t *transfer) bool {
	if !k.m.who.mayReceive(k.node, t.team) {
		return false
	}
	if k.governance {
		return t.board == board.GovernanceID(t.team)
	}
	owner, ok := k.m.o.Store.BoardTeam(t.board)
	return ok && owner == t.team && t.board != board.GovernanceID(t.team)
}

func (k *link) refuse(id uint64, status weftv1.AnswerStatus) {
	k.send(answerFrame(&weftv1.Answer{Id: id, Status: status, Done: true}))
}

func answerFrame(a *weftv1.Answer) *weftv1.SyncFrame {
	return &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Answer{Answer: a}}
}

// credit lets a transfer send more.
func (k *link) credit(id uint64, bytes int) {
	k.mu.Lock()
	for _, t := range k.mu.serving {
		if t.id == id {
			t.credit = min(t.credit+bytes, maxCredit)
		}
	}
	k.mu.Unlock()
	k.nudge()
}

// cancel ends a transfer at the asker's wish.
func (k *link) cancel(id uint64) {
	k.mu.Lock()
	k.mu.serving = slices.DeleteFunc(k.mu.serving, func(t *transfer) bool {
		t.gone = t.gone || t.id == id
		return t.id == id
	})
	k.mu.Unlock()
}

// pick takes the transfer whose turn it is: small ones first, then each in turn. It goes to the end of the row.
func (k *link) pick() (t *transfer, credit int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := -1
	for i, c := range k.mu.serving {
		if c.credit <= 0 {
			continue
		}
		if c.left() <= smallTransfer {
			at = i
			break
		}
		if at < 0 {
			at = i
		}
	}
	if at < 0 {
		return nil, 0
	}
	t = k.mu.serving[at]
	k.mu.serving = append(slices.Delete(k.mu.serving, at, at+1), t)
	return t, t.credit
}

// serveNext sends one answer. False: nothing may be sent now.
func (k *link) serveNext() (bool, error) {
	t, credit := k.pick()
	if t == nil {
		return false, nil
	}
	// Asked again before each answer: the peer may have left the team since.
	if !k.m.who.mayReceive(k.node, t.team) {
		k.finish(t)
		return true, k.answer(&weftv1.Answer{Id: t.id, Status: weftv1.AnswerStatus_ANSWER_STATUS_NOT_MEMBER, Done: true})
	}
	run, err := k.nextRun(t, min(credit, answerBytes))
	if err != nil {
		status, ok := statusOf(err)
		if !ok {
			return false, err
		}
		k.m.log.Warn("couldn't read what a peer asked for", "board", t.board.String(), "err", err)
		k.finish(t)
		return true, k.answer(&weftv1.Answer{Id: t.id, Status: status, Done: true})
	}
	done := len(t.rows) == 0
	if done {
		k.finish(t)
		k.m.served.sent(k.node, t.what, time.Now())
	}
	a := &weftv1.Answer{Id: t.id, Run: run.Wire(), Done: done}
	b, err := encodeFrame(answerFrame(a))
	if err != nil {
		return false, err
	}
	if len(b) > k.m.o.Limits.SyncFrame { // it would break the stream
		k.m.log.Warn("can't pass on records that are larger together than a frame", "board", t.board.String(), "records", len(run.Items), "bytes", len(b))
		k.finish(t)
		return true, k.answer(&weftv1.Answer{Id: t.id, Status: weftv1.AnswerStatus_ANSWER_STATUS_NOT_HELD, Done: true})
	}
	k.mu.Lock()
	t.credit -= run.Size()
	gone := t.gone
	k.mu.Unlock()
	if gone {
		return true, nil
	}
	k.m.stats.frames.WithLabelValues("out", "answer").Inc()
	return true, k.put(outFrame{b: b, team: t.team, records: true})
}

// answer sends an answer without a run.
func (k *link) answer(a *weftv1.Answer) error {
	b, err := encodeFrame(answerFrame(a))
	if err != nil {
		return err
	}
	return k.put(outFrame{b: b})
}

func (k *link) finish(t *transfer) {
	k.mu.Lock()
	k.mu.serving = slices.DeleteFunc(k.mu.serving, func(o *transfer) bool { return o == t })
	k.mu.Unlock()
}

// nextRun reads the next records and takes them off t.rows.
func (k *link) nextRun(t *transfer, maxBytes int) (*board.Run, error) {
	row := &t.rows[0]
	o := board.Origin{Node: t.node, Epoch: row.Epoch}
	if t.backward {
		run, err := k.runBack(t, o, row.Last, maxBytes)
		if err != nil {
			return nil, err
		}
		run = cutFront(run, row.First)
		if row.Last = run.First - 1; row.Last < row.First {
			t.rows = t.rows[1:]
		}
		return run, nil
	}
	run, err := k.m.o.Store.Run(k.m.ctx, t.board, o, row.First, row.Last, maxBytes)
	if err != nil {
		return nil, err
	}
	if row.First = run.LastSeq() + 1; row.First > row.Last {
		t.rows = t.rows[1:]
	}
	return run, nil
}

// runBack reads the records that end at last. The first run of a transfer ends at the next signed head at or after last,
// since the asker may hold nothing above it that would vouch for it.
func (k *link) runBack(t *transfer, o board.Origin, last uint64, maxBytes int) (*board.Run, error) {
	if t.started {
		return k.m.o.Store.RunBack(k.m.ctx, t.board, o, last, maxBytes)
	}
	above, err := k.m.o.Store.Run(k.m.ctx, t.board, o, last, last, 1)
	if err != nil {
		return nil, err
	}
	run, err := k.m.o.Store.RunBack(k.m.ctx, t.board, o, above.LastSeq(), maxBytes)
	if err != nil {
		return nil, err
	}
	signed := *run
	signed.Items = slices.Clone(run.Items)
	signed.Items[len(signed.Items)-1].HeadSig = above.Items[len(above.Items)-1].HeadSig
	t.started = true
	return &signed, nil
}

// cutFront is run from seq first on.
func cutFront(run *board.Run, first uint64) *board.Run {
	if first <= run.First {
		return run
	}
	n := first - run.First
	hashes := run.Hashes()
	cut := *run
	cut.First, cut.Items = first, run.Items[n:]
	cut.Prev = board.Link{Epoch: run.Epoch, Seq: first - 1, Hash: hashes[n-1]}
	return &cut
}

// statusOf is what a peer is told of an error of the store. False: the node is stopping.
func statusOf(err error) (weftv1.AnswerStatus, bool) {
	switch {
	case errors.Is(err, store.ErrClosed), errors.Is(err, context.Canceled):
		return 0, false
	case errors.Is(err, board.ErrNotHeld), errors.Is(err, board.ErrNotFound):
		return weftv1.AnswerStatus_ANSWER_STATUS_NOT_HELD, true
	}
	return weftv1.AnswerStatus_ANSWER_STATUS_DAMAGED, true
}
