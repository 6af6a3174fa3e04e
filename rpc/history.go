package rpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/store"
	"weft/team"
)

// Limits of reads.
const (
	defaultPage     = 50
	maxPage         = 1000
	maxPageBytes    = 16 << 20 // of bodies; the page ends early, its tokens go on from there
	defaultReadWait = 5 * time.Second
	maxReadWait     = 5 * time.Minute
)

// History is a page of a board.
func (s *boardService) History(ctx context.Context, req *connect.Request[weftv1.HistoryRequest]) (*connect.Response[weftv1.HistoryResponse], error) {
	m := req.Msg
	p, err := s.findBoard(m.Team, m.Board)
	if err != nil {
		return nil, err
	}
	q, err := pageQuery(p.id, m)
	if err != nil {
		return nil, err
	}
	if err := s.atLeast(ctx, p.id, m.AtLeast, m.TimeoutMs); err != nil {
		return nil, err
	}
	if q.IncludeVoid = m.IncludeVoid; q.IncludeVoid {
		if err := s.mayLookBehind(p.state); err != nil {
			return nil, err
		}
	}
	page, err := s.Store.Page(ctx, p.id, q)
	if err != nil {
		return nil, err
	}
	trim(&page, q)
	return connect.NewResponse(s.wirePage(p, page, q, m.View)), nil
}

// mayLookBehind says whether the user may see entries that don't count.
func (s *service) mayLookBehind(st *team.State) error {
	if role := st.Role(s.Identity.User); role != team.Owner && role != team.Admin {
		return s.explainPower(st, s.Identity.User, fmt.Errorf("couldn't show what does not count: %w", team.ErrNoPower))
	}
	return nil
}

func pageQuery(b board.ID, m *weftv1.HistoryRequest) (q store.PageQuery, err error) {
	q.Limit = int(m.Limit)
	if m.Limit == 0 {
		q.Limit = defaultPage
	}
	switch {
	case m.Limit > maxPage:
		return q, refuse(reasonTooMany, "couldn't read %d entries in one page: at most %d", m.Limit, maxPage).hint("go on with the tokens before and after")
	case m.Before != "" && m.After != "":
		return q, refuse(reasonMalformed, "couldn't read a page both before and after a token").hint("give one of before and after")
	}
	if _, ok := weftv1.EntryView_name[int32(m.View)]; !ok {
		return q, refuse(reasonUnknownOption, "couldn't show entries in view %d: it can be ENTRY_VIEW_FIELDS or ENTRY_VIEW_SIGNED", m.View)
	}
	if q.Before, err = orderToken(b, "before", m.Before); err != nil {
		return q, err
	}
	q.After, err = orderToken(b, "after", m.After)
	return q, err
}

// atLeast waits until the board holds what a token names.
func (s *service) atLeast(ctx context.Context, b board.ID, token string, timeoutMs uint64) error {
	if token == "" {
		return nil
	}
	v, err := vectorToken("at_least", token)
	if err != nil {
		return err
	}
	ctx, cancel := untilStop(ctx)
	defer cancel()
	wait := waitFor(timeoutMs, defaultReadWait, maxReadWait)
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, beforeDeadline(time.Until(deadline)))
	}
	timed, done := context.WithTimeout(ctx, wait)
	defer done()
	err = s.Store.WaitVector(timed, b, v)
	if err == nil {
		return nil
	}
	if errors.Is(err, context.DeadlineExceeded) {
		missing := s.Store.Holding(b).Behind(v)
		return refuse(reasonDeadline, "couldn't read: within %s the node had not got what at_least names; %d records or more are missing", wait.Round(time.Millisecond), missing).
			hint("ask again with more time; weft sync shows what is missing and from whom")
	}
	return whyEnded(timed, err)
}

// trim ends a page early where its bodies are many: at its far end as seen from where it was asked for.
func trim(page *store.Page, q store.PageQuery) {
	size := 0
	if q.After != nil {
		for i, sh := range page.Entries {
			if size += len(sh.Entry.Body); size > maxPageBytes && i > 0 {
				page.Entries, page.Newer = page.Entries[:i], true
				return
			}
		}
		return
	}
	for i := len(page.Entries) - 1; i >= 0; i-- {
		if size += len(page.Entries[i].Entry.Body); size > maxPageBytes && i < len(page.Entries)-1 {
			page.Entries, page.Older = page.Entries[i+1:], true
			return
		}
	}
}

