package store

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
	"weft/team"
)

// person is a user with a device and a home for tests.
type person struct {
	node board.Key
	id   team.Identity
}

func seed(n byte, m byte) (s [32]byte) { s[0], s[1], s[31] = n, m, 7; return s }

func newPerson(t testing.TB, n byte) person {
	t.Helper()
	p := person{node: board.NewKey(seed(n, 1))}
	id, err := team.NewUser(fmt.Sprintf("user %d", n), board.NewKey(seed(n, 2)), board.NewKey(seed(n, 3)), p.node, [16]byte{n})
	if err != nil {
		t.Fatal(err)
	}
	p.id = id
	return p
}

// clock is a wall clock for tests: it goes on by a millisecond each time it is read.
type testClock struct{ ms atomic.Int64 }

func newTestClock() *testClock {
	c := &testClock{}
	c.ms.Store(1_800_000_000_000)
	return c
}

func (c *testClock) now() time.Time { return time.UnixMilli(c.ms.Add(1)) }

// fixture is one node's store in a folder.
type fixture struct {
	t     testing.TB
	dir   string
	who   person
	clock *testClock
	s     *Store
	team  board.TeamID
	board board.ID
	mod   func(*Options)
	n     int
}

func (f *fixture) options() Options {
	o := Options{
		Dir: f.dir, Node: f.who.node, Users: []board.UserID{f.who.id.User}, Now: f.clock.now,
		Quotas: Quotas{AuthorPerSecond: -1}, MinFree: 1, MemTable: 8 << 20,
	}
	if f.mod != nil {
		f.mod(&o)
	}
	return o
}

func (f *fixture) open() *Store {
	f.t.Helper()
	s, err := Open(context.Background(), f.options())
	if err != nil {
		f.t.Fatal(err)
	}
	f.s = s
	return s
}

func (f *fixture) close() {
	f.t.Helper()
	if f.s != nil {
		if err := f.s.Close(); err != nil {
			f.t.Fatal(err)
		}
		f.s = nil
	}
}

func (f *fixture) reopen() {
	f.t.Helper()
	f.close()
	f.open()
}

// newNode opens an empty store of the n-th person.
func newNode(t testing.TB, n byte, clock *testClock, mod func(*Options)) *fixture {
	t.Helper()
	f := &fixture{t: t, dir: filepath.Join(t.TempDir(), "store"), who: newPerson(t, n), clock: clock, mod: mod}
	f.open()
	t.Cleanup(func() {
		if f.s != nil {
			f.s.Close()
		}
	})
	return f
}

