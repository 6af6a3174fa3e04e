package p2p

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	ma "github.com/multiformats/go-multiaddr"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// JoinResult is what Join achieved.
type JoinResult struct {
	Team          board.TeamID
	Name          string
	AlreadyMember bool // the user was a member before
	InStep        bool // the history is here, or the newest part of one that is long; false: it goes on arriving
}

// refusedByLobby are the kinds of error that a code of the lobby stands for.
var refusedByLobby = map[string]error{
	codeMalformed: team.ErrBadRequest, codeNotFound: board.ErrNotFound, codeExpired: team.ErrExpired, codeQuota: team.ErrQuota,
	codeBadSig: board.ErrBadSignature, codeNotAdmitter: team.ErrNotAdmitter, codeUpgrade: team.ErrUpgradeNeeded, codeLimit: team.ErrLimit,
}

// adviceFor says what to do where the error's own text doesn't.
var adviceFor = map[string]string{
	codeNotFound: "the node that invited you doesn't know this invite; it was withdrawn, or the link is an old one; ask for a new link: ",
	codeBadSig:   "the link's key isn't that of the invite; copy the link again, or ask for a new one: ",
}

// ErrAdmitterBusy says that the node that answers for an invite can't do so at this time.
var ErrAdmitterBusy = errors.New("the node that answers for the invite can't take anybody in at this time: try again in a minute")

// Join takes an invite: it knocks at the admitters that the link names, in turn, takes part in the team, and waits until
// the team can be used here. ctx bounds all of it; once the team is adopted, its end is no error: the rest goes on in
// the background and InStep is false. Errors wrap ErrOffline, ErrAdmitterBusy, team.ErrExpired, team.ErrQuota,
// board.ErrNotFound (no such invite there, or withdrawn), team.ErrBadRequest and others of package team.
func (m *Mesh) Join(ctx context.Context, link *weftv1.InviteLink) (JoinResult, error) {
	t, err := teamID(link.GetTeam())
	if err != nil || len(link.GetInvites()) == 0 {
		return JoinResult{}, fmt.Errorf("couldn't join: the link names no team or no invite; ask for a new one: %w", team.ErrLinkDamaged)
	}
	if st, ok := m.o.Store.Team(t); ok && st.IsNode(m.self) {
		if _, in := st.Member(m.o.Identity.User); in {
			return JoinResult{Team: t, Name: st.Name(), AlreadyMember: true, InStep: true}, nil
		}
	}
	reply, err := m.knockInTurn(ctx, t, link)
	if err != nil {
		return JoinResult{}, err
	}
	genesis, err := team.ParseObject(board.KindCharter, reply.Charter)
	if err != nil || board.TeamID(genesis.Hash) != t {
		return JoinResult{}, fmt.Errorf("couldn't join: the admitter sent a charter that isn't the team's: %w", board.ErrMalformed)
	}
	// Taken up even if ctx ends now: the admission is recorded, so the team must not be half joined.
	if err := m.o.Store.AdoptTeam(context.WithoutCancel(ctx), t, genesis); err != nil {
		return JoinResult{}, fmt.Errorf("couldn't join: %w", err)
	}
	if !m.loop.do(m.ctx, m.loop.look) {
		return JoinResult{}, fmt.Errorf("couldn't join: %w", context.Canceled)
	}
	for _, e := range reply.PeerRecords[:min(len(reply.PeerRecords), maxRecords)] {
		m.learn(t, e, m.self)
	}
	m.peers.nudge()
	inStep := m.waitUsable(ctx, t)
	res := JoinResult{Team: t, Name: link.TeamName, InStep: inStep}
	if st, ok := m.o.Store.Team(t); ok && st.Known() {
		res.Name = st.Name()
	}
	return res, nil
}

// knockInTurn tries each admitter of the link until one lets this node in.
func (m *Mesh) knockInTurn(ctx context.Context, t board.TeamID, link *weftv1.InviteLink) (*weftv1.LobbyReply, error) {
	var refused, why error
	var tried []string
	for i, inv := range link.Invites {
		if len(inv.Admitter) != 32 {
			refused = errors.Join(refused, fmt.Errorf("couldn't join: the link names no admitter: %w", team.ErrLinkDamaged))
			continue
		}
		reply, err := m.knock(ctx, t, link, i)
		switch {
		case err == nil && reply.Code == "":
			return reply, nil
		case err == nil:
			kind, advice := refusedByLobby[reply.Code], adviceFor[reply.Code]
			if kind == nil {
				kind = ErrAdmitterBusy
			}
			refused = fmt.Errorf("couldn't join %s: %s%w", quoteName(link.TeamName), advice, kind)
		default:
			m.log.Info("an admitter couldn't be reached", "err", err)
			why = unreached(err)
			tried = append(tried, inv.Addresses...)
		}
		m.who.settle(t)
		if ctx.Err() != nil {
			break
		}
	}
	if refused != nil {
		return nil, refused
	}
	return nil, fmt.Errorf("couldn't reach %s: tried %s (%w); is the other node running and is this machine online? %w",
		quoteName(link.Inviter), hostsOf(tried), why, ErrOffline)
}

