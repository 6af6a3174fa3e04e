package hub

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"weft/board"
	"weft/presence"
)

// LargeTeam is how many people a team may have of which watchers see everyone; of a larger one they get counts, and the
// people that they name.
const LargeTeam = 256

// countsEvery is how often counts of a team are told at most.
const countsEvery = time.Second

// snapshotRows is about how many people of snapshots go into one batch; the teams left over follow in the next.
const snapshotRows = 2000

// TeamView is what is shown of a team.
type TeamView struct {
	Team       board.TeamID
	People     []presence.Person // by user
	Counts     presence.Counts
	CountsOnly bool // a large team, and nobody was named
}

// SnapshotRequest says what somebody wants to see.
type SnapshotRequest struct {
	Viewer    board.UserID
	Teams     []board.TeamID // nil: all that the viewer may see
	People    []board.UserID // nil: everybody, of large teams nobody
	Everybody bool           // of large teams too: of one team, in pages of at most LargeTeam
	After     board.UserID   // with Everybody: the page after this user
}

// Snapshot is who is there now. With Everybody, more says that there is a page after the last of these people.
// ErrUnknownTeam, board.ErrNotMember.
func (h *Hub) Snapshot(r SnapshotRequest) (views []TeamView, more bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	teams := r.Teams
	if teams == nil {
		for _, id := range sortedTeams(h.mu.teams) {
			if h.mu.table.IsMember(id, r.Viewer) {
				teams = append(teams, id)
			}
		}
	}
	people := nameSet(r.People)
	for _, id := range teams {
		if err := h.maySee(r.Viewer, id); err != nil {
			return nil, false, fmt.Errorf("couldn't look at the team: %w", err)
		}
		if r.Everybody && len(teams) == 1 && people == nil {
			view, more := h.viewPage(id, r.After)
			return []TeamView{view}, more, nil
		}
		views = append(views, h.view(id, people))
	}
	return views, false, nil
}

func nameSet(people []board.UserID) map[board.UserID]bool {
	if people == nil {
		return nil
	}
	set := make(map[board.UserID]bool, len(people))
	for _, u := range people {
		set[u] = true
	}
	return set
}

// view of a team; h.mu is held.
func (h *Hub) view(id board.TeamID, people map[board.UserID]bool) TeamView {
	v := TeamView{Team: id}
	var n int
	v.Counts, n = h.mu.table.Counts(id)
	if v.CountsOnly = people == nil && n > LargeTeam; v.CountsOnly {
		return v
	}
	for _, u := range h.mu.table.Members(id) {
		if people == nil || people[u] {
			p, _ := h.mu.table.Person(id, u)
			v.People = append(v.People, p)
		}
	}
	return v
}

func (h *Hub) viewPage(id board.TeamID, after board.UserID) (v TeamView, more bool) {
	v.Team = id
	v.Counts, _ = h.mu.table.Counts(id)
	for _, u := range h.mu.table.Members(id) {
		if after != (board.UserID{}) && bytes.Compare(u[:], after[:]) <= 0 {
			continue
		}
		if len(v.People) == LargeTeam {
			return v, true
		}
		p, _ := h.mu.table.Person(id, u)
		v.People = append(v.People, p)
	}
	return v, false
}

// WatchFilter says what somebody wants to see from now on. Teams and People as in SnapshotRequest.
type WatchFilter struct {
	Viewer board.UserID
	Teams  []board.TeamID
	People []board.UserID
}

// WatchBatch is what a reader gets at once. Gone and Snapshot stand before Changes: a team in Snapshot replaces all that
// the reader had of it. A snapshot of very many people comes in several batches, team by team.
type WatchBatch struct {
	Gone     []board.TeamID // the viewer is out of these
	Snapshot []TeamView
	Changes  []presence.Change // one for each person at most; Was is what the reader had before
	Counts   []TeamView        // of those teams whose people are not all shown, at most once a second; People is nil
	Skipped  uint64            // changes overtaken by later ones before they were taken
	More     bool              // a further batch is ready: a part of the snapshot
}

