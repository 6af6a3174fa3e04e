package p2p

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// What people without an invite may ask in the lobby: how one gets into a team, to be let in by an admin, to have a new
// home of theirs known, and why they were turned away.

// Bounds of what the lobby records and looks up for whoever asks.
const (
	maxOffers     = 64               // public teams named to somebody who asks for them
	maxRequests   = 128              // requests of a team that nobody has answered
	requestsIn    = 4                // new requests and homes of one user, and of one node,
	requestsEvery = time.Hour        // in this time
	requestsAt    = 32               // and of one address
	whysIn        = 20               // times that one node is told why it was turned away,
	whysEvery     = 10 * time.Minute // in this time
	maxReason     = 1024             // bytes of a reason passed on
)

// Errors of the lobby that package team has no kind for.
var (
	// ErrLinkNeeded says that people join a team by a link with an invite in it.
	ErrLinkNeeded = errors.New("people join this team by a link with an invite in it: ask a member for one")
	// ErrNotAHome says that a newer charter of a person doesn't name a node as their home.
	ErrNotAHome = errors.New("the newest charter of this person does not name this node as a home")
)

// lobbyRations bound how often one asker makes this node record or look up something.
type lobbyRations struct {
	users *ration[board.UserID]
	nodes *ration[board.NodeID]
	at    *ration[netip.Addr]
	whys  *ration[board.NodeID]
}

func newLobbyRations() lobbyRations {
	return lobbyRations{
		users: newRation[board.UserID](requestsIn, requestsEvery), nodes: newRation[board.NodeID](requestsIn, requestsEvery),
		at: newRation[netip.Addr](requestsAt, requestsEvery), whys: newRation[board.NodeID](whysIn, whysEvery),
	}
}

// guest is who stands in the lobby.
type guest struct {
	node board.NodeID
	at   netip.Addr
}

// recordFor uses up a part of what a guest may have recorded. False: it has had its share.
func (l *lobby) recordFor(g guest, u board.UserID) bool {
	now, r := l.m.o.Now(), &l.rations
	if r.users.spent(u, now) || r.nodes.spent(g.node, now) || r.at.spent(g.at, now) {
		return false
	}
	r.users.take(u, now)
	r.nodes.take(g.node, now)
	r.at.take(g.at, now)
	return true
}

// shown is the team, as far as somebody outside may know that it is here. A hidden one is not, nor is one unknown here.
func (l *lobby) shown(t board.TeamID) (*team.State, error) {
	st, ok := l.m.o.Store.Team(t)
	if !ok || !st.Known() || st.Policy().Visibility == weftv1.Visibility_VISIBILITY_HIDDEN {
		return nil, fmt.Errorf("couldn't answer: team: %w", board.ErrNotFound)
	}
	if !st.IsNode(l.m.self) { // this node is out of the team itself
		return nil, fmt.Errorf("couldn't answer: team: %w", board.ErrNotFound)
	}
	return st, nil
}

// ask answers how one gets into a team. The team's id is in its links and with its members, and nowhere else: who names
// it holds a link. Without an id the public teams are named.
func (l *lobby) ask(q *weftv1.TeamAsk) (*weftv1.LobbyReply, error) {
	if len(q.Team) == 0 {
		reply := &weftv1.LobbyReply{}
		for _, t := range l.m.o.Store.Teams() {
			st, err := l.shown(t)
			if err == nil && st.Policy().Visibility == weftv1.Visibility_VISIBILITY_PUBLIC && len(reply.Teams) < maxOffers {
				reply.Teams = append(reply.Teams, l.offer(st))
			}
		}
		return reply, nil
	}
	t, err := teamID(q.Team)
	if err != nil {
		return nil, err
	}
	st, err := l.shown(t)
	if err != nil {
		return nil, err
	}
	return &weftv1.LobbyReply{Teams: []*weftv1.TeamOffer{l.offer(st)}}, nil
}

// offer says how one gets into a team.
func (l *lobby) offer(st *team.State) *weftv1.TeamOffer {
	t := st.ID()
	o := &weftv1.TeamOffer{Team: t[:], Name: st.Name(), Join: joinMode(st)}
	if o.Join != weftv1.JoinMode_JOIN_MODE_OPEN {
		return o
	}
	for _, i := range st.Invites() {
		seed := team.OpenSeed(t, i.Admitter)
		if i.Key != [32]byte(board.NewKey(seed).Public()) || i.Used >= i.Quota || len(o.Open) >= maxRecordAddrs/2 {
			continue
		}
		k := &weftv1.InviteKey{Invite: i.Op[:], Seed: seed[:], Admitter: i.Admitter[:]}
		if i.Admitter == l.m.self {
			o.Open = slices.Insert(o.Open, 0, k) // who asks has found its way here
		} else if k.Addresses = l.m.addressesOf(i.Admitter); len(k.Addresses) > 0 {
			o.Open = append(o.Open, k)
		}
	}
	return o
}

