package p2p

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	manet "github.com/multiformats/go-multiaddr/net"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/store"
	"weft/team"
)

// lobby is where people who aren't in a team stand: those who hold an invite knock, others ask (lobbyask.go). One request,
// one reply, on a stream of its own.
type lobby struct {
	m       *Mesh
	rations lobbyRations

	// admitting makes knocks go one after the other, so that an invite's quota is exact: the state that the next one is
	// judged by has the last admission in it.
	admitting sync.Mutex
	failed    *ration[netip.Addr] // tries that came to nothing
}

// Codes of a LobbyReply.
const (
	codeMalformed   = "MALFORMED"
	codeNotFound    = "NOT_FOUND"
	codeExpired     = "EXPIRED"
	codeQuota       = "QUOTA"
	codeBadSig      = "BAD_SIGNATURE"
	codeNotAdmitter = "NOT_ADMITTER"
	codeUpgrade     = "UPGRADE_NEEDED"
	codeLimit       = "LIMIT"
	codeFull        = "STORAGE_FULL"
	codeBusy        = "BUSY"
	codeInternal    = "INTERNAL"
	codeRemoved     = "REMOVED"
	codeJoinClosed  = "JOIN_CLOSED"
	codeApproval    = "APPROVAL"
	codeLinkNeeded  = "LINK_NEEDED"
	codeTeamClosed  = "TEAM_CLOSED"
	codeNotAHome    = "NOT_A_HOME"
)

// refusals are the codes of errors, in the order in which they are looked for.
var refusals = []struct {
	err  error
	code string
}{
	{board.ErrMalformed, codeMalformed}, {board.ErrTooLarge, codeMalformed}, {board.ErrNotFound, codeNotFound},
	{team.ErrExpired, codeExpired}, {team.ErrQuota, codeQuota}, {board.ErrBadSignature, codeBadSig},
	{team.ErrNotAdmitter, codeNotAdmitter}, {team.ErrUpgradeNeeded, codeUpgrade}, {team.ErrLimit, codeLimit},
	{store.ErrStorageFull, codeFull}, {team.ErrRemoved, codeRemoved}, {team.ErrJoinClosed, codeJoinClosed},
	{team.ErrApproval, codeApproval}, {ErrLinkNeeded, codeLinkNeeded}, {team.ErrTeamClosed, codeTeamClosed},
	{ErrNotAHome, codeNotAHome}, {errTooOften, codeBusy},
}

func newLobby(m *Mesh) *lobby {
	return &lobby{m: m, rations: newLobbyRations(), failed: newRation[netip.Addr](m.o.Limits.LobbyTriesPerMin, time.Minute)}
}

// handle answers one request.
func (l *lobby) handle(s network.Stream) {
	p := s.Conn().RemotePeer()
	defer s.Close()
	defer l.m.guard(p, "lobby")
	stop := time.AfterFunc(l.m.o.Limits.LobbyTime, func() { s.Reset() })
	defer stop.Stop()
	at := remoteIP(s.Conn())
	if l.failed.spent(at, l.m.o.Now()) {
		l.m.stats.knocks.WithLabelValues("too_often").Inc()
		l.reply(s, &weftv1.LobbyReply{Code: codeBusy, Message: "too many failed tries from this address; wait a minute"})
		return
	}
	req := new(weftv1.LobbyRequest)
	r := newFrameReader(s, l.m.o.Limits.LobbyBytes, l.m.o.Limits.Idle, l.m.o.Limits.MinRate)
	b, err := r.next()
	l.m.traffic.received(trafficLobby, len(b))
	if err == nil {
		err = decode(b, req)
	}
	if err != nil || req.Request == nil {
		l.m.stats.knocks.WithLabelValues("malformed").Inc()
		l.failed.take(at, l.m.o.Now())
		s.Reset()
		return
	}
	ctx, cancel := context.WithTimeout(l.m.ctx, l.m.o.Limits.LobbyTime)
	defer cancel()
	reply, outcome, err := l.answer(ctx, p, at, req)
	if err != nil {
		code, message := refusal(err)
		outcome += code
		l.m.log.Info("turned somebody away", "peer", p.String(), "code", code)
		l.failed.take(at, l.m.o.Now())
		reply = &weftv1.LobbyReply{Code: code, Message: message}
	}
	l.m.stats.knocks.WithLabelValues(outcome).Inc()
	l.reply(s, reply)
}

