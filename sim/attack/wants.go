package attack

import (
	"context"
	"crypto/rand"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

var wantAttacks = []Attack{
	{Name: "want-other-team", What: "asks for boards of a team that it is not in, and in its own team's name for others'", As: Member, Row: "eavesdropping",
		Expect: []string{refusal("want_of_stranger")}, run: asking(syncProtocol, 3, notMember, func(l *liar, id uint64) *weftv1.Want {
			w := l.anyWant(id)
			other := rubbish(32)
			if id != 2 {
				w.Team = other
			}
			if id != 1 {
				w.Board = other[:16]
			}
			return w
		})},
	{Name: "want-wrong-stream", What: "asks for posts on the stream for governance", As: Member, Row: "eavesdropping",
		Expect: []string{refusal("want_of_stranger")}, run: asking(governanceProtocol, 1, notMember, (*liar).anyWant)},
	{Name: "want-impossible", What: "asks for epochs and records that nobody has", As: Member, Row: "sync amplification",
		run: asking(syncProtocol, 200, func(s weftv1.AnswerStatus) bool { return s == weftv1.AnswerStatus_ANSWER_STATUS_NOT_HELD }, func(l *liar, id uint64) *weftv1.Want {
			w := l.anyWant(id)
			w.Toward = &weftv1.EpochPoint{Epoch: 1 << 60, EpochRandom: id, Seq: 1 << 63}
			return w
		})},
	{Name: "want-same-range", What: "asks for one range again and again", As: Member, Row: "sync amplification",
		Expect: []string{refusal("same_range")}, run: sameRange},
	{Name: "want-never-credit", What: "opens more transfers than may be open and gives no credit", As: Member, Row: "sync amplification", run: neverCredit},
	{Name: "credit-overflow", What: "credit of 4 GiB, a hundred times", As: Member, Row: "sync amplification", run: creditOverflow},
	{Name: "want-never-read", What: "asks for everything and reads nothing", As: Member, Row: "slow or endless streams", run: neverRead},
	{Name: "want-twice", What: "two transfers under one number", As: Member, Row: "protocol", Expect: []string{offence("frame")},
		run: func(ctx context.Context, l *liar, o *order) error {
			return onSync(func(x *wire) error {
				w := l.anyWant(7)
				w.Credit = 0
				x.message(wantFrame(w))
				return x.message(wantFrame(w))
			})(ctx, l, o)
		}},
	{Name: "want-bomb", What: "a want that says 60,000 times what it has", As: Member, Row: "protobuf abuse", Expect: []string{offence("frame")},
		run: framing(func(l *liar) *weftv1.SyncFrame {
			w := l.anyWant(1)
			w.Have = make([]*weftv1.EpochPoint, 60_000)
			for i := range w.Have {
				w.Have[i] = &weftv1.EpochPoint{Epoch: uint64(i)}
			}
			return wantFrame(w)
		})},
	{Name: "ask-vector-flood", What: "asks for the whole vector without end", As: Member, Row: "sync amplification",
		Expect: []string{refusal("frames_too_fast")}, run: askFlood},
	{Name: "vector-bomb", What: "a vector of 5,000 leaves, and one with 65 of one node", As: Member, Row: "vector bomb", Expect: []string{offence("frame")},
		run: func(ctx context.Context, l *liar, o *order) error {
			for _, n := range []int{5000, -65} {
				if err := framing(func(l *liar) *weftv1.SyncFrame { return l.vector(l.general(), elements(n)) })(ctx, l, o); err != nil {
					return err
				}
			}
			return nil
		}},
	{Name: "vector-unknown-nodes", What: "says what 4,000 nodes have of which nobody knows", As: Member, Row: "vector bomb",
		Expect: []string{counted("vector_unknown_node")}, run: telling(func(l *liar) *weftv1.SyncFrame { return l.vector(l.general(), elements(4000)) })},
	{Name: "vector-unknown-boards", What: "says what is held of 3,000 boards that do not exist", As: Member, Row: "vector bomb",
		Expect: []string{counted("vector_unknown_board")}, run: telling(func(l *liar) *weftv1.SyncFrame {
			v := &weftv1.TeamVector{Team: l.team[:], Whole: true}
			for range 3000 {
				v.Boards = append(v.Boards, &weftv1.BoardVector{Board: rubbish(16), Elements: elements(1)})
			}
			return &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Vector{Vector: v}}
		})},
	{Name: "vector-other-team", What: "vectors of teams that it is not in", As: Member, Row: "eavesdropping",
		Expect: []string{refusal("vector_of_stranger")}, run: telling(func(l *liar) *weftv1.SyncFrame {
			return &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Vector{Vector: &weftv1.TeamVector{Team: rubbish(32), Whole: true}}}
		})},
	{Name: "claim-silent", What: "claims a million records and answers nothing when they are asked for", As: Member, Row: "claims without delivery",
		Expect: []string{counted("watchdog")}, run: claiming(12, func(*liar, *board.Run, *weftv1.Want) *weftv1.Answer { return nil })},
	{Name: "claim-denied", What: "claims a million records and does not hold them when they are asked for", As: Member, Row: "claims without delivery",
		Expect: []string{counted("answer_not_held")}, run: claiming(1, func(_ *liar, _ *board.Run, w *weftv1.Want) *weftv1.Answer {
			return &weftv1.Answer{Id: w.Id, Status: weftv1.AnswerStatus_ANSWER_STATUS_NOT_HELD, Done: true}
		})},
	{Name: "claim-rubbish", What: "claims records and answers with forged ones", As: Member, Row: "claims without delivery",
		Expect: []string{counted("peer_rubbish")}, run: claiming(1, func(_ *liar, run *board.Run, w *weftv1.Want) *weftv1.Answer {
			return &weftv1.Answer{Id: w.Id, Run: run.Wire(), Done: true}
		})},
	{Name: "answer-unsolicited", What: "answers that nobody asked for", As: Member, Row: "claims without delivery",
		Expect: []string{counted("peer_unsolicited")}, run: telling(func(l *liar) *weftv1.SyncFrame {
			b := l.newBook(l.general())
			run := b.add(l.posts(&b.pen, 3, Forged+" unsolicited")...)
			return &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Answer{Answer: &weftv1.Answer{Id: 4711, Run: run.Wire(), Done: true}}}
		})},
}

