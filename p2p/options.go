package p2p

import (
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/prometheus/client_golang/prometheus"

	"weft/board"
	"weft/store"
	"weft/team"
)

// Options of a Mesh. Key, Store and Identity are needed; the rest has defaults.
type Options struct {
	Key      board.Key     // the node's key: its libp2p identity
	Store    *store.Store  // not closed by the Mesh
	Identity team.Identity // of the person who runs the node: Join presents it

	Listen []string // multiaddrs; none: QUIC and TCP on all interfaces, on ports that the system chose once and that are kept
	Static []string // multiaddrs with /p2p/ (dnsaddr too) of nodes to stay connected to
	Book   string   // file for a copy of teammates' addresses, for when the store loses them; empty: none
	MDNS   bool     // find teammates' nodes on the local network

	Presence Presence // hears of people and says who is here; nil: nobody is
	Boot     [16]byte // names this start; zero: the Mesh makes one up

	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: not exported
	Limits     Limits                // zero fields: DefaultLimits
	Libp2p     []libp2p.Option       // for tests and simulated networks; come after the Mesh's own
	Now        func() time.Time
	Awake      func() time.Time // what durations are measured by where others are judged: see Awake; nil: the program's monotonic clock
	Agent      string           // program and version, told to peers
	Seed       uint64           // of the Mesh's choices (jitter, which peer); 0: random

	newestFirst uint64        // tests: see board.ReplicaConfig
	goodbye     time.Duration // tests: how long a stop waits for teammates; 0: goodbyeTime
}

// Limits are what an honest node does against floods and slow or endless peers (docs/limits.md).
type Limits struct {
	InboundConns       int           // at once, all peers
	LobbyConns         int           // at once, from peers that share no team
	LobbyTime          time.Duration // how long such a connection may last
	LobbyBytes         int           // of one request
	LobbyTriesPerMin   int           // failed knocks per address
	SyncStreams        int           // per peer
	GovernanceStreams  int           // per peer
	SyncFrame          int           // bytes of one frame
	TopicMessage       int           // bytes of one topic message
	Subscriptions      int           // in one pubsub RPC: a greeting names all topics of a node, which may be in so many teams
	MessageIDs         int           // in one pubsub RPC's control part
	BanTime            time.Duration // for which a peer that broke the rules often isn't let in again
	Idle               time.Duration // within a frame, and for a transfer that is owed
	MinRate            int           // bytes per second of a frame that takes longer than Idle
	ConnsPerPrivateNet int           // connections at once from one private or link-local network
}

// DefaultLimits are the starting values of docs/limits.md.
func DefaultLimits() Limits {
	return Limits{
		InboundConns: 256, LobbyConns: 8, LobbyTime: 15 * time.Second, LobbyBytes: 64 << 10, LobbyTriesPerMin: 3,
		SyncStreams: 4, GovernanceStreams: 2, SyncFrame: 1 << 20, TopicMessage: 256 << 10,
		Subscriptions: 1024, MessageIDs: 2000, BanTime: 10 * time.Minute,
		Idle: 10 * time.Second, MinRate: 1 << 10, ConnsPerPrivateNet: 256,
	}
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// withDefaults fills in what was left zero.
func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	orDefault(&l.InboundConns, d.InboundConns)
	orDefault(&l.LobbyConns, d.LobbyConns)
	orDefault(&l.LobbyTime, d.LobbyTime)
	orDefault(&l.LobbyBytes, d.LobbyBytes)
	orDefault(&l.LobbyTriesPerMin, d.LobbyTriesPerMin)
	orDefault(&l.SyncStreams, d.SyncStreams)
	orDefault(&l.GovernanceStreams, d.GovernanceStreams)
	orDefault(&l.SyncFrame, d.SyncFrame)
	orDefault(&l.TopicMessage, d.TopicMessage)
	orDefault(&l.Subscriptions, d.Subscriptions)
	orDefault(&l.MessageIDs, d.MessageIDs)
	orDefault(&l.BanTime, d.BanTime)
	orDefault(&l.Idle, d.Idle)
	orDefault(&l.MinRate, d.MinRate)
	orDefault(&l.ConnsPerPrivateNet, d.ConnsPerPrivateNet)
	return l
}

func (o *Options) setDefaults() {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Awake == nil {
		o.Awake = time.Now
	}
	if o.Agent == "" {
		o.Agent = "weft"
	}
	orDefault(&o.goodbye, goodbyeTime)
	o.Limits = o.Limits.withDefaults()
}
