package presence

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"weft/board"
)

// settingLook is how long a wait for a wall time may be, since that may jump.
const settingLook = time.Minute

// maxSettings is for how many teams a user may have said something.
const maxSettings = 1024

// Set takes what one of this node's own people says of themselves here.
func (t *Table) Set(now time.Time, o OwnSetting) []Effect {
	t.begin(now)
	if !t.set(o) {
		return t.end()
	}
	t.out = append(t.out, TellHomes{o.User, t.otherHomes(o.User), o})
	return t.end()
}

// ReceiveSetting takes what a person has set at another home, from that home. False: nothing new.
func (t *Table) ReceiveSetting(now time.Time, from board.NodeID, o OwnSetting) (effects []Effect, news bool, err error) {
	t.begin(now)
	if !slices.Contains(t.otherHomes(o.User), from) {
		return nil, false, fmt.Errorf("couldn't take a setting: its sender is no home of that person: %w", board.ErrNotMember)
	}
	if board.Ahead(o.SetAt, now) {
		return nil, false, fmt.Errorf("couldn't take a setting: %w", board.ErrClockAhead)
	}
	news = t.set(o)
	return t.end(), news, nil
}

// Restore takes a setting from before this start.
func (t *Table) Restore(now time.Time, o OwnSetting) []Effect {
	t.begin(now)
	t.set(o)
	return t.end()
}

func (t *Table) set(x OwnSetting) bool {
	o := t.own(x.User)
	if was := o.set[x.Team]; was != nil && was.SetAt >= x.SetAt || was == nil && len(o.set) >= maxSettings {
		return false
	}
	t.editSet(o, func() {
		o.set[x.Team] = &x
		o.ended[x.Team] = x.Until != 0 && x.Until <= t.wall
	})
	t.settingWait(o)
	return true
}

// editSet is edit for what a person has set. That isn't damped, a few times; but that somebody becomes visible or invisible
// has to look as if they came or went.
func (t *Table) editSet(o *own, change func()) {
	type view struct {
		raw    State
		unseen bool
	}
	before := map[*ownRow]view{}
	for _, r := range o.seats() {
		before[r] = view{r.raw, t.invisible(r)}
	}
	t.edit(o, change)
	for _, r := range o.seats() {
		if was := before[r]; was.raw != r.raw && was.unseen == t.invisible(r) && !r.exempt && allow(&r.sets, t.now) {
			r.exempt = true
			t.plan(r)
		}
	}
}

// settingWait has Tick look when the next of somebody's settings may end.
func (t *Table) settingWait(o *own) {
	var next int64
	for layer, x := range o.set {
		if !x.Clear && x.Until > 0 && !o.ended[layer] && (next == 0 || x.Until < next) {
			next = x.Until
		}
	}
	if next == 0 {
		return
	}
	if at := t.now + max(0, min(next-t.wall, settingLook.Milliseconds())); o.queued == 0 || at < o.queued {
		o.queued = at
		t.dues.note(at, o)
	}
}

func (t *Table) settingDue(o *own) {
	if o.queued > t.now {
		return
	}
	o.queued = 0
	ends := false
	for layer, x := range o.set {
		ends = ends || !x.Clear && x.Until > 0 && x.Until <= t.wall && !o.ended[layer]
	}
	if ends {
		t.editSet(o, func() {
			for layer, x := range o.set {
				if !x.Clear && x.Until > 0 && x.Until <= t.wall {
					o.ended[layer] = true
				}
			}
		})
	}
	t.settingWait(o)
}

// Settings are what a user has set, those for all teams first, with those that were taken back or are over.
func (t *Table) Settings(user board.UserID) (all []OwnSetting) {
	if o := t.people[user]; o != nil {
		for _, x := range o.set {
			all = append(all, *x)
		}
	}
	slices.SortFunc(all, func(a, b OwnSetting) int { return bytes.Compare(a.Team[:], b.Team[:]) })
	return all
}

// Setting that holds for a user in a team now; of the zero team: for all.
func (t *Table) Setting(user board.UserID, team board.TeamID) Setting {
	if o := t.people[user]; o != nil {
		return o.setting(team)
	}
	return Setting{Availability: Online}
}

// SettingsFor are those of the users whose home another node is too.
func (t *Table) SettingsFor(node board.NodeID) (all []OwnSetting) {
	for _, o := range t.ownPeople() {
		if len(o.set) > 0 && slices.Contains(t.otherHomes(o.user), node) {
			all = append(all, t.Settings(o.user)...)
		}
	}
	return all
}

// otherHomes of somebody whose home this node is, by key.
func (t *Table) otherHomes(user board.UserID) (nodes []board.NodeID) {
	for _, rm := range t.rooms {
		if !rm.isMember(user) || !rm.isHome(t.cfg.Self, user) {
			continue
		}
		for _, n := range rm.team.Homes(user) {
			if n != t.cfg.Self && !slices.Contains(nodes, n) {
				nodes = append(nodes, n)
			}
		}
	}
	slices.SortFunc(nodes, func(a, b board.NodeID) int { return bytes.Compare(a[:], b[:]) })
	return nodes
}
