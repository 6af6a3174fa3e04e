package hub

import (
	"context"

	"weft/board"
	"weft/presence"
)

// LargeTeam is how many people a team may have of which watchers see everyone; of a larger one they get counts, and the
// people that they name.
const LargeTeam = 256

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
	Everybody bool           // of large teams too: with one team, in pages of at most LargeTeam
	After     board.UserID   // the page after this user
}

// Snapshot is who is there now. With Everybody, more says that there is a page after the last of these people.
func (h *Hub) Snapshot(r SnapshotRequest) (views []TeamView, more bool, err error) {
	return nil, false, nil
}

// WatchFilter says what somebody wants to see from now on. Teams and People as in SnapshotRequest.
type WatchFilter struct {
	Viewer board.UserID
	Teams  []board.TeamID
	People []board.UserID
}

// WatchBatch is what a reader gets at once. Gone and Snapshot stand before Changes: a team in Snapshot replaces all that
// the reader had of it.
type WatchBatch struct {
	Gone     []board.TeamID // the viewer is out of these
	Snapshot []TeamView
	Changes  []presence.Change // one for each person at most; Was is what the reader had before
	Counts   []TeamView        // of those teams whose people are not all shown, at most once a second; People is nil
	Skipped  uint64            // changes overtaken by later ones before they were taken
}

// Watch begins to watch: the first batch is a snapshot, and what comes after it is all that changed since. ErrTooMany.
func (h *Hub) Watch(f WatchFilter) (*Watcher, error) { return nil, nil }

// Watcher is for one reader.
type Watcher struct{}

// Next waits for something new. ErrClosed, or ctx's error.
func (w *Watcher) Next(ctx context.Context) (WatchBatch, error) { return WatchBatch{}, nil }

// Close ends the watching; Next returns ErrClosed.
func (w *Watcher) Close() {}
