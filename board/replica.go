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
	cfg       ReplicaConfig
	rnd       *rand.Rand
	now       time.Time
	next      time.Time // when something is due; zero: nothing is
	teams     ordered[TeamID, *replTeam]
	peers     ordered[NodeID, *peer]
	hot       []*replLog // logs that may need something from a peer
	freed     bool       // a transfer ended: what waited for its place may go
	blocked   []*replLog // logs that wait for a transfer to end, the longest waiting first
	retry     int        // how many of blocked are still to be looked at since one ended
	telling   []*view    // what has something to tell
	paused    []*replLog // logs whose pieces the store could not take
	sweepAt   time.Time
	token     uint64  // last one given out
	rooms     [2]room // boards, governance
	pushBytes int     // of pushed runs that are held
	outs      map[uint64]*batch
	out       []Effect
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
	stalled    bool      // a transfer timed out and nothing has come since
	late       int       // bytes that may still come for transfers that were cancelled
	views      ordered[TeamID, *view]
	missed     map[TeamID]bool // teams of which a vector came before the peer was known to belong to them
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
	maxPeerLeaves    = 32768                  // leaves kept of what one peer says of one team: 256 nodes in 64 boards, twice
	maxMissed        = 1024                   // teams that a peer spoke of too early; as many as a node may be in
	maxUnknown       = 512                    // origins of governance that no charter names (yet); a team has 256 nodes
	wholeAtOnce      = 64                     // a vector of so few leaves is sent at once, without trying a digest first
	reRecordRate     = 50                     // records of one origin and second (docs/limits.md)
	heldFor          = 2 * time.Minute        // a pushed run waits no longer for what comes before it: it will be pulled
	heardFor         = time.Hour              // a head that nobody can deliver is forgotten
	retryPending     = 500 * time.Millisecond // what waits for a right is tried again at most so often, however often governance changes
	exchangesSkipped = 3                      // times Exchange that nothing is compared after a peer has agreed
	askEvery         = 5 * time.Second        // a peer is asked for a vector at most so often
	tellWholeGap     = time.Second            // and tells its whole vector at most so often
	banScore         = 50                     // docs/limits.md: 50 bad in a minute
	maxAvoid         = 10 * time.Minute       // a peer that failed for a log is tried again at the latest then
	storePause       = 5 * time.Second        // after an error of the store's own
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
	num(&cfg.HoldBytes, 8<<20)
	num(&cfg.HoldTotal, 16<<20)
	num(&cfg.InFlight, 12<<20)
	num(&cfg.GovernanceInFlight, 4<<20)
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
		cfg: cfg, rnd: rnd, outs: map[uint64]*batch{}, rooms: [2]room{{limit: cfg.InFlight}, {limit: cfg.GovernanceInFlight}},
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
	case Floored:
		r.floored(e)
	case PeerVector:
		r.peerVector(e)
	case AskedVector:
		r.askedVector(e)
	case HeadHeard:
		r.headHeard(e)
	case Agreed:
		r.agreed(e)
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
	case ForkCompared:
		r.forkCompared(e)
	case Moving:
		if s := r.stream(e.Peer, e.Governance); s != nil {
			s.moved, s.stalled = r.now, false
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
	r.plans()
	r.tellAll()
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
