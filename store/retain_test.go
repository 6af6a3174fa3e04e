package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weft/board"
	"weft/team"
)

// keep changes the team's retention.
func (f *fixture) keep(r team.Retention) {
	f.t.Helper()
	p := f.state().Policy()
	p.Retention = r
	f.charter(team.Change{Policy: &p}, nil)
	if f.state().Policy().Retention != r {
		f.t.Fatalf("policy is %+v", f.state().Policy())
	}
}

func (f *fixture) retain() {
	f.t.Helper()
	if err := f.s.Retain(context.Background(), f.team, f.clock.now()); err != nil {
		f.t.Fatal(err)
	}
	f.settle()
}

// govern gives each other what both have of governance.
func govern(f, g *fixture) {
	f.pullBoard(g, board.GovernanceID(f.team))
	g.pullBoard(f, board.GovernanceID(f.team))
	f.settle()
	g.settle()
}

func (f *fixture) heldRecords() (n uint64) {
	i, ok := f.s.Board(f.board)
	if !ok {
		f.t.Fatal("no board")
	}
	return i.Records
}

// same checks that stores show and count the same.
func same(t *testing.T, want []string, fs ...*fixture) {
	t.Helper()
	for _, f := range fs {
		if got := f.texts(); !slices.Equal(got, want) {
			t.Fatalf("reads %q, want %q", got, want)
		}
		info, _ := f.s.Board(f.board)
		if info.Entries != uint64(len(want)) {
			t.Fatalf("%d entries, want %d", info.Entries, len(want))
		}
		c, err := f.s.Check(context.Background(), nil)
		if err != nil || c.Damaged > 0 {
			t.Fatalf("%+v %v", c, err)
		}
	}
}

func TestEverybodyPrunesAtTheFloor(t *testing.T) {
	ctx := context.Background()
	f := newTeamNode(t, 1, nil)
	g := f.join(2)
	var all []string
	for i := range 60 {
		x := []*fixture{f, g}[i%2]
		x.post(fmt.Sprintf("%02d", i))
		all = append(all, fmt.Sprintf("%02d", i))
		if i == 20 {
			f.reopen() // another epoch
		}
	}
	f.pull(g)
	g.pull(f)
	same(t, all, f, g)
	at := f.s.Cursor()
	f.keep(team.Retention{MaxEntries: 20})
	govern(f, g)
	f.retain()
	if n := f.heldRecords(); n > 42 {
		t.Fatalf("%d records are held after own ones were pruned", n)
	}
	unread := f.unread()
	if unread != 30 {
		t.Fatalf("%d unread: what the other node did not prune counts", unread)
	}
	g.retain()
	govern(f, g)
	want := all[len(all)-20:]
	same(t, want, f, g)
	if f.heldRecords() != 20 || g.heldRecords() != 20 || f.unread() != 10 || g.unread() != 10 {
		t.Fatalf("%d and %d records, %d and %d unread", f.heldRecords(), g.heldRecords(), f.unread(), g.unread())
	}
	if said, _ := f.changes(at); len(said) == 0 || said[len(said)-1] != "floor" {
		t.Fatalf("clients hear %q", said)
	}
	if i, _ := f.s.Board(f.board); !i.Floored || i.Start != f.first().Header.HLC {
		t.Fatalf("history starts at %v", i.Start)
	}
	if v := f.s.Vector(f.board); !v.Equal(g.s.Vector(f.board)) || slices.ContainsFunc(v, func(l board.Leaf) bool { return l.Base != board.Point{} }) {
		t.Fatalf("vectors %v and %v", v, g.s.Vector(f.board))
	}
	old := f.s.Cursor()
	f.reopen()
	g.reopen()
	same(t, want, f, g)
	if _, _, err := f.s.Changes(ctx, Cursor{}, 0, Filter{}); err != nil {
		t.Fatalf("the change log from its beginning: %v", err)
	}
	if _, _, err := f.s.Changes(ctx, old, 0, Filter{}); err != nil {
		t.Fatal(err)
	}

	h := f.join(3) // who comes later begins at the floors
	h.settle()
	same(t, want, h)
	if h.unread() != 20 || !h.s.Vector(f.board).Equal(f.s.Vector(f.board)) {
		t.Fatalf("%d unread, holds %v", h.unread(), h.s.Vector(f.board))
	}
	f.post("on")
	g.pull(f)
	h.pull(g)
	same(t, append(slices.Clone(want), "on"), f, g, h)
	if n := len(f.state().Floors(f.board)); n != 2 {
		t.Fatalf("%d floors", n)
	}
	f.retain() // one too many is no reason for a floor
	if n := len(f.state().Floors(f.board)); n != 2 {
		t.Fatalf("%d floors", n)
	}
}

