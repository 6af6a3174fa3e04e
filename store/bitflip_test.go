package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weft/board"
)

// TestFlippedBitsInTheValueLogAreNeverSilent: a page is as long as it should be, or says how many entries it leaves out;
// from the first one after Open on, in both directions.
func TestFlippedBitsInTheValueLogAreNeverSilent(t *testing.T) {
	base := newTeamNode(t, 1, nil)
	for range 6 {
		base.fill(7)
		base.large(3)
	}
	base.reopen() // moves what is in memory into a table
	for range 3 {
		base.fill(7)
		base.large(3)
	}
	want := base.texts()
	live := base.dir
	base.dir = copyFolder(t, live) // as after a crash
	base.close()
	logs, err := filepath.Glob(filepath.Join(base.dir, "*.vlog"))
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}
	rnd := rand.New(rand.NewPCG(34, 34))
	short := 0
	rounds := atLength(60)
	for i := range rounds {
		f := *base
		f.t, f.dir = t, filepath.Join(t.TempDir(), "store")
		if err := os.CopyFS(f.dir, os.DirFS(base.dir)); err != nil {
			t.Fatal(err)
		}
		how := f.flip(logs[rnd.IntN(len(logs))], 1+rnd.IntN(40), rnd)
		s, err := Open(context.Background(), f.options())
		if err != nil {
			if !strings.Contains(err.Error(), "restore") {
				t.Fatalf("%d, %s: refused without advice: %v", i, how, err)
			}
			continue
		}
		f.s = s
		for read := range 4 {
			got, left := f.pages(7+read, read%2 == 1)
			if !subsequence(got, want) {
				t.Fatalf("%d, %s: reads what was never there, or out of order", i, how)
			}
			if len(got)+left != len(want) {
				t.Fatalf("%d, %s: %d of %d entries, and %d were said to be left out", i, how, len(got), len(want), left)
			}
			if read == 0 && left > 0 {
				short++
			}
		}
		f.close()
	}
	if short < rounds/6 {
		t.Errorf("something was missing in %d rounds only", short)
	}
}

// flip turns round bits of a file, of what is used of it.
func (f *fixture) flip(name string, n int, rnd *rand.Rand) string {
	f.t.Helper()
	name = filepath.Join(f.dir, filepath.Base(name))
	b, err := os.ReadFile(name)
	if err != nil {
		f.t.Fatal(err)
	}
	used := len(b)
	for used > 0 && b[used-1] == 0 {
		used--
	}
	if used == 0 {
		return "nothing"
	}
	for range n {
		b[rnd.IntN(used)] ^= 1 << rnd.IntN(8)
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		f.t.Fatal(err)
	}
	return fmt.Sprintf("%d bits of %s", n, filepath.Base(name))
}

// pages reads everything, and counts what pages say that they leave out. back: from the newest on.
func (f *fixture) pages(limit int, back bool) (out []string, left int) {
	f.t.Helper()
	q := PageQuery{Limit: limit}
	if !back {
		q.After = &board.OrderKey{}
	}
	for {
		p, err := f.s.Page(context.Background(), f.board, q)
		if err != nil {
			f.t.Fatal(err)
		}
		left += p.Damaged
		texts := []string{}
		for _, e := range p.Entries {
			texts = append(texts, string(e.Entry.Body))
		}
		if back {
			out = append(texts, out...)
		} else {
			out = append(out, texts...)
		}
		more := p.Newer
		if back {
			more = p.Older
		}
		if !more || len(p.Entries) == 0 {
			return slices.Clip(out), left
		}
		if back {
			k := p.Entries[0].Entry.Order()
			q.Before = &k
		} else {
			k := p.Entries[len(p.Entries)-1].Entry.Order()
			q.After = &k
		}
	}
}
