package p2p

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// A node that was off when it lost a team hears nothing of it: its former teammates open no stream to it and take none.
// It asks them in the lobby why.

const (
	turnedAfter = 2 * time.Second // on a connection without a stream
	firstWhy    = time.Minute     // between two times that one node is asked
	maxWhy      = time.Hour
	whyTeams    = 8 // of which one node is asked at a time
)

// askWhy asks a node that is connected and opens and takes no stream, if it is time. It returns when it is. Called with
// mu held.
func (p *peering) askWhy(ctx context.Context, t *target) (next time.Time) {
	if t.link[1] != nil || t.since.IsZero() {
		return time.Time{}
	}
	next = t.since.Add(turnedAfter)
	if next.Before(t.nextWhy) {
		next = t.nextWhy
	}
	now := time.Now()
	if now.Before(next) {
		return next
	}
	teams := p.m.who.view.Load().shared[t.node]
	if t.asking || len(teams) == 0 {
		return time.Time{}
	}
	p.askAbout(ctx, t, teams)
	return t.nextWhy
}

// silentAbout asks a node why it doesn't speak of teams that this node takes it to share, though it speaks of others: it
// keeps its streams open for those.
func (p *peering) silentAbout(n board.NodeID, teams []board.TeamID) {
	id, err := PeerIDOf(n)
	if err != nil || len(teams) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.mu.targets[id]; t != nil && !t.asking && !time.Now().Before(t.nextWhy) {
		p.askAbout(p.m.ctx, t, teams)
	}
}

// askAbout asks about some teams in a goroutine, and says when it may be done again. Called with mu held.
func (p *peering) askAbout(ctx context.Context, t *target, teams []board.TeamID) {
	teams = teams[:min(len(teams), whyTeams)]
	t.nextWhy = time.Now().Add(min(firstWhy<<min(t.whys, 10), maxWhy))
	t.whys++
	t.asking = true
	p.wg.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, p.m.o.Limits.LobbyTime)
		defer cancel()
		for _, id := range teams {
			if !p.m.hearWhy(ctx, t, id) {
				break
			}
		}
		p.mu.Lock()
		t.asking = false
		p.mu.Unlock()
	})
}

// hearWhy asks a node why it has turned this one away from a team. False: there is no use in asking it more.
func (m *Mesh) hearWhy(ctx context.Context, t *target, id board.TeamID) bool {
	u := m.o.Identity.User
	q := &weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_Why{Why: &weftv1.WhyAsk{Team: id[:], User: u[:]}}}
	reply, err := m.sayInLobby(ctx, t.id, q)
	if err != nil {
		m.log.Debug("couldn't ask a node why it takes no stream", "peer", t.id.String(), "err", err)
		return false
	}
	if reply.Code != "" {
		m.log.Debug("a node doesn't say why it takes no stream", "peer", t.id.String(), "code", reply.Code)
		return reply.Code == codeNotFound
	}
	if len(reply.Proof) == 0 {
		return true
	}
	m.takeProof(ctx, id, reply.Proof)
	if st, ok := m.o.Store.Team(id); ok && st.IsNode(m.self) { // it was let in again, and they haven't heard of it
		m.object(ctx, t, st)
	}
	return true
}

// maxGrants is how many operations somebody brings, or a lobby takes.
const maxGrants = 16

// grants says whether an operation gives u a role, or lets node n in.
func grants(o *team.Object, u board.UserID, n board.NodeID) bool {
	if set := o.Op.GetSet(); set != nil {
		return board.UserID(set.User) == u
	}
	x := o.Op.GetNode()
	return x != nil && x.Allowed && board.NodeID(x.Node) == n
}

// maxSaid is how many objects of a team are looked through for what was said of this node.
const maxSaid = 4096

