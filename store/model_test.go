package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"weft/board"
	"weft/team"
)

// The model test: logs of other nodes are made up with every oddity that the rules allow (duplicates, entries in several
// logs, entries out of their device's order, epochs that seal low, branches, kinds that do not count), and come into a
// store in any order, forwards, backwards and from the tail, beside own posts, marks, restarts and re-recordings. After
// each step what the store says is compared with what a naive reading of the rules says.

// pick draws an element by its index, so that failures print numbers.
func pick[T any](t *rapid.T, l []T) T { return l[rapid.IntRange(0, len(l)-1).Draw(t, "pick")] }

// remote is a node whose logs the test makes up.
type remote struct {
	who    person
	epochs []*remoteEpoch
}

type remoteEpoch struct {
	origin  board.Origin
	prev    board.Link
	records []board.Record
	entries []*board.Entry
	sigs    [][]byte
}

type modelWorld struct {
	t       *rapid.T
	f       *fixture
	remotes []*remote
	cred    map[board.UserID]board.Hash
	chains  map[board.DeviceID]*modelChain
	entries []*board.Entry // all ever made, by anybody
	marks   board.Vector
	posts   int
	cursor  Cursor
	visible map[board.Hash]bool                         // by replaying the change log
	rules   func([]heldRecord) ([]*board.Entry, uint64) // nil: truth
}

type modelChain struct {
	seq  uint64
	prev board.Hash
	hlc  board.HLC
}

// entry makes an entry by a remote person: mostly in order, now and then not.
func (w *modelWorld) entry(p person) *board.Entry {
	t := w.t
	w.posts++
	id := fmt.Sprintf("p%d", w.posts)
	if len(w.entries) > 0 && rapid.IntRange(0, 5).Draw(t, "again") == 0 { // a retry through another daemon
		if o := pick(t, w.entries); o.Header.Author == p.id.User {
			id = o.Header.ClientMsgID
		}
	}
	dev := board.DeviceID(p.id.Device.Public())
	c := w.chains[dev]
	if c == nil {
		c = &modelChain{hlc: board.HLCAt(w.f.clock.now())}
		w.chains[dev] = c
	}
	hlc := c.hlc + board.HLC(rapid.IntRange(1, 3<<16).Draw(t, "step"))
	if rapid.IntRange(0, 7).Draw(t, "back") == 0 {
		hlc = c.hlc - board.HLC(rapid.IntRange(0, 1<<16).Draw(t, "by"))
	}
	kind := rapid.SampledFrom([]board.Kind{board.KindPost, board.KindPost, board.KindPost, board.KindReaction}).Draw(t, "kind")
	c.seq++
	e := board.NewEntry(board.Header{
		Team: w.f.team, Board: w.f.board, Author: p.id.User, Device: dev, DevEpoch: 5, DevSeq: c.seq, DevPrev: c.prev,
		Cred: w.cred[p.id.User], ClientMsgID: id, HLC: hlc, Kind: kind,
	}, []byte(fmt.Sprintf("text %d", w.posts)))
	e.Sign(p.id.Device)
	c.prev, c.hlc = e.ID, max(hlc, c.hlc)
	w.entries = append(w.entries, e)
	return e
}

// write has a remote node append a record: a new entry of its person or of another's, or one that exists.
func (w *modelWorld) write(r *remote, ep *remoteEpoch) {
	t := w.t
	var e *board.Entry
	if len(w.entries) > 0 && rapid.IntRange(0, 3).Draw(t, "copy") == 0 {
		e = pick(t, w.entries)
	} else {
		e = w.entry(w.remotes[rapid.IntRange(0, len(w.remotes)-1).Draw(t, "author")].who)
	}
	w.record(r, ep, e)
}

