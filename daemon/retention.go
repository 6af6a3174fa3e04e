package daemon

import (
	"context"
	"errors"
	"time"

	"weft/board"
	"weft/team"
)

// How often a team's boards are looked at for what its policy lets go: a part of the age that entries may have, within
// these bounds, and every so often where their number or size is bounded.
const (
	retainLeast = 10 * time.Second
	retainMost  = time.Hour
	retainPart  = 32
	retainSize  = time.Minute
)

// retention has the store write the floors that teams' policies ask for.
type retention struct {
	next   map[board.TeamID]time.Time
	policy map[board.TeamID]team.Retention // as of the last look: a new one is followed at once
}

// look prunes what is due, and says how long it is until the next look; 0: no policy asks for one.
func (r *retention) look(ctx context.Context, d *Daemon) (wait time.Duration, err error) {
	if r.next == nil {
		r.next, r.policy = map[board.TeamID]time.Time{}, map[board.TeamID]team.Retention{}
	}
	now := d.cfg.Now()
	for _, id := range d.store.Teams() {
		st, ok := d.store.Team(id)
		if !ok || !st.Known() || st.UpgradeNeeded() {
			continue
		}
		keep := st.Policy().Retention
		if keep == (team.Retention{}) {
			delete(r.next, id)
			delete(r.policy, id)
			continue
		}
		if at, ok := r.next[id]; !ok || !now.Before(at) || r.policy[id] != keep {
			err = errors.Join(err, d.store.Retain(ctx, id, now))
			r.next[id], r.policy[id] = now.Add(retainEvery(keep)), keep
		}
		if left := r.next[id].Sub(now); wait == 0 || left < wait {
			wait = left
		}
	}
	return wait, err
}

// retainEvery is how long may pass between two looks.
func retainEvery(keep team.Retention) time.Duration {
	every := retainMost
	if keep.MaxAge > 0 {
		every = min(max(keep.MaxAge/retainPart, retainLeast), retainMost)
	}
	if keep.MaxEntries > 0 || keep.MaxBytes > 0 {
		every = min(every, retainSize)
	}
	return every
}
