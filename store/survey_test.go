package store

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
)

// ownLog is the only log of f's node in the board.
func (f *fixture) ownLog() *logState {
	f.t.Helper()
	logs := f.s.memory().boards[f.board].byNode[board.NodeID(f.who.node.Public())]
	if len(logs) != 1 {
		f.t.Fatalf("%d logs", len(logs))
	}
	return logs[0]
}

// write puts values in the place of records, behind the committer's back; nil: none.
func (f *fixture) write(n logNum, values map[uint64][]byte) {
	f.t.Helper()
	txn := f.s.db.NewTransactionAt(f.s.snaps.last(), true)
	defer txn.Discard()
	for seq, v := range values {
		k := recordKey(pos{n, seq})
		err := txn.Delete(k)
		if v != nil {
			err = txn.Set(k, v)
		}
		if err != nil {
			f.t.Fatal(err)
		}
	}
	if err := f.s.commitAt(txn, func() {}); err != nil {
		f.t.Fatal(err)
	}
}

func TestASurveyFindsWhatIsDamagedOfALog(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	f.fill(20)
	l := f.ownLog()
	huge := []byte(strings.Repeat("damaged", 5000)) // stands in the value log
	f.write(l.num, map[uint64][]byte{1: huge, 4: []byte("damaged"), 5: nil, 6: nil, 9: []byte("damaged"), 10: huge, 20: nil})
	for _, c := range []struct {
		rows  rows
		large bool
		want  []rows
	}{
		{rows{1, 20}, false, []rows{{1, 1}, {4, 6}, {9, 10}, {20, 20}}},
		{rows{1, 20}, true, []rows{{1, 1}, {5, 6}, {10, 10}, {20, 20}}}, // and what is missing
		{rows{6, 9}, false, []rows{{6, 6}, {9, 9}}},
		{rows{11, 19}, false, nil},
		{rows{19, 22}, false, []rows{{20, 22}}},
	} {
		err := f.s.view(func(_ *memory, txn *badger.Txn) error {
			if got := surveyRows(txn, l.num, c.rows, c.large, nil); !slices.Equal(got, c.want) {
				t.Errorf("%v, large only %v: found %v, want %v", c.rows, c.large, got, c.want)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	err := f.s.view(func(_ *memory, txn *badger.Txn) error { // parts of one range are one
		if got := surveyRows(txn, l.num, rows{6, 6}, false, []rows{{4, 5}}); !slices.Equal(got, []rows{{4, 6}}) {
			t.Errorf("found %v", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestASurveyNotesWhatIsStillDamaged: what was found may be mended, pruned, or of a log that is another one by now.
func TestASurveyNotesWhatIsStillDamaged(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	f.fill(20)
	l := f.ownLog()
	f.write(l.num, map[uint64][]byte{7: []byte("damaged"), 12: []byte("damaged")})
	note := func(o board.Origin, found ...rows) (damaged []rows) {
		t.Helper()
		task := &surveyTask{s: f.s, log: l.num, origin: o, found: found, done: make(chan struct{})}
		if err := f.s.submit(nil, task); err != nil {
			t.Fatal(err)
		}
		<-task.done
		l.board.mu.Lock()
		defer l.board.mu.Unlock()
		return slices.Clone(l.damaged)
	}
	for _, c := range []struct {
		what  string
		o     board.Origin
		found []rows
		want  []rows
	}{
		{"nothing", l.origin, nil, nil},
		{"mended meanwhile", l.origin, []rows{{2, 3}}, nil},
		{"beyond the log", l.origin, []rows{{21, 30}}, nil},
		{"another log", board.Origin{Node: l.origin.Node, Epoch: board.Epoch{N: 99}}, []rows{{7, 7}}, nil},
		{"partly mended", l.origin, []rows{{5, 7}}, []rows{{7, 7}}},
		{"one more", l.origin, []rows{{12, 12}}, []rows{{7, 7}, {12, 12}}},
	} {
		if got := note(c.o, c.found...); !slices.Equal(got, c.want) {
			t.Fatalf("%s: %v are noted, want %v", c.what, got, c.want)
		}
	}
	if damaged, above := f.s.DamagedIn(f.board); damaged != 2 || above != 12 {
		t.Errorf("%d damaged, %d more not named", damaged, above)
	}
	if h := f.s.Holding(f.board); h.Holds(l.origin, 7) || !h.Holds(l.origin, 6) {
		t.Errorf("holds %v", h.Vector())
	}
	f.reopen()
	l = f.s.memory().boards[f.board].byNode[l.origin.Node][0]
	if !slices.Equal(l.damaged, []rows{{7, 7}, {12, 12}}) {
		t.Errorf("after a start %v are noted", l.damaged)
	}
}

func TestRowsAreJoinedUntilFewAreLeft(t *testing.T) {
	for _, c := range []struct {
		rs   []rows
		most int
		want []rows
	}{
		{nil, 3, nil},
		{[]rows{{5, 6}, {1, 2}, {3, 3}}, 3, []rows{{1, 3}, {5, 6}}},
		{[]rows{{1, 9}, {2, 3}}, 3, []rows{{1, 9}}},
		{[]rows{{1, 1}, {3, 3}, {9, 9}, {50, 50}}, 3, []rows{{1, 3}, {9, 9}, {50, 50}}},
		{[]rows{{1, 1}, {3, 3}, {9, 9}, {50, 50}}, 2, []rows{{1, 9}, {50, 50}}},
		{[]rows{{1, 1}, {1 << 60, 1 << 60}}, 1, []rows{{1, 1 << 60}}},
	} {
		if got := joinRows(slices.Clone(c.rs), c.most); !slices.Equal(got, c.want) {
			t.Errorf("%v to %d: %v, want %v", c.rs, c.most, got, c.want)
		}
	}
}

// TestAPartOfTheValueLogThatIsMissingIsNoticed by what tables point at.
func TestAPartOfTheValueLogThatIsMissingIsNoticed(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	f.large(5)
	f.close()
	var noted pointers
	for _, name := range tableFiles(f.dir) {
		if err := checkTable(name, noted.note); err != nil {
			t.Fatal(err)
		}
	}
	if len(noted.ends) != 1 {
		t.Fatalf("tables point at %v", noted.ends)
	}
	var file uint32
	var end uint64
	for file, end = range noted.ends {
	}
	name := filepath.Join(f.dir, fmt.Sprintf("%06d.vlog", file))
	sizes := valueFiles(f.dir)
	if sizes[file] < end || end < 5*20_000 {
		t.Fatalf("tables point at %d bytes of %v", end, sizes)
	}
	look := func(was map[uint32]uint64) bool { // with one log, and nobody who reads through it
		s := &Store{opts: Options{Dir: f.dir, Log: slog.New(slog.DiscardHandler)}, valueFiles: was}
		s.surveys.nudge, s.surveys.logs = make(chan struct{}, 1), map[logNum]bool{}
		s.pointers.ends = map[uint32]uint64{file: end}
		m := newMemory()
		m.logs = append(m.logs, &logState{num: 1, board: &boardState{}})
		s.mem.Store(m)
		s.valuesMissing()
		if s.pointers.ends != nil {
			t.Error("it would be said again")
		}
		return s.Suspects()
	}
	if look(sizes) {
		t.Error("nothing is missing, and yet it is looked for")
	}
	if !look(map[uint32]uint64{}) {
		t.Error("a file that was gone, and was made anew by the database, is not missed")
	}
	if !look(map[uint32]uint64{file: end - 1}) {
		t.Error("a file that was too short is not missed")
	}
	if err := os.Truncate(name, int64(end-1)); err != nil {
		t.Fatal(err)
	}
	if !look(sizes) {
		t.Error("a file that is too short is not missed")
	}
	if err := os.WriteFile(filepath.Join(f.dir, "x.vlog"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := valueFiles(f.dir); got[file] != end-1 || len(got) != len(sizes) {
		t.Errorf("files of the value log: %v", got)
	}
}
