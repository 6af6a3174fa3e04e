package p2p

import (
	"context"

	"weft/board"
	"weft/store"
	"weft/team"
)

func objectOf(ctx context.Context, s *store.Store, t board.TeamID, h board.Hash) (*team.Object, error) {
	if s, ok := any(s).(interface {
		Object(context.Context, board.TeamID, board.Hash) (*team.Object, error)
	}); ok {
		return s.Object(ctx, t, h)
	}
	return nil, board.ErrNotFound
}