// answer does what is asked. outcome is the name under which it is counted; of an error, what the code goes after.
func (l *lobby) answer(ctx context.Context, p peer.ID, at netip.Addr, req *weftv1.LobbyRequest) (reply *weftv1.LobbyReply, outcome string, err error) {
	n, err := NodeIDOf(p)
	if err != nil {
		return nil, "", err
	}
	g := guest{n, at}
	switch q := req.Request.(type) {
	case *weftv1.LobbyRequest_Knock:
		if reply, err = l.admit(ctx, q.Knock); err == nil {
			outcome = "admitted"
		}
		return reply, outcome, l.veiled(req, err)
	case *weftv1.LobbyRequest_Ask:
		outcome = "ask_"
		reply, err = l.ask(q.Ask)
	case *weftv1.LobbyRequest_AskIn:
		outcome = "ask_in_"
		reply, err = l.askIn(ctx, g, q.AskIn)
	case *weftv1.LobbyRequest_Home:
		outcome = "home_"
		reply, err = l.home(ctx, g, q.Home)
	case *weftv1.LobbyRequest_Why:
		outcome = "why_"
		reply, err = l.why(ctx, g, q.Why)
	}
	if err == nil {
		outcome += "answered"
	}
	return reply, outcome, l.veiled(req, err)
}

// veiled makes what is wrong with a request no sign of a hidden team: it is answered as if there were none. Who knows
// an invite of it knows that it is there.
func (l *lobby) veiled(req *weftv1.LobbyRequest, err error) error {
	var id []byte
	malformed := errors.Is(err, board.ErrMalformed) || errors.Is(err, board.ErrTooLarge)
	switch q := req.Request.(type) {
	case *weftv1.LobbyRequest_Knock:
		if id = q.Knock.GetTeam(); !malformed {
			return err
		}
	case *weftv1.LobbyRequest_AskIn:
		id = q.AskIn.GetTeam()
	case *weftv1.LobbyRequest_Home:
		id = q.Home.GetTeam()
		if !malformed && !errors.Is(err, board.ErrBadSignature) { // said to members only
			return err
		}
	case *weftv1.LobbyRequest_Why:
		id = q.Why.GetTeam()
	}
	t, bad := teamID(id)
	st, here := l.m.o.Store.Team(t)
	if err == nil || bad != nil || !here || st.Policy().Visibility != weftv1.Visibility_VISIBILITY_HIDDEN {
		return err
	}
	return fmt.Errorf("couldn't answer: team: %w", board.ErrNotFound)
}

func (l *lobby) reply(s network.Stream, r *weftv1.LobbyReply) {
	b, err := encodeFrame(r)
	if err == nil {
		l.m.traffic.sent(trafficLobby, len(b))
		err = writeAll(s, b)
	}
	if err != nil {
		l.m.log.Debug("couldn't answer in the lobby", "err", err)
	}
}

// refusal is what the one outside is told: the code, and no more than the error's own kind says.
func refusal(err error) (code, message string) {
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return r.code, r.err.Error()
		}
	}
	return codeInternal, "the node that answers for the invite couldn't do it; try again in a moment"
}

// admit judges a knock and records what follows from it.
func (l *lobby) admit(ctx context.Context, k *weftv1.Knock) (*weftv1.LobbyReply, error) {
	t, err := teamID(k.Team)
	if err != nil {
		return nil, err
	}
	l.admitting.Lock()
	defer l.admitting.Unlock()
	st, ok := l.m.o.Store.Team(t)
	if !ok {
		return nil, fmt.Errorf("couldn't admit: team: %w", board.ErrNotFound)
	}
	a, err := st.CheckKnock(k, l.m.self, l.m.o.Now())
	if err != nil {
		return nil, err
	}
	if a.Present != nil {
		if _, err := l.m.o.Store.AppendObject(ctx, t, a.Present); err != nil {
			return nil, fmt.Errorf("couldn't record who knocked: %w", err)
		}
	}
	admitted := a.Cred
	if !a.Already {
		var nonce [16]byte
		rand.Read(nonce[:])
		o, err := team.NewAdmit(l.m.o.Key, st, k, nonce)
		if err != nil {
			return nil, err
		}
		if _, err := l.m.o.Store.AppendObject(ctx, t, o); err != nil {
			return nil, fmt.Errorf("couldn't record an admission: %w", err)
		}
		admitted = o.Hash
		l.m.log.Info("admitted somebody to a team", "team", t.String(), "user", a.User.String())
	}
	// Known as a node from here on, before the reply makes it ask for governance.
	l.m.loop.do(ctx, l.m.loop.look)
	return &weftv1.LobbyReply{Admit: admitted[:], Charter: st.Genesis().Body, PeerRecords: l.m.recordsOf(t)}, nil
}

func remoteIP(c network.Conn) netip.Addr {
	ip, err := manet.ToIP(c.RemoteMultiaddr())
	if err != nil {
		return netip.Addr{}
	}
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}
