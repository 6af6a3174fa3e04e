package hub

import (
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

// Bounds of the live lane.
const (
	MaxLiveBody  = 16 << 10  // bytes
	MaxLiveBatch = 256       // messages under one signature
	MaxLiveBytes = 128 << 10 // of one batch, encoded
	MaxLiveTTL   = 5000      // milliseconds
	MaxKind      = 32        // bytes
)

// batch is a LiveBatch that was read.
type batch struct {
	team   board.TeamID
	user   board.UserID
	node   board.NodeID
	target board.UserID // of all of its messages; zero: everybody
	size   int
	events []LiveEvent
	ttl    []int64 // milliseconds, of each
}

// parseLive reads and bounds a batch. Its errors wrap board.ErrMalformed or board.ErrTooLarge.
func parseLive(signed *weftv1.Signed, m *weftv1.LiveBatch) (*batch, error) {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("couldn't read live messages: %s: %w", fmt.Sprintf(format, args...), board.ErrMalformed)
	}
	size := proto.Size(m)
	switch {
	case m == nil || len(m.Team) != 32 || len(m.User) != 32 || len(m.Node) != 32 || len(signed.GetKey()) != 32:
		return nil, bad("an id has a wrong length")
	case len(m.Messages) == 0:
		return nil, bad("there is none")
	case len(m.Messages) > MaxLiveBatch || size > MaxLiveBytes:
		return nil, fmt.Errorf("couldn't read live messages: %d of them in %d bytes, %d and %d are possible: %w", len(m.Messages), size, MaxLiveBatch, MaxLiveBytes, board.ErrTooLarge)
	}
	b := &batch{team: board.TeamID(m.Team), user: board.UserID(m.User), node: board.NodeID(m.Node), size: size, events: make([]LiveEvent, len(m.Messages)), ttl: make([]int64, len(m.Messages))}
	for i, x := range m.Messages {
		switch {
		case len(x.GetId()) != 16:
			return nil, bad("an id of %d bytes", len(x.GetId()))
		case len(x.Kind) > MaxKind || !utf8.ValidString(x.Kind):
			return nil, bad("a kind of %d bytes", len(x.Kind))
		case len(x.Body) > MaxLiveBody:
			return nil, fmt.Errorf("couldn't read live messages: a body of %d bytes, %d are possible: %w", len(x.Body), MaxLiveBody, board.ErrTooLarge)
		case x.TtlMs > MaxLiveTTL || x.SentMs >= 1<<48:
			return nil, bad("a time to live of %d ms", x.TtlMs)
		case len(x.Target) != 0 && len(x.Target) != 32 || len(x.Board) != 0 && len(x.Board) != 16:
			return nil, bad("a target or board of a wrong length")
		}
		e := LiveEvent{ID: [16]byte(x.Id), Team: b.team, User: b.user, Node: b.node, Kind: x.Kind, Body: x.Body, SentMS: int64(x.SentMs), Direct: len(x.Target) > 0}
		copy(e.Device[:], signed.Key)
		copy(e.Board[:], x.Board)
		var target board.UserID
		copy(target[:], x.Target)
		if i > 0 && target != b.target {
			return nil, bad("messages to different people under one signature")
		}
		b.target = target
		b.events[i], b.ttl[i] = e, int64(x.TtlMs)
		if x.TtlMs == 0 {
			b.ttl[i] = MaxLiveTTL
		}
	}
	return b, nil
}
