package presence

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"weft/board"
)

// How fast what is shown may change, and how long things take. The same at homes and at watchers.
const (
	Debounce     = 50 * time.Millisecond // changes that come together go together
	StateEvery   = 10 * time.Second      // a person's state, by sessions
	OtherEvery   = time.Second           // what else is shown of a person
	PayloadEvery = 5 * time.Second       // a device's payload
	SetsAtOnce   = 3                     // changes by the person that are not damped; one more each StateEvery
	Grace        = 30 * time.Second      // who vanished is reconnecting for so long
	LeaseFor     = 150 * time.Second     // what a node vouches for at most without a word of it
)

// Config of a Table.
type Config struct {
	Self  board.NodeID
	Boot  [16]byte
	Start time.Time
	Off   bool // nothing is said of this node's own people
}

// Table holds who is where. Its owner guards it. Each method that changes something returns what is to be done, in order.
type Table struct {
	cfg      Config
	rooms    map[board.TeamID]*room
	nodes    map[board.NodeID]*node
	people   map[board.UserID]*own
	sessions map[uint64]*session
	dues     dues
	stats    Stats
	now      int64 // of the call that runs, table time
	wall     int64 // likewise, Unix milliseconds
	out      []Effect
	changes  []Changed
}

// Stats count what became of what nodes said. All only grow.
type Stats struct {
	Applied    uint64 // beats
	Duplicates uint64 // beats that were here
	Stale      uint64 // beats of an earlier boot, or pages of an earlier whole
	Gaps       uint64 // beats that came before others they follow
	Mismatches uint64 // digests that did not fit
	Asks       uint64 // whole states asked for
	Strangers  uint64 // reports of people whose home the node isn't
	Shown      uint64 // changes
	Held       uint64 // changes held back by damping: here, and of this node's own people before anybody is told
}

// NewTable makes an empty table.
func NewTable(cfg Config) *Table {
	t := &Table{cfg: cfg, rooms: map[board.TeamID]*room{}, nodes: map[board.NodeID]*node{}, people: map[board.UserID]*own{}, sessions: map[uint64]*session{}}
	t.nodes[cfg.Self] = &node{id: cfg.Self, self: true, boot: cfg.Boot, health: Health{State: NodeAlive}}
	return t
}

// Stats are what has been counted.
func (t *Table) Stats() Stats { return t.stats }

// longAgo is the table time of Config.Start, so that 0 lies before anything that damping looks back at.
const longAgo = int64(24 * time.Hour / time.Millisecond)

// begin takes the time of a call. Table time is milliseconds by the monotonic clock: no correction of the wall clock ends a lease.
func (t *Table) begin(now time.Time) {
	t.now = max(t.now, now.Sub(t.cfg.Start).Milliseconds()+longAgo)
	t.wall = now.UnixMilli()
}

// end is what the call wants done.
func (t *Table) end() []Effect {
	for _, c := range t.changes {
		slices.SortStableFunc(c.Changes, func(a, b Change) int {
			return cmp.Or(bytes.Compare(a.Team[:], b.Team[:]), bytes.Compare(a.Person.User[:], b.Person.User[:]))
		})
		t.out = append(t.out, c)
	}
	t.changes = nil
	out := t.out
	t.out = nil
	return out
}

// show brings what is shown of a person up to date after something changed, or holds it back for a while.
func (t *Table) show(rm *room, r *row, before Person, cause Cause) {
	after, since, active := r.fold()
	after.LastActive = max(before.LastActive, min(active, t.wall))
	after.Since = before.Since
	if after.State != before.State || before.Since == 0 {
		if after.Since = min(since, t.wall); after.Since == 0 && after.State != before.State {
			after.Since = t.wall
		}
	}
	if cause >= CauseNodeLeft && cause <= CauseExpired {
		t.mourn(&after, &before)
	}
	if same(&before, &after) {
		r.pending = nil
		return
	}
	if at := t.mayShow(r, &before, &after, cause); at > t.now {
		if r.pending == nil {
			t.stats.Held++
		}
		r.pending = &pending{before, cause}
		if r.queued == 0 || at < r.queued {
			r.queued = at
			t.dues.note(at, &shownLater{rm, r})
		}
		return
	}
	r.pending = nil
	if r.member {
		rm.counts[before.State]--
		rm.counts[after.State]++
	}
	r.state, r.since, r.active = after.State, after.Since, after.LastActive
	t.stats.Shown++
	t.tell(Change{rm.id, after, before.State, cause})
}

