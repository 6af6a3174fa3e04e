package board

import (
	"time"
)

// view is what a stream's two ends have told each other of one team.
type view struct {
	stream *stream
	team   *replTeam
	listed bool // in Replica.telling

	// Heard: what the peer holds.
	known    bool
	vectors  ordered[ID, Vector]
	leaves   int
	building *ordered[ID, Vector] // of a whole vector that comes in several frames
	partial  bool                 // something was ignored that governance may explain later
	askedAt  time.Time
	askLater bool
	refused  time.Time // the peer does not serve this team to us before then
	version  int       // of vectors
	inStep   bool      // what inStep last found
	stepOf   [2]int    // versions of own governance and of vectors that inStep is about

	// Told: what the peer must still hear of this node.
	changed ordered[ID, map[NodeID]bool]
	whole   bool
	pending bool
	toldAt  time.Time
}

// views goes through what the connected peers have told of a team on one kind of stream.
func (r *Replica) views(t *replTeam, governance bool) func(yield func(NodeID, *view) bool) {
	return func(yield func(NodeID, *view) bool) {
		for id, p := range r.peers.all() {
			if s := p.streams[side(governance)]; s != nil {
				if v := s.views.at(t.id); v != nil && !yield(id, v) {
					return
				}
			}
		}
	}
}

// meet begins a team on a stream, if the peer belongs to it, or ends it if not any more.
func (r *Replica) meet(s *stream, t *replTeam) {
	v := s.views.at(t.id)
	switch talks := t.talksTo(s.peer.id, s.governance); {
	case talks && v == nil:
		v = &view{stream: s, team: t, vectors: newOrdered[ID, Vector](compareBoards), changed: newOrdered[ID, map[NodeID]bool](compareBoards)}
		s.views.put(t.id, v)
		if s.missed[t.id] { // it won't say it again by itself
			delete(s.missed, t.id)
			r.ask(s, v, true)
		}
		if t.leaves(s.governance) <= wholeAtOnce {
			v.whole, v.pending = true, true
			r.later(v, r.now)
		} else {
			r.do(SendDigest{s.peer.id, s.governance, t.id, t.digest(s.governance)})
		}
	case !talks && v != nil:
		r.part(s, t)
	}
}

// part ends a team on a stream.
func (r *Replica) part(s *stream, t *replTeam) {
	for _, x := range s.transfers.all() {
		if x.log.board.team == t {
			r.cancel(x)
		}
	}
	s.views.drop(t.id)
}

// of goes through the boards that a stream is about.
func (t *replTeam) of(governance bool) func(yield func(*replBoard) bool) {
	return func(yield func(*replBoard) bool) {
		for _, b := range t.boards.all() {
			if b.governance == governance && !yield(b) {
				return
			}
		}
	}
}

func (t *replTeam) leaves(governance bool) (n int) {
	for b := range t.of(governance) {
		for _, node := range b.holding.Nodes() {
			n += len(b.holding.Leaves(node))
		}
	}
	return n
}

func (b *replBoard) vectorDigest() Hash {
	if b.digested != b.version+1 {
		b.digest, b.digested = b.holding.Vector().Digest(), b.version+1
	}
	return b.digest
}

// digest is TeamDigest over the boards that a stream is about.
func (t *replTeam) digest(governance bool) Hash {
	return t.digestOf(func(b *replBoard) bool { return b.governance == governance })
}

func (t *replTeam) digestOf(which func(*replBoard) bool) Hash {
	var ds []boardDigest
	for _, b := range t.boards.all() {
		if which(b) && len(b.holding.Nodes()) > 0 {
			ds = append(ds, boardDigest{b.id, b.vectorDigest()})
		}
	}
	return teamDigest(ds)
}

func (v *view) digests() (ds []boardDigest) {
	for b, x := range v.vectors.all() {
		if len(x) > 0 {
			ds = append(ds, boardDigest{b, x.Digest()})
		}
	}
	return ds
}

// later has a view looked at in tellAll, at t or earlier.
func (r *Replica) later(v *view, t time.Time) {
	if !v.listed {
		v.listed = true
		r.telling = append(r.telling, v)
	}
	r.at(t)
}

// tellAll sends what is due of what peers must hear.
func (r *Replica) tellAll() {
	telling := r.telling
	r.telling = nil
	for _, v := range telling {
		v.listed = false
		if s := v.stream; s.peer.streams[side(s.governance)] == s && s.views.at(v.team.id) == v {
			r.tell(s, v)
		}
	}
}

func (r *Replica) tell(s *stream, v *view) {
	if v.askLater {
		r.ask(s, v, true)
	}
	if !v.pending {
		return
	}
	due := v.toldAt.Add(r.tellEvery())
	if v.whole {
		due = v.toldAt.Add(tellWholeGap)
	}
	if v.toldAt.IsZero() || r.isDue(due) {
		r.tellNow(s, v)
	} else {
		r.later(v, due)
	}
}

