package presence

import (
	"bytes"
	"cmp"
	"slices"

	"weft/board"
)

// A report is at most MaxReport, so of one person no more is said than this. With a status line it is under 4,000 bytes.
const (
	maxOwnDevices  = 16   // the best ones
	maxOwnPayloads = 2560 // bytes, of all devices together
)

// own is one of this node's own people.
type own struct {
	user    board.UserID
	devices map[DeviceID]*ownDevice
	set     map[board.TeamID]*OwnSetting // zero TeamID: for all teams; cleared ones stay, or older ones could come back
	ended   map[board.TeamID]bool        // those whose time is over
	rows    map[board.TeamID]*ownRow
	queued  int64 // when Tick looks at the settings again; 0: not
}

// ownDevice is a device of theirs that is there, or was a moment ago.
type ownDevice struct {
	own      *own
	id       DeviceID
	sessions map[uint64]*session
	used     int64 // when it was last used, wall time, where no session uses it now
	ghost    int64 // without sessions: table time until which it is reconnecting
	payload  []byte
	at       int64  // when payload was set, wall time
	says     []byte // what is said of it
	saysAt   int64
	saidAt   int64 // table time when says was last changed
	waits    bool  // Tick looks whether payload may be said
}

type session struct {
	device *ownDevice
	idle   bool
	since  int64 // when it was last used, if idle
}

// ownRow is one of this node's own people in a team: what is to be said of them there, and when.
type ownRow struct {
	own     *own
	room    *room
	active  int64 // last active, as far as it may be known in the team
	since   int64 // when raw began
	raw     State // before damping
	stateAt int64 // when a state was last said that sessions had changed
	otherAt int64
	sets    int64 // allowance
	exempt  bool  // what is to be said was set, and isn't damped
	first   int64 // when the change began that is not said yet; 0: there is none
	queued  int64 // when Tick looks at it; 0: not
	held    bool  // the change that is not said yet was counted as held back
}

// state of the device.
func (d *ownDevice) state() State {
	for _, s := range d.sessions {
		if !s.idle {
			return Online
		}
	}
	switch {
	case len(d.sessions) > 0:
		return Away
	case d.ghost > 0:
		return Reconnecting
	}
	return Offline
}

// active is when the device was last used.
func (d *ownDevice) active(wall int64) int64 {
	if d.state() == Online {
		return wall
	}
	last := d.used
	for _, s := range d.sessions {
		last = max(last, s.since)
	}
	return last
}

// ownPeople by user.
func (t *Table) ownPeople() []*own {
	all := make([]*own, 0, len(t.people))
	for _, o := range t.people {
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b *own) int { return bytes.Compare(a.user[:], b.user[:]) })
	return all
}

// own is a user of this node, made if there is none.
func (t *Table) own(u board.UserID) *own {
	o := t.people[u]
	if o == nil {
		o = &own{user: u, devices: map[DeviceID]*ownDevice{}, set: map[board.TeamID]*OwnSetting{}, ended: map[board.TeamID]bool{}, rows: map[board.TeamID]*ownRow{}}
		t.people[u] = o
		for _, rm := range t.sorted() {
			t.seat(o, rm)
		}
	}
	return o
}

// seat gives somebody a row in a team if this node speaks for them there, and else has what was said taken back.
func (t *Table) seat(o *own, rm *room) {
	r := o.rows[rm.id]
	if r == nil {
		if !t.speaksFor(o, rm) {
			return
		}
		r = &ownRow{own: o, room: rm, since: t.wall}
		o.rows[rm.id] = r
	}
	t.plan(r)
}

func (t *Table) speaksFor(o *own, rm *room) bool {
	return rm.isMember(o.user) && rm.isHome(t.cfg.Self, o.user)
}

// seats are somebody's rows by team.
func (o *own) seats() []*ownRow {
	all := make([]*ownRow, 0, len(o.rows))
	for _, r := range o.rows {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *ownRow) int { return bytes.Compare(a.room.id[:], b.room.id[:]) })
	return all
}

// edit changes something about one of this node's people, and plans what is to be said then. Whoever goes offline was active until now, and
// whoever is invisible in a team is not active there.
func (t *Table) edit(o *own, change func()) {
	seats := o.seats()
	t.witness(o, seats)
	change()
	t.witness(o, seats)
	for _, r := range seats {
		want := t.want(r)
		if raw := want.state(); raw != r.raw {
			r.raw, r.since = raw, t.wall
		}
		t.plan(r)
	}
}

