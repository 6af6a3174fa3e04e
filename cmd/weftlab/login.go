package main

import (
	"context"
	"fmt"
	"path/filepath"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/sim/words"
	"weft/store"
	"weft/team"
)

// loginBench measures what a client asks for first: heads, unread counts and last entries of a thousand boards.
type loginBench struct{}

const (
	loginTeams  = 20
	loginBoards = 50 // of each team, general included
	loginPosts  = 20 // of each board
)

func (b *loginBench) run(ctx context.Context, l *lab) error {
	dir := filepath.Join(l.data, "login")
	_, reader, err := person(1)
	if err != nil {
		return err
	}
	f, err := l.openKept(ctx, dir, reader.User)
	if err != nil {
		return err
	}
	err = b.fill(ctx, l, f, reader.User)
	if err == nil {
		err = b.fromStore(ctx, l, f, reader.User)
	}
	if closing := f.store.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	n, err := l.startNode(ctx, dir, "ann")
	if err != nil {
		return err
	}
	defer n.stop()
	return l.timed(ctx, "login: the same through the socket, in one call", atMost(10), func() error {
		boards, err := listBoards(ctx, n)
		if err == nil && boards < 1000 {
			err = fmt.Errorf("couldn't see 1,000 boards: %d", boards)
		}
		return err
	})
}

func (b *loginBench) fromStore(ctx context.Context, l *lab, f *fixture, reader board.UserID) error {
	return l.timed(ctx, "login: heads, unread and last entries of 1,000 boards, from the store", atMost(10), func() error {
		boards := 0
		for _, t := range f.store.Teams() {
			for _, info := range f.store.Boards(t) {
				if v := f.store.Vector(info.ID); info.Governance || info.Last == nil || len(v) == 0 {
					continue
				}
				boards++
			}
		}
		counts, err := f.store.UnreadAll(reader)
		if err == nil && (boards < 1000 || len(counts) < 1000) {
			err = fmt.Errorf("couldn't see 1,000 boards: %d, and %d counts", boards, len(counts))
		}
		return err
	})
}

// fill makes what is missing of the boards; the reader has read half of each.
func (b *loginBench) fill(ctx context.Context, l *lab, f *fixture, reader board.UserID) error {
	const done = "weftlab/login"
	if v, err := f.store.GetKV(done); err == nil && len(v) > 0 {
		return nil
	}
	l.say("making %d boards (once)", loginTeams*loginBoards)
	for n := len(f.store.Teams()); n < loginTeams; n++ {
		if _, err := f.found(ctx, fmt.Sprintf("team %d", n)); err != nil {
			return err
		}
	}
	for _, t := range f.store.Teams() {
		st, ok := f.store.Team(t)
		if !ok {
			return fmt.Errorf("couldn't find team %s", t)
		}
		for n := len(st.Boards()); n < loginBoards; n++ {
			o, err := team.NewBoard(st, f.id, fmt.Sprintf("board %d", n), [16]byte{byte(n), 2})
			if err != nil {
				return err
			}
			if _, err := f.store.AppendObject(ctx, t, o); err != nil {
				return err
			}
		}
		if err := b.talk(ctx, f, t, reader); err != nil {
			return err
		}
	}
	return f.store.SetKV(ctx, done, []byte{1})
}

// talk posts into each board of a team.
func (b *loginBench) talk(ctx context.Context, f *fixture, t board.TeamID, reader board.UserID) error {
	for _, info := range f.store.Boards(t) {
		if info.Governance {
			continue
		}
		var drafts []store.Draft
		for i := range uint64(loginPosts) {
			d := f.draft(fmt.Sprintf("%s-%d", info.ID, i), words.Text(3, i, textSize))
			d.Team, d.Board = t, info.ID
			drafts = append(drafts, d)
		}
		receipts, err := f.store.Append(ctx, drafts)
		if err != nil {
			return err
		}
		half := receipts[loginPosts/2]
		if _, err := f.store.ReadUpTo(ctx, reader, info.ID, board.OrderKey{HLC: half.HLC, ID: half.Entry}); err != nil {
			return err
		}
	}
	return nil
}

// listBoards is the call that a client makes first.
func listBoards(ctx context.Context, n *node) (int, error) {
	res, err := n.Boards.ListBoards(ctx, connect.NewRequest(&weftv1.ListBoardsRequest{WithLast: true}))
	if err != nil {
		return 0, err
	}
	return len(res.Msg.Boards), nil
}
