package p2p

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/store"
	"weft/team"
)

// testNode is a whole node without its API: a store on disk and a mesh on loopback.
type testNode struct {
	t        testing.TB
	name     string
	dir      string
	key      board.Key
	id       team.Identity
	store    *store.Store
	mesh     *Mesh
	reg      *prometheus.Registry // the mesh's
	storeReg *prometheus.Registry
	limits   Limits
	static   []string
	newest   uint64 // Options.newestFirst
	goodbye  time.Duration
	quotas   store.Quotas // authors have none
	listen   []string
	book     string
	people   Presence
	ended    chan error
}

func randomKey() board.Key {
	var seed [32]byte
	rand.Read(seed[:])
	return board.NewKey(seed)
}

func nonce() (n [16]byte) { rand.Read(n[:]); return n }

// newNode makes a node with a person on it and starts it. It is stopped at the end of the test.
func newNode(t testing.TB, name string, change ...func(*testNode)) *testNode {
	t.Helper()
	n := &testNode{t: t, name: name, dir: t.TempDir(), key: randomKey()}
	n.listen = []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"}
	var err error
	if n.id, err = team.NewUser(name, randomKey(), randomKey(), n.key, nonce()); err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(n)
	}
	n.start()
	t.Cleanup(n.stop)
	return n
}

func (n *testNode) start() {
	n.t.Helper()
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("WEFT_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("on", n.name)
	}
	var err error
	n.reg, n.storeReg = prometheus.NewRegistry(), prometheus.NewRegistry()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	n.quotas.AuthorPerSecond, n.quotas.AuthorBurst = -1, -1
	n.store, err = store.Open(ctx, store.Options{Dir: n.dir, Node: n.key, Users: []board.UserID{n.id.User}, Log: log,
		Quotas: n.quotas, MinFree: 1, Registerer: n.storeReg})
	if err != nil {
		n.t.Fatal(err)
	}
	n.mesh, err = New(ctx, Options{Key: n.key, Store: n.store, Identity: n.id, Listen: n.listen, Static: n.static, Book: n.book, Log: log, Registerer: n.reg, Limits: n.limits, Presence: n.people, newestFirst: n.newest, goodbye: n.goodbye})
	if err != nil {
		n.store.Close()
		n.t.Fatal(err)
	}
	n.ended = make(chan error, 1)
	mesh, ended := n.mesh, n.ended
	go func() { ended <- mesh.Run(context.Background()) }()
}

func (n *testNode) stop() {
	if n.mesh == nil {
		return
	}
	if err := n.mesh.Close(); err != nil {
		n.t.Errorf("%s: %v", n.name, err)
	}
	if err := <-n.ended; err != nil {
		n.t.Errorf("%s: %v", n.name, err)
	}
	if err := n.store.Close(); err != nil {
		n.t.Errorf("%s: %v", n.name, err)
	}
	n.mesh = nil
}

