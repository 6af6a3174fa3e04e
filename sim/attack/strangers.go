package attack

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

var strangerAttacks = []Attack{
	{Name: "stranger-streams", What: "a stranger asks for everything on the streams for nodes of a team", As: Stranger, Row: "unknown peers",
		Expect: []string{refusal("stranger")}, run: strangeStreams},
	{Name: "stranger-gossip", What: "a stranger subscribes, listens and speaks on a team's topic", As: Stranger, Row: "eavesdropping",
		Expect: []string{refusal("gossip_of_stranger"), `weft_p2p_pubsub_total{event="reject",reason="blacklisted peer"}`}, run: strangeGossip},
	{Name: "handshakes", What: "connections that never say who they are, and rubbish in place of a handshake", As: Stranger, Row: "connection flood", run: handshakes},
	{Name: "connection-flood", What: "strangers that connect and stay", As: Stranger, Row: "unknown peers",
		Expect: []string{refusal("lobby_full"), refusal("lobby_time")}, run: connectionFlood},
	{Name: "lobby-slow", What: "a guest who begins a question and does not end it", As: Stranger, Row: "unknown peers",
		Expect: []string{knocked("malformed"), refusal("lobby_time"), refusal("lobby_full")}, run: slowGuest},
	{Name: "lobby-giant", What: "a question of a gigabyte", As: Stranger, Row: "giant frame",
		Expect: []string{knocked("malformed"), knocked("too_often")}, run: inLobby(func(ctx context.Context, l *liar, _ *order) error {
			x, err := l.open(ctx, lobbyProtocol)
			if err != nil {
				return err
			}
			defer x.reset()
			x.write(append(binary.AppendUvarint(nil, 1<<30), rubbish(1000)...))
			if err := x.ended(2 * x.patience); err != nil {
				return broken("%v", err)
			}
			return nil
		})},
	{Name: "lobby-rubbish", What: "questions with everything left out, and random bytes", As: Stranger, Row: "nonsense",
		Expect: []string{knocked("malformed"), knocked("too_often")}, run: inLobby(emptyQuestions)},
	{Name: "knock-guessing", What: "knocks with invites that are guessed", As: Stranger, Row: "guessing in the lobby",
		Expect: []string{knocked("too_often")}, run: inLobby(guess)},
	{Name: "knock-open", What: "knocks by the invite of an open team, for a team that is not open, by ever new people", As: Stranger, Row: "guessing in the lobby",
		Expect: []string{knocked("too_often"), knocked("NOT_FOUND")}, run: inLobby(knockOpen)},
	{Name: "request-flood", What: "requests to be let in, by ever new people", As: Stranger, Row: "filling a team with requests to join",
		Expect: []string{knocked("too_often"), knocked("ask_in_NOT_FOUND"), knocked("ask_in_LINK_NEEDED"), knocked("ask_in_BUSY")}, run: inLobby(requestFlood)},
	{Name: "home-stolen", What: "a stranger's node says that it is the home of somebody whose charters it has", As: Stranger, Row: "homes that did not agree",
		Expect: []string{knocked("too_often"), knocked("home_NOT_FOUND"), knocked("home_BAD_SIGNATURE"), knocked("home_NOT_A_HOME"), knocked("home_MALFORMED")},
		run:    inLobby(stolenHome)},
}

// inLobby is an attack in the lobby by somebody who has found a place in it.
func inLobby(f func(context.Context, *liar, *order) error) func(context.Context, *liar, *order) error {
	return func(ctx context.Context, l *liar, o *order) error {
		if err := l.enter(ctx); err != nil {
			return err
		}
		if o.Link != nil {
			l.team = board.TeamID(o.Link.Team)
		}
		return f(ctx, l, o)
	}
}

// enter connects to the target, waiting for a place in the lobby.
func (l *liar) enter(ctx context.Context) (err error) {
	if !until(ctx, 5*l.patience, func() bool { err = l.connect(ctx); return err == nil }) {
		return errors.Join(errors.New("couldn't find a place in the lobby"), err)
	}
	return nil
}

// teamAsked is the team that strangers ask for: that of the link, if they have seen one, or any.
func (o *order) teamAsked() board.TeamID {
	if o.Link != nil {
		return board.TeamID(o.Link.Team)
	}
	return board.TeamID(rubbish(32))
}

