package attack

import (
	"context"
	"fmt"
	"time"

	"weft/board"
)

var logAttacks = []Attack{
	{Name: "gap", What: "records without those before them", As: Member, Row: "runs with gaps", Expect: []string{counted("gap")},
		run: pushing(func(l *liar) [][]byte {
			b := l.newBook(l.general())
			b.next, b.prev = 100, board.Link{Epoch: b.epoch, Seq: 99, Hash: board.Hash(rubbish(32))}
			return [][]byte{push(b.add(l.posts(&b.pen, 3, Forged+" gap")...))}
		})},
	{Name: "gap-flood", What: "thousands of records that hang on nothing", As: Member, Row: "runs with gaps",
		Expect: []string{counted("hold_full")}, run: pushing(func(l *liar) (out [][]byte) {
			for range 12 {
				b := l.newBook(l.general())
				b.next, b.prev = 100, board.Link{Epoch: b.epoch, Seq: 99, Hash: board.Hash(rubbish(32))}
				out = append(out, push(b.add(l.posts(&b.pen, 200, Forged+" gap")...)))
			}
			return out
		})},
	{Name: "fork-in-2", What: "two contents of one place in its log", As: Member, Row: "forks",
		Expect: []string{counted("fork"), "weft_store_forks_total"}, run: forked(2)},
	{Name: "fork-in-5", What: "five contents of one place in its log", As: Member, Row: "forks",
		Expect: []string{counted("fork"), "weft_store_forks_total"}, run: forked(5)},
	{Name: "leaves", What: "80 beginnings of one log", As: Member, Row: "vector bomb", Expect: []string{counted("too_many_leaves")},
		run: pushing(func(l *liar) (out [][]byte) {
			for i := range 80 {
				b := l.newBook(l.general())
				b.epoch.N = uint64(i + 1)
				out = append(out, push(b.add(l.posts(&b.pen, 1, fmt.Sprint("beginning ", i))...)))
			}
			return out
		})},
	{Name: "seal-low", What: "a seal far below what its log had: others have to record its posts again", As: Member, Row: "re-record storms",
		Expect: []string{counted("orphaned"), counted("beyond_seal")}, run: pushing(func(l *liar) [][]byte {
			b := l.newBook(l.general())
			first := b.add(l.posts(&b.pen, 2, "kept")...)
			at := b.prev
			second := b.add(l.posts(&b.pen, 10, "sealed away")...)
			next := b.sealed(at)
			return [][]byte{push(first), push(second), push(next.add(l.posts(&b.pen, 1, "after the seal")...))}
		})},
	{Name: "clock-future", What: "posts of tomorrow", As: Member, Row: "clock poisoning",
		Expect: []string{counted("future"), "weft_store_future_total"}, run: pushing(func(l *liar) [][]byte {
			b := l.newBook(l.general())
			e := l.post(&b.pen, "from tomorrow", func(h *board.Header) { h.HLC = board.HLCAt(time.Now().Add(24 * time.Hour)) })
			return [][]byte{push(b.add(e))}
		})},
	{Name: "clock-back", What: "a post that is older than the one that its device wrote before it", As: Member, Row: "clock poisoning",
		Expect: []string{topic("accepted")}, run: pushing(func(l *liar) [][]byte { // it counts nowhere, and is not shown
			b := l.newBook(l.general())
			first := l.post(&b.pen, "now", nil)
			second := l.post(&b.pen, Forged+" earlier", func(h *board.Header) { h.HLC = board.HLCAt(time.Now().Add(-time.Hour)) })
			return [][]byte{push(b.add(first, second))}
		})},
	{Name: "body-swapped", What: "another body under a header that somebody signed", As: Member, Row: "bad signatures",
		Expect: []string{topic("malformed")}, run: pushing(func(l *liar) [][]byte {
			b := l.newBook(l.general())
			run := b.add(l.posts(&b.pen, 1, "what was said")...)
			e := *run.Items[0].Entry
			e.Body = []byte(Forged + " what wasn't")
			run.Items[0].Entry = &e
			return [][]byte{push(run)}
		})},
	{Name: "log-of-others", What: "records that go on where another node's log ends", As: Member, Row: "bad signatures",
		Expect: []string{topic("bad_signature")}, run: pushing(func(l *liar) [][]byte {
			old := l.known.someRun(l.node())
			if old == nil {
				return nil
			}
			hashes := old.Hashes()
			b := &book{node: l.key, board: old.Board, epoch: old.Epoch, next: old.LastSeq() + 1,
				prev: board.Link{Epoch: old.Epoch, Seq: old.LastSeq(), Hash: hashes[len(hashes)-1]}, pen: l.newBook(old.Board).pen}
			run := b.add(l.posts(&b.pen, 2, Forged+" in another's log")...)
			run.Node = old.Node
			return [][]byte{push(resigned(run, l.key))}
		})},
	{Name: "log-altered", What: "another node's records, one of them changed", As: Member, Row: "bad signatures",
		Expect: []string{topic("bad_signature"), topic("duplicate")}, run: pushing(func(l *liar) [][]byte {
			old := l.known.someRun(l.node())
			if old == nil {
				return nil
			}
			run := *old
			b := l.newBook(old.Board)
			run.Items = append([]board.Item(nil), old.Items...)
			run.Items[0].Entry = l.post(&b.pen, Forged+" in its place", nil)
			return [][]byte{push(resigned(&run, l.key))}
		})},
	{Name: "log-of-strangers", What: "records of a node that is not of the team", As: Member, Row: "vectors of unknown nodes",
		Expect: []string{topic("unknown_origin")}, run: pushing(func(l *liar) [][]byte {
			b := l.newBook(l.general())
			b.node = randomKey()
			return [][]byte{push(b.add(l.posts(&b.pen, 2, Forged+" by a stranger's node")...))}
		})},
	{Name: "board-unknown", What: "records of boards that nobody made", As: Member, Row: "runs with gaps, forged signatures, wrong boards",
		Expect: []string{counted("unknown_origin")}, run: pushing(func(l *liar) (out [][]byte) {
			for range 50 {
				b := l.newBook(board.ID(rubbish(16)))
				out = append(out, push(b.add(l.posts(&b.pen, 1, Forged+" nowhere")...)))
			}
			return out
		})},
	{Name: "seq-endless", What: "a record with a number that no log can reach", As: Member, Row: "seq of a record",
		Expect: []string{topic("malformed")}, run: pushing(func(l *liar) [][]byte {
			b := l.newBook(l.general())
			b.next, b.prev = board.MaxSeq+2, board.Link{Epoch: b.epoch, Seq: board.MaxSeq + 1, Hash: board.Hash(rubbish(32))}
			return [][]byte{push(b.add(l.posts(&b.pen, 1, Forged+" far")...))}
		})},
	{Name: "body-giant", What: "a post that is larger than a post may be", As: Member, Row: "body of an entry",
		Expect: []string{topic("malformed")}, run: pushing(func(l *liar) [][]byte {
			b := l.newBook(l.general())
			return [][]byte{push(b.add(l.post(&b.pen, Forged+string(make([]byte, board.MaxBody+1)), nil)))}
		})},
	{Name: "withheld", What: "a device's posts without one in the middle", As: Member, Row: "hidden history", run: pushing(func(l *liar) [][]byte {
		b := l.newBook(l.general())
		posts := l.posts(&b.pen, 4, "withheld")
		return [][]byte{push(b.add(posts[0], posts[1], posts[3]))}
	})},
	{Name: "twins", What: "two posts of a device under one number", As: Member, Row: "a device that signs two entries under one number",
		Expect: []string{"weft_store_twins_total"}, run: pushing(func(l *liar) [][]byte {
			b := l.newBook(l.general())
			first := l.post(&b.pen, "to some", nil)
			b.pen.seq, b.pen.prev = 0, board.Hash{}
			return [][]byte{push(b.add(first, l.post(&b.pen, "to others", nil)))}
		})},
}

// forked pushes n contents of one place. They are in one push, which is checked as a whole: of a log that the target holds
// as far already it doesn't look at other contents that are pushed.
func forked(n int) func(context.Context, *liar, *order) error {
	return pushing(func(l *liar) [][]byte {
		trunk := l.newBook(l.general())
		runs := []*board.Run{trunk.add(l.posts(&trunk.pen, 2, "before")...)}
		for i := range n {
			b := *trunk
			runs = append(runs, b.add(l.posts(&b.pen, 3, fmt.Sprint("branch ", i))...))
		}
		return [][]byte{push(runs...)}
	})
}