func (n *testNode) restart() {
	n.t.Helper()
	n.stop()
	n.start()
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// found makes a team with n's person as its owner.
func (n *testNode) found(name string) board.TeamID {
	n.t.Helper()
	id, objects, err := team.NewTeam(n.id, name, nil, nonce())
	if err != nil {
		n.t.Fatal(err)
	}
	ctx := testContext(n.t)
	if err := n.store.AdoptTeam(ctx, id, objects[0]); err != nil {
		n.t.Fatal(err)
	}
	for _, o := range objects {
		if _, err := n.store.AppendObject(ctx, id, o); err != nil {
			n.t.Fatal(err)
		}
	}
	return id
}

func (n *testNode) team(id board.TeamID) *team.State {
	n.t.Helper()
	st, ok := n.store.Team(id)
	if !ok {
		n.t.Fatalf("%s isn't in the team", n.name)
	}
	return st
}

// invite makes a link at n for quota people.
func (n *testNode) invite(id board.TeamID, quota uint32, expires time.Time) *weftv1.InviteLink {
	n.t.Helper()
	var seed [32]byte
	rand.Read(seed[:])
	ms := uint64(0)
	if !expires.IsZero() {
		ms = uint64(expires.UnixMilli())
	}
	o, err := team.NewInvite(n.team(id), n.id, team.Member, n.mesh.self, quota, ms, nonce(), seed)
	if err != nil {
		n.t.Fatal(err)
	}
	if _, err := n.store.AppendObject(testContext(n.t), id, o); err != nil {
		n.t.Fatal(err)
	}
	link, err := team.NewLink(n.team(id), n.id, o, seed, n.mesh.InviteAddrs())
	if err != nil {
		n.t.Fatal(err)
	}
	return link
}

// join lets others into n's team by one link, and each of them come in.
func (n *testNode) letIn(id board.TeamID, others ...*testNode) {
	n.t.Helper()
	link := n.invite(id, uint32(len(others)), time.Time{})
	for _, o := range others {
		res, err := o.mesh.Join(testContext(n.t), link, "")
		if err != nil {
			n.t.Fatalf("%s joins: %v", o.name, err)
		}
		if res.Team != id || res.AlreadyMember || !res.InStep {
			n.t.Fatalf("%s joined: %+v", o.name, res)
		}
	}
}

// post appends n posts on a board and returns the last receipt.
func (n *testNode) post(id board.TeamID, b board.ID, count int) (last store.Receipt) {
	n.t.Helper()
	for from := 0; from < count; from += 500 {
		var drafts []store.Draft
		for i := from; i < min(count, from+500); i++ {
			drafts = append(drafts, store.Draft{
				Team: id, Board: b, Author: n.id.User, Device: n.id.Device, Kind: board.KindPost,
				Body: fmt.Appendf(nil, "%s says %d and a few more words, so that this is as long as a message is", n.name, i), ClientMsgID: rand.Text(),
			})
		}
		got, err := n.store.Append(testContext(n.t), drafts)
		if err != nil {
			n.t.Fatalf("%s posts: %v", n.name, err)
		}
		last = got[len(got)-1]
	}
	return last
}

// eventually waits until ok holds, looking again at each commit of the nodes' stores and each frame that they hear.
func eventually(t testing.TB, what string, ok func() bool, nodes ...*testNode) {
	t.Helper()
	deadline := time.NewTimer(2 * time.Minute) // so that nothing hangs; less than what make mutants gives a test
	defer deadline.Stop()
	again := make(chan struct{}, 1)
	stop := make(chan struct{})
	defer close(stop)
	for _, n := range nodes {
		commits, stop1 := n.store.Subscribe()
		heard, stop2 := n.mesh.WatchReplicated()
		links, stop3 := n.mesh.peers.links.watch()
		defer stop1()
		defer stop2()
		defer stop3()
		go func() {
			tick := time.NewTicker(50 * time.Millisecond) // for what has no nudge: counters, connections
			defer tick.Stop()
			for {
				select {
				case <-commits:
				case <-heard:
				case <-links:
				case <-tick.C:
				case <-stop:
					return
				}
				select {
				case again <- struct{}{}:
				default:
				}
			}
		}()
	}
	for !ok() {
		select {
		case <-again:
		case <-deadline.C:
			var b strings.Builder
			for _, n := range nodes {
				fmt.Fprintf(&b, "\n%s %s: %s", n.name, n.mesh.ID(), n.describe())
			}
			t.Fatalf("not in time: %s%s", what, b.String())
		}
	}
}

// describe is what helps to see why something didn't happen.
func (n *testNode) describe() string {
	var b bytes.Buffer
	for _, id := range n.store.Teams() {
		st, _ := n.store.Team(id)
		fmt.Fprintf(&b, "team %q nodes %d; ", st.Name(), len(st.Nodes()))
		for _, s := range n.mesh.SyncStatus(id) {
			info, _ := n.store.Board(s.Board)
			fmt.Fprintf(&b, "[%s records %d behind %d pending %d arriving %v] ", s.Board.String()[:6], info.Records, s.Behind, s.Pending, s.Arriving)
		}
	}
	for _, p := range n.mesh.Peers() {
		fmt.Fprintf(&b, "peer %s connected %v synced %v %s; ", p.ID.ShortString(), p.Connected, p.Synced, p.LastError)
	}
	for name, v := range n.counters() {
		fmt.Fprintf(&b, "\n    %s %v", name, v)
	}
	return b.String()
}

// counters are the mesh's own that aren't zero.
func (n *testNode) counters() map[string]float64 {
	out := map[string]float64{}
	families, err := n.reg.Gather()
	if err != nil {
		return out
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "weft_p2p_") && !strings.HasPrefix(f.GetName(), "weft_presence_") {
			continue
		}
		for _, m := range f.GetMetric() {
			if v := value(m); v != 0 {
				name := strings.TrimPrefix(strings.TrimPrefix(f.GetName(), "weft_p2p_"), "weft_")
				for _, l := range m.GetLabel() {
					name += "/" + l.GetValue()
				}
				out[name] += v
			}
		}
	}
	return out
}

func value(m *dto.Metric) float64 { return m.GetCounter().GetValue() + m.GetGauge().GetValue() }

// entries is how many entries of a board n shows.
func (n *testNode) entries(b board.ID) uint64 {
	info, _ := n.store.Board(b)
	return info.Entries
}

// same says whether all nodes hold the same of a team's boards.
func same(id board.TeamID, nodes ...*testNode) bool {
	for _, b := range append([]board.ID{board.GovernanceID(id)}, boardsOf(nodes[0], id)...) {
		first := nodes[0].store.Vector(b)
		for _, n := range nodes[1:] {
			if !first.Equal(n.store.Vector(b)) {
				return false
			}
		}
	}
	return true
}

func boardsOf(n *testNode, id board.TeamID) (out []board.ID) {
	for _, b := range n.team(id).Boards() {
		out = append(out, b.ID)
	}
	return out
}

// copyFolder copies a stopped node's folder.
func copyFolder(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}