func (w *modelWorld) record(r *remote, ep *remoteEpoch, e *board.Entry) {
	seq := uint64(len(ep.records)) + 1
	prev := ep.prev
	if seq > 1 {
		prev = board.Link{Epoch: ep.origin.Epoch, Seq: seq - 1, Hash: ep.records[seq-2].Hash()}
	}
	rec := board.Record{Board: w.f.board, Origin: ep.origin, Seq: seq, Prev: prev, Entry: e.ID, Received: board.HLCAt(w.f.clock.now())}
	sig := board.SignHead(r.who.node, rec.Position())
	ep.records, ep.entries, ep.sigs = append(ep.records, rec), append(ep.entries, e), append(ep.sigs, sig[:])
}

// epoch begins a new epoch of a remote node, which seals a record of an earlier one: mostly its last.
func (w *modelWorld) epoch(r *remote) *remoteEpoch {
	t := w.t
	n := uint64(len(r.epochs)) + 1
	ep := &remoteEpoch{origin: board.Origin{Node: board.NodeID(r.who.node.Public()), Epoch: board.Epoch{N: n, R: n * 7}}}
	if len(r.epochs) > 0 {
		of := r.epochs[len(r.epochs)-1]
		if rapid.IntRange(0, 4).Draw(t, "branch") == 0 {
			of = pick(t, r.epochs)
		}
		at := len(of.records)
		if rapid.IntRange(0, 2).Draw(t, "low") == 0 {
			at = rapid.IntRange(1, at).Draw(t, "at")
		}
		rec := of.records[at-1]
		ep.prev = board.Link{Epoch: of.origin.Epoch, Seq: rec.Seq, Hash: rec.Hash()}
	}
	r.epochs = append(r.epochs, ep)
	w.write(r, ep)
	return ep
}

// run cuts records first..last out of a log.
func (ep *remoteEpoch) run(b board.ID, first, last uint64) *board.Run {
	r := &board.Run{Board: b, Origin: ep.origin, First: first, Prev: ep.records[first-1].Prev}
	for s := first; s <= last; s++ {
		it := board.Item{Entry: ep.entries[s-1], Received: ep.records[s-1].Received}
		if s == last {
			it.HeadSig = ep.sigs[s-1]
		}
		r.Items = append(r.Items, it)
	}
	return r
}

// heldRecord is a record that the store holds, as the model sees it.
type heldRecord struct {
	origin board.Origin
	seq    uint64
	entry  *board.Entry
}

// held reads everything that the store says that it holds.
func (w *modelWorld) held() (out []heldRecord) {
	ctx := context.Background()
	h := w.f.s.Holding(w.f.board)
	for _, n := range h.Nodes() {
		for _, st := range h.Stretches(n) {
			for last := st.Hi; last >= st.Lo; {
				r, err := w.f.s.RunBack(ctx, w.f.board, board.Origin{Node: n, Epoch: st.Epoch}, last, 16<<10)
				if err != nil {
					w.t.Fatalf("couldn't read what is held: %v", err)
				}
				hashes := r.Hashes()
				if last == st.Hi && hashes[len(hashes)-1] != st.HiHash {
					w.t.Fatalf("hash of the last record")
				}
				for i, it := range r.Items {
					out = append(out, heldRecord{r.Origin, r.First + uint64(i), it.Entry})
				}
				last = r.First - 1
			}
		}
	}
	return out
}

// truth is what the rules say of what is held: the shown entries in order, and how many the user has not read.
func (w *modelWorld) truth(held []heldRecord) (shown []*board.Entry, unread uint64) {
	if w.rules != nil {
		return w.rules(held)
	}
	h := w.f.s.Holding(w.f.board)
	byID := map[board.Hash]*board.Entry{}
	for _, r := range held {
		byID[r.entry.ID] = r.entry
	}
	valid := func(e *board.Entry) bool {
		p, ok := byID[e.Header.DevPrev]
		return !ok || e.Header.HLC > p.Header.HLC
	}
	return w.show(held, func(r heldRecord) bool { return valid(r.entry) && h.Counting(r.origin, r.seq) })
}

