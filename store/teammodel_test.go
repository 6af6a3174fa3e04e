package store

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"weft/board"
	"weft/team"

	weftv1 "weft/api/weft/v1"
)

// The same model with a team that changes: people are removed, banned, muted and taken back, with cuts that name what is
// held, what is not held yet, or too little; nodes are denied, let in again, and shown to have signed twice. After each
// look the store must show and count what a fresh evaluation of all governance says of each entry, with every question of
// "at or below" answered by following single records.

// teamWorld is modelWorld with somebody in power.
type teamWorld struct {
	*modelWorld
	creds map[board.UserID][]board.Hash
	ops   byte
	done  map[string]int
}

func (w *teamWorld) nonce() (n [16]byte) { w.ops++; n[0], n[1] = w.ops, 77; return n }

func (w *teamWorld) state() *team.State {
	st, _ := w.f.s.Team(w.f.team)
	return st
}

// act records an object, if the builder made one.
func (w *teamWorld) act(what string, o *team.Object, err error) {
	if err != nil {
		w.done[what+" refused"]++
		return
	}
	w.done[what]++
	if _, err := w.f.s.AppendObject(context.Background(), w.f.team, o); err != nil {
		w.t.Fatal(err)
	}
	st := w.state()
	for u := range w.creds {
		if c, ok := st.Cred(u); ok && !slices.Contains(w.creds[u], c) {
			w.creds[u] = append(w.creds[u], c)
		}
	}
}

// someCut is what the store says, or any positions of the logs that exist, held or not.
func (w *teamWorld) someCut(own func() (*weftv1.Cut, error)) *weftv1.Cut {
	if rapid.IntRange(0, 2).Draw(w.t, "cut") == 0 {
		c, err := own()
		if err != nil {
			w.t.Fatal(err)
		}
		return c
	}
	var at []board.Position
	for _, r := range w.remotes {
		for _, ep := range r.epochs {
			if rapid.IntRange(0, 2).Draw(w.t, "named") == 0 {
				rec := pick(w.t, ep.records)
				at = append(at, rec.Position())
			}
		}
	}
	if c, _ := w.f.s.CutNode(w.f.team, w.f.s.nodeID); rapid.Bool().Draw(w.t, "own") {
		for _, p := range c.Positions {
			if p, err := board.ParsePosition(p); err == nil && p.Board == w.f.board {
				at = append(at, p)
			}
		}
	}
	return team.NewCut(at)
}

// govern changes the team.
func (w *teamWorld) govern() {
	t, st, owner := w.t, w.state(), w.f.who.id
	r := pick(t, w.remotes)
	u, n := r.who.id.User, board.NodeID(r.who.node.Public())
	userCut := func() (*weftv1.Cut, error) { return w.f.s.CutUser(w.f.team, u) }
	switch rapid.IntRange(0, 9).Draw(t, "govern") {
	case 0, 1, 2:
		role := rapid.SampledFrom([]team.Role{team.Removed, team.Removed, team.Banned, team.Muted, team.Reader}).Draw(t, "role")
		o, err := team.NewSet(st, owner, u, role, w.someCut(userCut), "", w.nonce())
		w.act("restrict", o, err)
	case 3, 4:
		o, err := team.NewSet(st, owner, u, team.Member, nil, "", w.nonce())
		w.act("take back", o, err)
	case 5:
		o, err := team.NewRecut(st, owner, u, w.someCut(userCut), "", w.nonce())
		w.act("recut", o, err)
	case 6:
		o, err := team.NewNode(st, owner, n, false, w.someCut(func() (*weftv1.Cut, error) { return w.f.s.CutNode(w.f.team, n) }), w.nonce())
		w.act("deny", o, err)
	case 7:
		o, err := team.NewNode(st, owner, n, true, nil, w.nonce())
		w.act("allow", o, err)
	case 8:
		w.prove(r)
	case 9:
		o, err := team.NewLeave(st, r.who.id, w.someCut(userCut), w.nonce())
		w.act("leave", o, err)
	}
}

// prove shows that a remote node signed another record in the place of one.
func (w *teamWorld) prove(r *remote) {
	if len(r.epochs) == 0 || rapid.IntRange(0, 2).Draw(w.t, "prove") > 0 {
		return
	}
	ep := pick(w.t, r.epochs)
	i := rapid.IntRange(0, len(ep.records)-1).Draw(w.t, "at")
	f := &board.Fork{A: board.ForkSide{Record: ep.records[i]}, B: board.ForkSide{Record: ep.records[i]}}
	f.B.Record.Received++
	f.A.Sig, f.B.Sig = board.SignHead(r.who.node, f.A.Record.Position()), board.SignHead(r.who.node, f.B.Record.Position())
	o, err := team.NewFork(w.f.team, w.f.who.node, f, w.nonce())
	w.act("fork", o, err)
}

