package hub

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence"
	"weft/presence/presencetest"
	"weft/team"
)

type crew = presencetest.Crew

func testID(name string) [32]byte { return presencetest.ID(name) }

// people of a crew on one node.
func people(n int, home string) *crew {
	c := &crew{Where: map[board.UserID][]board.NodeID{}, Nodes: []board.NodeID{testID(home)}}
	for i := range n {
		c.Where[testID(fmt.Sprint("p", i))] = []board.NodeID{testID(home)}
	}
	return c
}

// join gives a hub a team without rules.
func (h *Hub) join(id board.TeamID, c *crew) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, known := h.mu.teams[id]
	h.mu.teams[id] = &team.State{}
	h.do(h.mu.table.SetTeam(h.o.Now(), id, c))
	if !known {
		h.loadTeam(id)
	}
	for w := range h.mu.watchers {
		w.review(id)
	}
}

// disk is where hubs save.
type disk struct {
	mu     sync.Mutex
	rows   map[string][]byte
	writes int
}

func (d *disk) load(key string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.rows[key]), nil
}

func (d *disk) save(key string, value []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rows == nil {
		d.rows = map[string][]byte{}
	}
	d.rows[key] = slices.Clone(value)
	d.writes++
	return nil
}

// start runs a hub until the test ends, or the returned stop is called.
func start(t *testing.T, node string, d *disk, limits Limits) (h *Hub, stop func()) {
	t.Helper()
	o := Options{Self: testID(node), Boot: [16]byte{byte(len(node))}, Limits: limits}
	if d != nil {
		o.Load, o.Save = d.load, d.save
	}
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = h.Run(ctx) }()
	return h, func() { cancel(); <-done }
}

func (d *disk) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.writes
}

// cable joins hubs.
type cable struct {
	from  *Hub
	to    []*Hub
	beats int
	lives int
	lose  bool
}

func link(hubs ...*Hub) (all []*cable) {
	for _, h := range hubs {
		c := &cable{from: h}
		for _, o := range hubs {
			if o != h {
				c.to = append(c.to, o)
			}
		}
		h.SetWire(c)
		all = append(all, c)
	}
	return all
}

func (c *cable) SendBeat(_ board.TeamID, b *weftv1.PresenceBeat) {
	c.beats++
	if c.lose {
		return
	}
	for _, to := range c.to {
		raw, _ := proto.Marshal(b)
		_ = to.ReceiveBeat(c.from.o.Self, &weftv1.Signed{Object: raw}, b)
	}
}

func (c *cable) AskWhole(n board.NodeID, teams []board.TeamID) {
	asked := c.to
	if i := slices.IndexFunc(c.to, func(h *Hub) bool { return h.o.Self == n }); i >= 0 {
		asked = c.to[i : i+1]
	}
	for _, to := range asked {
		for _, id := range teams {
			own, signed := to.Whole(n, id, c.from.o.Self)
			for _, b := range own {
				raw, _ := proto.Marshal(b)
				_ = c.from.ReceiveBeat(n, &weftv1.Signed{Object: raw}, b)
			}
			for _, s := range signed {
				b := &weftv1.PresenceBeat{}
				_ = proto.Unmarshal(s.Object, b)
				_ = c.from.ReceiveBeat(to.o.Self, s, b)
			}
		}
	}
}

func (c *cable) SendLive(_ context.Context, _ board.TeamID, nodes []board.NodeID, s *weftv1.Signed) (sent, missed int, err error) {
	b := &weftv1.LiveBatch{}
	if err := proto.Unmarshal(s.Object, b); err != nil {
		return 0, 0, err
	}
	for _, to := range c.to {
		if nodes == nil || slices.Contains(nodes, to.o.Self) {
			c.lives++
			sent++
			_ = to.hear(s, b)
		}
	}
	return sent, 0, nil
}

func (c *cable) SendSetting(nodes []board.NodeID, s *weftv1.OwnSetting) {
	for _, to := range c.to {
		if slices.Contains(nodes, to.o.Self) {
			_ = to.ReceiveSetting(c.from.o.Self, s)
		}
	}
}

// realCrew is a team by the rules: ann, bob and cid, each on a node of their name.
func realCrew(t *testing.T) (*team.State, map[string]team.Identity) {
	t.Helper()
	e, ids := governed(t)
	return e.State(), ids
}

func governed(t *testing.T) (*team.Evaluator, map[string]team.Identity) {
	t.Helper()
	ids := map[string]team.Identity{}
	for _, name := range []string{"ann", "bob", "cid"} {
		id, err := team.NewUser(name, board.NewKey(testID(name+" recovery")), board.NewKey(testID(name+" device")), board.NewKey(testID(name+" node")), [16]byte{1})
		if err != nil {
			t.Fatal(err)
		}
		ids[name] = id
	}
	id, objects, err := team.NewTeam(ids["ann"], "crew", []board.UserID{ids["bob"].User, ids["cid"].User}, [16]byte{2})
	if err != nil {
		t.Fatal(err)
	}
	e := team.NewEvaluator(id)
	for _, name := range []string{"ann", "bob", "cid"} {
		p, err := team.NewPresent(id, ids[name])
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, p)
	}
	for _, o := range objects {
		if _, err := e.Add(o); err != nil {
			t.Fatal(err)
		}
	}
	return e, ids
}

func nodeOf(name string) board.NodeID { return board.NewKey(testID(name + " node")).Public() }

// three are running hubs of a real team, linked.
func three(t *testing.T, d *disk) (hubs map[string]*Hub, cables map[string]*cable, st *team.State, ids map[string]team.Identity) {
	t.Helper()
	st, ids = realCrew(t)
	hubs, cables = map[string]*Hub{}, map[string]*cable{}
	var all []*Hub
	for _, name := range []string{"ann", "bob", "cid"} {
		o := Options{Self: nodeOf(name), Boot: [16]byte{name[0]}}
		if d != nil {
			o.Load, o.Save = d.load, d.save
		}
		h, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		h.SetTeams(map[board.TeamID]*team.State{st.ID(): st})
		go func() { _ = h.Run(t.Context()) }()
		hubs[name] = h
		all = append(all, h)
	}
	for i, c := range link(all...) {
		cables[[]string{"ann", "bob", "cid"}[i]] = c
	}
	for _, h := range all {
		for _, o := range all {
			if o != h {
				h.Lease(o.o.Self, h.o.Now().Add(presence.LeaseFor))
			}
		}
	}
	return hubs, cables, st, ids
}

func attach(t *testing.T, h *Hub, id team.Identity) *Session {
	t.Helper()
	s, err := h.Attach(id.User, board.DeviceID(id.Device.Public()), "test")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// stateAt is how somebody is shown at a hub.
func stateAt(t *testing.T, h *Hub, id board.TeamID, viewer, u board.UserID) presence.State {
	t.Helper()
	views, _, err := h.Snapshot(SnapshotRequest{Viewer: viewer, Teams: []board.TeamID{id}, People: []board.UserID{u}})
	if err != nil {
		t.Fatal(err)
	}
	if len(views) != 1 || len(views[0].People) != 1 {
		t.Fatalf("%+v", views)
	}
	return views[0].People[0].State
}

func bubble(t *testing.T, f func(t *testing.T)) { t.Helper(); synctest.Test(t, f) }

func pass(d time.Duration) { time.Sleep(d); synctest.Wait() }

var settingBusy = presence.Setting{Availability: presence.Busy}
