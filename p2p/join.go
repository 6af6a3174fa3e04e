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
	Asked         bool // the team's admins decide: a request was left, and this node goes on asking (Mesh.Asked)
}

// refusedByLobby are the kinds of error that a code of the lobby stands for.
var refusedByLobby = map[string]error{
	codeMalformed: team.ErrBadRequest, codeNotFound: board.ErrNotFound, codeExpired: team.ErrExpired, codeQuota: team.ErrQuota,
	codeBadSig: board.ErrBadSignature, codeNotAdmitter: team.ErrNotAdmitter, codeUpgrade: team.ErrUpgradeNeeded, codeLimit: team.ErrLimit,
	codeRemoved: team.ErrRemoved, codeJoinClosed: team.ErrJoinClosed, codeApproval: team.ErrApproval, codeTeamClosed: team.ErrTeamClosed,
	codeLinkNeeded: ErrLinkNeeded, codeNotAHome: ErrNotAHome,
}

// adviceFor says what to do where the error's own text doesn't.
var adviceFor = map[string]string{
	codeNotFound: "the node that invited you doesn't know this invite; it was withdrawn, or the link is an old one; ask for a new link: ",
	codeBadSig:   "the link's key isn't that of the invite; copy the link again, or ask for a new one: ",
}

// ErrAdmitterBusy says that the node that answers for an invite can't do so at this time.
var ErrAdmitterBusy = errors.New("the node that answers for the invite can't take anybody in at this time: try again in a minute")

// Join takes a link: with the invites in it it knocks at their admitters, in turn; where it has none, or the team's admins
// decide, it asks the nodes that it names how to get in, and knocks with an open team's own invite or leaves a request,
// with a note for the admins. Once let in it takes part in the team, and waits until the team can be used here. ctx bounds
// all of it; once the team is adopted, its end is no error: the rest goes on in the background and InStep is false. Errors
// wrap ErrOffline, ErrAdmitterBusy, ErrLinkNeeded, team.ErrExpired, team.ErrQuota, team.ErrRemoved, team.ErrJoinClosed,
// board.ErrNotFound (no such invite or team there, or withdrawn), team.ErrBadRequest and others of package team.
func (m *Mesh) Join(ctx context.Context, link *weftv1.InviteLink, note string) (JoinResult, error) {
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
	if err != nil && !askInstead(err) {
		return JoinResult{}, err
	}
	if err != nil {
		return m.askInTurn(ctx, t, link, note)
	}
	return m.adopt(ctx, t, link.TeamName, reply)
}

// askInstead says whether the nodes that a link names may be asked after its invites were of no use.
func askInstead(err error) bool {
	return errors.Is(err, errNoInvite) || errors.Is(err, team.ErrApproval)
}

// adopt takes part in a team whose lobby has let this node in.
func (m *Mesh) adopt(ctx context.Context, t board.TeamID, name string, reply *weftv1.LobbyReply) (JoinResult, error) {
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
	m.asks.settle(t)
	m.peers.nudge()
	inStep := m.waitUsable(ctx, t)
	res := JoinResult{Team: t, Name: name, InStep: inStep}
	if st, ok := m.o.Store.Team(t); ok && st.Known() {
		res.Name = st.Name()
	}
	return res, nil
}

// errNoInvite says that a link holds no invite, only nodes at which to ask.
var errNoInvite = errors.New("the link holds no invite")