func strangeStreams(ctx context.Context, l *liar, o *order) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	t := o.teamAsked()
	l.team = t
	for _, p := range []string{syncProtocol, governanceProtocol} {
		x, err := l.open(ctx, p)
		if err != nil {
			continue // refused before it was open
		}
		x.message(hello(1))
		x.message(&weftv1.SyncFrame{Frame: &weftv1.SyncFrame_AskVector{AskVector: t[:]}})
		target, _ := nodeOf(l.target.ID)
		x.message(wantFrame(l.want(1, board.GeneralID(t), target, board.Epoch{N: 1})))
		if err := x.ended(2 * x.patience); err != nil {
			return broken("%v", err)
		}
	}
	return nil
}

func strangeGossip(ctx context.Context, l *liar, o *order) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	l.team = o.teamAsked()
	g, err := l.gossip(ctx, nil)
	if err != nil {
		return nil // not taken at all
	}
	b := l.newBook(l.general())
	if err := g.subscribe(g.topic); err != nil {
		return nil
	}
	g.graft()
	g.publish(push(b.add(l.posts(&b.pen, 3, Forged+" by a stranger")...)))
	wait(ctx, o.seconds)
	return nil
}

// handshakes opens raw connections to each address of the target and says nothing, or rubbish.
func handshakes(ctx context.Context, l *liar, o *order) error {
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for _, a := range l.target.Addrs {
		kind, addr, err := manet.DialArgs(withoutQUIC(a))
		if err != nil {
			continue
		}
		for i := range 100 {
			c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, kind, addr)
			if err != nil {
				break
			}
			open = append(open, c)
			if i%2 == 0 || kind != "tcp4" {
				n, _ := c.Write(rubbish(1200))
				l.count.sent.Add(int64(n))
				l.count.frames.Add(1)
			}
		}
	}
	wait(ctx, o.seconds)
	return nil
}

// withoutQUIC is the part of an address below QUIC.
func withoutQUIC(a ma.Multiaddr) (out ma.Multiaddr) {
	for _, c := range a {
		if code := c.Protocol().Code; code == ma.P_QUIC_V1 || code == ma.P_P2P {
			break
		}
		out = append(out, c)
	}
	return out
}

func connectionFlood(ctx context.Context, l *liar, o *order) error {
	var hosts []*wireHost
	defer func() {
		for _, h := range hosts {
			h.close()
		}
	}()
	let := 0
	_, err := o.flood(ctx, 12, func(i int) error {
		if len(hosts) >= 300 {
			wait(ctx, 100*time.Millisecond)
			return nil
		}
		h, err := newHost(randomKey(), l.reach, l.count)
		if err != nil {
			return err
		}
		hosts = append(hosts, h)
		h.connect(ctx)
		return nil
	})
	if err != nil {
		return err
	}
	wait(ctx, 200*time.Millisecond) // those that were shown out notice
	for _, h := range hosts {
		if h.h.Network().Connectedness(h.target.ID) == network.Connected {
			let++
		}
	}
	if let > 32 {
		return broken("%d strangers are connected at once", let)
	}
	return nil
}

func slowGuest(ctx context.Context, l *liar, _ *order) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	x, err := l.open(ctx, lobbyProtocol)
	if err != nil {
		return err
	}
	if err := x.write(append(binary.AppendUvarint(nil, 1000), 10)); err != nil {
		return err
	}
	if err := x.ended(5 * x.patience); err != nil {
		return broken("%v", err)
	}
	return nil
}

// each asks questions until the lobby has had enough.
func (l *liar) each(ctx context.Context, questions ...*weftv1.LobbyRequest) error {
	for _, q := range questions {
		r, err := l.ask(ctx, q)
		if err != nil {
			if l.enter(ctx) != nil {
				return nil
			}
			continue
		}
		if len(r.Admit) > 0 || len(r.Charter) > 0 || len(r.PeerRecords) > 0 || len(r.Proof) > 0 {
			return broken("the lobby let a stranger in, or told of a team: %q", r.Code)
		}
	}
	return nil
}

func emptyQuestions(ctx context.Context, l *liar, _ *order) error {
	if err := l.each(ctx,
		&weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_Knock{Knock: &weftv1.Knock{}}},
		&weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_AskIn{AskIn: &weftv1.RequestAsk{}}},
		&weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_AskIn{AskIn: &weftv1.RequestAsk{Team: l.team[:], Present: &weftv1.Signed{}, Request: &weftv1.Signed{}}}},
		&weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_Home{Home: &weftv1.HomeAsk{Team: l.team[:]}}},
		&weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_Why{Why: &weftv1.WhyAsk{Team: l.team[:]}}},
		&weftv1.LobbyRequest{},
	); err != nil {
		return err
	}
	if x, err := l.open(ctx, lobbyProtocol); err == nil {
		x.write(framed(rubbish(5000)))
		x.ended(x.patience)
	}
	return nil
}

