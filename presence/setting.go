package presence

import (
	"bytes"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	weftv1 "weft/api/weft/v1"
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
	if o.queued == 0 || o.queued > t.now {
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

// Wire is the setting as other homes are told.
func (o *OwnSetting) Wire() *weftv1.OwnSetting {
	m := &weftv1.OwnSetting{
		User: slices.Clone(o.User[:]), Availability: availabilityWire[o.Availability], Status: o.Status, Invisible: o.Invisible, SetHlc: uint64(o.SetAt), UntilMs: uint64(o.Until), Clear: o.Clear,
	}
	if o.Team != (board.TeamID{}) {
		m.Team = slices.Clone(o.Team[:])
	}
	return m
}

// ParseSetting reads and bounds a setting. Its errors wrap board.ErrMalformed.
func ParseSetting(m *weftv1.OwnSetting) (o OwnSetting, err error) {
	if len(m.GetUser()) != 32 || len(m.Team) != 0 && len(m.Team) != 32 || len(m.Status) > MaxStatus || !utf8.ValidString(m.Status) || m.UntilMs > latestMs || m.SetHlc == 0 {
		return o, fmt.Errorf("couldn't read a setting: %w", board.ErrMalformed)
	}
	o = OwnSetting{User: board.UserID(m.User), Clear: m.Clear, Setting: Setting{Availability: Online, Invisible: m.Invisible, Status: m.Status, SetAt: board.HLC(m.SetHlc), Until: int64(m.UntilMs)}}
	if len(m.Team) > 0 {
		o.Team = board.TeamID(m.Team)
	}
	switch m.Availability {
	case weftv1.Availability_AVAILABILITY_UNSPECIFIED:
	case weftv1.Availability_AVAILABILITY_AWAY:
		o.Availability = Away
	case weftv1.Availability_AVAILABILITY_BUSY:
		o.Availability = Busy
	default:
		return o, fmt.Errorf("couldn't read a setting: availability %d: %w", m.Availability, board.ErrMalformed)
	}
	return o, nil
}

// Intended is how one of this node's own people will be shown when nothing is held back any more, as far as this node knows: in a team, or by the
// zero team in all where nothing else is set.
func (t *Table) Intended(user board.UserID, team board.TeamID) (p Person) {
	p.User = user
	o := t.people[user]
	if o == nil {
		return p
	}
	s := o.setting(team)
	p.Status, p.Until = s.Status, s.Until
	if s.Invisible || t.cfg.Off {
		return p
	}
	for _, d := range o.devices {
		p.State = max(p.State, d.state())
	}
	if rm := t.rooms[team]; rm != nil {
		if r := rm.rows[user]; r != nil { // devices on other homes
			for _, d := range r.shown().Devices {
				p.State = max(p.State, d.State)
			}
		}
	}
	p.State = available(p.State, s.Availability)
	return p
}
