package sim

import (
	"context"
	"errors"
	"sync"

	"weft/board"
	"weft/sim/check"
	"weft/store"
)

// Observe shows the checker everything that a running node holds of the team's message boards: lists, hashes, logs,
// marks and unread counts.
func (n *Node) Observe() {
	n.world.T.Helper()
	for _, info := range n.store.Boards(n.world.team) {
		if !info.Governance {
			n.observeBoard(info.ID)
		}
	}
}

func (n *Node) observeBoard(b board.ID) {
	n.world.T.Helper()
	ctx, c, name := n.world.T.Context(), n.world.Check, b.String()
	since := c.Now()
	positions := n.observeLogs(b)
	entries, err := n.list(ctx, b)
	if err != nil {
		n.world.T.Errorf("node %s couldn't list %s: %v", n.Name, name, err)
		return
	}
	h := n.store.Holding(b)
	mark := n.store.Mark(n.id.User, b)
	for i := range entries {
		entries[i].Own = entries[i].Author == n.id.User.String()
		for _, p := range positions[entries[i].Entry] {
			entries[i].Read = entries[i].Read || h.Includes(mark, p.Node, board.Point{Epoch: p.Epoch, Seq: p.Seq})
		}
	}
	c.List(n.Name, name, since, entries)
	hash, count, err := n.store.Hash(ctx, b)
	if err != nil || count != uint64(len(entries)) {
		n.world.T.Errorf("node %s: hash over %d entries of %d (%v)", n.Name, count, len(entries), err)
	}
	c.Hash(n.Name, name, hash.String())
	unread, err := n.store.Unread(n.id.User, b)
	if err != nil {
		n.world.T.Errorf("node %s couldn't count unread: %v", n.Name, err)
	}
	c.Unread(n.Name, n.id.User.String(), name, unread, entries)
}

// observeLogs shows the checker every log that the node holds of a board. It returns the positions of each entry.
func (n *Node) observeLogs(b board.ID) map[string][]board.Position {
	n.world.T.Helper()
	positions := map[string][]board.Position{}
	h := n.store.Holding(b)
	for _, node := range h.Nodes() {
		for _, s := range h.Stretches(node) {
			o := board.Origin{Node: node, Epoch: s.Epoch}
			var records []check.Record
			for next := s.Lo; next <= s.Hi; {
				run, err := n.store.Run(n.world.T.Context(), b, o, next, s.Hi, 1<<20)
				if err != nil || len(run.Items) == 0 {
					n.world.T.Errorf("node %s couldn't read records %d to %d of %s: %v", n.Name, next, s.Hi, origin(o), err)
					break
				}
				prev := run.Prev.Hash
				for i, hash := range run.Hashes() {
					r := check.Record{Seq: run.First + uint64(i), Hash: hash.String(), Prev: prev.String(), Entry: run.Items[i].Entry.ID.String()}
					records = append(records, r)
					positions[r.Entry] = append(positions[r.Entry], board.Position{Board: b, Node: node, Epoch: s.Epoch, Seq: r.Seq, Hash: hash})
					prev = hash
				}
				next = run.LastSeq() + 1
			}
			n.world.Check.Records(n.Name, b.String(), origin(o), s.Lo, s.Hi, records)
		}
	}
	return positions
}

// list pages through a board from its end to its beginning; it returns it oldest first.
func (n *Node) list(ctx context.Context, b board.ID) ([]check.Seen, error) {
	var pages [][]check.Seen
	total := 0
	q := store.PageQuery{Limit: 200}
	for {
		page, err := n.store.Page(ctx, b, q)
		if err != nil {
			return nil, err
		}
		var seen []check.Seen
		for _, s := range page.Entries {
			seen = append(seen, seenOf(s.Entry))
		}
		pages = append(pages, seen)
		total += len(seen)
		if !page.Older || len(page.Entries) == 0 {
			break
		}
		k := page.Entries[0].Entry.Order()
		q.Before = &k
	}
	out := make([]check.Seen, 0, total)
	for i := len(pages) - 1; i >= 0; i-- {
		out = append(out, pages[i]...)
	}
	return out, nil
}

func seenOf(e *board.Entry) check.Seen {
	return check.Seen{
		Entry: e.ID.String(), Author: e.Header.Author.String(), MsgID: e.Header.ClientMsgID, Text: string(e.Body),
		Device: e.Header.Device.String(), DevEpoch: e.Header.DevEpoch, DevSeq: e.Header.DevSeq,
		HLC: uint64(e.Header.HLC), Counts: e.Header.Kind.Counts(),
	}
}

// boardReader is a client of a node that follows its changes from the beginning, over restarts, as an app would.
type boardReader struct {
	node   *Node
	reader *check.Reader
	done   chan struct{}

	mu     sync.Mutex
	cursor store.Cursor // guarded by mu
}

func newBoardReader(n *Node) *boardReader {
	return &boardReader{node: n, reader: n.world.Check.Reader("the reader at "+n.Name, n.Name)}
}

func (r *boardReader) start(ctx context.Context, s *store.Store) {
	r.done = make(chan struct{})
	done := r.done
	go func() {
		defer close(done)
		nudge, stop := s.Subscribe()
		defer stop()
		for {
			if err := r.drain(ctx, s); err != nil {
				if ctx.Err() == nil && !errors.Is(err, store.ErrClosed) {
					r.node.world.T.Errorf("the reader at %s couldn't go on: %v", r.node.Name, err)
				}
				return
			}
			select {
			case <-nudge:
			case <-ctx.Done():
				return
			}
		}
	}()
}

// drain reads up to the end.
func (r *boardReader) drain(ctx context.Context, s *store.Store) error {
	const limit = 64
	for {
		r.mu.Lock()
		at := r.cursor
		r.mu.Unlock()
		changes, next, err := s.Changes(ctx, at, limit, store.Filter{})
		if err != nil {
			return err
		}
		for _, c := range changes {
			switch {
			case c.Kind == store.EntryShown && c.Shown.Entry.Header.Kind.Governance():
			case c.Kind == store.EntryShown:
				seen := seenOf(c.Shown.Entry)
				seen.Late = c.Late
				r.reader.Saw(c.Board.String(), seen)
			case c.Kind == store.EntryHidden:
				r.reader.Hid(c.Board.String(), c.Entry.String())
			}
		}
		r.mu.Lock()
		r.cursor = next
		r.mu.Unlock()
		if len(changes) < limit {
			return nil
		}
	}
}

func (r *boardReader) wait() {
	if r.done != nil {
		<-r.done
	}
}

// complete tells the checker that the reader ought to have been shown everything that these nodes have.
func (n *Node) complete(nodes []string) {
	for _, info := range n.store.Boards(n.world.team) {
		if !info.Governance {
			n.reader.reader.Complete(info.ID.String(), nodes...)
		}
	}
}