// Watcher is for one reader.
type Watcher struct {
	h      *Hub
	filter WatchFilter
	people map[board.UserID]bool // nil: everybody
	only   map[board.TeamID]bool // nil: all teams
	ready  chan struct{}         // of capacity one
	done   chan struct{}

	// Guarded by h.mu.
	seen    map[board.TeamID]bool // teams of which the reader has, or will have, a snapshot; true: with everybody in it
	reset   map[board.TeamID]bool // those of which it is to be taken yet
	gone    map[board.TeamID]bool
	counts  map[board.TeamID]bool
	pending map[whom]*presence.Change
	order   []whom
	skipped uint64
	begun   bool // the first batch was taken
	closed  bool
}

type whom struct {
	team board.TeamID
	user board.UserID
}

// Watch begins to watch: the first batch is a snapshot, and what comes after it is all that changed since. ErrTooMany,
// ErrClosed, ErrUnknownTeam, board.ErrNotMember.
func (h *Hub) Watch(f WatchFilter) (*Watcher, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.mu.closed:
		return nil, fmt.Errorf("couldn't watch: the daemon stops: %w", ErrClosed)
	case len(h.mu.watchers) >= h.o.Limits.Watchers:
		return nil, fmt.Errorf("couldn't watch: %d others do: %w", len(h.mu.watchers), ErrTooMany)
	}
	w := &Watcher{
		h: h, filter: f, people: nameSet(f.People), ready: make(chan struct{}, 1), done: make(chan struct{}),
		seen: map[board.TeamID]bool{}, reset: map[board.TeamID]bool{}, gone: map[board.TeamID]bool{}, counts: map[board.TeamID]bool{}, pending: map[whom]*presence.Change{},
	}
	if f.Teams != nil {
		w.only = map[board.TeamID]bool{}
		for _, id := range f.Teams {
			if err := h.maySee(f.Viewer, id); err != nil {
				return nil, fmt.Errorf("couldn't watch the team: %w", err)
			}
			w.only[id] = true
		}
	}
	for id := range h.mu.teams {
		w.review(id)
	}
	w.notify() // somebody without a team gets an empty snapshot
	h.mu.watchers[w] = struct{}{}
	return w, nil
}

// review looks whether the reader may see a team, or see it otherwise than before; h.mu is held.
func (w *Watcher) review(id board.TeamID) {
	everybody, seen := w.seen[id]
	may := (w.only == nil || w.only[id]) && w.h.maySee(w.filter.Viewer, id) == nil
	_, n := w.h.mu.table.Counts(id)
	wants := w.people == nil && n <= LargeTeam
	switch {
	case may && (!seen || everybody != wants):
		w.drop(id)
		w.seen[id], w.reset[id] = wants, true
		delete(w.gone, id)
	case !may && seen:
		w.drop(id)
		delete(w.seen, id)
		if !w.reset[id] {
			w.gone[id] = true
		}
		delete(w.reset, id)
	default:
		return
	}
	w.notify()
}

// drop forgets what is pending of a team.
func (w *Watcher) drop(id board.TeamID) {
	delete(w.counts, id)
	w.order = slices.DeleteFunc(w.order, func(k whom) bool {
		if k.team == id {
			delete(w.pending, k)
		}
		return k.team == id
	})
}

// changed gives changes to watchers; h.mu is held.
func (h *Hub) changed(c presence.Changed) {
	now := h.o.Now()
	teams := map[board.TeamID]bool{}
	for i := range c.Changes {
		teams[c.Changes[i].Team] = true
	}
	for id := range teams {
		h.dirtyCounts(now, id)
	}
	for w := range h.mu.watchers {
		for i := range c.Changes {
			w.take(&c.Changes[i])
		}
	}
	h.metrics.changes.WithLabelValues(c.Cause.String()).Add(float64(len(c.Changes)))
}

