package check_test

import (
	"fmt"
	"strings"
	"testing"

	"weft/sim/check"
)

// world is a small run in which all goes well; a test then adds what must not happen.
type world struct {
	*check.Checker
	posts  []check.Post
	seen   []check.Seen
	reader *check.Reader
}

const board = "crew"

func newWorld() *world {
	w := &world{Checker: check.New()}
	w.reader = w.Reader("reader", "b")
	for i := 1; i <= 3; i++ {
		p := check.Post{Board: board, Author: "ann", MsgID: fmt.Sprint("m", i), Text: fmt.Sprint("text ", i), Sender: "phone", Seq: uint64(i)}
		w.Attempt(p)
		w.Acked(p, check.Ack{Node: "a", Entry: fmt.Sprint("e", i), Origin: "a/1", Seq: uint64(i)})
		w.posts = append(w.posts, p)
		w.seen = append(w.seen, check.Seen{
			Entry: fmt.Sprint("e", i), Author: "ann", MsgID: p.MsgID, Text: p.Text,
			Device: "phone", DevEpoch: 7, DevSeq: uint64(i), HLC: uint64(100 + i), Counts: true,
		})
	}
	return w
}

// lists shows the same at both nodes.
func (w *world) lists(entries ...check.Seen) {
	for _, n := range []string{"a", "b"} {
		w.List(n, board, w.Now(), entries)
	}
}

func (w *world) records(node string, seqs ...uint64) {
	var rs []check.Record
	for _, s := range seqs {
		rs = append(rs, check.Record{Seq: s, Hash: fmt.Sprint("h", s), Prev: fmt.Sprint("h", s-1), Entry: fmt.Sprint("e", s)})
	}
	w.Records(node, board, "a/1", seqs[0], seqs[len(seqs)-1], rs)
}

func TestAHonestRunIsClean(t *testing.T) {
	w := newWorld()
	for _, s := range w.seen {
		w.reader.Saw(board, s)
	}
	w.reader.Complete(board)
	w.lists(w.seen...)
	w.records("a", 1, 2, 3)
	w.records("b", 1, 2, 3)
	w.Hash("a", board, "h")
	w.Hash("b", board, "h")
	w.Unread("a", "bob", board, 3, w.seen)
	p := check.Post{Board: board, Author: "ann", MsgID: "no", Text: "refused"}
	w.Refused(p, "a", "QUOTA")
	w.Counter("a", "QUOTA", 1)
	w.Settle("a", "b")
	if err := w.Err(); err != nil {
		t.Fatal(err)
	}
	want := check.Report{Posted: 4, Acked: 3, Refused: 1, Visible: 3}
	if got := w.Report(); got != want {
		t.Fatalf("report is %+v, want %+v", got, want)
	}
}

