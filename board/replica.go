package board

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Replica decides about replication for one node, over all its teams. Its files: replica.go (what it knows, Step),
// replica_tell.go (vectors, told and heard), replica_run.go (runs: accept, hold, hand to the store), replica_want.go
// (what to ask of whom, transfers), replica_status.go.
type Replica struct {
	cfg     ReplicaConfig
	rnd     *rand.Rand
	now     time.Time
	next    time.Time // when something is due; zero: nothing is
	teams   ordered[TeamID, *replTeam]
	peers   ordered[NodeID, *peer]
	hot     []*replLog // logs that may need something from a peer
	freed   bool       // a transfer ended: what waited for its place may go
	paused  []*replLog // logs whose pieces the store could not take
	sweepAt time.Time
	token   uint64 // last one given out
	outs    map[uint64]*piece
	out     []Effect
}

// replTeam is a team that this node takes part in.
type replTeam struct {
	id         TeamID
	nodes, via []NodeID // sorted
	origins    map[NodeID]bool
	boards     ordered[ID, *replBoard]
	governance *replBoard
	heldBytes  int
	exchangeAt time.Time
	orphans    ordered[originKey, *orphans]
}

// replBoard is one board and what is held of it.
type replBoard struct {
	id         ID
	team       *replTeam
	governance bool
	holding    Holding
	version    int // of holding
	digest     Hash
	digested   int // version that digest is of, +1
	logs       ordered[NodeID, *replLog]
}

// peer is a node that a stream is open to, or that is banned, or of which runs are held.
type peer struct {
	id       NodeID
	streams  [2]*stream // boards, governance
	score    float64    // of offences; falls with time
	scoredAt time.Time
	banned   time.Time
	held     int // records pushed by it and held
}

// stream is one of the two streams to a peer.
type stream struct {
	peer       *peer
	governance bool
	lastID     uint64
	transfers  ordered[uint64, *transfer]
	moved      time.Time // when bytes last came
	late       int       // bytes that may still come for transfers that were cancelled
	views      ordered[TeamID, *view]
}

type originKey struct {
	board  ID
	origin Origin
}

// orphans are records of one origin that wait to be recorded again.
type orphans struct {
	seqs map[uint64]bool
	due  time.Time
}

// Sizes and times that nobody needs to change.
const (
	maxPeerLeaves = 32768            // leaves kept of what one peer says of one team: 256 nodes in 64 boards, twice
	maxUnknown    = 512              // origins of governance that no charter names (yet); a team has 256 nodes
	wholeAtOnce   = 64               // a vector of so few leaves is sent at once, without trying a digest first
	reRecordRate  = 50               // records of one origin and second (docs/limits.md)
	heldFor       = 2 * time.Minute  // a pushed run waits no longer for what comes before it: it will be pulled
	heardFor      = time.Hour        // a head that nobody can deliver is forgotten
	askEvery      = 5 * time.Second  // a peer is asked for a vector at most so often
	tellWholeGap  = time.Second      // and tells its whole vector at most so often
	banScore      = 50               // docs/limits.md: 50 bad in a minute
	maxAvoid      = 10 * time.Minute // a peer that failed for a log is tried again at the latest then
	storePause    = 5 * time.Second  // after an error of the store's own
)

// NewReplica makes a Replica that knows no team and no peer. rnd is used for jitter and the choice among peers only.
func NewReplica(cfg ReplicaConfig, rnd *rand.Rand) *Replica {
	def := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	num := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	num(&cfg.Window, 1<<20)
	num(&cfg.PerPeer, 8)
	num(&cfg.HoldRecords, 1024)
	num(&cfg.HoldBytes, 64<<20)
	def(&cfg.Watchdog, 10*time.Second)
	def(&cfg.Exchange, 30*time.Second)
	def(&cfg.VectorEvery, 200*time.Millisecond)
	def(&cfg.GapGrace, 300*time.Millisecond)
	def(&cfg.PendingEvery, 5*time.Second)
	def(&cfg.BanFor, 10*time.Minute)
	def(&cfg.ReRecordWait, 5*time.Second)
	if cfg.NewestFirst == 0 {
		cfg.NewestFirst = 20_000
	}
	return &Replica{
		cfg: cfg, rnd: rnd, outs: map[uint64]*piece{},
		teams: newOrdered[TeamID, *replTeam](func(a, b TeamID) int { return slices.Compare(a[:], b[:]) }),
		peers: newOrdered[NodeID, *peer](compareNodes),
	}
}

