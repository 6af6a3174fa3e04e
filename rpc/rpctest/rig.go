// Package rpctest runs the API of package rpc over a real store in a temporary folder and a mesh that a test plays, on a
// real Unix socket. Tests of rpc and client use it.
package rpctest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	weftv1 "weft/api/weft/v1"
	"weft/api/weft/v1/weftv1connect"
	"weft/board"
	"weft/client"
	"weft/presence/hub"
	"weft/rpc"
	"weft/store"
	"weft/team"
)

// Rig is a running API. Its fields may be read by any goroutine; Restart replaces Store, Hub and Client.
type Rig struct {
	Dir      string
	Socket   string
	Store    *store.Store
	Hub      *hub.Hub
	Mesh     *Mesh
	Identity team.Identity
	Node     board.Key
	Client   *client.Client
	Registry *prometheus.Registry
	Log      *slog.Logger
	Now      func() time.Time
	Quotas   store.Quotas
	Live     hub.Limits                   // of presence and the live lane; zero: the usual ones
	Beat     time.Duration                // rpc.Options.SessionBeat
	Space    func(string) (uint64, error) // free space of the disk; nil: the real one
	Words    func() (string, error)       // TakeRecoveryKey

	t       testing.TB
	stop    func()
	serving func() // ends it
	telling sync.Mutex
}

// Option changes a Rig before it starts.
type Option func(*Rig)

// Start runs a node's API until the test ends. Quotas are lifted unless an option sets them.
func Start(t testing.TB, options ...Option) *Rig {
	t.Helper()
	dir, err := os.MkdirTemp("", "weft") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &Rig{
		Dir: dir, Socket: filepath.Join(dir, "run", "weft.sock"), Mesh: NewMesh(), Node: Key(t.Name() + "/node"), t: t,
		Now: time.Now, Quotas: store.Quotas{AuthorPerSecond: -1, AuthorBurst: -1},
		Words: func() (string, error) { return "", rpc.ErrGone },
	}
	r.Identity = Person(t, "ada", t.Name(), r.Node)
	for _, o := range options {
		o(r)
	}
	r.start()
	t.Cleanup(func() { r.Stop() })
	return r
}

// Key is a key made from a name.
func Key(name string) board.Key { return board.NewKey(sha256.Sum256([]byte(name))) }

// Person is a user made from a seed, with a device of their own and a home.
func Person(t testing.TB, name, seed string, home board.Key) team.Identity {
	t.Helper()
	id, err := team.NewUser(name, Key(seed+"/recovery"), Key(seed+"/device"), home, nonce(seed))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (r *Rig) start() {
	r.t.Helper()
	r.Registry = prometheus.NewRegistry()
	st, err := store.Open(r.t.Context(), store.Options{
		Dir: filepath.Join(r.Dir, "store"), Node: r.Node, Users: []board.UserID{r.Identity.User}, Now: r.Now, Quotas: r.Quotas, FreeSpace: r.Space,
		DiskEvery: 10 * time.Millisecond, Registerer: r.Registry,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.Store = st
	stopHub := r.startHub()
	h, err := rpc.NewHandler(rpc.Options{
		Store: st, Mesh: r.Mesh, Hub: r.Hub, Identity: r.Identity, Node: r.Node.Public(), Version: "test", Now: r.Now, Registerer: r.Registry, Log: r.Log, SessionBeat: r.Beat,
		Info: func() *weftv1.GetInfoResponse {
			return &weftv1.GetInfoResponse{Socket: r.Socket, Dir: r.Dir, Listen: []string{"/ip4/192.0.2.1/udp/4001/quic-v1"}, Peers: 1, UptimeMs: 1}
		},
		Doctor: func(context.Context) []*weftv1.DoctorCheck {
			return []*weftv1.DoctorCheck{{Name: "disk", Level: "ok", Found: "1 GiB free"}}
		},
		TakeRecoveryKey: r.Words,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	l, err := rpc.ListenUnix(r.Socket)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- rpc.Serve(ctx, l, h, r.Log) }()
	r.Client = client.New(client.Options{Socket: r.Socket})
	c := r.Client
	r.serving = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			r.t.Error(err)
		}
	})
	r.stop = func() {
		c.Close()
		r.serving()
		stopHub()
		if err := st.Close(); err != nil {
			r.t.Error(err)
		}
	}
}

// StopServing ends the API only; the node goes on until Stop.
func (r *Rig) StopServing() { r.serving() }

// Stop ends the API and closes the store; a second call does nothing.
func (r *Rig) Stop() {
	if r.stop != nil {
		r.stop()
		r.stop = nil
	}
}

// Restart stops and starts again over the same folder.
func (r *Rig) Restart() {
	r.t.Helper()
	r.Stop()
	r.start()
}

// HTTP is a plain HTTP/1.1 client of the socket; its URLs begin with http://weft.
func (r *Rig) HTTP() *http.Client {
	t := &http.Transport{DialContext: r.dial, DisableCompression: true}
	r.t.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t}
}

// HTTP2 speaks unencrypted HTTP/2 to the socket, as gRPC does.
func (r *Rig) HTTP2() *http.Client {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	t := &http.Transport{DialContext: r.dial, Protocols: &p}
	r.t.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t}
}

func (r *Rig) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "unix", r.Socket)
}

// Boards is a client of BoardService over any transport.
func (r *Rig) Boards(h *http.Client) weftv1connect.BoardServiceClient {
	return weftv1connect.NewBoardServiceClient(h, "http://weft")
}

// Text is a post's text that no other post has.
func Text(i int) string { return fmt.Sprintf("message %d", i) }

func nonce(seed string) [16]byte {
	h := sha256.Sum256([]byte(seed + "/nonce"))
	return [16]byte(h[:16])
}
