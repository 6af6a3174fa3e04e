package store

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weft/board"
	"weft/team"
)

// words of English, about as often as in text.
var words = strings.Fields(`the of and to in a is that for it as was with be by on not he his but at are this have from or
had an they which one you were all her she there would their we him been has when who will no more if out so up said what
its about than into them can only other time new some could these two may first then do any like my now over such our man
me even most made after also did many off before must well back through years much where your way down should because long
each just state those people too mr how little good world make very year still see own work men day get here old life both
between being under three never know same last another while us might great go come since against right came take used
himself few house american use place during high without again home around small however found mrs part school thought went
say general once upon war left every does number message network board reader server coffee meeting tomorrow deploy review`)

// sentence makes about n bytes of English.
func sentence(rnd *rand.Rand, n int) string {
	var b strings.Builder
	for b.Len() < n {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(words[int(float64(len(words))*rnd.Float64()*rnd.Float64())])
	}
	return b.String()[:n]
}

// fill appends n posts of 200 bytes in batches.
func (f *fixture) fill(n int) {
	f.n++
	rnd := rand.New(rand.NewPCG(1, uint64(f.n)))
	for i := 0; i < n; {
		var ds []Draft
		for len(ds) < 500 && i < n {
			ds = append(ds, f.draft(sentence(rnd, 200), fmt.Sprintf("%016x", rnd.Uint64())))
			i++
		}
		if _, err := f.s.Append(context.Background(), ds); err != nil {
			f.t.Fatal(err)
		}
	}
}

func folderSize(t testing.TB, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(p, ".sst") {
			i, err := d.Info()
			if err != nil {
				return err
			}
			n += i.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 32, 256} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			f := newTeamNode(b, 1, func(o *Options) { o.MemTable = 0 })
			rnd := rand.New(rand.NewPCG(1, 2))
			texts := make([]string, 1024)
			for i := range texts {
				texts[i] = sentence(rnd, 200)
			}
			var n atomic.Int64
			b.SetParallelism((writers + 1) / 2)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := n.Add(1)
					if _, err := f.s.Append(context.Background(), []Draft{f.draft(texts[i%1024], fmt.Sprintf("%032d", i))}); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
		})
	}
}

// BenchmarkLarge reads a board of 200,000 entries: a page, unread counts, the disk that each post takes once compacted.
func BenchmarkLarge(b *testing.B) {
	const n = 200_000
	f := newTeamNode(b, 1, func(o *Options) { o.MemTable = 0 })
	f.fill(n)
	if err := f.s.Compact(context.Background()); err != nil {
		b.Fatal(err)
	}
	f.close()
	f.open()
	if err := f.s.Compact(context.Background()); err != nil {
		b.Fatal(err)
	}
	size := folderSize(b, f.dir)
	b.Run("page", func(b *testing.B) {
		for b.Loop() {
			if p, err := f.s.Page(context.Background(), f.board, PageQuery{}); err != nil || len(p.Entries) != 50 {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(size)/n, "B/post")
	})
	b.Run("unread", func(b *testing.B) {
		var u board.UserID
		u[0] = 1
		if err := f.s.AddUser(context.Background(), u); err != nil {
			b.Fatal(err)
		}
		bs, _ := f.s.memory().board(f.board)
		for b.Loop() {
			bs.mu.Lock()
			bs.markOf(u).known = false
			bs.mu.Unlock()
			if c, err := f.s.Unread(u, f.board); err != nil || c != n {
				b.Fatal(c, err)
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			f.reopen()
		}
	})
	b.Run("changes", func(b *testing.B) {
		for b.Loop() {
			var c Cursor
			for total := 0; total < 10_000; {
				cs, next, err := f.s.Changes(context.Background(), c, 256, Filter{})
				if err != nil {
					b.Fatal(err)
				}
				total, c = total+len(cs), next
			}
		}
	})
}

// runs are the first n records of the only log that f holds of its board.
func (f *fixture) runs(n uint64) (out []*board.Run) {
	f.t.Helper()
	leaf := f.s.Vector(f.board)[0]
	for first := uint64(1); first <= n; {
		r, err := f.s.Run(context.Background(), f.board, board.Origin{Node: leaf.Node, Epoch: leaf.Epoch}, first, n, 256<<10)
		if err != nil {
			f.t.Fatal(err)
		}
		out, first = append(out, r), r.LastSeq()+1
	}
	return out
}

func (f *fixture) ingest(runs []*board.Run) {
	f.t.Helper()
	for _, r := range runs {
		if _, err := f.s.Ingest(context.Background(), f.team, r, false); err != nil {
			f.t.Fatal(err)
		}
	}
}

// BenchmarkIngest pulls a log of 20,000 posts into an empty board, signatures checked.
func BenchmarkIngest(b *testing.B) {
	const n = 20_000
	f := newTeamNode(b, 1, nil)
	f.fill(n)
	runs := f.runs(n)
	for i := byte(0); b.Loop(); i++ {
		b.StopTimer()
		g := f.joinEmpty(10 + i)
		b.StartTimer()
		g.ingest(runs)
		b.StopTimer()
		g.close()
		b.StartTimer()
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkFlip removes somebody whose 100,000 entries nobody had accepted, and posts meanwhile.
func BenchmarkFlip(b *testing.B) {
	const n = 100_000
	for range b.N {
		b.StopTimer()
		f := newTeamNode(b, 1, func(o *Options) { o.MemTable = 0 })
		g := f.join(2)
		o := f.removal(g)
		g.fill(n)
		f.pull(g)
		b.StartTimer()
		start := time.Now()
		f.object(o)
		var waits []time.Duration
		for f.s.pendingWork() {
			at := time.Now()
			f.post("meanwhile")
			waits = append(waits, time.Since(at))
		}
		took := time.Since(start)
		b.StopTimer()
		if left := len(f.texts()); left != len(waits) {
			b.Fatalf("%d entries show, %d were posted", left, len(waits))
		}
		slices.Sort(waits)
		b.ReportMetric(float64(n)/took.Seconds(), "flips/s")
		b.ReportMetric(float64(waits[len(waits)/2].Microseconds())/1000, "post-p50-ms")
		b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds())/1000, "post-p99-ms")
		b.ReportMetric(float64(waits[len(waits)-1].Microseconds())/1000, "post-max-ms")
	}
}

// BenchmarkIngestOfSomebodyRemoved is BenchmarkIngest where a cut decides about every entry.
func BenchmarkIngestOfSomebodyRemoved(b *testing.B) {
	const n = 20_000
	f := newTeamNode(b, 1, nil)
	g := f.join(2)
	g.fill(n)
	f.pull(g)
	f.set(g.who.id.User, team.Removed)
	runs := f.runs(n)
	for i := byte(0); b.Loop(); i++ {
		b.StopTimer()
		h := f.joinEmpty(10 + i)
		b.StartTimer()
		h.ingest(runs)
		b.StopTimer()
		if got := h.unread(); got != n {
			b.Fatalf("%d unread", got)
		}
		h.close()
		b.StartTimer()
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}
