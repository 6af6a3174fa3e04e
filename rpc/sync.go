package rpc

import (
	"context"
	"errors"
	"slices"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/store"
	"weft/team"
)

// Limits of Sync. A stream holds one batch at a time, whatever its reader does.
const (
	maxSyncStreams  = 256
	maxBatchEvents  = 256
	maxBatchBytes   = 256 << 10
	maxSnapshotLast = 1000
	firstBatch      = 32 // changes; it grows while they are small, so that a reading never holds much more than a batch
)

type syncService struct{ *service }

// Sync streams changes after a cursor. It is nudged by the store, reads after its own cursor, and sends; while a reader
// doesn't read, Send waits and nothing piles up.
func (s *syncService) Sync(ctx context.Context, req *connect.Request[weftv1.SyncRequest], stream *connect.ServerStream[weftv1.SyncResponse]) error {
	select {
	case s.sessions <- struct{}{}:
	default:
		return refuse(reasonBusy, "couldn't open another Sync stream: %d are open", maxSyncStreams)
	}
	s.obs.sessions.Inc()
	defer func() { s.obs.sessions.Dec(); <-s.sessions }()
	ctx, cancel := untilStop(ctx)
	defer cancel()
	nudge, stop := s.Store.Subscribe()
	defer stop()
	session, err := s.newSession(req.Msg)
	if err != nil {
		return err
	}
	if req.Msg.Cursor == "" {
		if err := session.snapshot(ctx, req.Msg.Last, stream.Send); err != nil {
			return whyEnded(ctx, err)
		}
	} else if session.cursor, err = store.ParseCursor(req.Msg.Cursor); err != nil {
		return s.badCursor(err)
	}
	for {
		batch, caughtUp, err := session.next(ctx)
		switch {
		case errors.Is(err, store.ErrBadCursor):
			return s.badCursor(err)
		case err != nil:
			return whyEnded(ctx, err)
		}
		if len(batch.Events) > 0 || caughtUp && !session.live {
			session.live = session.live || caughtUp
			if err := stream.Send(batch); err != nil {
				return whyEnded(ctx, err)
			}
		}
		if !caughtUp {
			continue
		}
		select {
		case <-nudge:
		case <-ctx.Done():
			return whyEnded(ctx, ctx.Err())
		}
	}
}

// badCursor refuses a cursor and names the way to recover.
func (s *service) badCursor(err error) error {
	r := refuse(reasonBadCursor, "couldn't go on from this cursor: %w", err)
	r.detail.Cursor = s.Store.Cursor().String()
	return r
}

// Ack notes how far a client has got.
func (s *syncService) Ack(_ context.Context, req *connect.Request[weftv1.AckRequest]) (*connect.Response[weftv1.AckResponse], error) {
	if req.Msg.Cursor == "" {
		return nil, refuse(reasonEmpty, "couldn't note an empty cursor")
	}
	c, err := store.ParseCursor(req.Msg.Cursor)
	if err != nil {
		return nil, s.badCursor(err)
	}
	if now := s.Store.Cursor(); c.Store != now.Store || c.Arrival > now.Arrival {
		return nil, s.badCursor(store.ErrBadCursor)
	}
	s.obs.acks.Set(float64(c.Arrival))
	return connect.NewResponse(&weftv1.AckResponse{}), nil
}

// session is the state of one Sync stream. Its handler alone uses it.
type session struct {
	*service
	view   weftv1.EntryView
	filter store.Filter
	boards map[board.ID]bool // nil: all
	cursor store.Cursor
	live   bool
	limit  int // changes read at a time: fewer after a batch of large entries

	shown    map[board.ID]board.Vector  // what the stream has shown of each board, for tokens
	standing map[board.TeamID][2]string // role and state that the stream has shown of each team
	// Entries of the snapshot, until the cursor is past its end: they may come again among the changes made meanwhile.
	snapped    map[board.Hash]bool
	snappedEnd uint64
}

