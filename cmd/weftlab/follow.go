package main

import (
	"context"
	"fmt"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

// shownEntry is an entry that a node's stream showed.
type shownEntry struct {
	entry, msgID, text, device string
	hlc, devEpoch, devSeq      uint64
	late                       bool
}

// follow reads a node's stream until ctx ends. ready is closed when everything that was there before has been sent; see
// is called for each entry.
func follow(ctx context.Context, n *node, ready chan<- struct{}, see func(shownEntry)) error {
	stream, err := n.Streams.Sync(ctx, connect.NewRequest(&weftv1.SyncRequest{View: weftv1.EntryView_ENTRY_VIEW_SIGNED}))
	if err != nil {
		return err
	}
	defer stream.Close()
	for stream.Receive() {
		m := stream.Msg()
		for _, e := range m.Events {
			s := e.GetShown()
			if s == nil {
				continue
			}
			h, err := board.ParseHeader(s.Entry.Header)
			if err != nil {
				return fmt.Errorf("couldn't read an entry of the stream: %w", err)
			}
			see(shownEntry{
				entry: s.Entry.EntryId, msgID: h.ClientMsgID, text: string(s.Entry.Body), device: h.Device.String(),
				hlc: uint64(h.HLC), devEpoch: h.DevEpoch, devSeq: h.DevSeq, late: s.Late,
			})
		}
		if m.Live && ready != nil {
			close(ready)
			ready = nil
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return stream.Err()
}
