package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"weft/board"
	"weft/store"
)

// bigBoard is how many entries the board of the large-board benches has unless told otherwise.
const bigBoard = 1_000_000

// behind is how many of them the slow member has not read.
const behind = 100_000

func (l *lab) bigDir(entries int) string {
	return filepath.Join(l.data, fmt.Sprintf("board-%d", entries))
}

// openBig opens the store with the large board, which is made on the first use and kept in the data folder. Its member
// `slow` has read all but the newest 100,000 entries.
func (l *lab) openBig(ctx context.Context, entries int) (f *fixture, slow board.UserID, err error) {
	dir := l.bigDir(entries)
	_, reader, err := person(1)
	if err != nil {
		return nil, slow, err
	}
	if f, err = l.openKept(ctx, dir, reader.User); err != nil {
		return nil, slow, err
	}
	defer func() {
		if err != nil {
			f.store.Close()
		}
	}()
	if info, _ := f.store.Board(f.board); info.Entries < uint64(entries) {
		l.say("making a board of %s entries in %s (once)", number(float64(entries)), dir)
		cpu, start := cpuTime(), time.Now()
		err := f.fill(ctx, uint64(entries), func(done uint64) {
			l.say("  %s of %s", number(float64(done)), number(float64(entries)))
		})
		if err != nil {
			return f, slow, err
		}
		if wall := time.Since(start); wall > time.Second {
			l.say("made: %s entries/s, %.1f µs of CPU each", number(float64(uint64(entries)-info.Entries)/wall.Seconds()), float64((cpuTime()-cpu).Microseconds())/float64(uint64(entries)-info.Entries))
		}
	}
	if err := markBehind(ctx, f, reader.User, behind); err != nil {
		return f, slow, err
	}
	return f, reader.User, nil
}

// openKept opens or makes a fixture in a folder that is kept for the next run. One that this version can't open any
// more is made anew: nothing in it is anybody's.
func (l *lab) openKept(ctx context.Context, dir string, users ...board.UserID) (*fixture, error) {
	for again := false; ; again = true {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("couldn't make a folder for data: choose another place with --data: %w", err)
		}
		f, err := openFixture(ctx, dir, users...)
		if err == nil || again || errors.Is(err, store.ErrLocked) || errors.Is(err, store.ErrStorageFull) {
			return f, err
		}
		l.say("what an earlier run left in %s can't be used (%v); making it anew", dir, err)
		if err := os.RemoveAll(dir); err != nil {
			return nil, fmt.Errorf("couldn't remove what an earlier run left: %w", err)
		}
	}
}

// markBehind marks all but the newest n entries as read.
func markBehind(ctx context.Context, f *fixture, u board.UserID, n uint64) error {
	have, err := f.store.Unread(u, f.board)
	if err != nil || have <= n {
		return err
	}
	var q store.PageQuery
	for left := int(n); left > 0; {
		q.Limit = min(left, 1000)
		page, err := f.store.Page(ctx, f.board, q)
		if err != nil {
			return err
		}
		if len(page.Entries) == 0 {
			return nil
		}
		left -= len(page.Entries)
		k := page.Entries[0].Entry.Order()
		q.Before = &k
	}
	q.Limit = 1
	page, err := f.store.Page(ctx, f.board, q)
	if err != nil || len(page.Entries) == 0 {
		return err
	}
	_, err = f.store.ReadUpTo(ctx, u, f.board, page.Entries[0].Entry.Order())
	return err
}

// repeat calls f at least 20 times and for at least half a second, and returns how long each call took.
func repeat(ctx context.Context, f func() error) (took []time.Duration, err error) {
	start := time.Now()
	for len(took) < 20 || time.Since(start) < 500*time.Millisecond {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		t := time.Now()
		if err := f(); err != nil {
			return nil, err
		}
		took = append(took, time.Since(t))
	}
	return took, nil
}

// timed adds the median of repeated calls and their p99.
func (l *lab) timed(ctx context.Context, what string, b bar, f func() error) error {
	took, err := repeat(ctx, f)
	if err != nil {
		return err
	}
	p50, p99, _ := quantiles(took)
	l.out.add(what, p50, "ms", b)
	l.out.field("p50_ms", p50)
	l.out.field("p99_ms", p99)
	l.say("%s: p50 %.4f ms, p99 %.4f ms (%d times)", what, p50, p99, len(took))
	return nil
}

// pageBench measures the newest page of a large board.
type pageBench struct{}

func (b *pageBench) run(ctx context.Context, l *lab) error {
	f, _, err := l.openBig(ctx, l.large)
	if err != nil {
		return err
	}
	defer f.store.Close()
	return l.timed(ctx, "page of 50 newest, board of "+number(float64(l.large)), atMost(2), func() error {
		p, err := f.store.Page(ctx, f.board, store.PageQuery{})
		if err == nil && len(p.Entries) != 50 {
			err = fmt.Errorf("couldn't read a page of 50: it has %d", len(p.Entries))
		}
		return err
	})
}

// unreadBench measures the count of a member who is far behind.
type unreadBench struct{}

func (b *unreadBench) run(ctx context.Context, l *lab) error {
	f, slow, err := l.openBig(ctx, l.large)
	if err != nil {
		return err
	}
	defer f.store.Close()
	return l.timed(ctx, "unread of a member who is 100,000 behind", atMost(1), func() error {
		n, err := f.store.Unread(slow, f.board)
		if err == nil && (n < behind || n > behind+1000) {
			err = fmt.Errorf("couldn't count: %d unread instead of %d", n, behind)
		}
		return err
	})
}