func (f *fixture) first() *board.Entry {
	p, err := f.s.Page(context.Background(), f.board, PageQuery{Limit: 1, After: &board.OrderKey{}})
	if err != nil || len(p.Entries) == 0 {
		f.t.Fatal(err)
	}
	return p.Entries[0].Entry
}

func TestOldEntriesGoByAgeAndBytes(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	for i := range 10 {
		f.post(fmt.Sprint("old ", i))
	}
	f.clock.ms.Add((40 * 24 * time.Hour).Milliseconds())
	for i := range 5 {
		f.post(fmt.Sprint("new ", i))
	}
	f.keep(team.Retention{MaxAge: 90 * 24 * time.Hour})
	f.retain()
	if n := len(f.texts()); n != 15 {
		t.Fatalf("%d entries after 40 days", n)
	}
	f.clock.ms.Add((53 * 24 * time.Hour).Milliseconds())
	f.retain()
	if got := f.texts(); len(got) != 5 || got[0] != "new 0" {
		t.Fatalf("after 93 days %q", got)
	}
	f.clock.ms.Add((200 * 24 * time.Hour).Milliseconds())
	f.retain()
	if got := f.texts(); !slices.Equal(got, []string{"new 4"}) { // the next epoch has to seal something
		t.Fatalf("after a year %q", got)
	}
	f.reopen()
	f.post("much later")
	if v := f.s.Vector(f.board); len(v) != 1 || v[0].Base != (board.Point{}) {
		t.Fatalf("the log has branched: %v", v)
	}
	f.keep(team.Retention{MaxBytes: 20_000})
	f.fill(100)
	f.retain()
	if n := len(f.texts()); n < 15 || n > 60 {
		t.Fatalf("%d entries of 200 bytes of text in 20 kB", n)
	}
}

