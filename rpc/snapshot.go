package rpc

import (
	"context"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/store"
)

// snapshot sends what is there now: each team, its boards, and the newest entries of each. Its batches have no cursor
// until the last, so a stream that breaks before it begins anew. Changes made meanwhile follow after it.
func (c *session) snapshot(ctx context.Context, last uint32, send func(*weftv1.SyncResponse) error) error {
	c.cursor = c.Store.Cursor()
	c.snapped = map[board.Hash]bool{}
	out := batcher{send: send}
	for _, st := range c.teams() {
		if c.filter.Teams != nil && !c.filter.Teams[st.ID()] {
			continue
		}
		if err := out.add(c.teamEvent(ctx, st), 256); err != nil {
			return err
		}
		for _, b := range st.Boards() {
			if !c.wants(b.ID) {
				continue
			}
			if err := c.snapshotBoard(ctx, &out, place{st, b.ID, b.Name}, int(last)); err != nil {
				return err
			}
		}
	}
	c.snappedEnd = c.Store.Cursor().Arrival
	out.batch.Cursor = c.cursor.String()
	return out.flush()
}

func (c *session) snapshotBoard(ctx context.Context, out *batcher, p place, last int) error {
	b := c.wireBoard(p, false)
	if err := out.add(boardEvent(b), 256+len(b.Vector)); err != nil || last == 0 {
		return err
	}
	page, err := c.Store.Page(ctx, p.id, store.PageQuery{Limit: last})
	if err != nil {
		return err
	}
	teamID, boardID := p.state.ID().String(), p.id.String()
	for i := range page.Entries {
		sh := &page.Entries[i]
		c.snapped[sh.Entry.ID] = true
		shown := &weftv1.EntryShown{TeamId: teamID, BoardId: boardID, Entry: c.wireEntry(p.state, sh, c.view)}
		if i == len(page.Entries)-1 && page.Damaged == 0 {
			shown.Vector = page.Vector.Token()
		}
		ev := &weftv1.SyncEvent{Event: &weftv1.SyncEvent_Shown{Shown: shown}}
		if err := out.add(ev, 384+len(sh.Entry.Raw)+len(sh.Entry.Body)+len(shown.Vector)); err != nil {
			return err
		}
	}
	return nil
}

// batcher gathers events into bounded batches.
type batcher struct {
	send  func(*weftv1.SyncResponse) error
	batch weftv1.SyncResponse
	size  int
}

func (o *batcher) add(ev *weftv1.SyncEvent, size int) error {
	if len(o.batch.Events) > 0 && (len(o.batch.Events) >= maxBatchEvents || o.size+size > maxBatchBytes) {
		if err := o.flush(); err != nil {
			return err
		}
	}
	o.batch.Events = append(o.batch.Events, ev)
	o.size += size
	return nil
}

func (o *batcher) flush() error {
	err := o.send(&o.batch)
	o.batch.Reset()
	o.size = 0
	return err
}