// saidOfUs are the operations by people with power in a team; what gives its person the role comes first.
func (m *Mesh) saidOfUs(st *team.State) []board.Hash {
	out := slices.Clip(st.Proof(m.o.Identity.User))
	for _, e := range st.Log() {
		if e.Kind == board.KindOperation && e.Verdict.Status == team.Valid && len(out) < maxSaid {
			if r := st.Role(e.Author); r == team.Admin || r == team.Owner {
				out = append(out, e.Object)
			}
		}
	}
	return out
}

// object brings to a node that takes this one for out of a team what gave this node's person a role, or let the node in,
// after all: who said so may be out of reach of everybody else.
func (m *Mesh) object(ctx context.Context, t *target, st *team.State) {
	id, u := st.ID(), m.o.Identity.User
	present, err := m.present(id)
	if err != nil {
		return
	}
	q := &weftv1.HomeAsk{Team: id[:], Present: present, PeerRecord: m.ownRecord()}
	for _, h := range m.saidOfUs(st) {
		o, err := m.o.Store.Object(ctx, id, h)
		if err == nil && grants(o, u, m.self) && len(q.Grants) < maxGrants {
			q.Grants = append(q.Grants, &weftv1.GovernanceObject{Kind: uint32(o.Kind), Body: o.Body})
		}
	}
	if len(q.Grants) == 0 {
		return
	}
	reply, err := m.sayInLobby(ctx, t.id, &weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_Home{Home: q}})
	m.log.Info("brought a node what it hadn't heard of", "peer", t.id.String(), "team", id.String(), "code", reply.GetCode(), "err", err)
	m.peers.alive(t.id)
}

// comeHomes presents this node to teams that its person is in and that don't know it as a home, now and then, until ctx
// ends: after the person has named it as one, it is the only node that can say so to a team whose others are elsewhere.
func (m *Mesh) comeHomes(ctx context.Context) error {
	changed, stop := m.who.changed.watch()
	defer stop()
	rnd := m.random(randomHomes)
	tries := 0
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-changed:
			if tries == 0 || len(m.homeless()) == 0 {
				tries = 0
				timer.Reset(time.Second)
			}
			continue
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		away := m.homeless()
		for _, st := range away {
			nodes := st.Nodes()
			for _, i := range rnd.Perm(len(nodes))[:min(len(nodes), 3)] {
				if m.presentAt(ctx, st, nodes[i]) {
					break
				}
			}
		}
		if len(away) > 0 {
			timer.Reset(jitter(rnd, min(firstWhy<<min(tries, 10), maxWhy)))
			tries++
		}
	}
}

// homeless are teams that this node's person may read, that have not heard of this node as a home of theirs.
func (m *Mesh) homeless() (out []*team.State) {
	v := m.who.view.Load()
	for _, id := range slices.SortedFunc(maps.Keys(v.teams), compareTeams) {
		st := v.teams[id]
		if !st.Known() || st.IsNode(m.self) || len(m.who.trustedFor(id)) > 0 {
			continue
		}
		_, denied := st.Denial(m.self)
		o, err := team.NewPresent(st.ID(), m.o.Identity)
		if err != nil || denied || !st.CanRead(m.o.Identity.User) {
			continue
		}
		if _, said := st.Verdict(o.Hash); !said {
			out = append(out, st)
		}
	}
	return out
}

// presentAt presents this node at one of the team's. True: that one has taken it.
func (m *Mesh) presentAt(ctx context.Context, st *team.State, n board.NodeID) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*knockTime)
	defer cancel()
	t := st.ID()
	link := &weftv1.InviteLink{Team: t[:], TeamName: st.Name()}
	if _, err := m.comeHome(ctx, t, link, &weftv1.InviteKey{Admitter: n[:]}); err != nil {
		m.who.settle(t)
		m.log.Info("couldn't present this node to a team", "team", t.String(), "err", err)
		return false
	}
	return true
}

// connectedSince notes when a target got its connection; zero: it has lost it. Called with mu held.
func (t *target) connectedSince(c network.Connectedness) {
	if c != network.Connected {
		t.since = time.Time{}
	} else if t.since.IsZero() {
		t.since = time.Now()
	}
}
