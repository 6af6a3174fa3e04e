package p2p

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peerstore"
	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// askInTurn asks the nodes that a link names how to get into its team, one after the other, and does what they say.
func (m *Mesh) askInTurn(ctx context.Context, t board.TeamID, link *weftv1.InviteLink, note string) (JoinResult, error) {
	var refused, why error
	var tried []string
	for _, at := range link.Invites {
		if len(at.Admitter) != 32 {
			continue
		}
		res, err := m.askAt(ctx, t, link, at, note)
		if err == nil {
			return res, nil
		}
		if res := (lobbyError{}); errors.As(err, &res) {
			refused = res.error
		} else {
			m.log.Info("a node that a link names couldn't be reached", "err", err)
			why, tried = unreached(err), append(tried, at.Addresses...)
		}
		if m.who.settle(t); ctx.Err() != nil {
			break
		}
	}
	if refused != nil {
		return JoinResult{}, refused
	}
	return JoinResult{}, notReached(link, tried, why)
}

// lobbyError is what a lobby said, not that it couldn't be reached.
type lobbyError struct{ error }

// askAt asks one node.
func (m *Mesh) askAt(ctx context.Context, t board.TeamID, link *weftv1.InviteLink, at *weftv1.InviteKey, note string) (JoinResult, error) {
	if len(link.Invites) > 1 {
		c, cancel := context.WithTimeout(ctx, 2*knockTime)
		defer cancel()
		ctx = c
	}
	offer, err := m.visit(ctx, t, at, &weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_Ask{Ask: &weftv1.TeamAsk{Team: t[:]}}})
	if err != nil {
		return JoinResult{}, err
	}
	mode := weftv1.JoinMode_JOIN_MODE_UNSPECIFIED
	if len(offer.Teams) == 1 && string(offer.Teams[0].Team) == string(t[:]) {
		mode = offer.Teams[0].Join
	}
	switch mode {
	case weftv1.JoinMode_JOIN_MODE_OPEN:
		return m.knockOpen(ctx, t, link, at, offer.Teams[0])
	case weftv1.JoinMode_JOIN_MODE_APPROVAL:
		return m.request(ctx, t, link, at, offer.Teams[0], note)
	}
	// This may be a new home of somebody who is in the team; of a hidden one too.
	if res, err := m.comeHome(ctx, t, link, at); err == nil {
		return res, nil
	}
	switch {
	case offer.Code != "":
		return JoinResult{}, lobbyError{m.refusal(link, offer)}
	case mode == weftv1.JoinMode_JOIN_MODE_CLOSED:
		return JoinResult{}, lobbyError{fmt.Errorf("couldn't join %s: %w", quoteName(link.TeamName), team.ErrJoinClosed)}
	}
	return JoinResult{}, lobbyError{fmt.Errorf("couldn't join %s: %w", quoteName(link.TeamName), ErrLinkNeeded)}
}

// knockOpen knocks with the invites that an open team has for everybody.
func (m *Mesh) knockOpen(ctx context.Context, t board.TeamID, link *weftv1.InviteLink, at *weftv1.InviteKey, o *weftv1.TeamOffer) (JoinResult, error) {
	open := &weftv1.InviteLink{Team: link.Team, TeamName: link.TeamName, Inviter: link.Inviter}
	for _, k := range o.Open[:min(len(o.Open), len(link.Invites)+maxTellers)] {
		if string(k.Admitter) == string(at.Admitter) {
			k.Addresses = at.Addresses
		}
		open.Invites = append(open.Invites, k)
	}
	reply, err := m.knockInTurn(ctx, t, open)
	if err != nil {
		return JoinResult{}, lobbyError{err}
	}
	return m.adopt(ctx, t, o.Name, reply)
}