// show is what shows, in order, where these records count, and how many of that the user has not read.
func (w *modelWorld) show(held []heldRecord, counts func(heldRecord) bool) (shown []*board.Entry, unread uint64) {
	best, read, h := map[board.PostID]*board.Entry{}, map[board.Hash]bool{}, w.f.s.Holding(w.f.board)
	for _, r := range held {
		k := r.entry.Header.PostID()
		if b := best[k]; counts(r) && (b == nil || r.entry.Order().Compare(b.Order()) < 0) {
			best[k] = r.entry
		}
		if h.Includes(w.marks, r.origin.Node, board.Point{Epoch: r.origin.Epoch, Seq: r.seq}) {
			read[r.entry.ID] = true
		}
	}
	for _, e := range best {
		shown = append(shown, e)
		if e.Header.Kind.Counts() && e.Header.Author != w.f.who.id.User && !read[e.ID] {
			unread++
		}
	}
	slices.SortFunc(shown, func(a, b *board.Entry) int { return a.Order().Compare(b.Order()) })
	return shown, unread
}

// check compares the store with the model.
func (w *modelWorld) check() {
	t, f := w.t, w.f
	w.settle()
	held := w.held()
	shown, unread := w.truth(held)
	var want []string
	for _, e := range shown {
		want = append(want, string(e.Body))
	}
	if got := f.texts(); !slices.Equal(got, want) {
		t.Fatalf("shown:\n%q\nwant\n%q", got, want)
	}
	if got, err := f.s.Unread(f.who.id.User, f.board); got != unread || err != nil {
		t.Fatalf("unread %d (%v), want %d", got, err, unread)
	}
	info, _ := f.s.Board(f.board)
	if info.Entries != uint64(len(shown)) {
		t.Fatalf("%d entries, want %d", info.Entries, len(shown))
	}
	if len(shown) > 0 && info.Last.Entry.ID != shown[len(shown)-1].ID {
		t.Fatalf("last entry is %q", info.Last.Entry.Body)
	}
	w.replay(shown)
	if v := f.s.Mark(f.who.id.User, f.board); !v.Equal(w.marks) {
		t.Fatalf("mark %v, want %v", v, w.marks)
	}
}

// replay reads the change log on and compares what a client would show.
func (w *modelWorld) replay(shown []*board.Entry) {
	for {
		cs, c, err := w.f.s.Changes(context.Background(), w.cursor, rapid.IntRange(1, 50).Draw(w.t, "limit"), Filter{})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, ch := range cs {
			switch ch.Kind {
			case EntryShown:
				if w.visible[ch.Entry] {
					w.t.Fatalf("shown twice: %q", ch.Shown.Entry.Body)
				}
				w.visible[ch.Entry] = true
			case EntryHidden:
				if !w.visible[ch.Entry] {
					w.t.Fatalf("hidden without being shown")
				}
				delete(w.visible, ch.Entry)
			}
		}
		w.cursor = c
		if len(cs) == 0 {
			break
		}
	}
	if len(w.visible) != len(shown) {
		w.t.Fatalf("a client shows %d entries, want %d", len(w.visible), len(shown))
	}
	for _, e := range shown {
		if !w.visible[e.ID] {
			w.t.Fatalf("a client does not show %q", e.Body)
		}
	}
}

// settle waits for what is judged behind the acknowledgement.
func (w *modelWorld) settle() {
	for w.f.s.pendingWork() {
		if err := w.f.s.SetKV(context.Background(), "x", nil); err != nil {
			w.t.Fatal(err)
		}
	}
}

// pendingWork says whether records wait to be judged again.
func (s *Store) pendingWork() (is bool) {
	s.probe(func(m *memory) { is = m.pending() })
	return is
}

// probe calls f where the committer tells who waits, between two groups.
func (s *Store) probe(f func(*memory)) {
	done := make(chan struct{})
	if err := s.submit(nil, probeTask{func() { f(s.memory()); close(done) }}); err != nil {
		panic(err)
	}
	<-done
}

