package rpc

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence/hub"
	"weft/team"
)

type liveService struct{ *service }

// Send gives messages to who is there. They are signed by the node's device, as many together as go in one batch.
func (s *liveService) Send(ctx context.Context, req *connect.Request[weftv1.LiveSendRequest]) (*connect.Response[weftv1.LiveSendResponse], error) {
	states, err := s.visibleTeams([]string{req.Msg.Team})
	if err != nil {
		return nil, err
	}
	st := states[0]
	switch {
	case len(req.Msg.Messages) == 0:
		return nil, refuse(reasonEmpty, "couldn't send no message")
	case len(req.Msg.Messages) > hub.MaxLiveBatch:
		return nil, refuse(reasonTooMany, "couldn't send %d live messages at a time: at most %d", len(req.Msg.Messages), hub.MaxLiveBatch)
	}
	res := &weftv1.LiveSendResponse{Ids: make([]string, len(req.Msg.Messages))}
	var batches []*liveBatch
	ids := make([]byte, 16*len(req.Msg.Messages))
	rand.Read(ids)
	for i, m := range req.Msg.Messages {
		w, err := s.liveMessage(st, m)
		if err != nil {
			return nil, err
		}
		w.Id = ids[16*i : 16*i+16]
		res.Ids[i] = board.ID(w.Id).String()
		batches = addLive(batches, w)
	}
	told := false
	for i, b := range batches {
		said, err := s.lane.send(ctx, st, b)
		switch {
		case err != nil && i == 0:
			return nil, explainHub(err)
		case err != nil:
			return nil, sentInPart(res.Ids, b, i, len(batches), explainHub(err))
		}
		res.Nodes, res.Missed = max(res.Nodes, uint32(said.Nodes)), max(res.Missed, uint32(said.Missed))
		switch {
		case b.target == (board.UserID{}):
			told = true
			res.People = max(res.People, uint32(said.People))
		case !told:
			res.People += uint32(said.People)
		}
	}
	return connect.NewResponse(res), nil
}

// sentInPart refuses what is left of a call, from batch b on. Whoever sends all again doubles what is on its way.
func sentInPart(ids []string, b *liveBatch, done, of int, err error) error {
	why := refuse(reasonOf(err), "couldn't send all: what was for the first %d of %d readers or batches is on its way, up to the message before %s: %w",
		done, of, board.ID(b.messages[0].Id), err).hint("send the rest again, or less at a time")
	if r := (*refusal)(nil); errors.As(err, &r) {
		why.detail.RetryAfterMs = r.detail.RetryAfterMs
	}
	return why
}

// liveMessage checks a message.
func (s *liveService) liveMessage(st *team.State, m *weftv1.LiveSend) (*weftv1.LiveMessage, error) {
	switch {
	case len(m.Kind) > hub.MaxKind:
		return nil, refuse(reasonTooLarge, "couldn't send a kind of %d bytes: at most %d", len(m.Kind), hub.MaxKind).hint("a kind is a word: typing, call, cursor")
	case len(m.Body) > hub.MaxLiveBody:
		return nil, refuse(reasonTooLarge, "couldn't send a live message of %d bytes: at most %d", len(m.Body), hub.MaxLiveBody).hint("post it, or split it")
	case m.TtlMs > hub.MaxLiveTTL:
		return nil, refuse(reasonTooLarge, "couldn't send a live message for %d ms: at most %d", m.TtlMs, hub.MaxLiveTTL).hint("post what is to be read later")
	}
	w := &weftv1.LiveMessage{Kind: m.Kind, Body: m.Body, TtlMs: m.TtlMs}
	if w.TtlMs == 0 {
		w.TtlMs = hub.MaxLiveTTL
	}
	if m.Target != "" {
		u, err := pickPerson(st.Members(), m.Target)
		if err == nil && !st.CanRead(u) {
			err = refuse(reasonNotFound, "couldn't send to %q", shorten(m.Target))
		}
		if reasonOf(err) == reasonNotFound {
			err = refuse(reasonNotFound, "couldn't find a user called %q in team %s", shorten(m.Target), st.Name()).
				hint("weft team members %s shows names and ids", word(st.Name()))
		}
		if err != nil {
			return nil, err
		}
		w.Target = u[:]
	}
	if m.Board != "" {
		p, err := s.findBoard(st.ID().String(), m.Board)
		if err != nil {
			return nil, err
		}
		w.Board = p.id[:]
	}
	return w, nil
}

// Subscribe sends live messages as they arrive. Its first response is empty: from it on nothing is missed.
func (s *liveService) Subscribe(ctx context.Context, req *connect.Request[weftv1.LiveSubscribeRequest], stream *connect.ServerStream[weftv1.LiveSubscribeResponse]) error {
	m := req.Msg
	ctx, cancel := untilStop(ctx)
	defer cancel()
	if len(m.Kinds) > maxKinds {
		return refuse(reasonTooMany, "couldn't listen to %d kinds: at most %d", len(m.Kinds), maxKinds)
	}
	states, err := s.visibleTeams(m.Teams)
	if err != nil {
		return err
	}
	l, err := s.Hub.Listen(hub.ListenFilter{Viewer: s.Identity.User, Teams: teamIDs(states), Kinds: m.Kinds})
	if err != nil {
		return explainHub(err)
	}
	defer l.Close()
	if err := stream.Send(&weftv1.LiveSubscribeResponse{}); err != nil {
		return whyEnded(ctx, err)
	}
	for {
		events, dropped, err := l.Next(ctx)
		if err != nil {
			return whyEnded(ctx, explainHub(err))
		}
		for len(events) > 0 {
			res := &weftv1.LiveSubscribeResponse{Dropped: dropped}
			res.Events, events = s.wireLives(events)
			if err := stream.Send(res); err != nil {
				return whyEnded(ctx, err)
			}
			dropped = 0
		}
	}
}

const (
	maxKinds      = 64      // that a stream may name
	fullLive      = 1 << 20 // bytes of bodies after which a response is full: slow readers are many
	fullLiveCount = 1 << 12 // and so many messages
)

// wireLives are as many events as go in one response, and the rest.
func (s *liveService) wireLives(events []*hub.LiveEvent) (out []*weftv1.LiveEvent, rest []*hub.LiveEvent) {
	for size := 0; len(events) > 0 && size < fullLive && len(out) < fullLiveCount; events = events[1:] {
		out = append(out, s.wireLive(events[0]))
		size += len(events[0].Body)
	}
	return out, events
}

func (s *liveService) wireLive(e *hub.LiveEvent) *weftv1.LiveEvent {
	out := &weftv1.LiveEvent{
		Id: board.ID(e.ID).String(), TeamId: e.Team.String(), UserId: e.User.String(), Device: hex.EncodeToString(e.Device[:]), Kind: text(e.Kind), Body: e.Body,
		SentMs: uint64(max(e.SentMS, 0)), Direct: e.Direct,
	}
	if e.Board != (board.ID{}) {
		out.BoardId = e.Board.String()
	}
	if st, ok := s.Store.Team(e.Team); ok && st.Known() {
		out.Name = text(st.UserName(e.User))
	}
	return out
}