// TestWhatIsLeftOfAPrunedEntryStandsForIt: an entry that two logs have stays with the record that is left; a stamp that was
// out of order no longer is, once what it was compared with is gone.
func TestWhatIsLeftOfAPrunedEntryStandsForIt(t *testing.T) {
	ctx := context.Background()
	f := newTeamNode(t, 1, nil)
	g := f.join(2)
	cred, _ := f.state().Cred(g.who.id.User)
	var prev board.Hash
	sign := func(seq uint64, hlc board.HLC, text string) *board.Entry {
		e := board.NewEntry(board.Header{
			Team: f.team, Board: f.board, Author: g.who.id.User, Device: board.DeviceID(g.who.id.Device.Public()), DevEpoch: 9, DevSeq: seq, DevPrev: prev,
			Cred: cred, ClientMsgID: text, HLC: hlc, Kind: board.KindPost,
		}, []byte(text))
		e.Sign(g.who.id.Device)
		prev = e.ID
		return e
	}
	now := board.HLCAt(f.clock.now())
	both, back := sign(1, now, "both"), sign(2, now-5, "back")
	for _, x := range []*fixture{f, g} {
		if _, err := x.s.AppendSigned(ctx, both); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := g.s.AppendSigned(ctx, back); !errors.Is(err, board.ErrOutOfOrder) {
		t.Fatal(err)
	}
	for i := range 5 {
		f.post(fmt.Sprint(i))
		g.post(fmt.Sprint("g", i))
	}
	f.pull(g)
	g.pull(f)
	floor := func(x *fixture, seq uint64) {
		t.Helper()
		l := x.s.Vector(f.board).Node(board.NodeID(x.who.node.Public()))[0]
		bs, _ := x.s.memory().board(f.board)
		at := board.Position{Board: f.board, Node: l.Node, Epoch: l.Epoch, Seq: seq, Hash: board.Hash{1}}
		if log := bs.log(at.Origin()); log == nil {
			t.Fatal("no log")
		}
		x.n++
		o, err := team.NewFloor(x.state(), x.who.node, at, nil, [16]byte{7, byte(x.n)})
		if err != nil {
			t.Fatal(err)
		}
		x.object(o)
		govern(f, g)
	}
	floor(f, 1)
	same(t, []string{"both", "0", "g0", "1", "g1", "2", "g2", "3", "g3", "4", "g4"}, f, g)
	floor(g, 1)
	want := []string{"back", "0", "g0", "1", "g1", "2", "g2", "3", "g3", "4", "g4"}
	same(t, want, f, g)
	h := f.join(4)
	same(t, want, h)
	if f.unread() != 6 || g.unread() != 5 {
		t.Fatalf("%d and %d unread", f.unread(), g.unread())
	}
}

// TestSpaceOfPrunedEntriesIsGivenBack to the disk.
func TestSpaceOfPrunedEntriesIsGivenBack(t *testing.T) {
	ctx := context.Background()
	f := newTeamNode(t, 1, nil)
	f.fill(80_000) // less would all be in the newest tables, which are not compacted
	if err := f.s.Compact(ctx); err != nil {
		t.Fatal(err)
	}
	before := folderSize(t, f.dir)
	f.keep(team.Retention{MaxEntries: 1000})
	f.retain()
	f.retain() // what was pruned is reclaimed
	f.close()
	f.open()
	if err := f.s.Compact(ctx); err != nil {
		t.Fatal(err)
	}
	if after := folderSize(t, f.dir); after > before/4 {
		t.Fatalf("%d bytes of %d are still in use", after, before)
	}
	if n := len(f.texts()); n != 1000 {
		t.Fatalf("%d entries", n)
	}
}

// TestFloorsAreCountedAtOnce: what stands below a floor is not counted nor read with the commit that brings it, however
// much of it is still here.
func TestFloorsAreCountedAtOnce(t *testing.T) {
	var takes atomic.Int64 // commits, until the disk takes its time
	takes.Store(1 << 30)
	slow := make(chan struct{})
	goOn := sync.OnceFunc(func() { close(slow) })
	defer goOn()
	f := newTeamNode(t, 1, func(o *Options) {
		o.fault = func(point string) error {
			if point == "commit" && takes.Add(-1) < 0 {
				<-slow
			}
			return nil
		}
	})
	g := f.join(2)
	for i := range 2000 {
		g.post(fmt.Sprint(i))
		if i == 0 {
			f.pull(g)
		}
	}
	f.pull(g)
	g.keepAs(f, team.Retention{MaxEntries: 10})
	if err := g.s.Retain(context.Background(), g.team, g.clock.now()); err != nil {
		t.Fatal(err)
	}
	f.settle()
	takes.Store(1)
	f.pullBoard(g, board.GovernanceID(f.team))
	if n := f.heldRecords(); n < 1000 {
		t.Fatalf("%d records are left: nothing to see", n)
	}
	if n := f.unread(); n != 10 {
		t.Fatalf("%d unread", n)
	}
	if got := f.texts(); len(got) != 10 || got[0] != "1990" {
		t.Fatalf("reads %q", got)
	}
	goOn()
	f.settle()
	if n, u := f.heldRecords(), f.unread(); n != 10 || u != 10 {
		t.Fatalf("%d records, %d unread in the end", n, u)
	}
}

// keepAs has the owner's node f change the policy, and g hear of it.
func (g *fixture) keepAs(f *fixture, r team.Retention) {
	f.keep(r)
	g.pullBoard(f, board.GovernanceID(f.team))
}

// TestAFloorNamesTheDevicesSeenLast: of more devices than an operation takes those go that were not seen for longest, and
// those that only an earlier floor names before all others.
func TestAFloorNamesTheDevicesSeenLast(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	at := f.post("x").Position
	f.post("y")
	device := func(i int) board.DeviceID { return board.DeviceID{byte(i), byte(i >> 8), 1} }
	floor := func(seq uint64, from, to int) []team.DeviceFloor {
		t.Helper()
		bs, _ := f.s.memory().board(f.board)
		r := retainer{s: f.s, b: bs, devices: map[board.DeviceID]seenDevice{}}
		for i := from; i < to; i++ {
			r.devices[device(i)] = seenDevice{team.DeviceFloor{Device: device(i), DevEpoch: 1, DevSeq: uint64(i + 1)}, board.HLC(i + 1)}
		}
		named := r.lastSeen(f.state())
		at.Seq = seq
		o, err := team.NewFloor(f.state(), f.who.node, at, named, [16]byte{7, byte(seq)})
		if err != nil {
			t.Fatal(err)
		}
		f.object(o)
		return named
	}
	has := func(l []team.DeviceFloor, i int) bool {
		return slices.ContainsFunc(l, func(d team.DeviceFloor) bool { return d.Device == device(i) && d.DevSeq == uint64(i+1) })
	}
	first := floor(1, 0, maxFloorDevices+12)
	if len(first) != maxFloorDevices || has(first, 11) || !has(first, 12) || !has(first, maxFloorDevices+11) {
		t.Errorf("%d devices, the first ones among them: %v", len(first), has(first, 11))
	}
	if fs := f.state().Floors(f.board); len(fs) != 1 || len(fs[0].Devices) != maxFloorDevices {
		t.Fatalf("%d floors count", len(fs))
	}
	second := floor(2, 1000, 1005)
	if len(second) != maxFloorDevices || !has(second, 1000) || !has(second, 1004) {
		t.Errorf("%d devices, without those that were just seen", len(second))
	}
	earlier := 0
	for i := range maxFloorDevices + 12 {
		if has(second, i) {
			earlier++
		}
	}
	if earlier != maxFloorDevices-5 {
		t.Errorf("%d devices of the floor before", earlier)
	}
}