func (t *Table) witness(o *own, seats []*ownRow) {
	var last int64
	for _, d := range o.devices {
		last = max(last, d.active(t.wall))
	}
	for _, r := range seats {
		if !t.invisible(r) {
			r.active = max(r.active, last)
		}
	}
}

// setting that holds in a team, and when somebody said something about it last.
func (o *own) setting(team board.TeamID) (s Setting) {
	s.Availability = Online
	var at board.HLC
	for _, layer := range []board.TeamID{{}, team} {
		x := o.set[layer]
		if x == nil {
			continue
		}
		at = max(at, x.SetAt)
		if !x.Clear && !o.ended[layer] {
			s = x.Setting
		}
	}
	s.SetAt = at
	return s
}

func (t *Table) invisible(r *ownRow) bool {
	return t.cfg.Off || r.own.setting(r.room.id).Invisible
}

// want is what is to be said of somebody in a team, but for damping. Of who is invisible it is what would be said of them
// had they gone.
func (t *Table) want(r *ownRow) Report {
	x := Report{User: r.own.user, Availability: Online}
	if !t.speaksFor(r.own, r.room) {
		return x
	}
	x.LastActive, x.Since = r.active, r.since
	if t.invisible(r) {
		return x
	}
	for _, d := range r.own.devices {
		if s := d.state(); s != Offline {
			x.Devices = append(x.Devices, Device{d.id, s, d.says, d.saysAt})
		}
	}
	if len(x.Devices) > maxOwnDevices {
		slices.SortFunc(x.Devices, func(a, b Device) int { return cmp.Or(cmp.Compare(b.State, a.State), bytes.Compare(a.ID[:], b.ID[:])) })
		x.Devices = x.Devices[:maxOwnDevices]
	}
	slices.SortFunc(x.Devices, func(a, b Device) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	if len(x.Devices) > 0 {
		s := r.own.setting(r.room.id)
		x.Availability, x.Status, x.SetAt, x.Until = s.Availability, s.Status, s.SetAt, s.Until
	}
	return x
}

// state is how the person would be shown if nobody else said anything about them.
func (r *Report) state() State { return available(r.best(), r.Availability) }

// plan has a row looked at when what it wants may be said.
func (t *Table) plan(r *ownRow) {
	at, differs := t.mayAt(r)
	if !differs {
		r.first, r.exempt, r.held = 0, false, false
		return // what is queued finds nothing to do
	}
	if !r.held && at > r.first+Debounce.Milliseconds() && r.first > 0 {
		r.held = true
		t.stats.Held++
	}
	if r.queued == 0 || at < r.queued {
		r.queued = at
		t.dues.note(at, r)
	}
}

// mayAt says whether something is to be said of somebody, and when it may be.
func (t *Table) mayAt(r *ownRow) (at int64, differs bool) {
	have, said := Report{User: r.own.user, Availability: Online}, false
	if row := r.room.rows[r.own.user]; row != nil {
		if h := row.of(r.room.own); h != nil {
			have, said = h.says.unpack(r.own.user), true
		}
	}
	want := t.want(r)
	switch {
	case want.gone() && !t.speaksFor(r.own, r.room):
		return t.now, said
	case alike(&have, &want):
		return 0, false
	}
	if r.first == 0 {
		r.first = t.now
	}
	at = r.first + Debounce.Milliseconds()
	switch {
	case have.state() == want.state():
		at = max(at, r.otherAt+OtherEvery.Milliseconds())
	case !r.exempt:
		at = max(at, r.stateAt+StateEvery.Milliseconds())
	}
	return at, true
}

// alike says whether a report says nothing new: the times in it alone are none.
func alike(a, b *Report) bool {
	return a.Availability == b.Availability && a.Status == b.Status && a.SetAt == b.SetAt && a.Until == b.Until &&
		slices.EqualFunc(a.Devices, b.Devices, func(x, y Device) bool {
			return x.ID == y.ID && x.State == y.State && x.PayloadAt == y.PayloadAt && bytes.Equal(x.Payload, y.Payload)
		})
}

// reckon notes on a report that is said now what it uses up.
func (r *ownRow) reckon(changed bool, now int64) (cause Cause) {
	cause = CauseSession
	switch {
	case changed && r.exempt:
		cause = CauseSet
	case changed:
		r.stateAt = now
	}
	r.otherAt = now
	r.exempt, r.first, r.held = false, 0, false
	return cause
}
