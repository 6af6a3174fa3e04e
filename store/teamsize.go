package store

import (
	"encoding/binary"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
)

// A team's size is counted as its records are written, and noted on disk with each MiB, as a setting: a crash loses less
// than that of the count. It is about what the records take with their indexes, before Badger compresses them.

const (
	defaultTeamBytes = 10 << 30
	sizePrefix       = "size/"
	sizeNote         = 20  // bits of the count that are not noted
	indexBytes       = 400 // about what stands beside a record for it
)

// teamFull says that a team has reached what this node keeps of one: nothing is written to it and nothing of it fetched,
// while what is here stays and is served. Peers keep what is not fetched; weft sync says how much that is.
func (s *Store) teamFull(t *teamState) error {
	if n := t.records.Load(); s.quota.entries > 0 && n >= s.quota.entries {
		return fmt.Errorf("the team has %d entries here, this node keeps no more of one: %w", n, ErrLimit)
	}
	if n := t.bytes.Load(); s.quota.bytes > 0 && n >= s.quota.bytes {
		return fmt.Errorf("the team takes %d MiB here, this node keeps no more of one: %w", n>>20, ErrLimit)
	}
	return nil
}

// grew counts a record of a message board.
func (g *group) grew(b *boardState, e *board.Entry) {
	if b.governance || b.team == nil || g.quiet {
		return
	}
	if g.sizes == nil {
		g.sizes = map[*teamState]int64{}
	}
	g.sizes[b.team] += int64(len(e.Raw) + len(e.Body) + indexBytes)
}

// shrank counts a record that is pruned.
func (g *group) shrank(b *boardState, e *board.Entry) {
	if b.team == nil {
		return
	}
	if g.sizes == nil {
		g.sizes = map[*teamState]int64{}
	}
	g.sizes[b.team] -= int64(len(e.Raw) + len(e.Body) + indexBytes)
}

// noteSizes writes counts that have grown by a MiB.
func (g *group) noteSizes() error {
	for t, n := range g.sizes {
		was := t.bytes.Load()
		if now := was + n; now>>sizeNote != was>>sizeNote {
			if err := g.put(sizeKey(t.id), binary.BigEndian.AppendUint64(make([]byte, 0, 12), uint64(now))); err != nil {
				return err
			}
		}
		g.published = append(g.published, func() { t.bytes.Add(n) })
	}
	return nil
}

func sizeKey(t board.TeamID) []byte { return settingKey(sizePrefix + string(t[:])) }

// loadSize reads a team's count. One that was never noted is guessed.
func (t *teamState) loadSize(txn *badger.Txn) {
	c, err := get(txn, sizeKey(t.id))
	if err != nil || len(c) != 8 {
		t.bytes.Store(t.records.Load() * 2 * indexBytes)
		return
	}
	t.bytes.Store(int64(binary.BigEndian.Uint64(c)))
}
