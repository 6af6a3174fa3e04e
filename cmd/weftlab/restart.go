package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// startBench measures how long a daemon with a large board takes from its start to its first answer.
type startBench struct{}

func (b *startBench) run(ctx context.Context, l *lab) error {
	f, _, err := l.openBig(ctx, l.large)
	if err != nil {
		return err
	}
	if err := f.store.Close(); err != nil {
		return err
	}
	for range max(l.runs, 3) {
		start := time.Now()
		n, err := l.startNode(ctx, l.bigDir(l.large), "ann")
		if err != nil {
			return err
		}
		if _, err := listBoards(ctx, n); err != nil {
			n.stop()
			return err
		}
		took := time.Since(start)
		u, err := n.usage()
		if err != nil {
			n.stop()
			return err
		}
		l.out.add("start with "+number(float64(l.large))+" entries until the first answer", took.Seconds(), "s", atMost(1))
		l.out.add("memory (RSS) after that start", float64(u.rss)/(1<<20), "MiB", bar{})
		l.say("start: first answer after %.0f ms, %.0f MiB", took.Seconds()*1000, float64(u.rss)/(1<<20))
		if err := n.stop(); err != nil {
			return err
		}
	}
	return nil
}

// diskBench measures what a post takes on disk when everything is compacted.
type diskBench struct{}

// diskEntries is how many posts that is measured with: many times what a table holds, and made in a few seconds. What a
// post takes does not depend on their number, the files that an empty store has are 1 byte of it.
const diskEntries = 200_000

func (b *diskBench) run(ctx context.Context, l *lab) error {
	entries := min(diskEntries, l.large)
	f, _, err := l.openBig(ctx, entries)
	if err != nil {
		return err
	}
	info, _ := f.store.Board(f.board)
	l.say("compacting")
	err = f.store.Compact(ctx)
	if closing := f.store.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	size, err := diskUse(filepath.Join(l.bigDir(entries), "store"))
	if err != nil {
		return err
	}
	per := float64(size) / float64(info.Entries)
	l.out.add("disk for a post of 200 bytes of English text, indexes included", per, "bytes", atMost(600))
	l.say("disk: %s bytes for %s entries: %.0f each", number(float64(size)), number(float64(info.Entries)), per)
	return nil
}

// diskUse is how much space the files of a folder take.
func diskUse(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		sum += allocated(st)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("couldn't measure %s: %w", dir, err)
	}
	return sum, nil
}
