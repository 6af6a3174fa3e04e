package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"weft/board"
	"weft/team"

	weftv1 "weft/api/weft/v1"
)

const (
	// upkeepPause is how long the upkeep lets changes gather before it looks at the teams.
	upkeepPause = 100 * time.Millisecond
	// upkeepRetry is when what failed is tried again.
	upkeepRetry = time.Minute
)

// upkeep is what a node does by itself for its teams: as an owner's or admin's it agrees to the first charter that it sees
// count, and keeps open teams open; it says so when a node contradicts itself, and lets go what a team's rules don't keep.
type upkeep struct {
	d      *Daemon
	done   map[board.TeamID]*team.State // looked at, and nothing was left to do
	forks  forkWatch
	keep   retention
	failed bool // something has to be tried again
}

// upkeepLoop looks at each team whose state has changed.
func (d *Daemon) upkeepLoop(ctx context.Context) error {
	u := &upkeep{d: d, done: map[board.TeamID]*team.State{}}
	nudge, stop := d.store.Subscribe()
	defer stop()
	for {
		wait := u.look(ctx)
		if u.failed {
			wait = upkeepRetry
		}
		if err := pause(ctx, nudge, wait); err != nil {
			return err
		}
		if err := pause(ctx, nil, upkeepPause); err != nil {
			return err
		}
	}
}

// pause waits for a nudge or a time; zero: no time.
func pause(ctx context.Context, nudge <-chan struct{}, wait time.Duration) error {
	var after <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		after = timer.C
	}
	select {
	case <-nudge:
	case <-after:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// look does what is to be done, and says when to look again at the latest; 0: when something changes.
func (u *upkeep) look(ctx context.Context) time.Duration {
	u.failed = false
	for _, id := range u.d.store.Teams() {
		st, ok := u.d.store.Team(id)
		if !ok || !st.Known() || u.done[id] == st {
			continue
		}
		if err := errors.Join(u.agree(ctx, st), u.keepOpen(ctx, st)); err != nil {
			u.note("couldn't do a team's upkeep; it is tried again", fmt.Errorf("team %s: %w", id, err))
			continue
		}
		if now, _ := u.d.store.Team(id); now == st {
			u.done[id] = st
		}
	}
	wait, err := u.forks.look(ctx, u.d)
	u.note("couldn't tell a team of a node that contradicts itself; it is tried again", err)
	next, err := u.keep.look(ctx, u.d)
	u.note("couldn't prune what a team's rules let go; it is tried again", err)
	if wait == 0 || next > 0 && next < wait {
		wait = next
	}
	return wait
}

// note logs what has to be tried again.
func (u *upkeep) note(words string, err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	u.d.log.Warn(words, "err", err)
	u.failed = true
}

// agree acknowledges charters that count and that this device has not agreed to yet: the first one that it sees, never a
// second in its place (trust §5).
func (u *upkeep) agree(ctx context.Context, st *team.State) error {
	for _, charter := range st.WantsAck(u.d.id.User) {
		ack, err := team.NewAck(st, u.d.id.User, charter)
		if errors.Is(err, team.ErrAcked) || errors.Is(err, team.ErrUnchanged) {
			continue
		}
		if err != nil {
			return err
		}
		if _, err := u.d.store.AppendObject(ctx, st.ID(), ack); err != nil {
			return err
		}
		u.d.log.Info("agreed to a change of a team's charter", "team", st.ID().String(), "record", charter.String())
	}
	return nil
}

// keepOpen makes a new standing invite of an open team for this node where the last one is used up.
func (u *upkeep) keepOpen(ctx context.Context, st *team.State) error {
	self := u.d.id.Node.Public()
	if _, closed := st.Closed(); closed || st.UpgradeNeeded() || st.Policy().Join != weftv1.JoinMode_JOIN_MODE_OPEN {
		return nil
	}
	if role := st.Role(u.d.id.User.User); role != team.Owner && role != team.Admin || !st.IsNode(self) {
		return nil
	}
	seed := team.OpenSeed(st.ID(), self)
	had, key := false, board.NewKey(seed).Public()
	for _, i := range st.Invites() {
		if i.Key != key {
			continue
		}
		if had = true; i.Used < i.Quota {
			return nil
		}
	}
	if !had { // whoever opens the team makes the first one, at their node
		return nil
	}
	o, err := team.NewInvite(st, u.d.id.User, team.Member, self, team.MaxQuota, 0, random16(), seed)
	if err != nil {
		return err
	}
	_, err = u.d.store.AppendObject(ctx, st.ID(), o)
	return err
}

func random16() (b [16]byte) {
	rand.Read(b[:])
	return b
}