// newTeamNode opens a store and founds a team in it.
func newTeamNode(t testing.TB, n byte, mod func(*Options)) *fixture {
	t.Helper()
	f := newNode(t, n, newTestClock(), mod)
	id, objects, err := team.NewTeam(f.who.id, "crew", nil, [16]byte{9})
	if err != nil {
		t.Fatal(err)
	}
	f.team, f.board = id, board.GeneralID(id)
	ctx := context.Background()
	if err := f.s.AdoptTeam(ctx, id, nil); err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if _, err := f.s.AppendObject(ctx, id, o); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// join has another node take part in f's team, with its user admitted, and hold what f holds.
func (f *fixture) join(n byte) *fixture {
	f.t.Helper()
	g := f.joinEmpty(n)
	g.pull(f)
	return g
}

// joinEmpty has another node take part in f's team, with its user admitted and nothing but governance pulled.
func (f *fixture) joinEmpty(n byte) *fixture {
	f.t.Helper()
	ctx := context.Background()
	g := newNode(f.t, n, f.clock, nil)
	g.team, g.board = f.team, f.board
	st, _ := f.s.Team(f.team)
	inviteSeed := seed(n, 9)
	inv, err := team.NewInvite(st, f.who.id, team.Member, board.NodeID(f.who.node.Public()), 1, 0, [16]byte{n, 1}, inviteSeed)
	if err != nil {
		f.t.Fatal(err)
	}
	f.object(inv)
	st, _ = f.s.Team(f.team)
	link, err := team.NewLink(st, f.who.id, inv, inviteSeed, []string{"/ip4/127.0.0.1/udp/1/quic-v1"})
	if err != nil {
		f.t.Fatal(err)
	}
	knock, err := team.NewKnock(link, 0, g.who.id)
	if err != nil {
		f.t.Fatal(err)
	}
	adm, err := st.CheckKnock(knock, board.NodeID(f.who.node.Public()), f.clock.now())
	if err != nil {
		f.t.Fatal(err)
	}
	if adm.Present != nil {
		f.object(adm.Present)
	}
	st, _ = f.s.Team(f.team)
	admit, err := team.NewAdmit(f.who.node, st, knock, [16]byte{n, 2})
	if err != nil {
		f.t.Fatal(err)
	}
	f.object(admit)
	if err := g.s.AdoptTeam(ctx, f.team, nil); err != nil {
		f.t.Fatal(err)
	}
	g.pullBoard(f, board.GovernanceID(f.team))
	return g
}

func (f *fixture) object(o *team.Object) {
	f.t.Helper()
	if _, err := f.s.AppendObject(context.Background(), f.team, o); err != nil {
		f.t.Fatal(err)
	}
}

// pull ingests everything that f lacks of from's team, governance first.
func (f *fixture) pull(from *fixture) {
	f.t.Helper()
	for _, info := range from.s.Boards(f.team) {
		f.pullBoard(from, info.ID)
	}
}

func (f *fixture) pullBoard(from *fixture, b board.ID) {
	f.t.Helper()
	ctx := context.Background()
	theirs := from.s.Holding(b)
	for _, n := range theirs.Nodes() {
		for _, leaf := range theirs.Leaves(n) {
			mine := f.s.Holding(b)
			if mine == nil {
				return
			}
			segments, joined := theirs.Path(n, mine.Have(n), board.Point{Epoch: leaf.Epoch, Seq: leaf.Seq})
			if !joined {
				continue
			}
			for _, sg := range segments {
				for first := sg.First; first <= sg.Last; {
					r, err := from.s.Run(ctx, b, board.Origin{Node: n, Epoch: sg.Epoch}, first, sg.Last, 64<<10)
					if err != nil {
						f.t.Fatal(err)
					}
					if _, err := f.s.Ingest(ctx, f.team, r, false); err != nil {
						f.t.Fatal(err)
					}
					first = r.LastSeq() + 1
				}
			}
		}
	}
}

func (f *fixture) draft(text, id string) Draft {
	return Draft{Team: f.team, Board: f.board, Author: f.who.id.User, Device: f.who.id.Device, Kind: board.KindPost, Body: []byte(text), ClientMsgID: id}
}

// post appends one post with an id of its own.
func (f *fixture) post(text string) Receipt {
	f.t.Helper()
	f.n++
	rs, err := f.s.Append(context.Background(), []Draft{f.draft(text, fmt.Sprintf("%x-%d-%s", f.who.node.Public(), f.n, text)[40:])})
	if err != nil {
		f.t.Fatal(err)
	}
	return rs[0]
}

// lookup reads what shows of a post of f's user.
func (f *fixture) lookup(id string) (out *Shown, err error) {
	err = f.s.view(func(m *memory, txn *badger.Txn) error {
		c, err := get(txn, appendPostKey(nil, postKey{f.board, board.MakePostID(f.who.id.User, id)}))
		if err != nil {
			return err
		}
		if c == nil {
			return board.ErrNotFound
		}
		list, err := parsePostList(c)
		if err != nil {
			return err
		}
		if list.shown < 0 {
			return board.ErrNotFound
		}
		out, err = f.s.shownAt(m, txn, list.recs[list.shown])
		return err
	})
	return out, err
}

// texts are the texts that show, in order.
func (f *fixture) texts() (out []string) {
	f.t.Helper()
	q := PageQuery{Limit: 1000, After: &board.OrderKey{}}
	for {
		p, err := f.s.Page(context.Background(), f.board, q)
		if err != nil {
			f.t.Fatal(err)
		}
		for _, e := range p.Entries {
			out = append(out, string(e.Entry.Body))
		}
		if !p.Newer {
			return out
		}
		k := p.Entries[len(p.Entries)-1].Entry.Order()
		q.After = &k
	}
}
