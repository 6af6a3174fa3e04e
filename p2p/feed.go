package p2p

import (
	"sync"

	"weft/board"
	"weft/store"
)

// feed takes what the store commits, merges it, and lets the loop fetch it when it gets to it. It is bounded by the
// number of origins: only the newest stretch of each is kept.
type feed struct {
	nudge chan struct{} // capacity one

	mu struct {
		sync.Mutex
		closed  bool
		state   bool                   // some team's state changed
		changed map[feedKey]feedChange // by origin
		order   []feedKey
		orphans []board.Event         // Orphaned and Restored, in order
		reread  map[board.ID]struct{} // boards whose orphans were too many to keep here
	}
}

type feedKey struct {
	team   board.TeamID
	board  board.ID
	origin board.Origin
}

type feedChange struct {
	stretch board.Stretch
	lost    bool
	own     bool
}

// maxOrphanEvents is how many are kept before the loop reads them all anew.
const maxOrphanEvents = 1024

func newFeed() *feed {
	f := &feed{nudge: make(chan struct{}, 1)}
	f.mu.changed = map[feedKey]feedChange{}
	f.mu.reread = map[board.ID]struct{}{}
	return f
}

// committed is called by the store's committer; it never waits.
func (f *feed) committed(changes []store.Committed) {
	f.mu.Lock()
	if f.mu.closed {
		f.mu.Unlock()
		return
	}
	for _, c := range changes {
		f.mu.state = f.mu.state || c.State
		if c.Origin == (board.Origin{}) {
			continue
		}
		k := feedKey{c.Team, c.Board, c.Origin}
		old, was := f.mu.changed[k]
		if !was {
			f.mu.order = append(f.mu.order, k)
		}
		f.mu.changed[k] = feedChange{c.Stretch, c.Lost || old.lost, c.Own || old.own}
		if len(c.Orphaned) > 0 {
			f.orphan(c.Board, board.Orphaned{Team: c.Team, Board: c.Board, Origin: c.Origin, Seqs: c.Orphaned})
		}
		if len(c.Restored) > 0 {
			f.orphan(c.Board, board.Restored{Team: c.Team, Board: c.Board, Origin: c.Origin, Seqs: c.Restored})
		}
	}
	f.mu.Unlock()
	nudge(f.nudge)
}

// orphan keeps an event. Called with mu held.
func (f *feed) orphan(b board.ID, ev board.Event) {
	if len(f.mu.orphans) >= maxOrphanEvents {
		f.mu.reread[b] = struct{}{}
		return
	}
	f.mu.orphans = append(f.mu.orphans, ev)
}

// fed is what was committed since the last take.
type fed struct {
	state   bool
	order   []feedKey
	changed map[feedKey]feedChange
	orphans []board.Event
	reread  map[board.ID]struct{}
}

func (f *feed) take() fed {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := fed{f.mu.state, f.mu.order, f.mu.changed, f.mu.orphans, f.mu.reread}
	f.mu.state, f.mu.order, f.mu.orphans = false, nil, nil
	if len(out.changed) > 0 {
		f.mu.changed = map[feedKey]feedChange{}
	}
	if len(out.reread) > 0 {
		f.mu.reread = map[board.ID]struct{}{}
	}
	return out
}

// close makes later commits no business of this feed.
func (f *feed) close() {
	f.mu.Lock()
	f.mu.closed = true
	f.mu.Unlock()
}