// joinMode is how one gets into a team.
func joinMode(st *team.State) weftv1.JoinMode {
	if _, closed := st.Closed(); closed {
		return weftv1.JoinMode_JOIN_MODE_CLOSED
	}
	return st.Policy().Join
}

// addressesOf are the addresses that a node has signed, as texts.
func (m *Mesh) addressesOf(n board.NodeID) (out []string) {
	id, err := PeerIDOf(n)
	cab, ok := peerstore.GetCertifiedAddrBook(m.host.Peerstore())
	if err != nil || !ok {
		return nil
	}
	e := cab.GetPeerRecord(id)
	if e == nil {
		return nil
	}
	r, err := e.Record()
	if rec, ok := r.(*peer.PeerRecord); ok && err == nil {
		out = addrTexts(rec.Addrs[:min(len(rec.Addrs), maxRecordAddrs/2)])
	}
	return out
}

// askIn takes the request of somebody who wants to be let in, or says what became of it.
func (l *lobby) askIn(ctx context.Context, g guest, q *weftv1.RequestAsk) (*weftv1.LobbyReply, error) {
	t, err := teamID(q.Team)
	if err != nil {
		return nil, err
	}
	l.admitting.Lock()
	defer l.admitting.Unlock()
	st, err := l.shown(t)
	if err != nil {
		return nil, err
	}
	a, err := st.CheckRequest(q.Present, q.Request)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(a.Home, g.node) {
		return nil, fmt.Errorf("couldn't take a request: it is brought by a node that isn't its person's: %w", board.ErrMalformed)
	}
	switch mode := joinMode(st); {
	case a.Already:
		return l.welcome(ctx, g, st, a, q.PeerRecord)
	case a.Role == team.Banned || a.Role == team.Removed && !left(st, a.User):
		return l.rejected(st, a.User), nil
	case mode == weftv1.JoinMode_JOIN_MODE_CLOSED:
		return nil, fmt.Errorf("couldn't take a request: %w", team.ErrJoinClosed)
	case mode != weftv1.JoinMode_JOIN_MODE_APPROVAL:
		return nil, fmt.Errorf("couldn't take a request: %w", ErrLinkNeeded)
	}
	waiting := &weftv1.LobbyReply{Waiting: true, Teams: []*weftv1.TeamOffer{l.offer(st)}}
	asked := st.Requests()
	if slices.ContainsFunc(asked, func(r team.Request) bool { return r.User == a.User }) || a.Request == nil {
		return waiting, nil
	}
	if len(asked) >= maxRequests || len(st.Members()) >= team.MaxMembers {
		return nil, fmt.Errorf("couldn't take a request: %w", team.ErrLimit)
	}
	if !l.recordFor(g, a.User) {
		return nil, fmt.Errorf("couldn't take a request: too many from there: %w", errTooOften)
	}
	if err := l.record(ctx, t, a.Present, a.Request); err != nil {
		return nil, err
	}
	l.m.learn(t, q.PeerRecord, g.node)
	l.m.log.Info("somebody asks to be let into a team", "team", t.String(), "user", a.User.String())
	return waiting, nil
}

// left says whether u left by themselves: then they may ask again.
func left(st *team.State, u board.UserID) bool {
	r, ok := st.Removal(u)
	return ok && r.Left
}

// errTooOften is the answer to who asks too often.
var errTooOften = errors.New("too often")

func (l *lobby) record(ctx context.Context, t board.TeamID, objects ...*team.Object) error {
	for _, o := range objects {
		if o == nil {
			continue
		}
		if _, err := l.m.o.Store.AppendObject(ctx, t, o); err != nil {
			return fmt.Errorf("couldn't record what was said in the lobby: %w", err)
		}
	}
	return nil
}

// rejected tells somebody that they aren't wanted, and why.
func (l *lobby) rejected(st *team.State, u board.UserID) *weftv1.LobbyReply {
	reason := ""
	if r, ok := st.Removal(u); ok {
		reason = r.Reason
	}
	return &weftv1.LobbyReply{Code: codeRemoved, Message: cutText(reason, maxReason), Teams: []*weftv1.TeamOffer{l.offer(st)}}
}

// home takes the word of a node that it is a home of somebody in the team.
func (l *lobby) home(ctx context.Context, g guest, q *weftv1.HomeAsk) (*weftv1.LobbyReply, error) {
	t, err := teamID(q.Team)
	if err != nil {
		return nil, err
	}
	l.admitting.Lock()
	defer l.admitting.Unlock()
	st, ok := l.m.o.Store.Team(t) // of a hidden team too: its members know that it is there
	if !ok || !st.IsNode(l.m.self) {
		return nil, fmt.Errorf("couldn't take a home: team: %w", board.ErrNotFound)
	}
	if len(q.Grants) > 0 && !st.IsNode(g.node) {
		if st, err = l.takeGrants(ctx, g, st, q); err != nil {
			return nil, err
		}
	}
	a, err := st.CheckHome(q.Present, g.node)
	if err != nil {
		return nil, err
	}
	return l.welcome(ctx, g, st, a, q.PeerRecord)
}