// tell notes a change. Those of one cause in a row are one Changed; their order is kept, since somebody may be in two.
func (t *Table) tell(c Change) {
	if n := len(t.changes); n == 0 || t.changes[n-1].Cause != c.Cause {
		t.changes = append(t.changes, Changed{Cause: c.Cause})
	}
	last := &t.changes[len(t.changes)-1]
	last.Changes = append(last.Changes, c)
}

// mourn is for people whose home is gone or was started again: who was online there was active as long as the node was heard.
func (t *Table) mourn(after, before *Person) {
	for _, d := range before.Devices {
		still := slices.ContainsFunc(after.Devices, func(x PersonDevice) bool { return x.Node == d.Node && x.ID == d.ID })
		if n := t.nodes[d.Node]; d.State == Online && n != nil && !still {
			after.LastActive = max(after.LastActive, min(n.heard, t.wall))
		}
	}
	if after.State != before.State && after.State == Offline {
		after.Since = t.wall
	}
}

// mayShow says when a change may be shown, and notes what that uses up if it is now.
func (t *Table) mayShow(r *row, before, after *Person, cause Cause) int64 {
	switch {
	case cause != CauseSession && cause != CauseSet:
		return t.now
	case before.State == after.State:
		if at := r.otherAt + OtherEvery.Milliseconds(); at > t.now {
			return at
		}
		r.otherAt = t.now
		return t.now
	case cause == CauseSet && allow(&r.sets, t.now):
		return t.now
	}
	if at := r.stateAt + StateEvery.Milliseconds(); at > t.now {
		return at
	}
	r.stateAt, r.otherAt = t.now, t.now
	return t.now
}

// allow is a bucket of SetsAtOnce that fills by one each StateEvery, kept as the time when it is full again (the generic
// cell rate algorithm, ITU-T I.371).
func allow(full *int64, now int64) bool {
	step := StateEvery.Milliseconds()
	if *full-now > (SetsAtOnce-1)*step {
		return false
	}
	*full = max(*full, now) + step
	return true
}

// Tick does what is due. Call it at Wake.
func (t *Table) Tick(now time.Time) []Effect {
	t.begin(now)
	t.expire()
	flush := map[*room][]*ownRow{}
	for {
		switch x := t.dues.take(t.now).(type) {
		case nil:
			for _, rm := range t.sorted() {
				if len(flush[rm]) > 0 {
					t.flush(rm, flush[rm])
				}
			}
			return t.end()
		case *ownRow:
			if x.queued != 0 && x.queued <= t.now { // else it was noted for another time too
				x.queued = 0
				flush[x.room] = append(flush[x.room], x)
			}
		case *shownLater:
			if x.row.queued != 0 && x.row.queued <= t.now {
				x.row.queued = 0
				if p := x.row.pending; p != nil {
					t.show(x.team, x.row, p.shown, p.cause)
				}
			}
		case *ownDevice:
			t.deviceDue(x)
		case *own:
			t.settingDue(x)
		case *book:
			t.askDue(x)
		}
	}
}

// Wake is when Tick is to be called; zero: when something else was.
func (t *Table) Wake() time.Time {
	var at int64
	if len(t.dues.list) > 0 {
		at = t.dues.list[0].at
	}
	for _, n := range t.nodes {
		if n.leased && (at == 0 || n.lease < at) {
			at = n.lease
		}
	}
	if at == 0 {
		return time.Time{}
	}
	return t.cfg.Start.Add(time.Duration(at-longAgo) * time.Millisecond)
}

// sorted are the rooms by team.
func (t *Table) sorted() []*room {
	all := make([]*room, 0, len(t.rooms))
	for _, rm := range t.rooms {
		all = append(all, rm)
	}
	slices.SortFunc(all, func(a, b *room) int { return bytes.Compare(a.id[:], b.id[:]) })
	return all
}
