package main

import (
	"context"

	weftv1 "weft/api/weft/v1"
	"weft/client"
)

// follow prints the newest entries and then what arrives. The stream is opened before the pages are read, so that
// nothing falls between them; what both of them show is printed once.
func (r *reader) follow(ctx context.Context) error {
	id, err := r.boardID(ctx)
	if err != nil {
		return err
	}
	begun := false
	for batch, err := range r.client.Sync(ctx, client.SyncOptions{Boards: []string{id}}) {
		if err != nil {
			return err
		}
		if !begun {
			if batch.Cursor == "" { // within the snapshot
				continue
			}
			begun = true
			r.shown = newRecent(recentEntries)
			if err := r.read(ctx); err != nil {
				return interrupted(ctx, err)
			}
			continue
		}
		if err := r.showEvents(ctx, batch.Events); err != nil {
			return interrupted(ctx, err)
		}
	}
	return nil
}

// interrupted is nil where the person has ended it.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// boardID pins the board, so that a later one of the same name changes nothing.
func (r *reader) boardID(ctx context.Context) (string, error) {
	page, err := call(ctx, r.client.Boards.ListBoards, &weftv1.ListBoardsRequest{Team: r.at.team})
	if err != nil {
		return "", err
	}
	want := r.at.board
	if want == "" {
		want = "general"
	}
	for _, b := range page.Boards {
		if b.BoardId == want || b.Name == want {
			r.at = place{b.TeamId, b.BoardId}
			return b.BoardId, nil
		}
	}
	// History has the right words for what is wrong with the name.
	if _, err := r.page(ctx, "", "", 1); err != nil {
		return "", err
	}
	return want, nil
}

func (r *reader) showEvents(ctx context.Context, events []*weftv1.SyncEvent) error {
	vector := ""
	for _, ev := range events {
		s := ev.GetShown()
		if s == nil || r.shown.has(s.Entry.GetEntryId()) {
			continue
		}
		e := entryOf(s.Entry)
		e.Late = s.Late
		if err := r.showEntry(e); err != nil {
			return err
		}
		if s.Vector != "" {
			vector = s.Vector
		}
	}
	return r.markShown(ctx, vector)
}

// recentEntries is how many of the last shown entries a follower remembers: more than can arrive between the opening of
// the stream and the reading of the pages.
const recentEntries = 10_000

// recent is a set of the last n ids.
type recent struct {
	ids  map[string]bool
	ring []string
	next int
}

func newRecent(n int) *recent { return &recent{ids: map[string]bool{}, ring: make([]string, n)} }

func (r *recent) add(id string) {
	if r == nil || r.ids[id] {
		return
	}
	delete(r.ids, r.ring[r.next])
	r.ring[r.next] = id
	r.ids[id] = true
	r.next = (r.next + 1) % len(r.ring)
}

func (r *recent) has(id string) bool { return r != nil && r.ids[id] }