func quoteName(s string) string {
	if s == "" {
		return "the node that invited you"
	}
	return fmt.Sprintf("%q", s)
}

// knockTime is how long one admitter gets when the link names others too.
const knockTime = 6 * time.Second

// knock says who this is to one admitter and returns what it says.
func (m *Mesh) knock(ctx context.Context, t board.TeamID, link *weftv1.InviteLink, i int) (*weftv1.LobbyReply, error) {
	inv := link.Invites[i]
	if len(link.Invites) > 1 {
		c, cancel := context.WithTimeout(ctx, knockTime)
		defer cancel()
		ctx = c
	}
	n := board.NodeID(inv.Admitter)
	id, err := PeerIDOf(n)
	if err != nil {
		return nil, err
	}
	k, err := team.NewKnock(link, i, m.o.Identity)
	if err != nil {
		return nil, fmt.Errorf("couldn't join: %w", err)
	}
	// From here on its streams are taken, so that it may open them as soon as it has let this node in.
	m.who.trust(n, t)
	m.host.Peerstore().AddAddrs(id, linkAddrs(inv.Addresses), peerstore.PermanentAddrTTL)
	if err := m.connect(ctx, peer.AddrInfo{ID: id}); err != nil {
		return nil, err
	}
	if cs := m.host.Network().ConnsToPeer(id); len(cs) > 0 {
		m.peers.keepAddress(id, cs[0].RemoteMultiaddr()) // a join that is cut short goes on from there
	}
	s, err := m.host.NewStream(network.WithNoDial(ctx, "connected"), id, protocolLobby)
	if err != nil {
		return nil, err
	}
	defer s.Reset()
	defer context.AfterFunc(ctx, func() { s.Reset() })()
	b, err := encodeFrame(&weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_Knock{Knock: k}})
	if err != nil {
		return nil, err
	}
	if err := writeAll(s, b); err != nil {
		return nil, err
	}
	s.CloseWrite()
	// The reply carries the team's peer records, so it may be larger than a request.
	got, err := newFrameReader(s, m.o.Limits.SyncFrame, m.o.Limits.Idle, m.o.Limits.MinRate).next()
	if err != nil {
		return nil, fmt.Errorf("no reply: %w", err)
	}
	reply := new(weftv1.LobbyReply)
	if err := decode(got, reply); err != nil {
		return nil, err
	}
	return reply, nil
}

func linkAddrs(texts []string) (out []ma.Multiaddr) {
	for _, s := range texts[:min(len(texts), maxRecordAddrs)] {
		if a, err := ma.NewMultiaddr(s); err == nil {
			if a, _ := peer.SplitAddr(a); a != nil {
				out = append(out, a)
			}
		}
	}
	return out
}

// waitUsable waits until this node is seen to be one of the team's, and until what a teammate holds of the boards is
// here, or the newest part of it. False: ctx ended first.
func (m *Mesh) waitUsable(ctx context.Context, t board.TeamID) bool {
	commits, stop := m.o.Store.Subscribe()
	defer stop()
	heard, stop2 := m.subs.replicated.watch()
	defer stop2()
	for {
		ready := false
		if !m.loop.do(ctx, func() { ready = m.loop.inStep(t) }) || ready {
			return ready
		}
		select {
		case <-commits:
		case <-heard:
		case <-ctx.Done():
			return false
		}
	}
}

// inStep says whether some teammate's vectors of all boards have come and nothing of them is missing but older history.
func (l *loop) inStep(t board.TeamID) bool {
	st, ok := l.m.o.Store.Team(t)
	if !ok || !st.IsNode(l.m.self) || l.teams[t] != st {
		return false
	}
	for _, s := range l.rep.Status(t) {
		if s.Pending > 0 || s.Behind > 0 && !s.Arriving {
			return false
		}
		if s.Arriving {
			if info, ok := l.m.o.Store.Board(s.Board); !ok || info.Entries == 0 && s.Behind > 0 {
				return false
			}
		}
	}
	boards := append([]team.Board{{ID: board.GovernanceID(t)}}, st.Boards()...)
	for _, n := range st.Nodes() {
		all := n != l.m.self
		for _, b := range boards {
			if _, ok := l.rep.PeerVector(n, t, b.ID); !ok {
				all = false
			}
		}
		if all {
			return true
		}
	}
	return false
}
