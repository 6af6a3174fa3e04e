package p2p

import (
	"context"
	"maps"
	"slices"
	"time"

	"weft/board"
	"weft/store"
	"weft/team"
)

// loop is the one goroutine that owns the Replica. It never waits for a stream, a disk or a signature: it takes events
// and starts effects. Fields without a guard belong to it alone.
type loop struct {
	m      *Mesh
	rep    *board.Replica
	events chan any // board.Event, linkUp, linkDown, lookAgain
	calls  chan func()
	feed   *feed

	links map[linkKey]*link            // open streams
	teams map[board.TeamID]*team.State // as last told to the Replica
	told  map[board.ID]bool            // boards whose holdings were told

	waiting []board.PeerVector       // see early
	said    map[sentKey]board.Vector // what nodes that are gone held of governance when they were last heard
}

type linkKey struct {
	node       board.NodeID
	governance bool
}

// Streams of the Mesh's random choices, one for each goroutine that makes some.
const (
	randomReplica = iota + 1
	randomTopics
	randomPeering
	randomHomes
	randomPresence
	randomProbing
)

// maxEarly vectors wait for a team to be taken up.
const maxEarly = 64

// eventQueue is how many events may wait for the loop before their senders wait.
const eventQueue = 512

func newLoop(m *Mesh) *loop {
	l := &loop{
		m: m, events: make(chan any, eventQueue), calls: make(chan func()), feed: newFeed(),
		links: map[linkKey]*link{}, teams: map[board.TeamID]*team.State{}, told: map[board.ID]bool{},
		said: map[sentKey]board.Vector{},
	}
	l.rep = board.NewReplica(board.ReplicaConfig{Self: m.self, BanFor: m.o.Limits.BanTime, NewestFirst: m.o.newestFirst}, m.random(randomReplica))
	return l
}

// start registers with the store. Commits from here on reach the feed; what was there before is read by the first look.
func (l *loop) start() {
	l.m.o.Store.OnCommit(l.feed.committed)
	l.m.o.Store.SetFirstAppendHook(l.m.ownLog)
	l.feed.mu.Lock()
	l.feed.mu.state = true
	l.feed.mu.Unlock()
	l.feed.nudge <- struct{}{}
}

func (l *loop) run(ctx context.Context) error {
	defer l.feed.close()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		wake := l.rep.Wake()
		if wake.IsZero() {
			timer.Reset(time.Hour)
		} else {
			timer.Reset(max(wake.Sub(l.m.o.Now()), time.Millisecond))
		}
		select {
		case <-ctx.Done():
			return nil
		case ev := <-l.events:
			l.handle(ev)
		case f := <-l.calls:
			select {
			case <-l.feed.nudge: // who calls after a commit is answered with it: no other nudge may follow
				l.takeFeed()
			default:
			}
			f()
		case <-l.feed.nudge:
			l.takeFeed()
		case <-timer.C:
			l.tell(board.Tick{})
		}
	}
}

// do runs f in the loop's goroutine and waits for it. False: the mesh has ended, or ctx has.
func (l *loop) do(ctx context.Context, f func()) bool {
	done := make(chan struct{})
	select {
	case l.calls <- func() { defer close(done); f() }:
		<-done
		return true
	case <-ctx.Done():
	case <-l.m.ctx.Done():
	}
	return false
}

// handle takes one event.
func (l *loop) handle(ev any) {
	switch ev := ev.(type) {
	case linkUp:
		l.linkUp(ev.link)
	case linkDown:
		l.linkDown(ev.link)
	case lookAgain:
		l.look()
	case learned:
		l.passOn(ev)
	case recordsChanged:
		for key, k := range l.links {
			if key.governance {
				l.m.peers.sendRecords(k)
			}
		}
	case board.PeerVector:
		if l.early(ev) {
			if len(l.waiting) < maxEarly {
				l.waiting = append(l.waiting, ev)
			}
			return
		}
		l.tell(ev)
	case board.Event:
		l.tell(ev)
	}
}

// early says whether a vector comes from a peer that a link named, before this node could know it as one of the team's:
// it is kept until then, since it won't be said again by itself.
func (l *loop) early(v board.PeerVector) bool {
	if !l.m.who.trusts(v.Peer, v.Team) {
		return false
	}
	if v.Governance {
		return l.teams[v.Team] == nil
	}
	return !slices.Contains(l.m.who.view.Load().shared[v.Peer], v.Team)
}

// retryEarly tells the Replica of vectors that are early no more.
func (l *loop) retryEarly() {
	waiting := l.waiting
	l.waiting = nil
	for _, v := range waiting {
		l.handle(v)
	}
}

// tell steps the Replica and carries out what it says.
func (l *loop) tell(ev board.Event) {
	for _, e := range l.rep.Step(l.m.o.Now(), ev) {
		l.carryOut(e)
	}
	l.m.stats.inFlight.Set(float64(l.rep.InFlight()))
	if _, ok := ev.(board.PeerVector); ok {
		l.m.subs.replicated.nudge()
	}
}

