package board

import "time"

// Replication as a state machine. A Replica is told what happens (events) and answers with what to do (effects); it
// does nothing itself. It decides what to tell peers of what is held here, which missing records to ask of whom, what
// to hold until a gap is filled, when to give up on a transfer or a peer, and when to re-record. What a node has
// appended itself is pushed by its owner; what others ask of this node its owner answers (Holding.Path).
//
// The same events with the same random numbers give the same effects. A Replica is not safe for concurrent use.

// ReplicaConfig is what a Replica is made with. Zero values stand for the defaults that the field comments name.
type ReplicaConfig struct {
	Self NodeID // this node

	Window             int           // bytes of answers that one transfer may have in flight or not yet ingested; 1 MiB
	PerPeer            int           // transfers that one stream to a peer carries at a time; 8
	Watchdog           time.Duration // a transfer without progress for so long goes to another peer; 10 s
	Exchange           time.Duration // with one random member node digests are compared about so often; 30 s
	VectorEvery        time.Duration // changes of vectors go to a peer at most so often; 200 ms
	GapGrace           time.Duration // what gossip may still bring is not asked for so long; 300 ms
	PendingEvery       time.Duration // what waits for governance is tried again so often; 5 s
	NewestFirst        uint64        // a log of which nothing is held and whose last seq is greater is fetched newest first; 20,000
	HoldRecords        int           // records held of one peer until a gap or a right is filled in; 1,024
	HoldBytes          int           // bytes held of one team's pushed records, all peers together; 8 MiB
	HoldTotal          int           // the same of all teams; 16 MiB
	InFlight           int           // bytes of message boards' records that peers may still send or that are not stored yet; 12 MiB
	GovernanceInFlight int           // the same of governance; 4 MiB
	BanFor             time.Duration // how long a peer that sent rubbish is left; 10 min
	ReRecordWait       time.Duration // orphaned entries wait between one and two times so long; 5 s
}

// Event is something that happened: one of the event types below.
type Event interface{ event() }

// PeerUp: a stream to a peer is open, with its hello read. Each of a peer's two streams is up for itself.
type PeerUp struct {
	Peer       NodeID
	Governance bool // the stream for governance boards; else the one for message boards
}

// PeerDown: that stream is gone, whoever closed it.
type PeerDown struct {
	Peer       NodeID
	Governance bool
}

// TeamChanged: this node takes part in a team, whose nodes and message boards are now these. What the store holds of
// them already follows in Held events; at start all of this comes before the first PeerUp.
type TeamChanged struct {
	Team   TeamID
	Nodes  []NodeID // nodes(team); this node may be among them
	Former []NodeID // nodes of the past, whose logs are still part of the boards
	Via    []NodeID // peers to get governance from although they are not known as nodes yet: who let this node in
	Boards []ID     // message boards; the governance board goes without saying
}

// TeamLeft: the team is no business of this node any more.
type TeamLeft struct{ Team TeamID }

// Held: what the store holds of one origin has grown to this stretch, whether by Append or by Ingest, or is found at start.
type Held struct {
	Team    TeamID
	Board   ID
	Node    NodeID
	Stretch Stretch
}

// Floored: n's log in a board is pruned up to these points: nothing at or below them is asked for or missed.
type Floored struct {
	Team   TeamID
	Board  ID
	Node   NodeID
	Floors []Point
}

// Lost: what the store holds of one origin is less than was told (damage, pruning): this stretch; Hi == 0: nothing.
type Lost struct {
	Team    TeamID
	Board   ID
	Node    NodeID
	Stretch Stretch
}

// PeerVector: a TeamVector frame. With Digest and without Whole and Boards it asks whether the digests are the same. What
// is not whole replaces, of each board, the leaves of the nodes that it names.
type PeerVector struct {
	Peer       NodeID
	Governance bool
	Team       TeamID
	Whole      bool
	More       bool // a further frame belongs to this one
	Digest     Hash // zero: none came
	Boards     []BoardVector
}

// AskedVector: a peer asks for the whole vector of the boards that this stream is for.
type AskedVector struct {
	Peer       NodeID
	Governance bool
	Team       TeamID
}

// HeadHeard: a signed head came by gossip; its signature was checked.
type HeadHeard struct {
	From     NodeID // the peer that is asked first: who sent it, or its author
	Team     TeamID
	Position Position
}

// DigestHeard: a beat named the digest of all of a team's vectors, as Replica.Digest makes it.
type DigestHeard struct {
	From   NodeID
	Team   TeamID
	Digest Hash
}

// Agreed: a peer's digests of all vectors of these teams are this node's. So they needn't be compared for a while.
type Agreed struct {
	Peer  NodeID
	Teams []TeamID
}

// Pushed: a run came by gossip; its form was checked (ParseRun) and its last item carries a head signature.
type Pushed struct {
	From NodeID // the peer that sent it
	Team TeamID
	Run  *Run
}

// Answered: a part of a transfer came. Run may be nil; Done ends the transfer.
type Answered struct {
	Peer       NodeID
	Governance bool
	ID         uint64
	Status     AnswerStatus
	Run        *Run
	Done       bool
}

// AnswerStatus is how a Want was answered; the numbers are those of the wire.
type AnswerStatus int