func notMember(s weftv1.AnswerStatus) bool { return s == weftv1.AnswerStatus_ANSWER_STATUS_NOT_MEMBER }

// anyWant asks for something that the target holds of the first board.
func (l *liar) anyWant(id uint64) *weftv1.Want {
	if r := l.known.someRun(board.NodeID{}); r != nil {
		return l.want(id, r.Board, r.Node, r.Epoch)
	}
	target, _ := nodeOf(l.target.ID)
	return l.want(id, l.general(), target, board.Epoch{N: 1})
}

// asking opens n transfers, none of which may bring a record.
func asking(proto string, n uint64, good func(weftv1.AnswerStatus) bool, want func(*liar, uint64) *weftv1.Want) func(context.Context, *liar, *order) error {
	return func(ctx context.Context, l *liar, _ *order) error {
		x, err := l.greeted(ctx, proto)
		if err != nil {
			return err
		}
		defer x.reset()
		for id := range n {
			if err := x.message(wantFrame(want(l, id+1))); err != nil {
				return err
			}
		}
		for answered := uint64(0); answered < n; {
			f, err := x.frame(2 * x.patience)
			if err != nil {
				return broken("the target answered %d of %d wants: %v", answered, n, err)
			}
			switch a := f.GetAnswer(); {
			case a == nil:
			case a.Run != nil || !good(a.Status):
				return broken("the target answered %v, with records: %v", a.Status, a.Run != nil)
			default:
				answered++
			}
		}
		return nil
	}
}

// answers are what came of a want within a time.
func (x *wire) answers(within time.Duration, n int) (records int, status []weftv1.AnswerStatus) {
	for end := time.Now().Add(within); len(status) < n; {
		f, err := x.frame(time.Until(end))
		if err != nil {
			return records, status
		}
		if a := f.GetAnswer(); a != nil {
			records += len(a.GetRun().GetItems())
			if a.Done {
				status = append(status, a.Status)
			}
		}
	}
	return records, status
}

func sameRange(ctx context.Context, l *liar, _ *order) error {
	x, err := l.greeted(ctx, syncProtocol)
	if err != nil {
		return err
	}
	defer x.reset()
	refusals := 0
	for id := range uint64(6) {
		if err := x.message(wantFrame(l.anyWant(id + 1))); err != nil {
			return err
		}
		if _, s := x.answers(x.patience, 1); len(s) == 1 && s[0] == weftv1.AnswerStatus_ANSWER_STATUS_BUSY {
			refusals++
		}
	}
	if refusals < 3 {
		return broken("one range was sent %d times", 6-refusals)
	}
	return nil
}

func neverCredit(ctx context.Context, l *liar, _ *order) error {
	x, err := l.greeted(ctx, syncProtocol)
	if err != nil {
		return err
	}
	defer x.reset()
	for id := range uint64(200) {
		w := l.anyWant(id + 1)
		w.Credit = 0
		if err := x.message(wantFrame(w)); err != nil {
			return err
		}
	}
	records, status := x.answers(x.patience/2, 130)
	if records > 0 || len(status) < 100 {
		return broken("%d records came without credit; %d of 200 transfers were refused", records, len(status))
	}
	return nil
}

func creditOverflow(ctx context.Context, l *liar, _ *order) error {
	x, err := l.greeted(ctx, syncProtocol)
	if err != nil {
		return err
	}
	defer x.reset()
	w := l.anyWant(1)
	w.Credit = 1<<32 - 1
	if err := x.message(wantFrame(w)); err != nil {
		return err
	}
	for range 100 {
		if err := x.message(&weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Credit{Credit: &weftv1.Credit{Id: 1, Bytes: 1<<32 - 1}}}); err != nil {
			return err
		}
	}
	if _, s := x.answers(2*x.patience, 1); len(s) != 1 {
		return broken("the transfer did not end")
	}
	return nil
}