// Step tells the Replica what happened and returns what to do. now must not go back. The effects' slices may be kept.
func (r *Replica) Step(now time.Time, ev Event) []Effect {
	if now.After(r.now) {
		r.now = now
	}
	r.out = nil
	r.handle(ev)
	for i := 0; i < 3 && (r.freed || r.isDue(r.next)); i++ {
		r.act()
	}
	return r.out
}

func (r *Replica) handle(ev Event) {
	switch e := ev.(type) {
	case PeerUp:
		r.peerUp(e)
	case PeerDown:
		r.peerDown(e.Peer, e.Governance)
	case TeamChanged:
		r.teamChanged(e)
	case TeamLeft:
		r.teamLeft(e.Team)
	case Held:
		if b := r.board(e.Team, e.Board); b != nil && e.Stretch.Hi > 0 {
			r.raise(b, e.Node, e.Stretch)
		}
	case Lost:
		r.lost(e)
	case PeerVector:
		r.peerVector(e)
	case AskedVector:
		r.askedVector(e)
	case HeadHeard:
		r.headHeard(e)
	case DigestHeard:
		r.digestHeard(e)
	case Pushed:
		r.pushed(e)
	case Answered:
		r.answered(e)
	case Ingested:
		r.ingested(e)
	case GovernanceAdvanced:
		if t := r.teams.at(e.Team); t != nil {
			r.governanceAdvanced(t)
		}
	case Orphaned:
		r.orphaned(e)
	case Restored:
		r.restored(e)
	case Moving:
		if s := r.stream(e.Peer, e.Governance); s != nil {
			s.moved = r.now
		}
	case Offended:
		r.blame(e.Peer, e.Reason, 10)
	}
}

// act does what is due. Each part says by at() when it is due next.
func (r *Replica) act() {
	r.next = time.Time{}
	for _, p := range r.peers.all() {
		r.watch(p)
	}
	r.resumePaused()
	r.sweep()
	for _, t := range r.teams.all() {
		r.exchange(t)
		r.reRecord(t)
	}
	freed := r.freed
	r.freed = false
	r.plans(freed)
	for _, p := range r.peers.all() {
		for _, s := range p.streams {
			r.tell(s)
		}
	}
}

// at has act called at t, or earlier.
func (r *Replica) at(t time.Time) {
	if r.next.IsZero() || t.Before(r.next) {
		r.next = t
	}
}

// isDue says whether t has come; zero never comes.
func (r *Replica) isDue(t time.Time) bool { return !t.IsZero() && !r.now.Before(t) }

func (r *Replica) do(e Effect) { r.out = append(r.out, e) }

func (r *Replica) count(name string, n int) { r.do(Count{name, n}) }

// jitter is d times 1 to 2.
func (r *Replica) jitter(d time.Duration) time.Duration {
	return d + time.Duration(r.rnd.Int64N(int64(d)+1))
}

func side(governance bool) int {
	if governance {
		return 1
	}
	return 0
}

func (r *Replica) stream(n NodeID, governance bool) *stream {
	if p := r.peers.at(n); p != nil {
		return p.streams[side(governance)]
	}
	return nil
}

// board is a board of a team by its id, or nil.
func (r *Replica) board(t TeamID, b ID) *replBoard {
	if team := r.teams.at(t); team != nil {
		return team.boards.at(b)
	}
	return nil
}

func (r *Replica) peer(n NodeID) *peer {
	p := r.peers.at(n)
	if p == nil {
		p = &peer{id: n}
		r.peers.put(n, p)
	}
	return p
}

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
	r.hot = slices.DeleteFunc(r.hot, func(l *replLog) bool { return l.board.team == t })
	r.teams.drop(id)
}

// governanceAdvanced tries again what waited for a right, and asks again for what was ignored.
func (r *Replica) governanceAdvanced(t *replTeam) {
	for _, b := range t.boards.all() {
		for _, l := range b.logs.all() {
			if l.pending {
				l.pending, l.pausedUntil = false, time.Time{}
				r.feed(l)
			}
			r.heat(l, r.now)
		}
	}
	for _, p := range r.peers.all() {
		for _, s := range p.streams {
			if s == nil {
				continue
			}
			if v := s.views.at(t.id); v != nil && v.partial {
				v.partial = false
				r.ask(s, v, true)
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