// How a Want can be answered.
const (
	AnswerOK AnswerStatus = iota
	AnswerNotMember
	AnswerNotHeld
	AnswerDamaged
	AnswerPruned
	AnswerBusy
)

// Ingested: the Ingest effect with this token was carried out. Err wraps one of the package's errors, or is the
// store's own (then the team's transfers pause for a while). Where it stored something, a Held event that says so may
// come before or after; the Replica counts the run as held either way.
type Ingested struct {
	Token uint64
	Err   error
}

// GovernanceAdvanced: the team's state has changed; what waited for a right is tried again.
type GovernanceAdvanced struct{ Team TeamID }

// Orphaned: these records of an origin do not count and no other record of their entries does (the store knows).
type Orphaned struct {
	Team   TeamID
	Board  ID
	Origin Origin
	Seqs   []uint64
}

// Restored: these records' entries have a counting record after all.
type Restored struct {
	Team   TeamID
	Board  ID
	Origin Origin
	Seqs   []uint64
}

// ForkCompared: the CompareFork effect was carried out: records up to Same are those that are held, that at Differs (0: none is
// known) is not.
type ForkCompared struct {
	Team          TeamID
	Board         ID
	Origin        Origin
	From          NodeID
	Same, Differs uint64
	Proven        bool // a proof is kept
	Failed        bool // it could not be compared
}

// Moving: bytes of an unfinished frame are coming in from a peer, so a slow link is no reason to leave it yet.
type Moving struct {
	Peer       NodeID
	Governance bool
}

// Offended: a peer broke the protocol in a way that shows outside this package (bad frame, bad head signature).
type Offended struct {
	Peer   NodeID
	Reason string // a short constant, used in names of counters
}

// Tick: time has passed. Due at Replica.Wake at the latest.
type Tick struct{}

func (PeerUp) event()             {}
func (PeerDown) event()           {}
func (TeamChanged) event()        {}
func (TeamLeft) event()           {}
func (Held) event()               {}
func (Lost) event()               {}
func (PeerVector) event()         {}
func (AskedVector) event()        {}
func (HeadHeard) event()          {}
func (DigestHeard) event()        {}
func (Agreed) event()             {}
func (Pushed) event()             {}
func (Answered) event()           {}
func (Ingested) event()           {}
func (GovernanceAdvanced) event() {}
func (Orphaned) event()           {}
func (Restored) event()           {}
func (Moving) event()             {}
func (Floored) event()            {}
func (ForkCompared) event()       {}
func (Offended) event()           {}
func (Tick) event()               {}

// Effect is something to do: one of the effect types below. Effects are carried out in order; sends to a peer keep
// their order within one of its streams, and one that cannot be sent any more is dropped (PeerDown follows).
type Effect interface{ effect() }

// SendVector sends a TeamVector frame, in several where it is too large for one (More). Boards without leaves are in
// it only where they had some.
type SendVector struct {
	Peer       NodeID
	Governance bool
	Team       TeamID
	Whole      bool
	Digest     Hash // of the whole, after this change
	Boards     []BoardVector
}

// SendDigest sends a TeamVector frame with a digest alone: are you where I am?
type SendDigest struct {
	Peer       NodeID
	Governance bool
	Team       TeamID
	Digest     Hash
}

// AskVector asks a peer for its whole vector.
type AskVector struct {
	Peer       NodeID
	Governance bool
	Team       TeamID
}

// Want opens a transfer, with the fields of the wire's Want.
type Want struct {
	Peer       NodeID
	Governance bool
	ID         uint64
	Team       TeamID
	Board      ID
	Node       NodeID
	Have       []Point
	Toward     Point
	Credit     int // bytes, in terms of Run.Size
	Backward   bool
}

// SendCredit lets a transfer send more.
type SendCredit struct {
	Peer       NodeID
	Governance bool
	ID         uint64
	Bytes      int
}

// SendCancel ends a transfer from the asker's side.
type SendCancel struct {
	Peer       NodeID
	Governance bool
	ID         uint64
}

// Ingest hands a run to the store and has its outcome stepped as Ingested with the same token. Of one log there is never
// more than one that is out; those of different logs may be carried out side by side.
type Ingest struct {
	Token uint64
	Team  TeamID
	Run   *Run
	Tail  bool   // may be the newest part of a log of which nothing is held (newest first)
	From  NodeID // for counting and blame
}

// ReRecord asks the store to record these entries again in this node's own log, if they still need it.
type ReRecord struct {
	Team   TeamID
	Board  ID
	Origin Origin
	Seqs   []uint64
}

// CompareFork asks the store where a run of a node parts from what is held, to keep the proof, and to have the outcome
// stepped as ForkCompared.
type CompareFork struct {
	Team TeamID
	Run  *Run
	From NodeID
}

// ClosePeer asks to leave a peer: close its connection and refuse it for BanFor.
type ClosePeer struct {
	Peer   NodeID
	Reason string
	BanFor time.Duration
}

// Count adds N to a counter.
type Count struct {
	Name string
	N    int
}

func (SendVector) effect()  {}
func (SendDigest) effect()  {}
func (AskVector) effect()   {}
func (Want) effect()        {}
func (SendCredit) effect()  {}
func (SendCancel) effect()  {}
func (Ingest) effect()      {}
func (ReRecord) effect()    {}
func (CompareFork) effect() {}
func (ClosePeer) effect()   {}
func (Count) effect()       {}
