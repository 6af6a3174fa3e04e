package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"weft/board"
	"weft/team"

	weftv1 "weft/api/weft/v1"
)

func (f *fixture) state() *team.State {
	f.t.Helper()
	st, ok := f.s.Team(f.team)
	if !ok {
		f.t.Fatal("no such team")
	}
	return st
}

// settle waits for what is judged, counted or pruned behind commits.
func (f *fixture) settle() {
	f.t.Helper()
	for f.s.pendingWork() {
		if err := f.s.SetKV(context.Background(), "x", nil); err != nil {
			f.t.Fatal(err)
		}
	}
}

// set has f's user give another one a role, with what f's store says that it accepted.
func (f *fixture) set(u board.UserID, role team.Role) {
	f.t.Helper()
	f.object(f.newSet(u, role))
}

// removal is an operation by which f's user removes g's: nothing was accepted of what f comes to hold after this.
func (f *fixture) removal(g *fixture) *team.Object {
	f.t.Helper()
	return f.newSet(g.who.id.User, team.Removed)
}

func (f *fixture) newSet(u board.UserID, role team.Role) *team.Object {
	f.t.Helper()
	f.n++
	c, err := f.s.CutUser(f.team, u)
	if err != nil {
		f.t.Fatal(err)
	}
	o, err := team.NewSet(f.state(), f.who.id, u, role, c, "", [16]byte{200, byte(f.n), byte(f.n >> 8)})
	if err != nil {
		f.t.Fatal(err)
	}
	return o
}

// judgeAgain has all entries of the board judged again by a state of the team.
func (f *fixture) judgeAgain(st *team.State) {
	f.t.Helper()
	f.s.probe(func(m *memory) {
		m.teams[f.team].state.Store(st)
		for _, l := range m.boards[f.board].logs {
			m.review[l] = []rows{{l.st.Lo, l.st.Hi}}
		}
	})
	f.settle()
}

// logOf is the first log of g's node in the board.
func (f *fixture) logOf(g *fixture) *logState {
	return f.s.memory().boards[f.board].byNode[board.NodeID(g.who.node.Public())][0]
}

// changes are all since c that are about entries, in words, and what stands after them.
func (f *fixture) changes(c Cursor) (out []string, next Cursor) {
	f.t.Helper()
	for {
		cs, next, err := f.s.Changes(context.Background(), c, 0, Filter{})
		if err != nil {
			f.t.Fatal(err)
		}
		for _, ch := range cs {
			switch ch.Kind {
			case EntryShown:
				out = append(out, "+"+string(ch.Shown.Entry.Body))
			case EntryHidden:
				e, err := f.s.EntryByID(context.Background(), ch.Board, ch.Entry)
				if err != nil {
					f.t.Fatal(err)
				}
				out = append(out, fmt.Sprintf("-%s (%s: %s)", e.Entry.Body, ch.Rule, ch.Reason))
			case FloorMoved:
				out = append(out, "floor")
			}
		}
		if c = next; len(cs) == 0 {
			return out, next
		}
	}
}

