package board

import (
	"slices"
	"time"
)

// release forgets a peer of which nothing needs to be known.
func (r *Replica) release(p *peer) {
	offended := p.score > 0 && r.now.Sub(p.scoredAt) < time.Minute
	if p.streams == [2]*stream{} && p.held == 0 && !offended && !r.now.Before(p.banned) {
		r.peers.drop(p.id)
	}
}

// talksTo says whether a team's affairs are shared with a peer on one of its streams.
func (t *replTeam) talksTo(n NodeID, governance bool) bool {
	if _, ok := slices.BinarySearchFunc(t.nodes, n, compareNodes); ok {
		return true
	}
	_, ok := slices.BinarySearchFunc(t.via, n, compareNodes)
	return ok && governance
}

// accepts says whether logs of a node are taken into a board.
func (b *replBoard) accepts(n NodeID) bool {
	if b.team.origins[n] {
		return true
	}
	_, known := b.logs.get(n)
	return b.governance && (known || b.logs.len() < len(b.team.origins)+maxUnknown)
}

func (r *Replica) peerUp(e PeerUp) {
	p := r.peer(e.Peer)
	if e.Peer == r.cfg.Self || r.now.Before(p.banned) {
		r.release(p)
		return
	}
	if p.streams[side(e.Governance)] != nil {
		r.peerDown(e.Peer, e.Governance)
		p = r.peer(e.Peer)
	}
	s := &stream{peer: p, governance: e.Governance, moved: r.now,
		transfers: newOrdered[uint64, *transfer](cmpUint), views: newOrdered[TeamID, *view](r.teams.compare)}
	p.streams[side(e.Governance)] = s
	for _, t := range r.teams.all() {
		r.meet(s, t)
		for _, b := range t.boards.all() {
			for _, l := range b.logs.all() {
				if a := l.avoid[e.Peer]; a != nil && a.strikes < 3 {
					delete(l.avoid, e.Peer)
				}
			}
		}
	}
}

// peerDown forgets a stream: its transfers go to others, and what is still missing of what it named is remembered.
func (r *Replica) peerDown(n NodeID, governance bool) {
	s := r.stream(n, governance)
	if s == nil {
		return
	}
	for _, t := range s.transfers.all() {
		r.endTransfer(t)
	}
	for _, v := range s.views.all() {
		r.rememberClaims(v)
	}
	s.peer.streams[side(governance)] = nil
	r.release(s.peer)
}

func (r *Replica) teamChanged(e TeamChanged) {
	t := r.teams.at(e.Team)
	if t == nil {
		t = &replTeam{id: e.Team, boards: newOrdered[ID, *replBoard](compareBoards), orphans: newOrdered[originKey, *orphans](compareOrigins)}
		t.exchangeAt = r.now.Add(r.jitter(r.cfg.Exchange / 2))
		r.at(t.exchangeAt)
		r.teams.put(e.Team, t)
		t.governance = t.addBoard(GovernanceID(e.Team), true)
	}
	t.nodes, t.via = sortedNodes(e.Nodes), sortedNodes(e.Via)
	t.origins = map[NodeID]bool{r.cfg.Self: true}
	for _, n := range slices.Concat(e.Nodes, e.Former) {
		t.origins[n] = true
	}
	for _, b := range e.Boards {
		if _, ok := t.boards.get(b); !ok {
			t.addBoard(b, false)
		}
	}
	for _, p := range r.peers.all() {
		for _, s := range p.streams {
			if s != nil {
				r.meet(s, t)
			}
		}
	}
	r.governanceAdvanced(t)
}

func (t *replTeam) addBoard(id ID, governance bool) *replBoard {
	b := &replBoard{id: id, team: t, governance: governance, logs: newOrdered[NodeID, *replLog](compareNodes)}
	t.boards.put(id, b)
	return b
}

func sortedNodes(ns []NodeID) []NodeID {
	out := slices.Clone(ns)
	slices.SortFunc(out, compareNodes)
	return slices.Compact(out)
}

func compareOrigins(a, b originKey) int {
	if c := compareBoards(a.board, b.board); c != 0 {
		return c
	}
	return a.origin.Compare(b.origin)
}

func (r *Replica) teamLeft(id TeamID) {
	t := r.teams.at(id)
	if t == nil {
		return
	}
	for _, p := range r.peers.all() {
		for _, s := range p.streams {
			if s != nil {
				r.part(s, t)
			}
		}
	}
	for _, b := range t.boards.all() {
		for _, l := range b.logs.all() {
			l.gone = true
			r.dropPieces(l, func(*piece) bool { return true })
		}
	}
	left := func(l *replLog) bool { return l.board.team == t }
	r.hot, r.blocked = slices.DeleteFunc(r.hot, left), slices.DeleteFunc(r.blocked, left)
	r.teams.drop(id)
}

// retryNow hands what waits of a log to the store again: at once, but not with each of very many changes.
func (r *Replica) retryNow(l *replLog) {
	l.pauses = 0
	if next := l.retried.Add(retryPending); r.now.Before(next) {
		l.pausedUntil = earlier(l.pausedUntil, next)
		r.at(l.pausedUntil)
		return
	}
	l.pending, l.pausedUntil, l.retried = false, time.Time{}, r.now
	r.feed(l)
}

// governanceAdvanced tries again what waited for a right, and asks again for what was ignored.
func (r *Replica) governanceAdvanced(t *replTeam) {
	for _, b := range t.boards.all() {
		for _, l := range b.logs.all() {
			if l.pending {
				r.retryNow(l)
			}
			r.heat(l, r.now)
		}
	}
	for _, governance := range []bool{false, true} {
		for _, v := range r.views(t, governance) {
			if v.partial {
				v.partial = false
				r.ask(v.stream, v, true)
			}
		}
	}
}

// blame counts an offence of a peer; too many within a minute and it is left for a while.
func (r *Replica) blame(n NodeID, reason string, weight float64) {
	r.count("peer_"+reason, 1)
	p := r.peer(n)
	elapsed := r.now.Sub(p.scoredAt).Minutes()
	p.score, p.scoredAt = max(0, p.score-banScore*elapsed)+weight, r.now
	if p.score < banScore || r.now.Before(p.banned) {
		r.release(p)
		return
	}
	p.banned, p.score = r.now.Add(r.cfg.BanFor), 0
	r.do(ClosePeer{n, reason, r.cfg.BanFor})
	r.peerDown(n, false)
	r.peerDown(n, true)
}
