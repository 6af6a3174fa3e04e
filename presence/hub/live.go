package hub

import (
	"context"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence"
)

// Bounds of the live lane.
const (
	MaxLiveBody  = 16 << 10  // bytes
	MaxLiveBatch = 256       // messages under one signature
	MaxLiveBytes = 128 << 10 // of one batch, encoded
	MaxLiveTTL   = 5000      // milliseconds
	MaxKind      = 32        // bytes
)

// LiveNow is the time for LiveMessage.sent_ms: the clock as it was when the hub began and the time that passed since, so
// that no correction of the clock makes messages look old.
func (h *Hub) LiveNow() int64 { return 0 }

// Say gives live messages of a local device to who is there, here and at other nodes: signed is the LiveBatch b, signed by
// the device. All messages of a batch have the same target, or none. nodes: to how many other nodes it was given; people: how many
// were there, the author not counted.
// *BusyError, board.ErrNotMember, board.ErrMalformed, board.ErrTooLarge, ErrUnknownTeam.
func (h *Hub) Say(ctx context.Context, signed *weftv1.Signed, b *weftv1.LiveBatch) (nodes, people int, err error) {
	return 0, 0, nil
}

// ReceiveLive takes a batch from another node; the signature of its device, which is one of b.User's, was checked. An error that wraps
// board.ErrMalformed is the sender's offence.
func (h *Hub) ReceiveLive(from board.NodeID, signed *weftv1.Signed, b *weftv1.LiveBatch) error {
	return nil
}

// ListenFilter says what somebody wants to hear.
type ListenFilter struct {
	Viewer board.UserID
	Teams  []board.TeamID // nil: all of the viewer's, whichever these are at the time
	Kinds  []string       // nil: all
}

// LiveEvent is a live message that has arrived.
type LiveEvent struct {
	ID     [16]byte
	Team   board.TeamID
	User   board.UserID
	Device presence.DeviceID
	Node   board.NodeID
	Kind   string
	Body   []byte // not to be changed
	SentMS int64
	Board  board.ID // zero: the team
	Direct bool     // to the viewer alone
}

// Listen begins to listen: to what arrives from now on. ErrTooMany.
func (h *Hub) Listen(f ListenFilter) (*Listener, error) { return nil, nil }

// Listener is for one reader; it holds at most 256 messages and 1 MiB that the reader has not taken.
type Listener struct{}

// Next waits for messages. dropped: how many this reader was too slow for since the last call. ErrClosed, or ctx's error.
func (l *Listener) Next(ctx context.Context) (events []LiveEvent, dropped uint64, err error) {
	return nil, 0, nil
}

// Close ends the listening; Next returns ErrClosed.
func (l *Listener) Close() {}