func (f *fixture) unread() uint64 {
	f.t.Helper()
	n, err := f.s.Unread(f.who.id.User, f.board)
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

func TestWhatIsSentAfterARemovalIsVoidEverywhere(t *testing.T) {
	ctx := context.Background()
	f := newTeamNode(t, 1, nil)
	g := f.join(2)
	g.post("before")
	f.pull(g)
	f.set(g.who.id.User, team.Removed)
	at := g.s.Cursor()
	g.post("after") // its node has not heard of it
	f.pull(g)
	f.settle()
	if got := f.texts(); !slices.Equal(got, []string{"before"}) || f.unread() != 1 {
		t.Fatalf("the remover reads %q, %d unread", got, f.unread())
	}
	p, err := f.s.Page(ctx, f.board, PageQuery{IncludeVoid: true})
	if err != nil || len(p.Entries) != 2 || p.Entries[1].Rule != "after-removal" || p.Entries[1].Void == "" || p.Entries[0].Void != "" {
		t.Fatalf("admins see %+v (%v)", p.Entries, err)
	}
	g.pull(f)
	g.settle()
	if got := g.texts(); !slices.Equal(got, []string{"before"}) {
		t.Fatalf("the one removed reads %q", got)
	}
	if said, _ := g.changes(at); !slices.Equal(said, []string{"+after", "-after (after-removal: " + p.Entries[1].Void + ")"}) {
		t.Fatalf("clients that had shown it hear %q", said)
	}
	_, err = g.s.Append(ctx, []Draft{g.draft("more", "more")})
	var r *Refused
	if !errors.As(err, &r) || r.Rule != "removed" || !errors.Is(err, team.ErrRemoved) || !errors.Is(err, board.ErrNotMember) {
		t.Fatalf("a post of the one removed: %v", err)
	}

	f.set(g.who.id.User, team.Member)
	g.pull(f)
	g.post("again")
	f.pull(g)
	f.settle()
	g.settle()
	for _, x := range []*fixture{f, g} {
		if got := x.texts(); !slices.Equal(got, []string{"before", "again"}) {
			t.Fatalf("who was taken back may write, but what was void stays so: %q", got)
		}
	}
	f.set(g.who.id.User, team.Muted)
	g.pull(f)
	if _, err := g.s.Append(ctx, []Draft{g.draft("hush", "hush")}); !errors.Is(err, team.ErrReadOnly) || !errors.As(err, &r) || r.Rule != "muted" {
		t.Fatalf("a post of somebody muted: %v", err)
	}
}

func TestASignedEntryThatNoLongerCountsIsRecordedAsVoid(t *testing.T) {
	ctx := context.Background()
	f := newTeamNode(t, 1, nil)
	g := f.join(2)
	cred, _ := g.state().Cred(g.who.id.User)
	f.set(g.who.id.User, team.Banned)
	var prev board.Hash
	sign := func(seq uint64, text string) *board.Entry {
		e := board.NewEntry(board.Header{
			Team: f.team, Board: f.board, Author: g.who.id.User, Device: board.DeviceID(g.who.id.Device.Public()), DevEpoch: 9, DevSeq: seq, DevPrev: prev,
			Cred: cred, ClientMsgID: text, HLC: board.HLCAt(f.clock.now()), Kind: board.KindPost,
		}, []byte(text))
		e.Sign(g.who.id.Device)
		prev = e.ID
		return e
	}
	for i, text := range []string{"one", "two"} {
		e := sign(uint64(i+1), text)
		for range 2 { // and so it is answered when it comes again
			r, err := f.s.AppendSigned(ctx, e)
			var refused *Refused
			if !errors.As(err, &refused) || !refused.Void || refused.Rule != "after-removal" && refused.Rule != "after-ban" || !errors.Is(err, team.ErrRemoved) {
				t.Fatalf("%s: %v", text, err)
			}
			if r.Entry != e.ID || r.Position.Seq != uint64(i+1) {
				t.Fatalf("%s: receipt %+v", text, r)
			}
		}
	}
	if got := f.texts(); len(got) != 0 {
		t.Fatalf("shows %q", got)
	}
}

// TestAFlipGoesOnAfterACrash: the disk takes three commits while entries are judged again and none of those after them, and
// the store is closed over it. The next start goes on where it was.
func TestAFlipGoesOnAfterACrash(t *testing.T) {
	const unbounded = 1 << 30
	var takes atomic.Int64
	takes.Store(unbounded)
	f := newTeamNode(t, 1, func(o *Options) {
		o.reviewAtOnce = 3
		o.fault = func(point string) error {
			if point != "commit" {
				return nil
			}
			if takes.Add(-1) < 0 {
				return errors.New("the disk fails")
			}
			return nil
		}
	})
	g := f.join(2)
	for i := range 40 {
		g.post(fmt.Sprint(i))
	}
	o := f.removal(g)
	f.pull(g)
	f.settle()
	at := f.s.Cursor()
	takes.Store(3)
	f.object(o)
	for takes.Load() >= 0 && f.s.pendingWork() { // asking takes its turn between two commits
	}
	if n := len(f.texts()); n == 0 || n == 40 {
		t.Fatalf("%d entries show: it did not fail in the middle", n)
	}
	f.close()
	takes.Store(unbounded)
	f.open()
	f.settle()
	if got := f.texts(); len(got) != 0 || f.unread() != 0 {
		t.Fatalf("still shows %q", got)
	}
	hidden, _ := f.changes(at)
	if len(hidden) != 40 {
		t.Fatalf("%d entries were said to be hidden", len(hidden))
	}
	if c, err := f.s.Check(context.Background(), nil); err != nil || c.Damaged > 0 {
		t.Fatalf("%+v %v", c, err)
	}
}

// TestForkedEntriesComeTogetherAgain: a node tells two others different things under one number. Both keep the proof; with
// the operation made of it neither content counts, and each records again what it holds.
func TestForkedEntriesComeTogetherAgain(t *testing.T) {
	ctx := context.Background()
	f := newTeamNode(t, 1, nil)
	bad := f.joinEmpty(3)
	g := f.join(2)
	cred, _ := f.state().Cred(bad.who.id.User)
	n := 0
	entry := func(text string) *board.Entry {
		n++
		e := board.NewEntry(board.Header{
			Team: f.team, Board: f.board, Author: bad.who.id.User, Device: board.DeviceID(bad.who.id.Device.Public()), DevEpoch: uint64(n), DevSeq: 1,
			Cred: cred, ClientMsgID: text, HLC: board.HLCAt(f.clock.now()), Kind: board.KindPost,
		}, []byte(text))
		e.Sign(bad.who.id.Device)
		return e
	}
	log := func(es ...*board.Entry) *board.Run {
		r := &board.Run{Board: f.board, Origin: board.Origin{Node: board.NodeID(bad.who.node.Public()), Epoch: board.Epoch{N: 7, R: 7}}, First: 1}
		for _, e := range es {
			r.Items = append(r.Items, board.Item{Entry: e, Received: 5})
		}
		hs := r.Hashes()
		sig := board.SignHead(bad.who.node, board.Position{Board: f.board, Node: r.Node, Epoch: r.Epoch, Seq: r.LastSeq(), Hash: hs[len(hs)-1]})
		r.Items[len(es)-1].HeadSig = sig[:]
		return r
	}
	common := entry("common")
	a, b := log(common, entry("a"), entry("a2")), log(common, entry("b"))
	for x, r := range map[*fixture]*board.Run{f: a, g: b} {
		if _, err := x.s.Ingest(ctx, f.team, r, false); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.s.Ingest(ctx, f.team, b, false); !errors.Is(err, board.ErrFork) {
		t.Fatalf("the other content: %v", err)
	}
	fs := f.s.Forks()
	if len(fs) != 1 || fs[0].Proof.Seq().Seq != 2 {
		t.Fatalf("proofs: %+v", fs)
	}
	o, err := team.NewFork(f.team, f.who.node, fs[0].Proof, [16]byte{5})
	if err != nil {
		t.Fatal(err)
	}
	f.object(o)
	g.pullBoard(f, board.GovernanceID(f.team))
	for _, x := range []*fixture{f, g} {
		x.settle()
		if got := x.texts(); !slices.Equal(got, []string{"common"}) {
			t.Fatalf("with the proof %q show", got)
		}
		orphans, err := x.s.Orphans(ctx, f.board)
		if err != nil {
			t.Fatal(err)
		}
		for o, seqs := range orphans {
			if err := x.s.ReRecord(ctx, f.team, f.board, o, seqs); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, p := range [][2]*fixture{{f, g}, {g, f}} {
		own := board.NodeID(p[1].who.node.Public())
		for _, st := range p[1].s.Holding(f.board).Stretches(own) {
			r, err := p[1].s.Run(ctx, f.board, board.Origin{Node: own, Epoch: st.Epoch}, 1, st.Hi, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p[0].s.Ingest(ctx, f.team, r, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, x := range []*fixture{f, g} {
		x.settle()
		if got := x.texts(); !slices.Equal(got, []string{"common", "a", "a2", "b"}) {
			t.Fatalf("together %q show", got)
		}
	}
}

// TestCutsNameEachLogWithSomethingOfTheOneCutOff, and no other.
func TestCutsNameEachLogWithSomethingOfTheOneCutOff(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	g, h := f.join(2), f.join(3)
	f.post("own")
	g.post("theirs")
	h.post("another's")
	f.pull(g)
	f.pull(h)
	f.reopen()
	logs := func(c *weftv1.Cut, err error) (out []string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range c.GetPositions() {
			p, err := board.ParsePosition(w)
			if err != nil {
				t.Fatal(err)
			}
			name := map[board.NodeID]string{board.NodeID(f.who.node.Public()): "f", board.NodeID(g.who.node.Public()): "g", board.NodeID(h.who.node.Public()): "h"}[p.Node]
			if p.Board != f.board {
				name += " governance"
			}
			out = append(out, name)
		}
		slices.Sort(out)
		return out
	}
	is := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	user, err := f.s.CutUser(f.team, g.who.id.User)
	is("of a member", logs(user, err), "f governance", "g") // its presentation
	owner, err := f.s.CutUser(f.team, f.who.id.User)
	is("of the owner", logs(owner, err), "f", "f governance")
	device, err := f.s.cut(f.team, anyOf([]signer{signerOf(byDevice, board.DeviceID(h.who.id.Device.Public()))}))
	is("of a device", logs(device, err), "f governance", "h")
	node, err := f.s.CutNode(f.team, board.NodeID(h.who.node.Public()))
	is("of a node", logs(node, err), "h")
	st := f.state()
	invite, err := f.s.CutInvite(f.team, st.Invites()[0].Op)
	is("of an invite", logs(invite, err), "f governance")
	none, err := f.s.CutInvite(f.team, board.Hash{1})
	is("of nothing", logs(none, err))
}