type probeTask struct{ f func() }

func (p probeTask) prepare(*group) error { return nil }
func (p probeTask) finish(error)         { p.f() }

func (w *modelWorld) step() {
	t, f, ctx := w.t, w.f, context.Background()
	r := w.remotes[rapid.IntRange(0, len(w.remotes)-1).Draw(t, "remote")]
	switch rapid.IntRange(0, 13).Draw(t, "op") {
	case 0, 1:
		f.post("own")
		f.n++
	case 2:
		w.epoch(r)
	case 3, 4:
		if len(r.epochs) == 0 {
			w.epoch(r)
		}
		ep := pick(t, r.epochs)
		for range rapid.IntRange(1, 8).Draw(t, "n") {
			w.write(r, ep)
		}
	case 5, 6, 7, 8: // forwards
		if len(r.epochs) == 0 {
			return
		}
		ep := pick(t, r.epochs)
		st, held := f.s.Holding(f.board).Get(ep.origin)
		first := uint64(1)
		if held {
			first = st.Hi + 1
		}
		if n := uint64(len(ep.records)); first <= n {
			from := rapid.Uint64Range(max(1, first-min(first-1, 3)), first).Draw(t, "overlap")
			if held {
				from = max(from, st.Lo)
			}
			w.ingest(ep.run(f.board, from, rapid.Uint64Range(first, n).Draw(t, "last")), false)
		}
	case 9: // the tail of a log of which nothing is held
		if len(r.epochs) > 0 && len(f.s.Holding(f.board).Stretches(r.epochs[0].origin.Node)) == 0 {
			ep := r.epochs[len(r.epochs)-1]
			n := uint64(len(ep.records))
			w.ingest(ep.run(f.board, rapid.Uint64Range(1, n).Draw(t, "first"), n), true)
		}
	case 10: // backwards
		w.backwards(r)
	case 11:
		switch rapid.IntRange(0, 3).Draw(t, "mark") {
		case 0:
			w.merge(f.s.Vector(f.board))
			if _, err := f.s.MarkAll(ctx, f.who.id.User, f.board); err != nil {
				t.Fatal(err)
			}
		case 1, 2:
			if hs := w.held(); len(hs) > 0 {
				h := pick(t, hs)
				v := board.Vector{{Node: h.origin.Node, Epoch: h.origin.Epoch, Seq: h.seq}}
				w.merge(v)
				if _, err := f.s.MergeMark(ctx, f.who.id.User, f.board, v); err != nil {
					t.Fatal(err)
				}
			}
		case 3:
			w.upTo()
		}
	case 12:
		f.reopen()
	case 13:
		w.reRecord()
	}
}

func (w *modelWorld) merge(v board.Vector) {
	w.marks = board.MergeMax(w.f.s.Holding(w.f.board), w.marks, v)
}

// upTo marks up to an entry, and checks that exactly the longest prefixes are marked.
func (w *modelWorld) upTo() {
	w.settle() // the store reads what shows now
	hs := w.held()
	shown, _ := w.truth(hs)
	if len(shown) == 0 {
		return
	}
	k := pick(w.t, shown).Order()
	isShown := map[board.Hash]bool{}
	for _, e := range shown {
		isShown[e.ID] = true
	}
	h := w.f.s.Holding(w.f.board)
	var v board.Vector
	for _, n := range h.Nodes() {
		for _, st := range h.Stretches(n) {
			hi := st.Hi
			for _, r := range hs {
				if r.origin == (board.Origin{Node: n, Epoch: st.Epoch}) && isShown[r.entry.ID] && r.entry.Order().Compare(k) > 0 {
					hi = min(hi, r.seq-1)
				}
			}
			if hi >= st.Lo {
				v = append(v, board.Leaf{Node: n, Epoch: st.Epoch, Seq: hi})
			}
		}
	}
	w.merge(v)
	if _, err := w.f.s.ReadUpTo(context.Background(), w.f.who.id.User, w.f.board, k); err != nil {
		w.t.Fatal(err)
	}
	got := w.f.s.Mark(w.f.who.id.User, w.f.board)
	for i := range got { // the model does not know the hashes
		if i < len(w.marks) {
			w.marks[i].Hash = got[i].Hash
		}
	}
}

