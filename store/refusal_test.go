package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/goleak"

	"weft/board"
)

func TestNoGoroutineOutlivesClose(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	f.close()
	before := goleak.IgnoreCurrent()
	f.open()
	nudges, stop := f.s.Subscribe()
	defer stop()
	f.post("x")
	<-nudges
	closed := f.s
	f.close()
	goleak.VerifyNone(t, before)
	if _, err := closed.Append(context.Background(), []Draft{f.draft("x", "y")}); !errors.Is(err, ErrClosed) {
		t.Fatalf("append after Close: %v", err)
	}
	if _, err := closed.Page(context.Background(), f.board, PageQuery{}); !errors.Is(err, ErrClosed) {
		t.Fatalf("page after Close: %v", err)
	}
}

func TestSecondOpenerIsToldWhoHasTheFolder(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	if _, err := Open(context.Background(), f.options()); !errors.Is(err, ErrLocked) {
		t.Fatalf("second open: %v", err)
	}
	f.post("still works")
}

func TestNewerFormatIsRefused(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	f.post("x")
	k := storeKey("format")
	txn := f.s.db.NewTransactionAt(f.s.snaps.last(), true)
	if err := txn.Set(k, seal(k, binary.BigEndian.AppendUint32(nil, format+1))); err != nil {
		t.Fatal(err)
	}
	if err := f.s.commitAt(txn, func() {}); err != nil {
		t.Fatal(err)
	}
	f.close()
	if _, err := Open(context.Background(), f.options()); !errors.Is(err, ErrNewerFormat) {
		t.Fatalf("open: %v", err)
	}
	manifest := filepath.Join(f.dir, badger.ManifestFilename)
	b, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	b[5] = format + 1
	if err := os.WriteFile(manifest, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, table := range tableFiles(f.dir) { // what a newer version writes may look like damage
		if err := os.WriteFile(table, []byte("another layout"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(context.Background(), f.options()); !errors.Is(err, ErrNewerFormat) {
		t.Fatalf("open: %v", err)
	}
}

func TestMissingManifestIsRefusedAndNothingIsTouched(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	f.fill(3000)
	if err := f.s.Compact(context.Background()); err != nil {
		t.Fatal(err)
	}
	f.close()
	manifest := filepath.Join(f.dir, badger.ManifestFilename)
	kept, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(manifest)
	if _, err := Open(context.Background(), f.options()); !errors.Is(err, ErrManifestMissing) {
		t.Fatalf("open: %v", err)
	}
	if err := os.WriteFile(manifest, kept, 0o600); err != nil {
		t.Fatal(err)
	}
	f.open()
	if info, _ := f.s.Board(f.board); info.Entries != 3000 {
		t.Fatalf("%d entries after the file was put back", info.Entries)
	}
}

func TestFolderThatCannotBeWrittenIsRefused(t *testing.T) {
	f := newNode(t, 1, newTestClock(), nil)
	f.close()
	blocked := filepath.Join(t.TempDir(), "file")
	os.WriteFile(blocked, nil, 0o600)
	f.dir = filepath.Join(blocked, "store")
	_, err := Open(context.Background(), f.options())
	if err == nil || !strings.Contains(err.Error(), "--dir") {
		t.Fatalf("open: %v", err)
	}
}

func TestThousandRetriesMakeOneEntry(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	f.post("before")
	var wg sync.WaitGroup
	var first atomic.Pointer[Receipt]
	var originals atomic.Int32
	for range 1000 {
		wg.Go(func() {
			rs, err := f.s.Append(context.Background(), []Draft{f.draft("once", "same")})
			if err != nil {
				t.Error(err)
				return
			}
			r := rs[0]
			if !r.Duplicate {
				originals.Add(1)
			}
			r.Duplicate = false
			if !first.CompareAndSwap(nil, &r) && *first.Load() != r {
				t.Errorf("another receipt: %+v, %+v", r, *first.Load())
			}
		})
	}
	wg.Wait()
	if originals.Load() != 1 {
		t.Fatalf("%d calls said that they wrote it", originals.Load())
	}
	if got := fmt.Sprint(f.texts()); got != "[before once]" {
		t.Fatal(got)
	}
	f.reopen()
	rs, err := f.s.Append(context.Background(), []Draft{f.draft("once", "same"), f.draft("new", "other"), f.draft("new", "other")})
	if err != nil || !rs[0].Duplicate || rs[0].Position != first.Load().Position || rs[1].Duplicate || !rs[2].Duplicate || rs[1].Position != rs[2].Position {
		t.Fatalf("%+v %v", rs, err)
	}
}

func TestDraftsAreRefusedWithAReason(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	stranger := newPerson(t, 9)
	for name, c := range map[string]struct {
		change func(*Draft)
		want   error
	}{
		"empty":         {func(d *Draft) { d.Body = nil }, board.ErrMalformed},
		"64 KiB + 1":    {func(d *Draft) { d.Body = bytes.Repeat([]byte("x"), board.MaxBody+1) }, board.ErrTooLarge},
		"not UTF-8":     {func(d *Draft) { d.Body = []byte{0xff, 0xfe} }, board.ErrMalformed},
		"no id":         {func(d *Draft) { d.ClientMsgID = "" }, board.ErrMalformed},
		"long id":       {func(d *Draft) { d.ClientMsgID = strings.Repeat("x", 65) }, board.ErrMalformed},
		"governance":    {func(d *Draft) { d.Kind = board.KindOperation }, board.ErrMalformed},
		"unknown team":  {func(d *Draft) { d.Team[0]++ }, ErrUnknownTeam},
		"unknown board": {func(d *Draft) { d.Board[0]++ }, board.ErrNotFound},
		"gov board":     {func(d *Draft) { d.Board = board.GovernanceID(d.Team) }, board.ErrNotFound},
		"stranger":      {func(d *Draft) { d.Author, d.Device = stranger.id.User, stranger.id.Device }, board.ErrNotMember},
	} {
		d := f.draft("text", "id-"+name)
		c.change(&d)
		if _, err := f.s.Append(context.Background(), []Draft{d}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	d := f.draft(strings.Repeat("x", board.MaxBody), "largest")
	if _, err := f.s.Append(context.Background(), []Draft{d}); err != nil {
		t.Errorf("64 KiB: %v", err)
	}
	if n := len(f.texts()); n != 1 {
		t.Errorf("%d entries show", n)
	}
}

func TestQuotaRefusesBeforeASeqIsGiven(t *testing.T) {
	f := newTeamNode(t, 1, func(o *Options) { o.Quotas = Quotas{AuthorPerSecond: 10, AuthorBurst: 5} })
	for i := range 5 {
		f.post(fmt.Sprint(i))
	}
	var q ErrQuota
	_, err := f.s.Append(context.Background(), []Draft{f.draft("over", "over")})
	if !errors.As(err, &q) || q.RetryAfter <= 0 || q.RetryAfter > 200*time.Millisecond {
		t.Fatalf("sixth post: %v", err)
	}
	if _, err := f.s.Append(context.Background(), []Draft{f.draft("0", "over")}); !errors.As(err, &q) {
		t.Fatalf("retry at once: %v", err)
	}
	f.clock.ms.Add(1000)
	rs, err := f.s.Append(context.Background(), []Draft{f.draft("over", "over")})
	if err != nil || rs[0].Position.Seq != 6 {
		t.Fatalf("after the wait: %+v %v", rs, err)
	}
}

func TestWatchdogStopsWritesAndRecovers(t *testing.T) {
	var free atomic.Uint64
	free.Store(1 << 40)
	f := newTeamNode(t, 1, func(o *Options) {
		o.MinFree, o.DiskEvery = 256<<20, time.Millisecond
		o.FreeSpace = func(string) (uint64, error) { return free.Load(), nil }
	})
	f.post("fits")
	free.Store(255 << 20)
	f.await(func() bool { return f.s.Status().Full })
	if _, err := f.s.Append(context.Background(), []Draft{f.draft("x", "x")}); !errors.Is(err, ErrStorageFull) {
		t.Fatalf("append: %v", err)
	}
	if _, err := f.s.Ingest(context.Background(), f.team, &board.Run{}, false); !errors.Is(err, ErrStorageFull) {
		t.Fatalf("ingest: %v", err)
	}
	if got := f.texts(); len(got) != 1 {
		t.Fatal("reading stopped")
	}
	free.Store(300 << 20)
	f.await(func() bool { return !f.s.Status().Full })
	f.post("fits again")
}

// await waits for a condition that other goroutines bring about.
func (f *fixture) await(cond func() bool) {
	f.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			f.t.Fatal("waited 20 s in vain")
		}
		<-tick.C
	}
}

func TestBadCursorsAreRefusedAndNeverSkip(t *testing.T) {
	ctx := context.Background()
	f := newTeamNode(t, 1, nil)
	f.post("one")
	f.close()
	old := copyFolder(t, f.dir)
	f.open()
	f.post("two")
	c := f.s.Cursor()
	beyond, other, wrong := c, c, c
	beyond.Arrival++
	other.Store[0]++
	wrong.Check++
	for name, bad := range map[string]Cursor{"beyond": beyond, "other store": other, "other tail": wrong} {
		if _, _, err := f.s.Changes(ctx, bad, 10, Filter{}); !errors.Is(err, ErrBadCursor) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.close()
	f.dir = old // the backup is put back, and goes on by another way to the same arrival
	f.open()
	for range 2 {
		f.post("another two")
	}
	if _, _, err := f.s.Changes(ctx, c, 10, Filter{}); !errors.Is(err, ErrBadCursor) {
		t.Errorf("after a rollback: %v", err)
	}
	for _, s := range []string{"x", c.String()[1:], c.String() + "A", strings.Repeat("A", 50)} {
		if _, err := ParseCursor(s); !errors.Is(err, ErrBadCursor) {
			t.Errorf("%q: %v", s, err)
		}
	}
}
