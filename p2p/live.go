package p2p

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence/hub"
	"weft/team"
)

// The live lane: messages for who is there now, signed by the device that says them. Nothing of it is stored. What a batch looks
// like and who may say it, package hub knows; here is from whom it may come, what that peer may make this node do, and where it goes.
const (
	// liveWait is how long a sender waits for peers that are behind.
	liveWait = 500 * time.Millisecond
	// livePatience is for how long all senders together wait for one peer before they leave it behind, and livePatienceBack
	// what share of the time it gets back: whoever reads slowly on purpose holds up others no more than that.
	livePatience     = 2 * time.Second
	livePatienceBack = 4
	// liveAge: of a peer to which something waits for so long, more live messages would come too late.
	liveAge = time.Second
	// liveRest is how long a stream isn't read after what was too much.
	liveRest = 2 * time.Millisecond
)

var errLiveTooOften = rejected{"too_often", false}

// SendLive sends signed live messages of one of this node's people: to the given nodes or, without any, to all of the team.
// Where a peer is behind it waits a moment. It says to how many they went, and how many nodes that run they couldn't be
// given to. It is part of hub.Wire.
func (m *Mesh) SendLive(ctx context.Context, t board.TeamID, nodes []board.NodeID, s *weftv1.Signed) (sent, missed int, err error) {
	if !m.who.mayReceive(m.self, t) {
		return 0, 0, fmt.Errorf("couldn't send live messages to a team that this node isn't in: %w", board.ErrNotMember)
	}
	f, ok := m.voices.encodeSpoken(&weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Live{Live: s}}, t)
	if !ok {
		return 0, 0, fmt.Errorf("couldn't encode live messages: %w", board.ErrTooLarge)
	}
	if len(nodes) == 0 {
		voices, far := m.voices.ofTeam(t)
		switch {
		case far == 0:
		case m.subs.say(t, &weftv1.TopicMessage{Message: &weftv1.TopicMessage_Live{Live: s}}):
			sent = far
		default:
			missed = far
		}
		told, behind := tellPatiently(ctx, voices, f)
		return sent + told, missed + behind, nil
	}
	var voices []*voice
	for _, n := range nodes {
		if v := m.voices.voiceTo(n); v != nil {
			voices = append(voices, v)
		} else {
			missed++
		}
	}
	told, behind := tellPatiently(ctx, voices, f)
	return told, missed + behind, nil
}

// tellPatiently queues live messages for some peers: first for all that keep up, then for the others as they catch up.
func tellPatiently(ctx context.Context, voices []*voice, f spoken) (told, behind int) {
	var late []*voice
	for _, v := range voices {
		switch v.queue(f) {
		case queued:
			told++
		case queueFull:
			late = append(late, v)
		}
	}
	until := time.Now().Add(liveWait)
	for _, v := range late {
		switch v.queueBy(ctx, f, until) {
		case queued:
			told++
		case queueFull:
			behind++
		}
	}
	return told, behind
}

// queueBy queues live messages as soon as there is room for them, but not after until, and not where the peer has been waited for too
// long already.
func (v *voice) queueBy(ctx context.Context, f spoken, until time.Time) queueing {
	for {
		room := v.room()
		if q := v.queue(f); q != queueFull {
			return q
		}
		began := time.Now()
		left := min(until.Sub(began), v.patience(began, 0))
		if left <= 0 || ctx.Err() != nil {
			v.countFull(f)
			return queueFull
		}
		timer := time.NewTimer(left)
		select {
		case <-room:
		case <-timer.C:
		case <-v.ended:
		case <-ctx.Done():
		}
		timer.Stop()
		now := time.Now()
		v.patience(now, now.Sub(began))
	}
}

// room is closed when less waits for the peer.
func (v *voice) room() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.mu.room == nil {
		v.mu.room = make(chan struct{})
	}
	return v.mu.room
}

// patience is how long the peer may still be waited for, when a wait is taken off.
func (v *voice) patience(now time.Time, waited time.Duration) time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.mu.patience = max(0, min(livePatience, v.mu.patience+now.Sub(v.mu.patientAt)/livePatienceBack)-waited)
	v.mu.patientAt = now
	return v.mu.patience
}

// takeLive judges a batch that came on from's stream or, with a team, on that team's topic: the cheap parts first, then its one
// signature. Until that is good, it costs nobody but from, and from it does in any case.
func (p *presence) takeLive(from board.NodeID, topic board.TeamID, s *weftv1.Signed) error {
	if len(s.GetObject()) > hub.MaxLiveBytes {
		return rejected{"too_large", true}
	}
	raw := new(weftv1.LiveBatch)
	if err := decode(s.GetObject(), raw); err != nil {
		return err
	}
	b, err := hub.ParseLive(s, raw)
	switch onTopic := topic != (board.TeamID{}); {
	case err != nil, onTopic && b.Target != (board.UserID{}):
		return rejected{"malformed", true}
	case onTopic && b.Team != topic:
		return rejected{"wrong_team", true}
	case !onTopic && b.Node != from: // on a stream each node speaks for its own people
		return rejected{"of_another", true}
	case b.Node == p.m.self:
		return rejected{"own", false}
	}
	if err := p.chargeLive(from, b); err != nil {
		return err
	}
	st, ok := p.m.o.Store.Team(b.Team)
	if !ok || !st.IsNode(b.Node) || !st.IsNode(from) || !st.IsNode(p.m.self) {
		return rejected{"unknown_origin", false}
	}
	switch err := b.Allowed(st); {
	case errors.Is(err, team.ErrReadOnly), errors.Is(err, team.ErrTeamClosed):
		return rejected{"may_not_write", false}
	case err != nil:
		return rejected{"not_member", false}
	case !slices.Contains(st.Devices(b.User), b.Device):
		return rejected{"unknown_device", false}
	case !b.InTime(p.m.o.Now()):
		return rejected{"expired", false}
	}
	if !board.Verify(b.Device, board.SignLive, s.Object, s.Signature) {
		return rejected{"bad_signature", true}
	}
	if p.people == nil {
		return nil
	}
	err = p.people.ReceiveLive(b)
	switch {
	case errors.Is(err, hub.ErrExpired):
		return rejected{"expired", false}
	case errors.As(err, new(*hub.BusyError)):
		return errLiveTooOften
	}
	return err
}

// chargeLive takes a batch off what a peer may say and pass on.
func (p *presence) chargeLive(from board.NodeID, b *hub.Batch) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.mu.mates[from]
	switch {
	case x == nil: // it has just come to the team, or left it
		return rejected{"unknown_origin", false}
	case x.live.Take(hub.PeerLive, p.m.o.Now(), len(b.Events), b.Bytes) > 0:
		return errLiveTooOften
	}
	return nil
}
