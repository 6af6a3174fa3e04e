package hub

import (
	"fmt"
	"slices"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence"
	"weft/team"
)

// The form of a LiveBatch, wherever it comes from.
const (
	MaxLiveBody  = 16 << 10  // bytes
	MaxLiveBatch = 256       // messages under one signature
	MaxLiveBytes = 128 << 10 // of one batch, encoded
	MaxLiveTTL   = 5000      // milliseconds
	MaxKind      = 32        // bytes
)

// Batch is a LiveBatch whose form is good. Whether its author may say it, and has signed it, is for others to see.
type Batch struct {
	Team   board.TeamID
	User   board.UserID
	Node   board.NodeID // where the device gave it
	Device board.DeviceID
	Target board.UserID // of all of its messages; zero: everybody
	Bytes  int          // of the signed object
	Events []*LiveEvent // listeners share them

	mark batchMark
}

// ParseLive reads a batch, signed and decoded, and bounds it. Its errors wrap board.ErrMalformed or board.ErrTooLarge.
func ParseLive(signed *weftv1.Signed, m *weftv1.LiveBatch) (*Batch, error) {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("couldn't read live messages: %s: %w", fmt.Sprintf(format, args...), board.ErrMalformed)
	}
	switch {
	case len(m.GetTeam()) != 32 || len(m.User) != 32 || len(m.Node) != 32 || len(signed.GetKey()) != 32:
		return nil, bad("an id has a wrong length")
	case len(m.Messages) == 0:
		return nil, bad("there is none")
	case len(m.Messages) > MaxLiveBatch || len(signed.Object) > MaxLiveBytes:
		return nil, fmt.Errorf("couldn't read live messages: %d of them in %d bytes, %d and %d are possible: %w", len(m.Messages), len(signed.Object), MaxLiveBatch, MaxLiveBytes, board.ErrTooLarge)
	}
	b := &Batch{
		Team: board.TeamID(m.Team), User: board.UserID(m.User), Node: board.NodeID(m.Node), Device: board.DeviceID(signed.Key),
		Bytes: len(signed.Object), Events: make([]*LiveEvent, len(m.Messages)),
	}
	copy(b.mark[:], signed.Signature)
	device := presence.ShortDevice(b.Device)
	for i, x := range m.Messages {
		switch {
		case len(x.GetId()) != 16:
			return nil, bad("an id of %d bytes", len(x.GetId()))
		case len(x.Kind) > MaxKind:
			return nil, bad("a kind of %d bytes", len(x.Kind))
		case len(x.Body) > MaxLiveBody:
			return nil, fmt.Errorf("couldn't read live messages: a body of %d bytes, %d are possible: %w", len(x.Body), MaxLiveBody, board.ErrTooLarge)
		case x.TtlMs == 0 || x.TtlMs > MaxLiveTTL || x.SentMs >= 1<<48:
			return nil, bad("a time to live of %d ms", x.TtlMs)
		case len(x.Target) != 0 && len(x.Target) != 32 || len(x.Board) != 0 && len(x.Board) != 16:
			return nil, bad("a target or board of a wrong length")
		}
		e := &LiveEvent{
			ID: [16]byte(x.Id), Team: b.Team, User: b.User, Device: device, Kind: x.Kind, Body: x.Body, SentMS: int64(x.SentMs),
			Direct: len(x.Target) > 0, ttl: int64(x.TtlMs),
		}
		copy(e.Board[:], x.Board)
		var target board.UserID
		copy(target[:], x.Target)
		if i > 0 && target != b.Target {
			return nil, bad("messages to different people under one signature")
		}
		b.Target, b.Events[i] = target, e
	}
	return b, nil
}

// Allowed says whether the author may speak in the batch's team, through the node that it names.
//
// board.ErrNotMember, team.ErrReadOnly, team.ErrTeamClosed.
func (b *Batch) Allowed(st *team.State) error {
	switch {
	case !st.CanRead(b.User):
		return fmt.Errorf("the author is not in the team: %w", board.ErrNotMember)
	case st.Role(b.User) < team.Member:
		return team.ErrReadOnly
	case !slices.Contains(st.Homes(b.User), b.Node):
		return fmt.Errorf("the node is no home of the author: %w", board.ErrNotMember)
	case b.Target != (board.UserID{}) && !st.CanRead(b.Target):
		return fmt.Errorf("the target is not in the team: %w", board.ErrNotMember)
	}
	if _, closed := st.Closed(); closed {
		return team.ErrTeamClosed
	}
	return nil
}

// InTime says whether the batch may be of now, as far as clocks can tell, which may differ. What waited on the way is seen by
// the delay, in Hub.ReceiveLive.
func (b *Batch) InTime(now time.Time) bool {
	return !slices.ContainsFunc(b.Events, func(e *LiveEvent) bool {
		age := now.UnixMilli() - e.SentMS
		return age > e.ttl+clockTolerance.Milliseconds() || age < -clockTolerance.Milliseconds()
	})
}