// TestEachViolationIsFound feeds one broken promise at a time: a checker that cannot fail proves nothing.
func TestEachViolationIsFound(t *testing.T) {
	for _, tt := range []struct {
		name, invariant, text string
		do                    func(*world)
	}{
		{"acked here and not shown here", "I1", "does not show it", func(w *world) {
			w.List("a", board, w.Now(), w.seen[:2])
		}},
		{"acked and missing elsewhere in the end", "I1", "never got", func(w *world) {
			w.List("a", board, w.Now(), w.seen)
			w.List("b", board, w.Now(), w.seen[:2])
			w.Settle("a", "b")
		}},
		{"acked and missing everywhere in the end", "I1", "does not show it", func(w *world) {
			w.lists(w.seen[:2]...)
			w.Settle("a", "b")
		}},
		{"settled without a list", "I1", "was not asked", func(w *world) { w.Settle("a") }},
		{"settled with a list from before the last post", "I1", "before its last post", func(w *world) {
			at := w.Now()
			p := check.Post{Board: board, Author: "ann", MsgID: "m4", Text: "text 4"}
			w.Attempt(p)
			w.Acked(p, check.Ack{Node: "a", Entry: "e4"})
			w.List("a", board, at, w.seen)
			w.Settle("a")
		}},
		{"a reader that was never shown a post", "I1", "never shown", func(w *world) {
			w.reader.Saw(board, w.seen[0])
			w.reader.Saw(board, w.seen[2])
			w.reader.Complete(board)
		}},
		{"a stream shows an entry twice", "I2", "twice", func(w *world) {
			w.reader.Saw(board, w.seen[0])
			w.reader.Saw(board, w.seen[0])
		}},
		{"a stream shows a post under two entry ids", "I2", "twice", func(w *world) {
			w.reader.Saw(board, w.seen[0])
			s := w.seen[0]
			s.Entry, s.Device, s.DevSeq = "e1 of another node", "node b", 1
			w.reader.Saw(board, s)
		}},
		{"a list shows a post twice", "I2", "twice", func(w *world) {
			w.List("a", board, w.Now(), append(w.seen, w.seen[2]))
		}},
		{"a device's entries have a gap", "I2", "numbered", func(w *world) {
			w.List("b", board, w.Now(), []check.Seen{w.seen[0], w.seen[2]})
		}},
		{"a log has a hole", "I2", "hole", func(w *world) { w.records("b", 1, 3) }},
		{"a log is shorter than claimed", "I2", "claims", func(w *world) {
			w.Records("b", board, "a/1", 1, 5, []check.Record{{Seq: 1, Hash: "h1"}})
		}},
		{"a stream overtakes", "I3", "after number", func(w *world) {
			w.reader.Saw(board, w.seen[1])
			w.reader.Saw(board, w.seen[0])
		}},
		{"a stream overtakes, and only the sender's own numbers tell", "I3", "after number", func(w *world) {
			for _, i := range []int{1, 0} {
				w.reader.Saw(board, check.Seen{Entry: w.seen[i].Entry, Text: w.seen[i].Text})
			}
		}},
		{"a list overtakes", "I3", "after number", func(w *world) {
			w.List("a", board, w.Now(), []check.Seen{w.seen[1], w.seen[0], w.seen[2]})
		}},
		{"nodes show another order", "I4", "differently", func(w *world) {
			for i := range w.posts { // no sender's order, equal stamps: only the difference counts
				w.seen[i].DevSeq, w.seen[i].HLC = 0, 5
			}
			c := check.New()
			for _, p := range w.posts {
				p.Seq = 0
				c.Attempt(p)
			}
			c.List("a", board, c.Now(), w.seen)
			c.List("b", board, c.Now(), []check.Seen{w.seen[1], w.seen[0], w.seen[2]})
			c.Settle("a", "b")
			w.Checker = c
		}},
		{"stamps are not in order", "I4", "greater stamp", func(w *world) {
			w.seen[0].HLC = 1000
			w.List("a", board, w.Now(), w.seen)
		}},
		{"equal boards with different hashes", "I4", "hashes", func(w *world) {
			w.lists(w.seen...)
			w.Hash("a", board, "x")
			w.Hash("b", board, "y")
			w.Settle("a", "b")
		}},
		{"an entry that nobody posted", "I5", "nobody posted", func(w *world) {
			w.reader.Saw(board, check.Seen{Entry: "x", Author: "ann", MsgID: "m9", Text: "I never said this"})
		}},
		{"a text that was not posted", "I5", "text that was not posted", func(w *world) {
			w.seen[0].Text = "other"
			w.List("b", board, w.Now(), w.seen)
		}},
		{"another author", "I5", "posted it", func(w *world) {
			w.seen[0].Author = "eve"
			w.List("b", board, w.Now(), w.seen)
		}},
		{"an unread count that is off", "I7", "counted one by one", func(w *world) {
			w.seen[0].Own = true
			w.Unread("a", "bob", board, 3, w.seen)
		}},
		{"a mark that goes back", "I7", "went back", func(w *world) {
			w.seen[0].Read = true
			w.Unread("a", "bob", board, 2, w.seen)
			w.seen[0].Read = false
			w.Unread("a", "bob", board, 3, w.seen)
		}},
		{"a refused post that shows", "I10", "refused", func(w *world) {
			p := check.Post{Board: board, Author: "ann", MsgID: "m4", Text: "text 4"}
			w.Refused(p, "a", "QUOTA")
			w.lists(append(w.seen, check.Seen{Entry: "e4", Author: "ann", MsgID: "m4", Text: "text 4", HLC: 200})...)
			w.Settle("a", "b")
		}},
		{"a refusal that was not counted", "I10", "counted 0", func(w *world) {
			w.lists(w.seen...)
			w.Refused(check.Post{Board: board, Author: "ann", MsgID: "m4"}, "a", "QUOTA")
			w.Counter("a", "QUOTA", 0)
			w.Settle("a", "b")
		}},
		{"one seq with two records", "I11", "two contents", func(w *world) {
			w.records("a", 1, 2, 3)
			w.Records("b", board, "a/1", 2, 2, []check.Record{{Seq: 2, Hash: "other"}})
		}},
		{"one seq acknowledged for two posts", "I11", "two contents", func(w *world) {
			p := check.Post{Board: board, Author: "ann", MsgID: "m4", Text: "text 4"}
			w.Acked(p, check.Ack{Node: "a", Entry: "e4", Origin: "a/1", Seq: 3})
		}},
		{"a chain that does not link", "I11", "link", func(w *world) {
			w.Records("b", board, "a/1", 1, 2, []check.Record{{Seq: 1, Hash: "h1"}, {Seq: 2, Hash: "h2", Prev: "x"}})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			if err := w.Err(); err != nil {
				t.Fatalf("broken before it began: %v", err)
			}
			tt.do(w)
			for _, v := range w.Violations() {
				if v.Invariant == tt.invariant && strings.Contains(v.Text, tt.text) {
					return
				}
			}
			t.Fatalf("not found; violations: %v", w.Violations())
		})
	}
}