// knockInTurn tries each admitter of the link until one lets this node in.
func (m *Mesh) knockInTurn(ctx context.Context, t board.TeamID, link *weftv1.InviteLink) (*weftv1.LobbyReply, error) {
	var refused, why error
	var tried []string
	invites := 0
	for i, inv := range link.Invites {
		if len(inv.Admitter) != 32 {
			refused = errors.Join(refused, fmt.Errorf("couldn't join: the link names no admitter: %w", team.ErrLinkDamaged))
			continue
		}
		if team.WhereToAsk(inv) {
			continue
		}
		invites++
		reply, err := m.knock(ctx, t, link, i)
		switch {
		case err == nil && reply.Code == "":
			return reply, nil
		case err == nil:
			refused = m.refusal(link, reply)
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
	switch {
	case refused != nil:
		return nil, refused
	case invites == 0:
		return nil, fmt.Errorf("couldn't join %s: %w", quoteName(link.TeamName), errNoInvite)
	}
	return nil, notReached(link, tried, why)
}

// refusal is the error of a lobby's refusal.
func (m *Mesh) refusal(link *weftv1.InviteLink, reply *weftv1.LobbyReply) error {
	kind, advice := refusedByLobby[reply.Code], adviceFor[reply.Code]
	if kind == nil {
		kind = ErrAdmitterBusy
	}
	if reply.Code == codeRemoved && reply.Message != "" && reply.Message != team.ErrRemoved.Error() {
		advice = fmt.Sprintf("the reason given: %q: ", reply.Message)
	}
	return fmt.Errorf("couldn't join %s: %s%w", quoteName(link.TeamName), advice, kind)
}

func notReached(link *weftv1.InviteLink, tried []string, why error) error {
	return fmt.Errorf("couldn't reach %s: tried %s (%w); is the other node running and is this machine online? %w",
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
	k, err := team.NewKnock(link, i, m.o.Identity)
	if err != nil {
		return nil, fmt.Errorf("couldn't join: %w", err)
	}
	return m.visit(ctx, t, inv, &weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_Knock{Knock: k}})
}

// visit says something in the lobby of a node on the way into a team, and returns the answer.
func (m *Mesh) visit(ctx context.Context, t board.TeamID, at *weftv1.InviteKey, q *weftv1.LobbyRequest) (*weftv1.LobbyReply, error) {
	n := board.NodeID(at.Admitter)
	id, err := PeerIDOf(n)
	if err != nil {
		return nil, err
	}
	// From here on its streams are taken, so that it may open them as soon as it has let this node in.
	m.who.trust(n, t)
	m.host.Peerstore().AddAddrs(id, linkAddrs(at.Addresses), peerstore.PermanentAddrTTL)
	for again := false; ; again = true {
		if err := m.connect(ctx, peer.AddrInfo{ID: id}); err != nil {
			return nil, err
		}
		if cs := m.host.Network().ConnsToPeer(id); len(cs) > 0 {
			m.peers.keepAddress(id, cs[0].RemoteMultiaddr()) // a join that is cut short goes on from there
		}
		reply, err := m.sayInLobby(ctx, id, q)
		// A node closes a connection once for reasons of its own (topics.gained), which may be just now; what is said in a
		// lobby may be said twice.
		if err == nil || again || ctx.Err() != nil {
			return reply, err
		}
	}
}

// sayInLobby opens a lobby stream to a peer that is connected, says one thing and returns the answer.
func (m *Mesh) sayInLobby(ctx context.Context, id peer.ID, q *weftv1.LobbyRequest) (*weftv1.LobbyReply, error) {
	s, err := m.host.NewStream(network.WithNoDial(ctx, "connected"), id, protocolLobby)
	if err != nil {
		return nil, err
	}
	defer s.Reset()
	defer context.AfterFunc(ctx, func() { s.Reset() })()
	b, err := encodeFrame(q)
	if err != nil {
		return nil, err
	}
	if err := writeAll(s, b); err != nil {
		return nil, err
	}
	m.traffic.sent(trafficLobby, len(b))
	s.CloseWrite()
	// The reply carries the team's peer records, so it may be larger than a request.
	got, err := newFrameReader(s, m.o.Limits.SyncFrame, m.o.Limits.Idle, m.o.Limits.MinRate).next()
	if err != nil {
		return nil, fmt.Errorf("no reply: %w", err)
	}
	m.traffic.received(trafficLobby, len(got))
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