// fresh evaluates all governance that is held from nothing.
func (w *teamWorld) fresh() *team.State {
	ctx := context.Background()
	e := team.NewEvaluator(w.f.team)
	h := w.f.s.Holding(board.GovernanceID(w.f.team))
	for _, n := range h.Nodes() {
		for _, st := range h.Stretches(n) {
			for first := st.Lo; first <= st.Hi; {
				r, err := w.f.s.Run(ctx, board.GovernanceID(w.f.team), board.Origin{Node: n, Epoch: st.Epoch}, first, st.Hi, 64<<10)
				if err != nil {
					w.t.Fatal(err)
				}
				prev := r.Prev
				for i, it := range r.Items {
					rec := r.Record(i, prev.Hash)
					at := rec.Position()
					e.AddRecord(at, prev)
					if o, err := team.EntryObject(it.Entry); err == nil {
						o.Records = []board.Position{at}
						if _, err := e.Add(o); err != nil {
							w.t.Fatal(err)
						}
					}
					prev = board.Link{Epoch: r.Epoch, Seq: rec.Seq, Hash: at.Hash}
				}
				first = r.LastSeq() + 1
			}
		}
	}
	return e.State()
}

// place is where a record stands.
type place struct {
	origin board.Origin
	seq    uint64
}

// naive follows single records.
type naive struct {
	st    *team.State
	board board.ID
	recs  map[place]board.Record
	hash  map[place]board.Hash
	of    map[board.Hash][]place // by entry
}

func (w *teamWorld) naive(st *team.State) *naive {
	n := &naive{st: st, board: w.f.board, recs: map[place]board.Record{}, hash: map[place]board.Hash{}, of: map[board.Hash][]place{}}
	h := w.f.s.Holding(w.f.board)
	for _, node := range h.Nodes() {
		for _, s := range h.Stretches(node) {
			prev := s.LoPrev
			for first := s.Lo; first <= s.Hi; {
				r, err := w.f.s.RunBack(context.Background(), w.f.board, board.Origin{Node: node, Epoch: s.Epoch}, min(first+40, s.Hi), 1<<20)
				if err != nil {
					w.t.Fatal(err)
				}
				for i := range r.Items {
					if r.First+uint64(i) != first {
						continue
					}
					rec := r.Record(i, prev.Hash)
					rec.Prev = prev
					p := place{r.Origin, first}
					n.recs[p], n.hash[p] = rec, rec.Hash()
					n.of[rec.Entry] = append(n.of[rec.Entry], p)
					prev = board.Link{Epoch: s.Epoch, Seq: first, Hash: n.hash[p]}
					first++
				}
			}
		}
	}
	return n
}

func (n *naive) atOrBelow(p board.Position, r place) bool {
	if p.Node != r.origin.Node || p.Board != n.board {
		return false
	}
	x, want := place{p.Origin(), p.Seq}, p.Hash
	for {
		if h, held := n.hash[x]; !held || h != want {
			return r.origin.Epoch.N < x.origin.Epoch.N || r.origin.Epoch == x.origin.Epoch && r.seq <= x.seq
		}
		if x == r {
			return true
		}
		prev := n.recs[x].Prev
		if prev == (board.Link{}) {
			return false
		}
		x, want = place{board.Origin{Node: p.Node, Epoch: prev.Epoch}, prev.Seq}, prev.Hash
	}
}

func (n *naive) under(c *team.Cut, entry board.Hash) bool {
	for _, r := range n.of[entry] {
		for _, p := range c.At(n.board) {
			if n.atOrBelow(p, r) {
				return true
			}
		}
	}
	return false
}

// sound says whether a record counts, seals apart.
func (n *naive) sound(r place) bool {
	for x := r; ; {
		for _, p := range n.st.Forks(n.board, r.origin.Node) {
			if x.origin.Epoch == p.Epoch && x.seq >= p.Seq {
				return false
			}
		}
		rec, held := n.recs[x]
		if !held || rec.Prev == (board.Link{}) {
			break
		}
		x = place{board.Origin{Node: r.origin.Node, Epoch: rec.Prev.Epoch}, rec.Prev.Seq}
	}
	cuts, _ := n.st.Denial(r.origin.Node)
	for _, c := range cuts {
		if !slices.ContainsFunc(c.At(n.board), func(p board.Position) bool { return n.atOrBelow(p, r) }) {
			return false
		}
	}
	return true
}

func (n *naive) counts(r place) bool {
	if !n.sound(r) {
		return false
	}
	sealed, above := false, false
	for s, rec := range n.recs {
		if s.seq == 1 && s.origin.Node == r.origin.Node && rec.Prev.Epoch == r.origin.Epoch && n.sound(s) {
			sealed, above = true, above || r.seq <= rec.Prev.Seq
		}
	}
	return above || !sealed
}

// truth is what all that shows and is unread, by the rules alone.
func (w *teamWorld) truth(held []heldRecord) (shown []*board.Entry, unread uint64, voids map[board.Hash]bool) {
	st := w.fresh()
	n := w.naive(st)
	byID := map[board.Hash]*board.Entry{}
	for _, r := range held {
		byID[r.entry.ID] = r.entry
	}
	voids = map[board.Hash]bool{}
	for id, e := range byID {
		v := st.CheckEntry(&e.Header, func(c *team.Cut) bool { return n.under(c, id) })
		p, ok := byID[e.Header.DevPrev]
		voids[id] = v.Status != team.Valid || ok && e.Header.HLC <= p.Header.HLC
	}
	shown, unread = w.show(held, func(r heldRecord) bool { return !voids[r.entry.ID] && n.counts(place{r.origin, r.seq}) })
	return shown, unread, voids
}

