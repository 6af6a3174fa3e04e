package attack_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/p2p"
	"weft/sim/attack"
	"weft/store"
	"weft/team"
)

// honest is a whole node without its API, on loopback.
type honest struct {
	t     testing.TB
	key   board.Key
	id    team.Identity
	reg   *prometheus.Registry
	store *store.Store
	mesh  *p2p.Mesh
}

func key() board.Key {
	var seed [32]byte
	rand.Read(seed[:])
	return board.NewKey(seed)
}

func nonce() (n [16]byte) { rand.Read(n[:]); return n }

// quick limits make the attacks short that try the target's patience.
var quick = p2p.Limits{Idle: 700 * time.Millisecond, LobbyTime: 3 * time.Second}

func newHonest(t testing.TB, name string, limits p2p.Limits) *honest {
	t.Helper()
	n := &honest{t: t, key: key(), reg: prometheus.NewRegistry()}
	n.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	var err error
	if n.id, err = team.NewUser(name, key(), key(), n.key, nonce()); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("WEFT_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("on", name)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.store, err = store.Open(ctx, store.Options{
		Dir: t.TempDir(), Node: n.key, Users: []board.UserID{n.id.User}, MinFree: 1, Log: log, Registerer: n.reg,
		Quotas: store.Quotas{AuthorPerSecond: -1, AuthorBurst: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	n.mesh, err = p2p.New(ctx, p2p.Options{
		Key: n.key, Store: n.store, Identity: n.id, Listen: []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"},
		Log: log, Registerer: n.reg, Limits: limits,
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- n.mesh.Run(ctx) }()
	t.Cleanup(func() {
		if err := n.mesh.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := n.store.Close(); err != nil {
			t.Error(err)
		}
		cancel()
	})
	return n
}

// field is a team of an honest owner's node, which is attacked, and an honest member's.
type field struct {
	t            testing.TB
	target, peer *honest
	team         board.TeamID
	posted       int
}

func newField(t testing.TB) *field {
	t.Helper()
	return newFieldWith(t, quick)
}

// newFieldWith is a field whose target has other limits.
func newFieldWith(t testing.TB, limits p2p.Limits) *field {
	t.Helper()
	f := &field{t: t, target: newHonest(t, "ann", limits), peer: newHonest(t, "bob", quick)}
	id, objects, err := team.NewTeam(f.target.id, "crew", nil, nonce())
	if err != nil {
		t.Fatal(err)
	}
	f.team = id
	if err := f.target.store.AdoptTeam(t.Context(), id, objects[0]); err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		f.record(o, nil)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := f.peer.mesh.Join(ctx, f.link(1), ""); err != nil {
		t.Fatal(err)
	}
	if err := f.talk(ctx); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *field) state() *team.State {
	st, _ := f.target.store.Team(f.team)
	return st
}

func (f *field) record(o *team.Object, err error) {
	f.t.Helper()
	if err == nil {
		_, err = f.target.store.AppendObject(f.t.Context(), f.team, o)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// link is an invite for so many people, by the target's owner.
func (f *field) link(uses uint32) *weftv1.InviteLink {
	f.t.Helper()
	seed := key().Seed()
	o, err := team.NewInvite(f.state(), f.target.id, team.Member, board.NodeID(f.target.key.Public()), uses, 0, nonce(), seed)
	f.record(o, err)
	l, err := team.NewLink(f.state(), f.target.id, o, seed, f.target.mesh.InviteAddrs())
	if err != nil {
		f.t.Fatal(err)
	}
	return l
}

// Counters, Shown and Roles make a field an attack.TeamObserver.
func (f *field) Counters(context.Context) (attack.Counters, error) {
	return attack.Gather(f.target.reg)
}

// Shown are all posts that the target shows.
func (f *field) Shown(ctx context.Context) (out []string, err error) {
	q := store.PageQuery{Limit: 1000}
	for {
		p, err := f.target.store.Page(ctx, board.GeneralID(f.team), q)
		if err != nil {
			return nil, err
		}
		for _, s := range p.Entries {
			out = append(out, string(s.Entry.Body))
		}
		if !p.Older || len(p.Entries) == 0 {
			return out, nil
		}
		k := p.Entries[0].Entry.Order()
		q.Before = &k
	}
}

// Roles of everybody at the target.
func (f *field) Roles(context.Context) (map[string]string, error) {
	out := map[string]string{"charters": fmt.Sprint(f.state().Chain(), f.state().UpgradeNeeded()), "boards": fmt.Sprint(f.state().Boards())}
	for _, p := range append(f.state().Members(), f.state().Outsiders()...) {
		out[p.User.String()] = p.Role.String()
	}
	return out, nil
}

// talk has each of the honest two post, and the other show it.
func (f *field) talk(ctx context.Context) error {
	general := board.GeneralID(f.team)
	for i, n := range []*honest{f.target, f.peer} {
		f.posted++
		r, err := n.store.Append(ctx, []store.Draft{{
			Team: f.team, Board: general, Author: n.id.User, Device: n.id.Device, Kind: board.KindPost,
			Body: fmt.Appendf(nil, "honest words, number %d", f.posted), ClientMsgID: rand.Text(),
		}})
		if err != nil {
			return fmt.Errorf("an honest post was refused: %w", err)
		}
		if h := r[0].HLC; board.Ahead(h, time.Now()) {
			return fmt.Errorf("the clock of an honest node was moved: it stamped %s", h.Time())
		}
		other := []*honest{f.peer, f.target}[i]
		commits, stop := other.store.Subscribe()
		late := time.NewTimer(20 * time.Second)
		for at := r[0].Position; !holds(other, at); {
			select {
			case <-commits:
			case <-late.C:
				err = fmt.Errorf("an honest post did not arrive")
			case <-ctx.Done():
				err = ctx.Err()
			}
			if err != nil {
				break
			}
		}
		late.Stop()
		stop()
		if err != nil {
			return err
		}
	}
	return nil
}

func holds(n *honest, at board.Position) bool {
	h := n.store.Holding(at.Board)
	return h != nil && h.Holds(at.Origin(), at.Seq)
}

// promote makes somebody an admin; remove removes them. Both as the owner would.
func (f *field) promote(_ context.Context, u board.UserID) error {
	o, err := team.NewCharter(f.state(), f.target.id, team.Change{AddAdmins: []board.UserID{u}}, nil, team.Member, nonce())
	if err != nil {
		return err
	}
	f.record(o, nil)
	ack, err := team.NewAck(f.state(), f.target.id, o.Hash)
	if err != nil {
		return err
	}
	f.record(ack, nil)
	if r := f.state().Role(u); r != team.Admin {
		return fmt.Errorf("the new admin is %s", r)
	}
	return nil
}

func (f *field) remove(_ context.Context, u board.UserID) error {
	cut, err := f.target.store.CutUser(f.team, u)
	if err != nil {
		return err
	}
	o, err := team.NewSet(f.state(), f.target.id, u, team.Removed, cut, "lies", nonce())
	if err != nil {
		return err
	}
	f.record(o, nil)
	return nil
}

// options for attacks on the field.
func (f *field) options() attack.Options {
	return attack.Options{
		Target: f.target.mesh.InviteAddrs()[0], Link: f.link(200), Seconds: 0.2, Observer: f, Promote: f.promote, Remove: f.remove,
		After: func(ctx context.Context, _ attack.Result) error { return f.talk(ctx) }, Heap: 256 << 20,
	}
}
