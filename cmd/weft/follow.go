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
		if h := ev.GetHidden(); h != nil {
			if err := r.showHidden(h); err != nil {
				return err
			}
		}
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

// kindHidden is, with --json, what stands for an entry that was printed and doesn't count any more.
const kindHidden = "hidden"

// showHidden takes back what was printed.
func (r *reader) showHidden(h *weftv1.EntryHidden) error {
	was, shown := r.shown.forget(h.GetEntryId())
	if !shown {
		return nil
	}
	out := struct {
		EntryID string `json:"entry_id"`
		BoardID string `json:"board_id"`
		Kind    string `json:"kind"`
		Void    string `json:"void"`
	}{h.GetEntryId(), h.GetBoardId(), kindHidden, h.GetReason()}
	return r.print(out, func() {
		r.say("%s", r.paint(dim, "doesn't count any more: "+was+" ("+oneLine(h.GetReason())+")"))
	})
}

// recentEntries is how many of the last shown entries a follower remembers: more than can arrive between the opening of
// the stream and the reading of the pages.
const recentEntries = 10_000

// recent is the last n ids, with what was printed of them.
type recent struct {
	ids  map[string]string
	ring []string
	next int
}

func newRecent(n int) *recent { return &recent{ids: map[string]string{}, ring: make([]string, n)} }

func (r *recent) add(id, printed string) {
	if r.has(id) {
		return
	}
	delete(r.ids, r.ring[r.next])
	r.ring[r.next] = id
	r.ids[id] = printed
	r.next = (r.next + 1) % len(r.ring)
}

func (r *recent) has(id string) bool {
	_, ok := r.ids[id]
	return ok
}

// forget takes an id out and says what was printed of it.
func (r *recent) forget(id string) (printed string, ok bool) {
	printed, ok = r.ids[id]
	delete(r.ids, id)
	return printed, ok
}
