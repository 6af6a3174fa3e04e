package p2p

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// The live lane: messages for who is there now, signed by the device that says them. Nothing of it is stored.
const (
	maxLiveBatch    = 256       // messages in one
	maxLiveBody     = 16 << 10  // bytes of one
	maxLiveKind     = 64        // bytes of its name
	maxLiveBytes    = 224 << 10 // of a batch, so that it fits into a topic message too
	maxLiveTTL      = 5 * time.Second
	liveClock       = time.Minute // by which a sender's clock may be wrong
	liveBatches     = 5000        // of a device a second, and of a node
	liveBatchesMost = 10000
	liveMessages    = 50000
	liveMost        = 100000
	maxLiveDevices  = 4096 // whose rates are known at a time
)

// lives judges live messages that come in.
type lives struct {
	m *Mesh

	mu    sync.Mutex
	rates map[[32]byte]*liveRate // guarded by mu; of devices and of nodes that passed them on
}

type liveRate struct{ batches, messages *rate.Limiter }

func newLives(m *Mesh) *lives { return &lives{m: m, rates: map[[32]byte]*liveRate{}} }

// spends takes a batch off a device's or node's rate. False: there is nothing left.
func (l *lives) spends(who [32]byte, messages int) bool {
	l.mu.Lock()
	r := l.rates[who]
	if r == nil {
		if len(l.rates) >= maxLiveDevices {
			clear(l.rates)
		}
		r = &liveRate{rate.NewLimiter(liveBatches, liveBatchesMost), rate.NewLimiter(liveMessages, liveMost)}
		l.rates[who] = r
	}
	l.mu.Unlock()
	return r.batches.Allow() && r.messages.AllowN(time.Now(), messages)
}

// SendLive sends signed live messages of one of this node's people: to the given nodes or, without any, to all of the team.
// It says to how many they went. It never waits. It is part of hub.Wire.
func (m *Mesh) SendLive(t board.TeamID, nodes []board.NodeID, s *weftv1.Signed) (sent int, err error) {
	if len(s.GetObject()) > maxLiveBytes {
		return 0, fmt.Errorf("couldn't send live messages of %d bytes at once; send fewer: %w", len(s.GetObject()), board.ErrTooLarge)
	}
	if !m.who.mayReceive(m.self, t) {
		return 0, fmt.Errorf("couldn't send live messages to a team that this node isn't in: %w", board.ErrNotMember)
	}
	f, ok := m.voices.encodeSpoken(&weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Live{Live: s}}, t)
	if !ok {
		return 0, fmt.Errorf("couldn't encode live messages: %w", board.ErrTooLarge)
	}
	if len(nodes) == 0 {
		told, far := m.voices.tellTeam(f, t)
		if far > 0 {
			m.subs.say(t, &weftv1.TopicMessage{Message: &weftv1.TopicMessage_Live{Live: s}})
		}
		return told + far, nil
	}
	for _, n := range nodes {
		if v := m.voices.voiceTo(n); v != nil && v.say(f, false) {
			sent++
		}
	}
	return sent, nil
}

// take judges a batch that came on from's stream or, with a team, on that team's topic: the cheap parts first, then its one
// signature. Messages that are too old are left out; they are counted by Presence.
func (l *lives) take(from board.NodeID, topic board.TeamID, s *weftv1.Signed) error {
	if len(s.GetObject()) > maxLiveBytes {
		return rejected{"too_large", true}
	}
	b := new(weftv1.LiveBatch)
	if err := decode(s.GetObject(), b); err != nil {
		return err
	}
	if len(b.Team) != 32 || len(b.User) != 32 || len(b.Node) != 32 || len(s.Key) != 32 || len(b.Messages) == 0 || len(b.Messages) > maxLiveBatch {
		return rejected{"malformed", true}
	}
	t, u, n := board.TeamID(b.Team), board.UserID(b.User), board.NodeID(b.Node)
	if topic != (board.TeamID{}) && t != topic {
		return rejected{"wrong_team", true}
	}
	if topic == (board.TeamID{}) && n != from { // on a stream each node speaks for its own people
		return rejected{"of_another", true}
	}
	for _, m := range b.Messages {
		if len(m.Id) != 16 || len(m.Kind) > maxLiveKind || len(m.Body) > maxLiveBody || m.TtlMs == 0 || m.TtlMs > uint32(maxLiveTTL/time.Millisecond) ||
			len(m.Target) != 0 && len(m.Target) != 32 || len(m.Board) != 0 && len(m.Board) != 16 || len(m.Target) > 0 && topic != (board.TeamID{}) {
			return rejected{"malformed", true}
		}
	}
	st, ok := l.m.o.Store.Team(t)
	if !ok || !st.IsNode(n) || !st.IsNode(from) || !st.IsNode(l.m.self) {
		return rejected{"unknown_origin", false}
	}
	if r := st.Role(u); r < team.Member || r == team.None {
		return rejected{"may_not_write", false}
	}
	if !slices.Contains(st.Devices(u), board.DeviceID(s.Key)) {
		return rejected{"unknown_device", false}
	}
	if n == l.m.self {
		return rejected{"own", false}
	}
	now := l.m.o.Now().UnixMilli()
	if !slices.ContainsFunc(b.Messages, func(m *weftv1.LiveMessage) bool {
		return int64(m.SentMs)+int64(m.TtlMs)+liveClock.Milliseconds() > now && int64(m.SentMs) < now+liveClock.Milliseconds()
	}) {
		return rejected{"expired", false}
	}
	if !l.spends([32]byte(s.Key), len(b.Messages)) || !l.spends([32]byte(b.Node), len(b.Messages)) {
		return rejected{"too_often", false}
	}
	if !board.Verify([32]byte(s.Key), board.SignLive, s.Object, s.Signature) {
		return rejected{"bad_signature", true}
	}
	if !bytes.Equal(b.Node, from[:]) {
		l.m.voices.heardThrough(n)
	}
	if l.m.o.Presence == nil {
		return nil
	}
	return l.m.o.Presence.ReceiveLive(from, s, b)
}
