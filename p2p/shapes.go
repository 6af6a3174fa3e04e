package p2p

import (
	"context"
	"crypto/sha256"
	"slices"

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

func openSeed(t board.TeamID, n board.NodeID) [32]byte {
	return sha256.Sum256(slices.Concat([]byte("weft/open/v1\x00"), t[:], n[:]))
}
