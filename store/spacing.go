package store

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// A compaction writes its tables as fast as it can, several at a time, each with a sync of its own. An fsync of a post
// that comes meanwhile waits for all of that: 15 to 100 ms each, for one or two seconds of thirty. So, while somebody
// posts here, compactions write a table each tableGap, and faster the fuller the levels are.
//
// Badger has no means for that. It says in its log when a compaction has filled a table, in the compaction's goroutine and
// before the table is written: that is where it waits. Should a later version say so no more, nothing is spaced, which
// TestCompactionsSayWhenATableIsFull notices.
const tableFilled = "[%d] LOG Compact. Added"

const (
	// tableSize of compactions, compressed. Smaller tables are synced faster and take less memory: with 8 MiB Badger's
	// builders kept 560 MB, and the collector ran all the time to stay below the memory limit.
	tableSize = 2 << 20
	// tableGap makes 12 MiB a second of that.
	tableGap = 170 * time.Millisecond
	// hurry is the score of a level at which compactions wait no more. At 1 one begins; at 2 level 0 makes writers wait.
	hurry = 1.8
)

// spacing gives compactions their turns.
type spacing struct {
	db     atomic.Pointer[badger.DB]
	filled atomic.Uint64 // tables, since Open

	mu   sync.Mutex
	next time.Time // when the table after this one may be written; guarded by mu
}

// turn is how long the compaction that has filled a table waits, when the fullest level has this score.
func (p *spacing) turn(now time.Time, score float64) time.Duration {
	part := min(max((hurry-score)/(hurry-1), 0), 1)
	if part == 0 {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(time.Duration(part * float64(tableGap)))
	return p.next.Sub(now)
}

// spaceTables is called by a compaction that has filled a table.
func (s *Store) spaceTables() {
	s.spacing.filled.Add(1)
	db := s.spacing.db.Load()
	if db == nil || !s.Posting() {
		return
	}
	score := 0.0
	for _, l := range db.Levels() {
		score = max(score, l.Score)
	}
	wait := s.spacing.turn(time.Now(), score)
	if wait == 0 {
		return
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.stop:
	}
}

// badgerLog passes Badger's words on. What it says at ease is of use only when looking for a fault.
type badgerLog struct {
	log    *slog.Logger
	filled func() // called when a compaction has filled a table; may be nil
}

func (l badgerLog) Errorf(f string, a ...any)   { l.log.Error("badger: " + fmt.Sprintf(f, a...)) }
func (l badgerLog) Warningf(f string, a ...any) { l.log.Warn("badger: " + fmt.Sprintf(f, a...)) }
func (l badgerLog) Infof(f string, a ...any)    { l.atEase(f, a) }

func (l badgerLog) Debugf(f string, a ...any) {
	if l.filled != nil && strings.HasPrefix(f, tableFilled) {
		l.filled()
	}
	l.atEase(f, a)
}

// atEase makes no words that nobody reads: Badger says several things with each commit.
func (l badgerLog) atEase(f string, a []any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("badger: " + fmt.Sprintf(f, a...))
	}
}