func (w *Watcher) take(c *presence.Change) {
	everybody, seen := w.seen[c.Team]
	if !seen || w.reset[c.Team] || !everybody && !w.people[c.Person.User] {
		return
	}
	k := whom{c.Team, c.Person.User}
	if was := w.pending[k]; was != nil {
		was.Person, was.Cause = c.Person, c.Cause
		w.skipped++
		w.h.metrics.skipped.Inc()
		return
	}
	own := *c
	w.pending[k] = &own
	w.order = append(w.order, k)
	w.notify()
}

func (w *Watcher) notify() {
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// Next waits for something new. ErrClosed, or ctx's error.
func (w *Watcher) Next(ctx context.Context) (WatchBatch, error) {
	for {
		select {
		case <-ctx.Done():
			return WatchBatch{}, ctx.Err()
		case <-w.done:
			return WatchBatch{}, ErrClosed
		case <-w.ready:
		}
		if b, any := w.batch(); any {
			return b, nil
		}
	}
}

func (w *Watcher) batch() (b WatchBatch, any bool) {
	w.h.mu.Lock()
	defer w.h.mu.Unlock()
	for id := range w.gone {
		b.Gone = append(b.Gone, id)
	}
	slices.SortFunc(b.Gone, func(x, y board.TeamID) int { return bytes.Compare(x[:], y[:]) })
	clear(w.gone)
	rows := 0
	for _, id := range slices.SortedFunc(maps.Keys(w.reset), func(x, y board.TeamID) int { return bytes.Compare(x[:], y[:]) }) {
		if rows >= snapshotRows {
			b.More = true
			w.notify()
			break
		}
		v := w.h.view(id, w.people)
		b.Snapshot = append(b.Snapshot, v)
		rows += len(v.People) + 1
		delete(w.reset, id)
	}
	for _, k := range w.order {
		b.Changes = append(b.Changes, *w.pending[k])
	}
	w.order = nil
	clear(w.pending)
	for id := range w.counts {
		c, _ := w.h.mu.table.Counts(id)
		b.Counts = append(b.Counts, TeamView{Team: id, Counts: c, CountsOnly: w.people == nil})
	}
	slices.SortFunc(b.Counts, func(x, y TeamView) int { return bytes.Compare(x.Team[:], y.Team[:]) })
	clear(w.counts)
	b.Skipped, w.skipped = w.skipped, 0
	any = !w.begun || len(b.Gone)+len(b.Snapshot)+len(b.Changes)+len(b.Counts) > 0
	w.begun = true
	return b, any
}

// Close ends the watching; Next returns ErrClosed.
func (w *Watcher) Close() {
	w.h.mu.Lock()
	defer w.h.mu.Unlock()
	delete(w.h.mu.watchers, w)
	w.shut()
}

func (w *Watcher) shut() {
	if !w.closed {
		w.closed = true
		close(w.done)
	}
}

// counted is when a team's counts were told last.
type counted struct {
	at    time.Time
	dirty bool
}

// dirtyCounts notes that a team's counts have changed; h.mu is held.
func (h *Hub) dirtyCounts(now time.Time, id board.TeamID) {
	if !h.countsWanted(id) {
		return
	}
	c := h.mu.counted[id]
	if c == nil {
		c = &counted{}
		h.mu.counted[id] = c
	}
	if !c.dirty {
		c.dirty = true
		h.nudge()
	}
}

func (h *Hub) countsWanted(id board.TeamID) bool {
	for w := range h.mu.watchers {
		if everybody, seen := w.seen[id]; seen && !everybody {
			return true
		}
	}
	return false
}

func (h *Hub) countsDue() (due time.Time) {
	for _, c := range h.mu.counted {
		if at := c.at.Add(countsEvery); c.dirty && (due.IsZero() || at.Before(due)) {
			due = at
		}
	}
	return due
}

// countsTick tells the counts that may be told now.
func (h *Hub) countsTick(now time.Time) {
	for id, c := range h.mu.counted {
		if !c.dirty || now.Sub(c.at) < countsEvery {
			continue
		}
		c.dirty, c.at = false, now
		for w := range h.mu.watchers {
			if everybody, seen := w.seen[id]; seen && !everybody && !w.reset[id] {
				w.counts[id] = true
				w.notify()
			}
		}
	}
}
