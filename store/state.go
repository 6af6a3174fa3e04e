package store

import (
	"sync"
	"sync/atomic"

	"weft/board"
	"weft/team"
)

// memory is everything that is kept in memory and can be made again from disk.
type memory struct {
	mu     sync.RWMutex // guards the maps and the slice, not what they point to
	teams  map[board.TeamID]*teamState
	boards map[board.ID]*boardState
	logs   []*logState // by logNum; 0 is not used

	arrival     uint64 // of the last change that is committed; guarded by mu, the committer reads without it
	changeCheck uint64 // check of the last group of changes; likewise

	// Below: the committer's alone.
	epochs  uint64                 // greatest epoch counter of this node seen
	run     board.Epoch            // this run's epoch; zero until the first append
	devices map[deviceKey]*device  // cache
	waiting map[[16]byte]struct{}  // ids of entries that others wait for (w)
	waitAll bool                   // more are waited for than the map holds: look on disk
	rejudge map[*logState][]rows   // rows of logs to judge again (f)
	review  map[*logState][]rows   // rows whose entries' rights are to be judged again (y)
	later   map[*logState][]rows   // rows whose entries were pending when they were judged again (l)
	pruning map[*logState]struct{} // logs with rows below their floor
	sweeps  map[*teamState]pos     // teams of which everything is to be judged again, from here on (q)
}

func newMemory() *memory {
	return &memory{
		teams: map[board.TeamID]*teamState{}, boards: map[board.ID]*boardState{}, logs: make([]*logState, 1),
		devices: map[deviceKey]*device{}, waiting: map[[16]byte]struct{}{}, rejudge: map[*logState][]rows{},
		review: map[*logState][]rows{}, later: map[*logState][]rows{}, sweeps: map[*teamState]pos{}, pruning: map[*logState]struct{}{},
	}
}

// rows are the seqs from..to of a log.
type rows struct{ from, to uint64 }

// teamState is a team that this node takes part in.
type teamState struct {
	id         board.TeamID
	governance *boardState
	state      atomic.Pointer[team.State]
	records    atomic.Int64  // held in its message boards
	bytes      atomic.Int64  // about what they take
	boards     []*boardState // message boards, as State.Boards has them; guarded by memory.mu

	evaluator *team.Evaluator                     // the committer's
	genesis   []byte                              // charter body given at adoption, or nil; the committer's
	spots     map[board.ID]map[board.NodeID]spots // positions that cuts name, by board and node; the committer's
	strangers int                                 // origins on the governance board whose node the team does not know; the committer's
}

// boardState is one board.
type boardState struct {
	id         board.ID
	team       *teamState
	governance bool

	run    *logState                     // log that this run of the node appends to; nil before the first append; the committer's
	opened onceGate                      // first append hook
	faults map[board.NodeID]*board.Fault // why records of nodes do not count, seals apart; the committer's

	mu      sync.Mutex                   // guards what follows, and the mutable part of the board's logs; the committer reads without it
	byNode  map[board.NodeID][]*logState // by epoch
	name    string
	holding board.Holding // what this node says that it holds: without damaged parts
	full    board.Holding // what it holds, damaged or not: the structure of the logs
	logs    []*logState
	signers map[board.NodeID]signers // who has something in a node's log
	commits uint64                   // how often the board was changed
	marks   map[board.UserID]*mark
	moved   chan struct{} // closed at the next commit that touches the board; nil: nobody waits
	last    *Shown        // newest shown entry
	lastOK  bool          // last is known
}

// logState is what is held of one origin's log in a board. The committer alone changes it, under board.mu.
type logState struct {
	num    logNum
	board  *boardState
	origin board.Origin

	st       board.Stretch
	headSeq  uint64 // last record of which the origin's signature is kept; 0: none
	headSig  []byte
	unheaded uint32 // bytes of entries since the last head that is kept in a record; the committer's
	shown    uint64 // shown entries that this log's records stand for
	multi    uint64 // of those, how many have other records too
	bits     bitset // records that stand for a shown entry that counts as unread
	own      map[board.UserID]*bitset
	limit    uint64        // records above it do not count: seals, denials, forks; board.All: all count
	floor    uint64        // up to here its rows are pruned, or about to be; board.All: all of them
	damaged  []rows        // ascending, apart from each other
	intact   board.Stretch // with damage: the part of st below it; Hi < Lo: none
	children []*logState
}

// mark is a local user's read mark in a board.
type mark struct {
	vector board.Vector
	unread uint64
	known  bool // unread is up to date
}

// board finds a board.
func (m *memory) board(id board.ID) (*boardState, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	b, ok := m.boards[id]
	return b, ok
}

func (m *memory) team(id board.TeamID) (*teamState, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	t, ok := m.teams[id]
	return t, ok
}

func (m *memory) log(n logNum) *logState {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if int(n) >= len(m.logs) {
		return nil
	}
	return m.logs[n]
}

// log finds the log of an origin.
func (b *boardState) log(o board.Origin) *logState {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.logOf(o)
}

// logOf is log for callers that hold b.mu.
func (b *boardState) logOf(o board.Origin) *logState {
	for _, l := range b.byNode[o.Node] {
		if l.origin.Epoch == o.Epoch {
			return l
		}
	}
	return nil
}

// counts says whether the record at seq counts (trust §2, §9). On governance boards every record does: objects count by
// their own signatures.
func (l *logState) counts(limit, seq uint64) bool {
	return seq <= limit || l.board.governance
}

// admits says whether a further epoch that follows prev leaves the node with at most board.MaxLeaves leaves.
func (b *boardState) admits(n board.NodeID, prev board.Link) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.holding.Admits(n, prev)
}

// claim says in the board's holding what this node says that it holds of the log: the stretch, less what is damaged.
// The caller holds b.mu.
func (b *boardState) claim(l *logState) {
	st := l.st
	if len(l.damaged) > 0 {
		st = l.intact
	}
	if st.Hi < st.Lo {
		st.Hi = 0
	}
	st.Epoch = l.origin.Epoch
	b.holding.Set(l.origin.Node, st)
	b.full.Set(l.origin.Node, l.st)
}

// markOf is a user's mark; the caller holds b.mu.
func (b *boardState) markOf(u board.UserID) *mark {
	m := b.marks[u]
	if m == nil {
		m = &mark{}
		if b.marks == nil {
			b.marks = map[board.UserID]*mark{}
		}
		b.marks[u] = m
	}
	return m
}

// shown notes a newly shown entry; the caller holds b.mu.
func (b *boardState) shown(e *Shown) {
	if b.lastOK && (b.last == nil || b.last.Entry.Order().Compare(e.Entry.Order()) < 0) {
		b.last = e
	}
}

// wake tells those who wait for the board. The caller holds b.mu.
func (b *boardState) wake() {
	if b.moved != nil {
		close(b.moved)
		b.moved = nil
	}
}