func (s *service) newSession(m *weftv1.SyncRequest) (*session, error) {
	if _, ok := weftv1.EntryView_name[int32(m.View)]; !ok {
		return nil, refuse(reasonUnknownOption, "couldn't show entries in view %d: it can be ENTRY_VIEW_FIELDS or ENTRY_VIEW_SIGNED", m.View)
	}
	if m.Last > maxSnapshotLast {
		return nil, refuse(reasonTooMany, "couldn't send the last %d entries of each board: at most %d", m.Last, maxSnapshotLast).hint("read older ones by History")
	}
	out := &session{
		service: s, view: m.View, limit: firstBatch,
		filter: store.Filter{User: s.Identity.User}, shown: map[board.ID]board.Vector{}, standing: map[board.TeamID][2]string{},
	}
	if len(m.Teams) > 0 {
		out.filter.Teams = map[board.TeamID]bool{}
	}
	for _, name := range m.Teams {
		st, err := s.findTeam(name)
		if err != nil {
			return nil, err
		}
		out.filter.Teams[st.ID()] = true
	}
	if len(m.Boards) == 0 {
		return out, nil
	}
	out.boards = map[board.ID]bool{}
	if out.filter.Teams == nil {
		out.filter.Teams = map[board.TeamID]bool{}
	}
	for _, name := range m.Boards {
		p, err := s.findBoard(name, "")
		if _, idErr := board.ParseID(name); idErr == nil {
			p, err = s.findBoard("", name)
		}
		if err != nil {
			return nil, err
		}
		out.boards[p.id] = true
		out.filter.Teams[p.state.ID()] = true
	}
	return out, nil
}

// wants says whether the stream is about a board.
func (c *session) wants(b board.ID) bool { return c.boards == nil || c.boards[b] }

// next is the batch after the cursor, which it moves. caughtUp: nothing more is there now.
func (c *session) next(ctx context.Context) (batch *weftv1.SyncResponse, caughtUp bool, err error) {
	end := c.Store.Cursor() // what is committed after this nudges again
	changes, after, err := c.Store.Changes(ctx, c.cursor, c.limit, c.filter)
	if err != nil {
		return nil, false, err
	}
	size := 0
	for i := range changes {
		size += changeSize(&changes[i])
	}
	if size > maxBatchBytes && len(changes) > 1 {
		c.limit = max(1, min(len(changes)/2, len(changes)*maxBatchBytes/size))
		return c.next(ctx)
	}
	caughtUp = after.Arrival >= end.Arrival
	if 2*size <= maxBatchBytes {
		c.limit = min(2*c.limit, maxBatchEvents)
	}
	batch = &weftv1.SyncResponse{}
	told := map[board.TeamID]bool{} // an event of a team describes it as it is: one in a batch says all
	for i := range changes {
		if ch := &changes[i]; ch.Kind != store.TeamChanged || !told[ch.Team] {
			told[ch.Team] = told[ch.Team] || ch.Kind == store.TeamChanged
			c.add(ctx, batch, ch)
		}
	}
	c.cursor = after
	c.tokens(batch, changes)
	if c.snapped != nil && after.Arrival >= c.snappedEnd {
		c.snapped = nil
	}
	batch.Cursor, batch.Live = after.String(), caughtUp
	return batch, caughtUp, nil
}

// changeSize is about what a change takes on the wire.
func changeSize(ch *store.Change) int {
	if ch.Shown == nil {
		return 256
	}
	return 384 + len(ch.Shown.Entry.Raw) + len(ch.Shown.Entry.Body)
}

// add turns a change into an event, if this stream wants it.
func (c *session) add(ctx context.Context, batch *weftv1.SyncResponse, ch *store.Change) {
	if ch.Board == board.GovernanceID(ch.Team) || ch.Kind != store.TeamChanged && !c.wants(ch.Board) {
		return
	}
	if ev := c.event(ctx, ch); ev != nil {
		batch.Events = append(batch.Events, ev)
	}
}

