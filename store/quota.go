package store

import (
	"sync"
	"time"

	"weft/board"
)

// Starting values of docs/limits.md.
const (
	defaultAuthorPerSecond = 50
	defaultAuthorBurst     = 2000
	defaultTeams           = 1024
	defaultBoards          = 64
	defaultTeamEntries     = 50_000_000
	maxBuckets             = 8192
)

type quotaKey struct {
	team board.TeamID
	user board.UserID
}

// quota bounds how fast authors post: a token bucket for each author in each team. Safe for concurrent use.
type quota struct {
	perSecond     float64 // 0: no limit
	burst         float64
	teams, boards int   // 0: no limit
	entries       int64 // 0: no limit
	bytes         int64 // likewise

	mu      sync.Mutex
	buckets map[quotaKey]bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

func newQuota(q Quotas) *quota {
	return &quota{
		perSecond: limitOr(q.AuthorPerSecond, defaultAuthorPerSecond), burst: float64(limitOr(q.AuthorBurst, defaultAuthorBurst)),
		teams: limitOr(q.Teams, defaultTeams), boards: limitOr(q.BoardsPerTeam, defaultBoards),
		entries: limitOr(q.TeamEntries, defaultTeamEntries), bytes: limitOr(q.TeamBytes, defaultTeamBytes), buckets: map[quotaKey]bucket{},
	}
}

// limitOr is v, or the default where v is 0, or 0 (no limit) where it is negative.
func limitOr[T int | int64 | float64](v, standard T) T {
	switch {
	case v == 0:
		return standard
	case v < 0:
		return 0
	}
	return v
}

// take takes n tokens, or says how long to wait for them. More than the burst are given to a full bucket, which then
// owes them.
func (q *quota) take(k quotaKey, n int, now time.Time) time.Duration {
	if n == 0 || q.perSecond == 0 || q.burst == 0 {
		return 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	b, ok := q.buckets[k]
	if !ok {
		b = bucket{q.burst, now}
	} else if dt := now.Sub(b.at); dt > 0 {
		b.tokens, b.at = min(q.burst, b.tokens+dt.Seconds()*q.perSecond), now
	}
	if need := min(float64(n), q.burst); b.tokens < need {
		q.buckets[k] = b
		return time.Duration((need - b.tokens) / q.perSecond * float64(time.Second))
	}
	b.tokens -= float64(n)
	if !ok && len(q.buckets) >= maxBuckets {
		q.prune(now)
	}
	q.buckets[k] = b
	return 0
}

// prune forgets buckets that are full again.
func (q *quota) prune(now time.Time) {
	for k, b := range q.buckets {
		if b.tokens+now.Sub(b.at).Seconds()*q.perSecond >= q.burst {
			delete(q.buckets, k)
		}
	}
}