func (s *service) wirePage(p place, page store.Page, q store.PageQuery, view weftv1.EntryView) *weftv1.HistoryResponse {
	res := &weftv1.HistoryResponse{Entries: make([]*weftv1.Entry, len(page.Entries)), Damaged: uint32(page.Damaged)}
	var ids texts
	for i := range page.Entries {
		res.Entries[i] = &weftv1.Entry{}
		s.fillEntry(res.Entries[i], &ids, p.state, &page.Entries[i], view)
	}
	n := len(page.Entries)
	if page.Older && n > 0 {
		res.Before = pageToken(p.id, page.Entries[0].Entry.Order())
	}
	// A page that came back empty stands where it was asked for, so that a reader at the end can ask again.
	switch {
	case n > 0:
		res.After = pageToken(p.id, page.Entries[n-1].Entry.Order())
	case q.After != nil:
		res.After = pageToken(p.id, *q.After)
	}
	switch {
	case page.Damaged > 0: // a mark would cover what was not shown
	case !page.Newer && len(page.Vector) > 0:
		res.Vector = page.Vector.Token()
	case n > 0:
		res.Vector = res.After // MarkRead takes it as "up to there"
	}
	if info, ok := s.Store.Board(p.id); ok && info.Floored && !page.Older {
		res.HistoryStartsHere = true
	}
	for _, l := range s.Store.Vector(p.id) {
		if !l.Base.Epoch.IsZero() {
			res.HistoryArriving = true
		}
	}
	return res
}

// ListBoards lists a team's boards, or everything's.
func (s *boardService) ListBoards(_ context.Context, req *connect.Request[weftv1.ListBoardsRequest]) (*connect.Response[weftv1.ListBoardsResponse], error) {
	states, err := s.teamsNamed(req.Msg.Team)
	if err != nil {
		return nil, err
	}
	res := &weftv1.ListBoardsResponse{}
	var ids texts
	for _, st := range states {
		boards := st.Boards()
		wired := make([]wiredBoard, len(boards)) // at once: a login asks for a thousand
		for i, b := range boards {
			s.fillBoard(&wired[i], &ids, place{st, b.ID, b.Name}, req.Msg.WithLast)
			res.Boards = append(res.Boards, &wired[i].board)
		}
	}
	return connect.NewResponse(res), nil
}

// CreateBoard adds a board to a team.
func (s *boardService) CreateBoard(ctx context.Context, req *connect.Request[weftv1.CreateBoardRequest]) (*connect.Response[weftv1.CreateBoardResponse], error) {
	st, err := s.findTeam(req.Msg.Team)
	if err != nil {
		return nil, err
	}
	if req.Msg.Name == "" {
		return nil, refuse(reasonEmpty, "couldn't create a board: it needs a name")
	}
	for _, b := range st.Boards() {
		if b.Name == req.Msg.Name {
			return nil, refuse(reasonNameTaken, "couldn't create board %q: team %s has one of that name, %s", req.Msg.Name, st.Name(), b.ID)
		}
	}
	o, err := team.NewBoard(st, s.Identity, req.Msg.Name, nonce())
	if err != nil {
		return nil, err
	}
	if err := s.mayRecord(st); err != nil {
		return nil, err
	}
	if _, err := s.Store.AppendObject(ctx, st.ID(), o); err != nil {
		return nil, fmt.Errorf("couldn't create board %q: %w", req.Msg.Name, err)
	}
	return connect.NewResponse(&weftv1.CreateBoardResponse{BoardId: board.OperationBoardID(o.Raw).String()}), nil
}

// teamsNamed is one team, or all for "".
func (s *service) teamsNamed(name string) ([]*team.State, error) {
	if name == "" {
		return s.teams(), nil
	}
	st, err := s.findTeam(name)
	if err != nil {
		return nil, err
	}
	return []*team.State{st}, nil
}