func TestLateIsNoViolation(t *testing.T) {
	w := newWorld()
	w.reader.Saw(board, w.seen[1])
	w.seen[0].Late = true
	w.reader.Saw(board, w.seen[0])
	w.reader.Saw(board, w.seen[2])
	if err := w.Err(); err != nil {
		t.Fatal(err)
	}
	if r := w.Report(); r.Late != 1 || r.OutOfOrder != 0 {
		t.Fatalf("report %+v", r)
	}
}

func TestHiddenMayShowAgain(t *testing.T) {
	w := newWorld()
	w.reader.Saw(board, w.seen[0])
	w.reader.Hid(board, w.seen[0].Entry)
	again := w.seen[0]
	again.Late = true // its device's later entries may have been shown in between
	w.reader.Saw(board, again)
	if err := w.Err(); err != nil {
		t.Fatal(err)
	}
}

// After a rollback only what no other node ever showed may be missing.
func TestRollback(t *testing.T) {
	w := newWorld()
	copied := w.Now()
	for i := 4; i <= 5; i++ {
		p := check.Post{Board: board, Author: "ann", MsgID: fmt.Sprint("m", i), Text: fmt.Sprint("text ", i)}
		w.Attempt(p)
		w.Acked(p, check.Ack{Node: "a", Entry: fmt.Sprint("e", i)})
	}
	four := check.Seen{Entry: "e4", Author: "ann", MsgID: "m4", Text: "text 4", HLC: 104}
	w.List("b", board, w.Now(), append(w.seen, four))
	w.RolledBack("a", copied)
	w.List("a", board, w.Now(), w.seen) // right after the restart: short, and allowed to be
	if err := w.Err(); err != nil {
		t.Fatal(err)
	}
	w.lists(append(w.seen, four)...)
	w.Settle("a", "b")
	if err := w.Err(); err != nil {
		t.Fatalf("5 was seen by nobody else and may be gone: %v", err)
	}
	w.lists(w.seen...)
	w.Settle("a", "b")
	if w.Err() == nil {
		t.Fatal("4 was seen by b and must not be gone")
	}
}

// What only a node knew that is away cannot be asked of the others; when it is back, it can.
func TestAPostThatOnlyAnAbsentNodeHolds(t *testing.T) {
	w := newWorld()
	w.List("b", board, w.Now(), nil)
	w.Settle("b")
	if err := w.Err(); err != nil {
		t.Fatal(err)
	}
	w.List("a", board, w.Now(), w.seen)
	w.Settle("a", "b")
	if w.Err() == nil {
		t.Fatal("a is back and b still lacks everything")
	}
}

// What is known only by its text, as on a command line, resolves unless two posts share the text.
func TestResolvingByText(t *testing.T) {
	w := newWorld()
	w.reader.Saw(board, check.Seen{Entry: "unknown id", Text: "text 1"})
	p := check.Post{Board: board, Author: "ann", MsgID: "m4", Text: "text 2"}
	w.Attempt(p)
	w.reader.Saw(board, check.Seen{Entry: "unknown id 2", Text: "text 2"})
	if err := w.Err(); err != nil {
		t.Fatal(err)
	}
	w.reader.Saw(board, check.Seen{Entry: "unknown id 3", Text: "text 9"})
	if w.Err() == nil {
		t.Fatal("a text that nobody posted was accepted")
	}
}
