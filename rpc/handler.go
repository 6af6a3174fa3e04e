package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"github.com/prometheus/client_golang/prometheus"

	weftv1 "weft/api/weft/v1"
	"weft/api/weft/v1/weftv1connect"
	"weft/board"
	"weft/presence/hub"
	"weft/store"
	"weft/team"
)

// MaxRequest is the size of a request message in bytes, after decompression: a thousand posts of 8 KiB, or 120 of the
// largest.
const MaxRequest = 8 << 20

// Mesh is what the API needs of the network. Its methods are safe for concurrent use. Join wraps ErrOffline where no
// node of the link answered.
type Mesh interface {
	// ListPeers says whom this node knows and how it reaches them.
	ListPeers() []*weftv1.Peer
	// AddPeer keeps an address and dials it now and after each loss.
	AddPeer(ctx context.Context, address string) (board.NodeID, error)
	// Join uses a link and returns when the team is usable here, or when the request to join is with the team.
	Join(ctx context.Context, link *weftv1.InviteLink, note string) (Joined, error)
	// Asked are the teams that the user asked to be let into, until they are joined or forgotten.
	Asked() []Asked
	// ForgetAsked ends the asking.
	ForgetAsked(t board.TeamID)
	// InviteAddrs are addresses of this node for links, those that other machines can reach first.
	InviteAddrs() []string
	// SyncStatus says how complete the boards of a team are, the governance board first; names may stay empty.
	SyncStatus(t board.TeamID) []*weftv1.BoardSync
	// LastHeard is when any other node of a team was last heard; zero: never.
	LastHeard() time.Time
	// Replicated says how many of a team's other nodes hold the record at p, and how many other nodes there are.
	Replicated(b board.ID, p board.Position) (k, n int)
	// Followers says of each node of a team, this one too, in order, whether it holds all of these records, and when it was
	// last heard.
	Followers(b board.ID, at []board.Position) []Follower
	// Traffic is what the mesh has carried.
	Traffic() Traffic
	// WatchReplicated nudges when Replicated or Followers may have changed; a nudge can be lost only if another waits. The function ends it.
	WatchReplicated() (<-chan struct{}, func())
}

// Joined is what Mesh.Join reached.
type Joined struct {
	Team          board.TeamID
	AlreadyMember bool
	Asked         bool // somebody of the team has to approve
}

// Options of a handler. Store, Mesh, Hub and Identity are needed.
type Options struct {
	Store    *store.Store
	Mesh     Mesh
	Hub      *hub.Hub      // presence and the live lane
	Identity team.Identity // the node's own user; posts are signed by its device
	Node     board.NodeID
	// Info answers NodeService.GetInfo; the handler fills in what it knows where this leaves it empty.
	Info func() *weftv1.GetInfoResponse
	// Doctor looks at the machine; nil: no checks.
	Doctor func(ctx context.Context) []*weftv1.DoctorCheck
	// TakeRecoveryKey returns the words once and erases the key; ErrGone afterwards.
	TakeRecoveryKey func() (string, error)
	Log             *slog.Logger          // nil: silent
	Registerer      prometheus.Registerer // nil: no metrics
	Version         string
	Now             func() time.Time // nil: time.Now
	// SessionBeat is how often a session's stream shows its program that the node is there; 0: as often as usual.
	SessionBeat time.Duration
}

// service holds what the services share. Its fields don't change; what they point to is safe for concurrent use.
type service struct {
	Options
	obs      *observer
	sessions chan struct{} // a slot for each Sync stream
	receipts *receipts
	began    time.Time
	attached attachments // streams of presence sessions
	lane     *lane
}

// NewHandler is the whole API as one http.Handler: NodeService, TeamService, BoardService, SyncService, PresenceService,
// LiveService, grpc.health.v1 and server reflection (v1 and v1alpha). It is safe for concurrent use and owns no goroutine.
func NewHandler(o Options) (http.Handler, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	obs, err := newObserver(o.Log, o.Registerer)
	if err != nil {
		return nil, err
	}
	s := &service{Options: o, obs: obs, sessions: make(chan struct{}, maxSyncStreams), receipts: &receipts{}, began: o.Now()}
	s.lane = &lane{service: s}
	options := append(codecs(),
		connect.WithInterceptors(obs),
		connect.WithReadMaxBytes(MaxRequest+envelopeSize), // of what was compressed; see limitBody
		connect.WithCompressMinBytes(math.MaxInt),         // the socket is faster than gzip; requests may come compressed
	)
	mux := http.NewServeMux()
	mux.Handle(weftv1connect.NewNodeServiceHandler(&nodeService{s}, options...))
	mux.Handle(weftv1connect.NewTeamServiceHandler(&teamService{s}, options...))
	mux.Handle(weftv1connect.NewBoardServiceHandler(&boardService{s}, options...))
	mux.Handle(weftv1connect.NewSyncServiceHandler(&syncService{s}, options...))
	mux.Handle(weftv1connect.NewPresenceServiceHandler(&presenceService{s}, options...))
	mux.Handle(weftv1connect.NewLiveServiceHandler(&liveService{s}, options...))
	mux.Handle(grpchealth.NewHandler(grpchealth.NewStaticChecker(serviceNames...), options...))
	reflector := grpcreflect.NewStaticReflector(append([]string{grpchealth.HealthV1ServiceName}, serviceNames...)...)
	mux.Handle(grpcreflect.NewHandlerV1(reflector, options...))
	mux.Handle(grpcreflect.NewHandlerV1Alpha(reflector, options...))
	return limitBody(unknownMethods(options, plainStreams(procedures(), mux))), nil
}

var serviceNames = []string{
	weftv1connect.NodeServiceName, weftv1connect.TeamServiceName,
	weftv1connect.BoardServiceName, weftv1connect.SyncServiceName,
	weftv1connect.PresenceServiceName, weftv1connect.LiveServiceName,
}

// procedures are those of weft.v1, from the schema, and whether they stream.
func procedures() map[string]bool {
	out := map[string]bool{}
	services := weftv1.File_weft_v1_api_proto.Services()
	for i := range services.Len() {
		methods := services.Get(i).Methods()
		for j := range methods.Len() {
			m := methods.Get(j)
			out[fmt.Sprintf("/%s/%s", services.Get(i).FullName(), m.Name())] = m.IsStreamingServer()
		}
	}
	return out
}

// unknownMethods answers what no service answers; the rest goes to next.
func unknownMethods(options []connect.HandlerOption, next http.Handler) http.Handler {
	writer := connect.NewErrorWriter(options...)
	known := procedures()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, ours := known[r.URL.Path]
		switch {
		case ours, strings.HasPrefix(r.URL.Path, "/grpc."):
			next.ServeHTTP(w, r)
		case r.Method == http.MethodPost && writer.IsSupported(r):
			//nolint:errcheck // the caller has gone
			writer.Write(w, r, wireError(refuse(reasonUnimplemented, "couldn't find the method %s", shorten(strings.TrimPrefix(r.URL.Path, "/")))))
		default:
			http.Error(w, "this is the API of a weft node; see docs/API.md", http.StatusNotFound)
		}
	})
}