func (w *teamWorld) check() {
	t, f := w.t, w.f
	w.settle()
	held := w.held()
	shown, unread, voids := w.truth(held)
	var want []string
	for _, e := range shown {
		want = append(want, string(e.Body))
	}
	if got := f.texts(); !slices.Equal(got, want) {
		t.Fatalf("shown:\n%q\nwant\n%q\nafter %v\n%s", got, want, w.done, w.explain(held))
	}
	if got, err := f.s.Unread(f.who.id.User, f.board); got != unread || err != nil {
		t.Fatalf("unread %d (%v), want %d", got, err, unread)
	}
	w.replay(shown)
	w.lookBehind(shown, voids)
}

// explain says of each entry what the store and the rules say.
func (w *teamWorld) explain(held []heldRecord) (out string) {
	st := w.fresh()
	n := w.naive(st)
	for _, r := range held {
		e, err := w.f.s.EntryByID(context.Background(), w.f.board, r.entry.ID)
		if err != nil {
			w.t.Fatal(err)
		}
		v := st.CheckEntry(&r.entry.Header, func(c *team.Cut) bool { return n.under(c, r.entry.ID) })
		b, _ := w.f.s.memory().board(w.f.board)
		out += fmt.Sprintf("%q by %x right %s at %x %d/%d: %s, record counts %v; store: void %q, counts up to %d\n", r.entry.Body, r.entry.Header.Author[:2],
			r.entry.Header.Cred.String()[:6], r.origin.Node[:2], r.origin.Epoch.N, r.seq, v, n.counts(place{r.origin, r.seq}), e.Void, b.log(r.origin).limit)
	}
	return out
}

// lookBehind compares what admins see.
func (w *teamWorld) lookBehind(shown []*board.Entry, voids map[board.Hash]bool) {
	got := map[board.Hash]bool{}
	q := PageQuery{Limit: 7, After: &board.OrderKey{}, IncludeVoid: true}
	for {
		p, err := w.f.s.Page(context.Background(), w.f.board, q)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range p.Entries {
			if got[e.Entry.ID] || (e.Void != "") != voids[e.Entry.ID] {
				w.t.Fatalf("%q is listed twice or with the wrong verdict %q", e.Entry.Body, e.Void)
			}
			got[e.Entry.ID] = true
		}
		if !p.Newer {
			break
		}
		k := p.Entries[len(p.Entries)-1].Entry.Order()
		q.After = &k
	}
	n := len(shown)
	for id, void := range voids {
		if void {
			n++
			if !got[id] {
				w.t.Fatalf("a void entry is not listed")
			}
		}
	}
	if len(got) != n {
		w.t.Fatalf("%d entries are listed, want %d", len(got), n)
	}
}

func TestStoreFollowsItsTeam(t *testing.T) {
	base := newTeamNode(t, 1, nil)
	var people []person
	for n := byte(2); n <= 4; n++ {
		people = append(people, base.join(n).who)
	}
	base.close()
	done := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		f := *base
		f.t, f.dir = t, copyFolder(t, base.dir)
		f.mod = func(o *Options) { o.reviewAtOnce = rapid.IntRange(1, 20).Draw(rt, "at once") }
		f.open()
		defer func() { f.s.Close() }()
		m := &modelWorld{t: rt, f: &f, cred: map[board.UserID]board.Hash{}, chains: map[board.DeviceID]*modelChain{}, visible: map[board.Hash]bool{}}
		w := &teamWorld{modelWorld: m, creds: map[board.UserID][]board.Hash{}, done: done}
		m.rules = func(held []heldRecord) ([]*board.Entry, uint64) {
			shown, unread, _ := w.truth(held)
			return shown, unread
		}
		st := w.state()
		for _, p := range people {
			m.remotes = append(m.remotes, &remote{who: p})
			c, _ := st.Cred(p.id.User)
			w.creds[p.id.User], m.cred[p.id.User] = []board.Hash{c}, c
		}
		for range rapid.IntRange(5, 60).Draw(rt, "steps") {
			if rapid.IntRange(0, 4).Draw(rt, "what") == 0 {
				w.govern()
			} else {
				for _, p := range people {
					m.cred[p.id.User] = pick(rt, w.creds[p.id.User])
				}
				w.step()
			}
			if rapid.IntRange(0, 4).Draw(rt, "look") == 0 {
				w.check()
			}
		}
		w.check()
		c, err := f.s.Check(context.Background(), nil)
		if err != nil || c.Damaged > 0 {
			rt.Fatalf("check: %+v %v", c, err)
		}
	})
	if done["restrict"] < 100 { // few histories were asked for
		return
	}
	for _, what := range []string{"restrict", "take back", "recut", "deny", "allow", "fork", "leave"} {
		if done[what] == 0 {
			t.Errorf("nobody did %q: %v", what, done)
		}
	}
}