func neverRead(ctx context.Context, l *liar, o *order) error {
	x, err := l.greeted(ctx, syncProtocol)
	if err != nil {
		return err
	}
	defer x.reset()
	for id := range uint64(100) {
		w := l.anyWant(id + 1)
		w.Have = []*weftv1.EpochPoint{{Epoch: id + 1<<40, EpochRandom: 1, Seq: 1}} // each another range
		if x.message(wantFrame(w)) != nil {
			return nil
		}
	}
	wait(ctx, o.seconds)
	return nil
}

func askFlood(ctx context.Context, l *liar, o *order) error {
	x, err := l.greeted(ctx, governanceProtocol)
	if err != nil {
		return err
	}
	defer x.reset()
	go x.drain()
	before := l.count.sent.Load()
	o.flood(ctx, 16_000, func(int) error { // it takes 4,000 at once, and 2,000 a second
		return x.message(&weftv1.SyncFrame{Frame: &weftv1.SyncFrame_AskVector{AskVector: l.team[:]}})
	})
	sent := l.count.sent.Load() - before
	if got := l.count.received.Load(); got > 64*sent+4<<20 {
		return broken("%d bytes of questions were answered with %d bytes", sent, got)
	}
	return nil
}

// elements are n leaves of made-up nodes; of one node if n is negative.
func elements(n int) (out []*weftv1.VectorElement) {
	node := rubbish(32)
	for i := range max(n, -n) {
		if n > 0 {
			node = rubbish(32)
		}
		out = append(out, &weftv1.VectorElement{Node: node, Epoch: uint64(i + 1), EpochRandom: random64(), Seq: 10, Hash: rubbish(32)})
	}
	return out
}

func (l *liar) vector(b board.ID, e []*weftv1.VectorElement) *weftv1.SyncFrame {
	return &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Vector{Vector: &weftv1.TeamVector{
		Team: l.team[:], Whole: true, Boards: []*weftv1.BoardVector{{Board: b[:], Elements: e}},
	}}}
}

// telling says one thing on a sync stream and lets the target think about it.
func telling(f func(*liar) *weftv1.SyncFrame) func(context.Context, *liar, *order) error {
	return func(ctx context.Context, l *liar, _ *order) error { return l.tell(ctx, syncProtocol, f(l)) }
}

// tell says things on a stream. The stream stays until the liar's host ends, so that the target gets to all of it.
func (l *liar) tell(ctx context.Context, proto string, frames ...*weftv1.SyncFrame) error {
	x, err := l.greeted(ctx, proto)
	if err != nil {
		return err
	}
	go x.drain()
	for _, f := range frames {
		if err := x.message(f); err != nil {
			return err
		}
	}
	return nil
}

// claiming names a log of its own in a vector and answers what is then asked. run is one with forged signatures, as long as
// what is claimed.
func claiming(patiences int, answer func(l *liar, run *board.Run, w *weftv1.Want) *weftv1.Answer) func(context.Context, *liar, *order) error {
	return func(ctx context.Context, l *liar, _ *order) error {
		governance, err := l.greeted(ctx, governanceProtocol) // in step, so that boards are asked for
		if err != nil {
			return err
		}
		defer governance.reset()
		if err := l.inStep(governance); err != nil {
			return err
		}
		go governance.drain()
		x, err := l.greeted(ctx, syncProtocol)
		if err != nil {
			return err
		}
		b := l.newBook(l.general())
		entries := l.posts(&b.pen, 5, Forged+" claimed")
		for _, e := range entries {
			rand.Read(e.Signature)
		}
		run := b.add(entries...)
		node := l.node()
		last := b.prev
		seq := last.Seq
		if patiences > 1 {
			seq = 1_000_000
		}
		v := l.vector(l.general(), []*weftv1.VectorElement{{Node: node[:], Epoch: b.epoch.N, EpochRandom: b.epoch.R, Seq: seq, Hash: last.Hash[:]}})
		if err := x.message(v); err != nil {
			return err
		}
		asked := false
		for end := time.Now().Add(time.Duration(patiences) * l.patience); ; {
			f, err := x.frame(time.Until(end))
			switch {
			case err != nil && !asked:
				return broken("nobody asked for what was claimed: %v", err)
			case err != nil:
				return nil
			case f.GetCancel() != nil && asked:
				return nil
			case f.GetWant() != nil:
				asked = true
				if a := answer(l, run, f.GetWant()); a != nil {
					if err := x.message(&weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Answer{Answer: a}}); err != nil {
						return nil
					}
					go x.drain()
					return nil
				}
			}
		}
	}
}

// inStep repeats to the target what it says that it holds of governance.
func (l *liar) inStep(x *wire) error {
	if err := x.message(&weftv1.SyncFrame{Frame: &weftv1.SyncFrame_AskVector{AskVector: l.team[:]}}); err != nil {
		return err
	}
	for {
		f, err := x.frame(2 * x.patience)
		if err != nil {
			return err
		}
		if v := f.GetVector(); v != nil && v.Whole {
			if err := x.message(f); err != nil {
				return err
			}
			if !v.More {
				return nil
			}
		}
	}
}