func (c *session) event(ctx context.Context, ch *store.Change) *weftv1.SyncEvent {
	teamID, boardID := ch.Team.String(), ch.Board.String()
	st, ok := c.Store.Team(ch.Team)
	known := ok && st.Known()
	switch ch.Kind {
	case store.EntryShown:
		if !known || ch.Shown == nil || c.snapped[ch.Shown.Entry.ID] && ch.Arrival <= c.snappedEnd {
			return nil
		}
		return &weftv1.SyncEvent{Event: &weftv1.SyncEvent_Shown{Shown: &weftv1.EntryShown{
			TeamId: teamID, BoardId: boardID, Entry: c.wireEntry(st, ch.Shown, c.view), Late: ch.Late,
		}}}
	case store.EntryHidden:
		return &weftv1.SyncEvent{Event: &weftv1.SyncEvent_Hidden{Hidden: &weftv1.EntryHidden{
			TeamId: teamID, BoardId: boardID, EntryId: ch.Entry.String(), Reason: ch.Reason,
		}}}
	case store.MarkMoved:
		n, err := c.Store.Unread(c.Identity.User, ch.Board)
		if err != nil {
			return nil
		}
		return &weftv1.SyncEvent{Event: &weftv1.SyncEvent_Mark{Mark: &weftv1.MarkMoved{TeamId: teamID, BoardId: boardID, Unread: n}}}
	case store.BoardGained:
		if !known {
			return nil
		}
		name := ""
		if b, ok := st.Board(ch.Board); ok {
			name = b.Name
		}
		return boardEvent(c.wireBoard(place{st, ch.Board, name}, false))
	case store.TeamChanged:
		if !known {
			return &weftv1.SyncEvent{Event: &weftv1.SyncEvent_Team{Team: &weftv1.TeamChanged{Team: &weftv1.Team{TeamId: teamID}, Gone: !ok}}}
		}
		return c.teamEvent(ctx, st)
	case store.FloorMoved:
		return &weftv1.SyncEvent{Event: &weftv1.SyncEvent_Floor{Floor: &weftv1.FloorMoved{TeamId: teamID, BoardId: boardID, FloorHlc: uint64(ch.FloorHLC)}}}
	}
	return nil
}

// teamEvent describes a team, and the user's role and state as the stream has shown them before, where they are others now.
func (c *session) teamEvent(ctx context.Context, st *team.State) *weftv1.SyncEvent {
	ev := &weftv1.TeamChanged{Team: c.wireTeam(ctx, st)}
	now := [2]string{ev.Team.Role, ev.Team.State}
	if before, ok := c.standing[st.ID()]; ok && before != now {
		ev.RoleBefore, ev.StateBefore = before[0], before[1]
	}
	c.standing[st.ID()] = now
	return &weftv1.SyncEvent{Event: &weftv1.SyncEvent_Team{Team: ev}}
}

func boardEvent(b *weftv1.Board) *weftv1.SyncEvent {
	return &weftv1.SyncEvent{Event: &weftv1.SyncEvent_Board{Board: &weftv1.BoardChanged{Board: b}}}
}

// tokens puts a token on the last entry of each board in a batch: all that the stream has shown of the board. Where no
// change has come since, that is all that the board holds, entries from before this stream included.
func (c *session) tokens(batch *weftv1.SyncResponse, changes []store.Change) {
	last := map[board.ID]*weftv1.EntryShown{}
	at := 0
	for i := range changes {
		ch := &changes[i]
		if ch.Kind != store.EntryShown || !c.wants(ch.Board) {
			continue
		}
		c.shown[ch.Board] = cover(c.shown[ch.Board], ch.Position)
		for ; at < len(batch.Events); at++ {
			if ev := batch.Events[at].GetShown(); ev != nil {
				if ev.Entry.EntryId == ch.Shown.Entry.ID.String() {
					last[ch.Board] = ev
					at++
				}
				break
			}
		}
	}
	for b, ev := range last {
		held := c.Store.Vector(b)
		if c.Store.Cursor() == c.cursor {
			c.shown[b] = slices.Clone(held)
		}
		ev.Vector = c.shown[b].Token()
	}
}
