package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"weft/board"
)

// damagedStore makes a store with tables, a memtable's log and all other kinds of files, held by a second node too.
func damagedStore(t *testing.T) (f, peer *fixture, want []string) {
	f = newTeamNode(t, 1, nil)
	peer = f.join(2)
	f.fill(2500)
	f.large(6)
	if err := f.s.Compact(context.Background()); err != nil {
		t.Fatal(err)
	}
	f.reopen() // moves what is in memory into a table
	f.fill(1200)
	f.large(6)
	peer.pull(f)
	if err := f.s.writeWitness(); err != nil { // as happens every few seconds
		t.Fatal(err)
	}
	live := f.dir
	f.dir = copyFolder(t, live) // as after a crash
	f.close()
	return f, peer, peer.texts()
}

// large appends posts that stand in the value log.
func (f *fixture) large(n int) {
	f.t.Helper()
	for i := range n {
		f.n++
		body := strings.Repeat(fmt.Sprintf("large %d of %d ", i, f.n), 2000+300*(i%6))
		if _, err := f.s.Append(context.Background(), []Draft{f.draft(body, fmt.Sprint("large ", f.n))}); err != nil {
			f.t.Fatal(err)
		}
	}
}

// TestDamagedFilesNeverGiveWrongData flips bits in, and cuts, a file of every kind, then opens the store. Either Open says
// why it refuses, or all that is read is right; what is missing is reported, and a peer brings it back.
func TestDamagedFilesNeverGiveWrongData(t *testing.T) {
	base, peer, want := damagedStore(t)
	names, err := os.ReadDir(base.dir)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	rnd := rand.New(rand.NewPCG(7, 7))
	for _, n := range names {
		kind := strings.TrimLeft(n.Name(), "0123456789")
		if kinds[kind]++; kinds[kind] > 1+atLength(2) {
			continue
		}
		for _, how := range []string{"flip", "flip", "cut", "zero"} {
			t.Run(fmt.Sprintf("%s %s %d", how, n.Name(), kinds[kind]), func(t *testing.T) {
				f := *base
				f.t, f.dir = t, filepath.Join(t.TempDir(), "store")
				if err := os.CopyFS(f.dir, os.DirFS(base.dir)); err != nil {
					t.Fatal(err)
				}
				if !damageFile(t, filepath.Join(f.dir, n.Name()), how, rnd) {
					return
				}
				f.checkDamaged(peer, want)
			})
		}
	}
	for _, k := range []string{".sst", ".mem", ".vlog", "MANIFEST", "KEYREGISTRY", "DISCARD", "witness"} {
		if kinds[k] == 0 {
			t.Errorf("no file of kind %s was there to be damaged: %v", k, kinds)
		}
	}
}