// request leaves a request to be let in, and sees to it that this node goes on asking what became of it.
func (m *Mesh) request(ctx context.Context, t board.TeamID, link *weftv1.InviteLink, at *weftv1.InviteKey, o *weftv1.TeamOffer, note string) (JoinResult, error) {
	a, err := m.asks.keep(t, cutText(o.Name, team.MaxName), link, note)
	if err != nil {
		return JoinResult{}, lobbyError{err}
	}
	reply, err := m.askIn(ctx, t, at, a)
	switch {
	case err != nil:
		return JoinResult{}, err
	case reply.Waiting:
		m.leaveLobby(board.NodeID(at.Admitter))
		m.asks.answered(t, nil)
		return JoinResult{Team: t, Name: o.Name, Asked: true}, nil
	case reply.Code != "":
		if st, ok := m.o.Store.Team(t); reply.Code == codeRemoved && !(ok && st.Known()) { // a no to a request can be taken back
			m.asks.refused(t, reasonOfNo(reply))
		} else {
			m.asks.drop(t)
		}
		return JoinResult{}, lobbyError{m.refusal(link, reply)}
	}
	return m.adopt(ctx, t, o.Name, reply)
}

// askIn says a request in the lobby of one node.
func (m *Mesh) askIn(ctx context.Context, t board.TeamID, at *weftv1.InviteKey, a *ask) (*weftv1.LobbyReply, error) {
	present, err := m.present(t)
	if err != nil {
		return nil, err
	}
	request := new(weftv1.Signed)
	if err := proto.Unmarshal(a.Request, request); err != nil {
		return nil, fmt.Errorf("couldn't read the kept request: %w", err)
	}
	q := &weftv1.RequestAsk{Team: t[:], Present: present, Request: request, PeerRecord: m.ownRecord()}
	return m.visit(ctx, t, at, &weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_AskIn{AskIn: q}})
}

// comeHome presents this node as a home of its person, who is in the team already.
func (m *Mesh) comeHome(ctx context.Context, t board.TeamID, link *weftv1.InviteLink, at *weftv1.InviteKey) (JoinResult, error) {
	present, err := m.present(t)
	if err != nil {
		return JoinResult{}, err
	}
	q := &weftv1.HomeAsk{Team: t[:], Present: present, PeerRecord: m.ownRecord()}
	reply, err := m.visit(ctx, t, at, &weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_Home{Home: q}})
	switch {
	case err != nil:
		return JoinResult{}, err
	case reply.Code != "":
		return JoinResult{}, lobbyError{m.refusal(link, reply)}
	}
	res, err := m.adopt(ctx, t, link.GetTeamName(), reply)
	res.AlreadyMember = err == nil
	return res, err
}

// present is who the node's person is, for a team, as it travels in the lobby.
func (m *Mesh) present(t board.TeamID) (*weftv1.Signed, error) {
	o, err := team.NewPresent(t, m.o.Identity)
	if err != nil {
		return nil, fmt.Errorf("couldn't say who this is: %w", err)
	}
	s := new(weftv1.Signed)
	if err := proto.Unmarshal(o.Body, s); err != nil {
		return nil, fmt.Errorf("couldn't say who this is: %w", err)
	}
	return s, nil
}

// newRequest is a request to be let into a team, once made and then said again and again.
func (m *Mesh) newRequest(t board.TeamID, note string) ([]byte, error) {
	var nonce [16]byte
	rand.Read(nonce[:])
	o, err := team.NewRequest(t, m.o.Identity, note, nonce)
	if err != nil {
		return nil, fmt.Errorf("couldn't ask to join: %w", err)
	}
	return o.Body, nil
}

// ownRecord is this node's signed peer record; nil while it has none.
func (m *Mesh) ownRecord() []byte {
	cab, ok := peerstore.GetCertifiedAddrBook(m.host.Peerstore())
	if !ok {
		return nil
	}
	e := cab.GetPeerRecord(m.host.ID())
	if e == nil {
		return nil
	}
	b, err := e.Marshal()
	if err != nil || len(b) > maxRecord {
		return nil
	}
	return b
}