func guess(ctx context.Context, l *liar, o *order) error {
	var questions []*weftv1.LobbyRequest
	for range 10 {
		k, err := l.knockWith(o.teamAsked(), board.Hash(rubbish(32)), randomKey(), l.id)
		if err != nil {
			return err
		}
		questions = append(questions, &weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_Knock{Knock: k}})
	}
	return l.each(ctx, questions...)
}

func knockOpen(ctx context.Context, l *liar, o *order) error {
	target, _ := nodeOf(l.target.ID)
	t := o.teamAsked()
	var questions []*weftv1.LobbyRequest
	for range 10 {
		p, err := newPerson("anybody")
		if err != nil {
			return err
		}
		k, err := l.knockWith(t, board.Hash(rubbish(32)), board.NewKey(team.OpenSeed(t, target)), p)
		if err != nil {
			return err
		}
		questions = append(questions, &weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_Knock{Knock: k}})
	}
	return l.each(ctx, questions...)
}

// knockWith knocks for a person with an invite that may not exist.
func (l *liar) knockWith(t board.TeamID, invite board.Hash, key board.Key, who team.Identity) (*weftv1.Knock, error) {
	target, _ := nodeOf(l.target.ID)
	seed := key.Seed()
	return team.NewKnock(&weftv1.InviteLink{Team: t[:], TeamName: "team", Inviter: "somebody", Invites: []*weftv1.InviteKey{{
		Invite: invite[:], Seed: seed[:], Admitter: target[:], Addresses: []string{"/ip4/127.0.0.1/tcp/1"},
	}}}, 0, who)
}

// knock is what the link allows.
func (l *liar) knock(o *order) (*weftv1.Knock, error) {
	target, err := nodeOf(l.target.ID)
	if err != nil {
		return nil, err
	}
	return team.NewKnock(o.Link, inviteFor(o.Link, target), l.id)
}

func requestFlood(ctx context.Context, l *liar, o *order) error {
	var questions []*weftv1.LobbyRequest
	t := o.teamAsked()
	for range 10 {
		p, err := team.NewUser("asker", randomKey(), randomKey(), l.key, nonce())
		if err != nil {
			return err
		}
		q, err := requestOf(t, p)
		if err != nil {
			return err
		}
		questions = append(questions, q)
	}
	return l.each(ctx, questions...)
}

// requestOf asks for somebody to be let in.
func requestOf(t board.TeamID, who team.Identity) (*weftv1.LobbyRequest, error) {
	p, err := team.NewPresent(t, who)
	if err != nil {
		return nil, err
	}
	r, err := team.NewRequest(t, who, "please", nonce())
	if err != nil {
		return nil, err
	}
	q := &weftv1.RequestAsk{Team: t[:], Present: &weftv1.Signed{}, Request: &weftv1.Signed{}}
	if !unmarshal(p.Body, q.Present) || !unmarshal(r.Body, q.Request) {
		return nil, errors.New("couldn't make a request")
	}
	return &weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_AskIn{AskIn: q}}, nil
}

func stolenHome(ctx context.Context, l *liar, o *order) error {
	t := o.teamAsked()
	self := l.node()
	victim, err := newPerson("victim")
	if err != nil {
		return err
	}
	home := signed(l.key, board.SignHome, &weftv1.HomeAcceptance{User: victim.User[:], Node: self[:]})
	op := &weftv1.Operation{Team: t[:], Author: victim.User[:], Charter: t[:], Nonce: make([]byte, 16)}
	op.Kind = &weftv1.Operation_Present{Present: &weftv1.Present{Charters: victim.Charters, Acceptances: []*weftv1.Signed{home}}}
	return l.each(ctx,
		&weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_Home{Home: &weftv1.HomeAsk{Team: t[:], Present: signed(l.id.Device, board.SignOperation, op)}}},
		&weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_Home{Home: &weftv1.HomeAsk{Team: t[:], Present: signed(victim.Device, board.SignOperation, op)}}},
		&weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_Why{Why: &weftv1.WhyAsk{Team: t[:], User: victim.User[:]}}},
	)
}