func damageFile(t *testing.T, name, how string, rnd *rand.Rand) bool {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	used := len(b) // files are made large in advance: what counts is at the beginning
	for used > 0 && b[used-1] == 0 {
		used--
	}
	if used == 0 {
		return false
	}
	switch at := rnd.IntN(used); how {
	case "flip":
		b[at] ^= 1 << rnd.IntN(8)
	case "cut":
		b = b[:at]
	case "zero":
		clear(b[at:min(len(b), at+4096)])
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return true
}

// checkDamaged opens a damaged store, reads everything and compares it with what was there.
func (f *fixture) checkDamaged(peer *fixture, want []string) {
	t, ctx := f.t, context.Background()
	s, err := Open(ctx, f.options())
	if err != nil {
		if !strings.Contains(err.Error(), "restore") && !errors.Is(err, ErrManifestMissing) {
			t.Fatalf("refused without advice: %v", err)
		}
		return
	}
	f.s = s
	defer f.close()
	got, reported := f.readAll()
	if !subsequence(got, want) {
		t.Fatalf("read what was never there, or out of order: %d of %d", len(got), len(want))
	}
	st := s.Status()
	t.Logf("read %d of %d, reported %v, status %+v", len(got), len(want), reported, st)
	if len(got) < len(want) && !reported && st.Short == "" && st.Damaged == 0 && !st.Mended {
		t.Fatalf("%d of %d entries are missing without a word: %+v", len(want)-len(got), len(want), st)
	}
	if _, err := s.Check(ctx, nil); err != nil { // finds what else is damaged
		t.Fatal(err)
	}
	if !slices.Contains(s.Teams(), f.team) {
		t.Fatal("the node does not know any more that it is in the team")
	}
	if err := s.SetKV(ctx, "x", nil); err != nil { // the committer has noted it
		t.Fatal(err)
	}
	for range 3 {
		f.repull(peer)
	}
	if back, _ := f.readAll(); !slices.Equal(back, want) {
		t.Fatalf("%d of %d after the repair: %+v", len(back), len(want), s.Status())
	}
	f.n = 1 << 20
	if r := f.post("after"); r.Position.Seq != 1 {
		t.Fatalf("seq %d: no new epoch", r.Position.Seq)
	}
	seen(&testing.T{}, f, peer)
}

// readAll reads pages and says whether something was reported as damaged.
func (f *fixture) readAll() (out []string, reported bool) {
	q := PageQuery{Limit: 500, After: &board.OrderKey{}}
	for {
		p, err := f.s.Page(context.Background(), f.board, q)
		if err != nil {
			return out, true
		}
		reported = reported || p.Damaged > 0
		for _, e := range p.Entries {
			out = append(out, string(e.Entry.Body))
		}
		if !p.Newer || len(p.Entries) == 0 {
			return out, reported
		}
		k := p.Entries[len(p.Entries)-1].Entry.Order()
		q.After = &k
	}
}

// repull pulls like replication does: what the holding says is missing, where the peer has it.
func (f *fixture) repull(peer *fixture) {
	f.t.Helper()
	for _, info := range peer.s.Boards(f.team) {
		if f.s.Holding(info.ID) != nil {
			f.pullBoard(peer, info.ID)
			f.pullHoles(peer, info.ID)
		}
	}
}

// pullHoles fetches what is missing of epochs that later ones seal.
func (f *fixture) pullHoles(peer *fixture, b board.ID) {
	f.t.Helper()
	theirs, mine := peer.s.Holding(b), f.s.Holding(b)
	for _, n := range theirs.Nodes() {
		for _, st := range theirs.Stretches(n) {
			o := board.Origin{Node: n, Epoch: st.Epoch}
			held, _ := mine.Get(o)
			for first := held.Hi + 1; first <= st.Hi; {
				r, err := peer.s.Run(context.Background(), b, o, first, st.Hi, 32<<10)
				if err != nil {
					f.t.Fatal(err)
				}
				if _, err := f.s.Ingest(context.Background(), f.team, r, false); err != nil {
					f.t.Fatal(err)
				}
				first = r.LastSeq() + 1
			}
		}
	}
}

func subsequence(got, want []string) bool {
	i := 0
	for _, g := range got {
		for i < len(want) && want[i] != g {
			i++
		}
		if i == len(want) {
			return false
		}
		i++
	}
	return true
}

// TestDamageFoundWhileRunningIsMended has the store find out about a damaged table after Open.
func TestDamageFoundWhileRunningIsMended(t *testing.T) {
	f, peer, want := damagedStore(t)
	f.open()
	var lost atomic.Int32
	f.s.OnCommit(func(cs []Committed) {
		for _, c := range cs {
			if c.Lost {
				lost.Add(1)
			}
		}
	})
	id := f.s.ID()
	table := tableFiles(f.dir)[0]
	b, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(b) / 10; i < len(b)/2; i += 997 {
		b[i] ^= 4
	}
	if err := os.WriteFile(table, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.s.submit(f.s.stop, &mendTask{s: f.s, found: "a test"}); err != nil {
		t.Fatal(err)
	}
	f.await(func() bool { return f.s.ID() != id && !f.s.mending.Load() })
	if lost.Load() == 0 {
		t.Error("replication was not told what is lost")
	}
	for range 2 {
		f.repull(peer)
	}
	if got := f.texts(); !slices.Equal(got, want) {
		t.Fatalf("%d of %d after the repair", len(got), len(want))
	}
	f.n = 1 << 20
	f.post("after")
}