func (w *modelWorld) backwards(r *remote) {
	h := w.f.s.Holding(w.f.board)
	for _, st := range h.Stretches(board.NodeID(r.who.node.Public())) {
		p := st.LoPrev
		if p == (board.Link{}) {
			continue
		}
		i := slices.IndexFunc(r.epochs, func(e *remoteEpoch) bool { return e.origin.Epoch == p.Epoch })
		if h.Holds(r.epochs[i].origin, p.Seq) {
			continue
		}
		if o, held := h.Get(r.epochs[i].origin); held && o.Lo <= p.Seq {
			continue // goes on forwards there
		}
		run := r.epochs[i].run(w.f.board, rapid.Uint64Range(1, p.Seq).Draw(w.t, "from"), p.Seq)
		run.Items[len(run.Items)-1].HeadSig = nil
		w.ingest(run, false)
		return
	}
}

// ingest checks that what is refused is refused for a reason that the rules give.
func (w *modelWorld) ingest(run *board.Run, tail bool) {
	before := w.f.s.Holding(w.f.board)
	_, err := w.f.s.Ingest(context.Background(), w.f.team, run, tail)
	switch {
	case err == nil:
		if !w.f.s.Holding(w.f.board).Holds(run.Origin, run.LastSeq()) {
			w.t.Fatalf("accepted and not held")
		}
	case errors.Is(err, board.ErrGap):
		if run.First == 1 && (run.Prev == (board.Link{}) || before.Holds(board.Origin{Node: run.Node, Epoch: run.Prev.Epoch}, run.Prev.Seq)) {
			w.t.Fatalf("refused what links: %v", err)
		}
	default:
		w.t.Fatalf("ingest: %v", err)
	}
}

func (w *modelWorld) reRecord() {
	ctx := context.Background()
	w.settle()
	orphans, err := w.f.s.Orphans(ctx, w.f.board)
	if err != nil {
		w.t.Fatal(err)
	}
	for o, seqs := range orphans {
		if err := w.f.s.ReRecord(ctx, w.f.team, w.f.board, o, seqs); err != nil {
			w.t.Fatal(err)
		}
	}
	if left, _ := w.f.s.Orphans(ctx, w.f.board); len(left) > 0 {
		w.t.Fatalf("orphans are left: %v", left)
	}
}

func TestStoreSaysWhatTheRulesSay(t *testing.T) {
	base := newTeamNode(t, 1, nil)
	var people []person
	for n := byte(2); n <= 4; n++ {
		people = append(people, base.join(n).who)
	}
	base.close()
	rapid.Check(t, func(rt *rapid.T) {
		f := *base
		f.t, f.dir = t, copyFolder(t, base.dir)
		f.open()
		defer func() { f.s.Close() }()
		st, _ := f.s.Team(f.team)
		w := &modelWorld{t: rt, f: &f, cred: map[board.UserID]board.Hash{}, chains: map[board.DeviceID]*modelChain{}, visible: map[board.Hash]bool{}}
		for _, p := range people {
			w.remotes = append(w.remotes, &remote{who: p})
			c, ok := st.Cred(p.id.User)
			if !ok || st.Role(p.id.User) != team.Member {
				t.Fatal("no member")
			}
			w.cred[p.id.User] = c
		}
		for range rapid.IntRange(5, 60).Draw(rt, "steps") {
			w.step()
			if rapid.IntRange(0, 3).Draw(rt, "look") == 0 {
				w.check()
			}
		}
		w.check()
		c, err := f.s.Check(context.Background(), nil)
		if err != nil || c.Damaged > 0 {
			rt.Fatalf("check: %+v %v", c, err)
		}
	})
}