// tellEvery is the time between two changes told to a peer: with many peers each is told less often.
func (r *Replica) tellEvery() time.Duration {
	return r.cfg.VectorEvery * time.Duration(max(1, r.peers.len()/8))
}

func (r *Replica) tellNow(s *stream, v *view) {
	e := SendVector{Peer: s.peer.id, Governance: s.governance, Team: v.team.id, Whole: v.whole}
	if v.whole {
		for b := range v.team.of(s.governance) {
			if x := b.holding.Vector(); len(x) > 0 {
				e.Boards = append(e.Boards, BoardVector{b.id, x})
			}
		}
		e.Digest = v.team.digest(s.governance)
	} else {
		for id, nodes := range v.changed.all() {
			if x := v.team.boards.at(id).changedLeaves(nodes); len(x) > 0 {
				e.Boards = append(e.Boards, BoardVector{id, x})
			}
		}
	}
	v.whole, v.pending, v.toldAt = false, false, r.now
	v.changed = newOrdered[ID, map[NodeID]bool](compareBoards)
	r.do(e)
}

func (b *replBoard) changedLeaves(nodes map[NodeID]bool) (x Vector) {
	for _, n := range b.holding.Nodes() {
		if nodes[n] {
			x = append(x, b.holding.Leaves(n)...)
		}
	}
	return x
}

// noteChange has each peer hear that what is held of a log has changed.
func (r *Replica) noteChange(b *replBoard, n NodeID) {
	b.version++
	vanished := len(b.holding.Stretches(n)) == 0
	for _, v := range r.views(b.team, b.governance) {
		nodes := v.changed.at(b.id)
		if nodes == nil {
			nodes = map[NodeID]bool{}
			v.changed.put(b.id, nodes)
		}
		nodes[n] = true
		v.whole = v.whole || vanished // a change cannot say that nothing is left
		v.pending = true
		r.later(v, v.toldAt.Add(r.tellEvery()))
	}
}

// peerVector takes in what a peer says that it holds.
func (r *Replica) peerVector(e PeerVector) {
	s, v := r.viewOf(e.Peer, e.Governance, e.Team)
	if v == nil {
		r.count("vector_ignored", 1)
		if s := r.stream(e.Peer, e.Governance); s != nil && len(s.missed) < maxMissed {
			if s.missed == nil {
				s.missed = map[TeamID]bool{}
			}
			s.missed[e.Team] = true
		}
		return
	}
	s.stalled = false
	if !e.Whole && len(e.Boards) == 0 && !e.Digest.IsZero() {
		r.digestAsked(s, v, e.Digest)
		return
	}
	if e.Whole || v.building != nil {
		r.wholeVector(s, v, e)
		return
	}
	if v.known {
		for _, b := range e.Boards {
			r.hearBoard(s, v, &v.vectors, b, r.now.Add(r.cfg.GapGrace))
		}
		v.version++
	}
}

// viewOf is a stream and its view of a team; nil if there is none.
func (r *Replica) viewOf(n NodeID, governance bool, t TeamID) (*stream, *view) {
	s := r.stream(n, governance)
	if s == nil {
		return nil, nil
	}
	return s, s.views.at(t)
}

func (r *Replica) wholeVector(s *stream, v *view, e PeerVector) {
	if v.building == nil {
		o := newOrdered[ID, Vector](compareBoards)
		v.building, v.leaves, v.partial = &o, 0, false
	}
	for _, b := range e.Boards {
		r.hearBoard(s, v, v.building, b, r.now)
	}
	if e.More {
		return
	}
	v.vectors, v.building, v.known = *v.building, nil, true
	v.version++
	if e.Governance {
		r.heatTeam(v.team) // boards may go now
	}
}

// hearBoard notes what a peer holds of one board, and that logs may need something from when on.
func (r *Replica) hearBoard(s *stream, v *view, into *ordered[ID, Vector], bv BoardVector, when time.Time) {
	b := v.team.boards.at(bv.Board)
	if b == nil || b.governance != s.governance {
		r.ignoreElements(s, v, len(bv.Vector), "vector_unknown_board")
		return
	}
	var fresh Vector
	unknown := 0
	for _, l := range bv.Vector {
		if b.accepts(l.Node) {
			fresh = append(fresh, l)
		} else {
			unknown++
		}
	}
	if unknown > 0 {
		r.ignoreElements(s, v, unknown, "vector_unknown_node")
	}
	sortVector(fresh)
	old := into.at(b.id)
	if v.leaves+len(fresh) > maxPeerLeaves {
		r.count("vector_overflow", len(fresh))
		return
	}
	merged := replaceNodes(old, fresh)
	v.leaves += len(merged) - len(old)
	into.put(b.id, merged)
	for i, l := range fresh {
		if i == 0 || fresh[i-1].Node != l.Node {
			log := r.log(b, l.Node)
			delete(log.unavailable, s.peer.id)
			r.heat(log, when)
		}
	}
	if s.governance {
		r.heatTeam(v.team)
	}
}