// welcome answers a home of somebody who has a role. One that is new is recorded.
func (l *lobby) welcome(ctx context.Context, g guest, st *team.State, a team.Asker, peerRecord []byte) (*weftv1.LobbyReply, error) {
	t := st.ID()
	if !st.IsNode(g.node) && a.Present != nil {
		if !l.recordFor(g, a.User) {
			return nil, fmt.Errorf("couldn't take a home: too many from there: %w", errTooOften)
		}
		if err := l.record(ctx, t, a.Present); err != nil {
			return nil, err
		}
		if st, ok := l.m.o.Store.Team(t); ok && st.IsNode(g.node) {
			l.m.log.Info("a new home of somebody in the team", "team", t.String(), "user", a.User.String())
		}
	}
	if !l.m.who.mayReceive(g.node, t) {
		return nil, fmt.Errorf("couldn't take a home: %w", ErrNotAHome)
	}
	l.m.learn(t, peerRecord, g.node)
	l.m.loop.do(ctx, l.m.loop.look)
	return &weftv1.LobbyReply{Admit: a.Cred[:], Charter: st.Genesis().Body, PeerRecords: l.m.recordsOf(t), Teams: []*weftv1.TeamOffer{l.offer(st)}}, nil
}

// takeGrants records what somebody brings that gave them a role, or let their node in, and returns the state that
// follows. Only what an owner or admin has signed about this very person or node is taken: nobody else can make this node
// record anything.
func (l *lobby) takeGrants(ctx context.Context, g guest, st *team.State, q *weftv1.HomeAsk) (*team.State, error) {
	var who weftv1.Operation
	if err := proto.Unmarshal(q.Present.GetObject(), &who); err != nil || len(who.Author) != 32 {
		return nil, fmt.Errorf("couldn't take a home: %w", board.ErrMalformed)
	}
	u := board.UserID(who.Author)
	for _, x := range q.Grants[:min(len(q.Grants), maxGrants)] {
		if x.Kind != uint32(board.KindOperation) {
			continue
		}
		o, err := team.ParseObject(board.KindOperation, x.Body)
		if err != nil {
			return nil, err
		}
		id := st.ID()
		if !grants(o, u, g.node) || string(o.Op.Team) != string(id[:]) || len(o.Op.Author) != 32 {
			continue
		}
		by := board.UserID(o.Op.Author)
		_, held := st.Verdict(o.Hash)
		if r := st.Role(by); held || r != team.Admin && r != team.Owner || !slices.Contains(st.Devices(by), board.DeviceID(o.Key)) {
			continue
		}
		if !l.recordFor(g, u) {
			return nil, fmt.Errorf("couldn't take a home: too many from there: %w", errTooOften)
		}
		if err := l.record(ctx, id, o); err != nil {
			return nil, err
		}
	}
	now, ok := l.m.o.Store.Team(st.ID())
	if !ok {
		return nil, fmt.Errorf("couldn't take a home: team: %w", board.ErrNotFound)
	}
	return now, nil
}

// why tells a node that is none of the team's any more what shows that. Nobody else is told anything.
func (l *lobby) why(ctx context.Context, g guest, q *weftv1.WhyAsk) (*weftv1.LobbyReply, error) {
	t, err := teamID(q.Team)
	if err != nil {
		return nil, err
	}
	if len(q.User) != 32 {
		return nil, fmt.Errorf("%w: wrong length of a user's id", errFrameBad)
	}
	u := board.UserID(q.User)
	st, ok := l.m.o.Store.Team(t)
	if !ok || !st.IsNode(l.m.self) {
		return nil, fmt.Errorf("couldn't say why: team: %w", board.ErrNotFound)
	}
	if st.IsNode(g.node) {
		return &weftv1.LobbyReply{}, nil
	}
	was := slices.Contains(st.Origins(), g.node)
	if out := st.Role(u) == team.Removed || st.Role(u) == team.Banned; !was && !(out && slices.Contains(st.Homes(u), g.node)) {
		return nil, fmt.Errorf("couldn't say why: team: %w", board.ErrNotFound)
	}
	if now := l.m.o.Now(); l.rations.whys.spent(g.node, now) {
		return nil, fmt.Errorf("couldn't say why: %w", errTooOften)
	} else {
		l.rations.whys.take(g.node, now)
	}
	reply := &weftv1.LobbyReply{}
	size := 0
	for _, x := range l.m.proofFor(ctx, st, g.node) {
		if size += len(x.Body) + 16; size > l.m.o.Limits.SyncFrame*3/4 {
			break
		}
		reply.Proof = append(reply.Proof, x)
	}
	return reply, nil
}