// takeFeed tells the Replica what the store has committed.
func (l *loop) takeFeed() {
	f := l.feed.take()
	own := false
	for _, k := range f.order {
		c := f.changed[k]
		l.m.subs.held.set(k.board, k.origin, c.stretch.Hi)
		if !l.told[k.board] {
			continue // its whole holding is told when its team's state names it
		}
		if c.lost {
			l.tell(board.Lost{Team: k.team, Board: k.board, Node: k.origin.Node, Stretch: c.stretch})
		} else {
			l.tell(board.Held{Team: k.team, Board: k.board, Node: k.origin.Node, Stretch: c.stretch})
		}
		if c.own {
			own = true
			l.m.subs.appended(k.team, k.board, k.origin, c.stretch.Hi)
		}
	}
	for _, ev := range f.orphans {
		l.tell(ev)
	}
	for b := range f.reread {
		if t, ok := l.m.o.Store.BoardTeam(b); ok {
			l.tellOrphans(t, b)
		}
	}
	if own {
		l.m.subs.replicated.nudge()
	}
	if f.state { // after the changes: what look reads of a new board may be newer than they are
		l.look()
	}
}

// look compares the store's teams with what was told before, and tells the Replica, the topics and the peers.
func (l *loop) look() {
	now, before := l.m.who.look()
	ids := slices.SortedFunc(maps.Keys(now.teams), compareTeams)
	for _, t := range ids {
		st := now.teams[t]
		if l.teams[t] == st {
			continue
		}
		_, old := l.teams[t]
		l.teams[t] = st
		l.tellTeam(t, st)
		if old {
			l.tell(board.GovernanceAdvanced{Team: t})
		}
	}
	for t := range l.teams {
		if now.teams[t] == nil {
			delete(l.teams, t)
			l.tell(board.TeamLeft{Team: t})
		}
	}
	l.m.subs.follow(slices.SortedFunc(maps.Values(now.topics), compareTeams))
	l.retryEarly()
	for n, x := range losses(before, now) {
		l.lost(n, x)
	}
	l.m.peers.changed()
	l.m.voices.follow(now)
	for key, k := range l.links {
		if key.governance && len(now.shared[key.node]) > len(before.shared[key.node]) {
			l.m.peers.sendRecords(k)
		}
	}
	if waiting := l.m.records.takeWaiting(); len(waiting) > 0 {
		go func() {
			for _, x := range waiting {
				l.m.learn(x.team, x.envelope, x.from)
			}
		}()
	}
}

// tellTeam tells the Replica of a team's nodes and boards, and of what is held of boards that are new to it.
func (l *loop) tellTeam(t board.TeamID, st *team.State) {
	ev := board.TeamChanged{Team: t, Nodes: st.Nodes(), Former: st.Origins()}
	if st.IsNode(l.m.self) {
		l.m.who.settle(t)
	} else if !st.Known() {
		l.findAgain(t)
	}
	ev.Via = l.m.who.trustedFor(t)
	if l.m.who.out(st) { // nothing but governance, from teammates that come by themselves: perhaps this node is in again
		ev.Nodes, ev.Via = nil, st.Nodes()
	}
	for _, b := range st.Boards() {
		ev.Boards = append(ev.Boards, b.ID)
	}
	l.tell(ev)
	for _, b := range ev.Boards {
		floors := store.FloorsOf(st, b)
		for _, n := range slices.SortedFunc(maps.Keys(floors), func(a, b board.NodeID) int { return slices.Compare(a[:], b[:]) }) {
			l.tell(board.Floored{Team: t, Board: b, Node: n, Floors: floors[n]})
		}
	}
	for _, b := range append([]board.ID{board.GovernanceID(t)}, ev.Boards...) {
		if l.told[b] {
			continue
		}
		l.told[b] = true
		h := l.m.o.Store.Holding(b)
		if h == nil {
			continue
		}
		for _, n := range h.Nodes() {
			for _, s := range h.Stretches(n) {
				l.m.subs.held.set(b, board.Origin{Node: n, Epoch: s.Epoch}, s.Hi)
				l.tell(board.Held{Team: t, Board: b, Node: n, Stretch: s})
			}
		}
		for _, o := range l.m.o.Store.Headless(b) {
			l.tell(board.Lost{Team: t, Board: b, Node: o.Node, Stretch: board.Stretch{Epoch: o.Epoch}})
		}
		l.tellOrphans(t, b)
	}
}

func (l *loop) tellOrphans(t board.TeamID, b board.ID) {
	orphans, err := l.m.o.Store.Orphans(l.m.ctx, b)
	if err != nil {
		l.m.log.Warn("couldn't read which records have to be recorded again", "board", b.String(), "err", err)
		return
	}
	for o, seqs := range orphans {
		l.tell(board.Orphaned{Team: t, Board: b, Origin: o, Seqs: seqs})
	}
}

// closeLinks ends all streams. Called after run has returned.
func (l *loop) closeLinks() {
	for _, k := range l.links {
		k.reset()
	}
}
