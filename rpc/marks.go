package rpc

import (
	"context"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// Unread counts what the node's user has not read: of one board, of a team, or of everything.
func (s *boardService) Unread(ctx context.Context, req *connect.Request[weftv1.UnreadRequest]) (*connect.Response[weftv1.UnreadResponse], error) {
	m := req.Msg
	res := &weftv1.UnreadResponse{}
	if m.Board != "" || m.AtLeast != "" {
		p, err := s.findBoard(m.Team, m.Board)
		if err != nil {
			return nil, err
		}
		if err := s.atLeast(ctx, p.id, m.AtLeast, m.TimeoutMs); err != nil {
			return nil, err
		}
		u, err := s.unread(p)
		if err != nil {
			return nil, err
		}
		res.Boards = append(res.Boards, u)
		return connect.NewResponse(res), nil
	}
	states, err := s.teamsNamed(m.Team)
	if reasonOf(err) == reasonNotFound {
		if p, placeErr := s.findBoard(m.Team, ""); placeErr == nil { // TEAM/BOARD
			u, err := s.unread(p)
			res.Boards = append(res.Boards, u)
			return connect.NewResponse(res), err
		}
	}
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(res), s.unreadOf(states, res)
}

// unreadOf answers for whole teams from the counts in memory.
func (s *service) unreadOf(states []*team.State, res *weftv1.UnreadResponse) error {
	counts, err := s.Store.UnreadAll(s.Identity.User)
	if err != nil {
		return err
	}
	byBoard := make(map[board.ID]uint64, len(counts))
	for _, c := range counts {
		byBoard[c.Board] = c.Unread
	}
	for _, st := range states {
		teamID, name := st.ID().String(), st.Name()
		for _, b := range st.Boards() {
			res.Boards = append(res.Boards, &weftv1.UnreadBoard{
				TeamId: teamID, Team: name, BoardId: b.ID.String(), Board: b.Name, Unread: byBoard[b.ID],
			})
		}
	}
	return nil
}

func (s *service) unread(p place) (*weftv1.UnreadBoard, error) {
	n, err := s.Store.Unread(s.Identity.User, p.id)
	if err != nil {
		return nil, err
	}
	return &weftv1.UnreadBoard{
		TeamId: p.state.ID().String(), Team: p.state.Name(), BoardId: p.id.String(), Board: p.name, Unread: n,
	}, nil
}

// MarkRead moves the user's mark forward: to what was shown, up to an entry, or over everything held.
func (s *boardService) MarkRead(ctx context.Context, req *connect.Request[weftv1.MarkReadRequest]) (*connect.Response[weftv1.MarkReadResponse], error) {
	m := req.Msg
	p, err := s.findBoard(m.Team, m.Board)
	if err != nil {
		return nil, err
	}
	given := 0
	for _, is := range []bool{m.Vector != "", m.UpTo != "", m.All} {
		if is {
			given++
		}
	}
	if given != 1 {
		return nil, refuse(reasonEmpty, "couldn't mark %s as read: give exactly one of vector, up_to and all", p)
	}
	unread, err := s.mark(ctx, p, m)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&weftv1.MarkReadResponse{Unread: unread}), nil
}

func (s *boardService) mark(ctx context.Context, p place, m *weftv1.MarkReadRequest) (uint64, error) {
	user := s.Identity.User
	switch {
	case m.All:
		return s.Store.MarkAll(ctx, user, p.id)
	case m.UpTo != "":
		id, err := board.ParseHash(m.UpTo)
		if err != nil {
			return 0, err
		}
		sh, err := s.Store.EntryByID(ctx, p.id, id)
		if err != nil {
			return 0, err
		}
		return s.Store.ReadUpTo(ctx, user, p.id, sh.Entry.Order())
	}
	if k, ok := parsePageToken(p.id, m.Vector); ok { // of a page that was not the newest
		return s.Store.ReadUpTo(ctx, user, p.id, k)
	}
	v, err := vectorToken("vector", m.Vector)
	if err != nil {
		return 0, err
	}
	return s.Store.MergeMark(ctx, user, p.id, v)
}