// replaceNodes is old with the leaves of the nodes that fresh names taken from fresh.
func replaceNodes(old, fresh Vector) Vector {
	if len(old) == 0 {
		return fresh
	}
	out := make(Vector, 0, len(old)+len(fresh))
	for _, l := range old {
		if len(fresh.Node(l.Node)) == 0 {
			out = append(out, l)
		}
	}
	out = append(out, fresh...)
	sortVector(out)
	return out
}

// ignoreElements counts what governance does not explain, and asks for governance.
func (r *Replica) ignoreElements(s *stream, v *view, n int, name string) {
	r.count(name, n)
	v.partial = true
	r.askGovernance(s.peer.id, v.team)
}

// askGovernance asks a peer where its governance of a team stands.
func (r *Replica) askGovernance(n NodeID, t *replTeam) {
	if s, v := r.viewOf(n, true, t.id); v != nil {
		r.count("governance_asked", 1)
		r.ask(s, v, false)
	}
}

// ask asks for a peer's whole vector: not more often than askEvery, but then later if it must be.
func (r *Replica) ask(s *stream, v *view, must bool) {
	if !v.askedAt.IsZero() && r.now.Before(v.askedAt.Add(askEvery)) {
		if must {
			v.askLater = true
			r.later(v, v.askedAt.Add(askEvery))
		}
		return
	}
	v.askedAt, v.askLater = r.now, false
	r.do(AskVector{s.peer.id, s.governance, v.team.id})
}

// digestAsked answers a digest: is what is known of the peer what it holds?
func (r *Replica) digestAsked(s *stream, v *view, d Hash) {
	switch {
	case v.known && teamDigest(v.digests()) == d:
	case v.team.digest(s.governance) == d:
		v.vectors, v.leaves = newOrdered[ID, Vector](compareBoards), 0
		for b := range v.team.of(s.governance) {
			x := b.holding.Vector()
			v.vectors.put(b.id, x)
			v.leaves += len(x)
		}
		v.known, v.building = true, nil
		v.version++
		if s.governance {
			r.heatTeam(v.team)
		}
	default:
		r.ask(s, v, true)
	}
}

func (r *Replica) askedVector(e AskedVector) {
	if _, v := r.viewOf(e.Peer, e.Governance, e.Team); v != nil {
		v.whole, v.pending = true, true
		r.later(v, v.toldAt.Add(tellWholeGap))
	}
}

// digestHeard compares the digest in a beat with what is known of its sender.
func (r *Replica) digestHeard(e DigestHeard) {
	t := r.teams.at(e.Team)
	if t == nil || r.Digest(e.Team) == e.Digest {
		return
	}
	boards, v := r.viewOf(e.From, false, e.Team)
	governance, g := r.viewOf(e.From, true, e.Team)
	if v == nil || g == nil {
		t.exchangeAt = earlier(t.exchangeAt, r.now.Add(r.jitter(time.Second)))
		r.at(t.exchangeAt)
		return
	}
	if d, known := r.PeerDigest(e.From, e.Team); known && d == e.Digest {
		return
	}
	r.ask(boards, v, false)
	r.ask(governance, g, false)
}

// agreed puts off the comparing of digests. A peer says every minute, and each of them, whether it agrees.
func (r *Replica) agreed(e Agreed) {
	for _, id := range e.Teams {
		if t := r.teams.at(id); t != nil && r.stream(e.Peer, false) != nil {
			t.exchangeAt = r.now.Add(exchangesSkipped*r.cfg.Exchange + r.jitter(r.cfg.Exchange))
			r.at(t.exchangeAt)
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// exchange compares digests with one random member node every now and then, so that nothing stays unseen for long
// whatever gossip and streams have lost.
func (r *Replica) exchange(t *replTeam) {
	if r.isDue(t.exchangeAt) {
		var up []NodeID
		for id := range r.views(t, false) {
			up = append(up, id)
		}
		if len(up) > 0 {
			n := up[r.rnd.IntN(len(up))]
			for _, governance := range []bool{true, false} {
				if s, v := r.viewOf(n, governance, t.id); v != nil {
					if v.pending {
						r.tellNow(s, v)
					}
					r.do(SendDigest{n, governance, t.id, t.digest(governance)})
				}
			}
		}
		t.exchangeAt = r.now.Add(r.cfg.Exchange*3/4 + time.Duration(r.rnd.Int64N(int64(r.cfg.Exchange/2)+1)))
	}
	r.at(t.exchangeAt)
}
