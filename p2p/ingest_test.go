package p2p

import (
	"slices"
	"testing"
	"time"

	"weft/board"
)

func TestACatchUpIsCutWhileSomebodyPosts(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	general := board.GeneralID(id)
	at := a.post(id, general, 1000).Position
	run, err := a.store.Run(testContext(t), general, at.Origin(), 1, 1000, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	in := newIngester(b.mesh)
	if got := in.parts(board.Ingest{Run: run}); len(got) != 1 {
		t.Fatalf("%d parts while nobody posts", len(got))
	}
	in.posting = func() bool { return true }
	check := func(parts []*board.Run, down bool) {
		t.Helper()
		if len(parts) < 3 {
			t.Fatalf("%d parts", len(parts))
		}
		want := board.Hash{}
		n := 0
		for i := range parts {
			p := parts[i]
			if down {
				p = parts[len(parts)-1-i]
			}
			if err := p.Check(); err != nil {
				t.Fatal(err)
			}
			if p.Prev.Hash != want || p.First != uint64(n)+1 {
				t.Fatalf("part %d doesn't follow", i)
			}
			if !down && len(p.Items[len(p.Items)-1].HeadSig) == 0 {
				t.Fatalf("part %d ends without a signed head", i)
			}
			hashes := p.Hashes()
			want = hashes[len(hashes)-1]
			n += len(p.Items)
		}
		if n != len(run.Items) {
			t.Fatalf("%d records in parts", n)
		}
	}
	check(in.parts(board.Ingest{Run: run}), false)
	b.mesh.subs.held.set(general, at.Origin(), run.LastSeq()+10)
	check(in.parts(board.Ingest{Run: run}), true)
	if got := in.parts(board.Ingest{Run: run, Tail: true}); len(got) != 1 {
		t.Fatal("the newest part of a log was cut")
	}
}

// TestLiveRunsGoFirstAndABulkRunAtATimeBesidePosts counts which runs workers are given.
func TestLiveRunsGoFirstAndABulkRunAtATimeBesidePosts(t *testing.T) {
	in := &ingester{workers: 4, wake: make(chan struct{}, 4), posting: func() bool { return false }}
	in.mu.queues = map[ingestKey]*ingestQueue{}
	add := func(node byte, records int) {
		in.add(board.Ingest{Run: &board.Run{Origin: board.Origin{Node: board.NodeID{node}}, Items: make([]board.Item, records)}})
	}
	type turn struct {
		q    *ingestQueue
		bulk bool
	}
	// take gives out all that may be worked on now.
	take := func() (turns []turn, nodes []byte) {
		for {
			q, e, bulk := in.take()
			if q == nil {
				return turns, nodes
			}
			turns, nodes = append(turns, turn{q, bulk}), append(nodes, e.Run.Node[0])
		}
	}
	for node := range byte(5) {
		add(node, liveRun+1)
	}
	add(0, 1) // behind a large one of its own log
	add(9, liveRun)
	turns, nodes := take()
	if !slices.Equal(nodes, []byte{9, 0, 1, 2}) {
		t.Fatalf("while nobody posts workers are given %v, want the live run and all but one of the others", nodes)
	}
	in.posting = func() bool { return true }
	for _, x := range turns {
		in.done(x.q, x.bulk)
	}
	var got []byte
	for range 2 {
		add(8, 1)
		turns, nodes = take()
		if len(nodes) == 0 || nodes[len(nodes)-1] < 3 || nodes[len(nodes)-1] > 4 {
			t.Fatalf("beside posts workers are given %v: not one large run after the live ones", nodes)
		}
		got = append(got, nodes...)
		for _, x := range turns {
			in.done(x.q, x.bulk)
		}
	}
	if !slices.Equal(got, []byte{0, 8, 3, 8, 4}) {
		t.Fatalf("beside posts workers are given %v", got)
	}
	if _, nodes := take(); len(nodes) > 0 || len(in.mu.queues) > 0 {
		t.Fatalf("%v are left", nodes)
	}
}

func TestACatchUpYieldsToItsRateAndAtLeastAFifth(t *testing.T) {
	for _, c := range []struct{ took, want time.Duration }{
		{0, time.Second}, {900 * time.Millisecond, 225 * time.Millisecond}, {4 * time.Second, time.Second},
	} {
		if got := pause(besidePosts, c.took); got != c.want {
			t.Fatalf("after %v: %v, want %v", c.took, got, c.want)
		}
	}
}

// TestCatchUpBesidePosts has bob post all the time while he fetches ada's history, both ways.
func TestCatchUpBesidePosts(t *testing.T) {
	for _, newest := range []uint64{0, 500} {
		a, b := newNode(t, "ada"), newNode(t, "bob", func(n *testNode) { n.newest = newest })
		id := a.found("crew")
		general := board.GeneralID(id)
		a.letIn(id, b)
		b.stop()
		a.post(id, general, 1500)
		b.start()
		posted := uint64(0)
		eventually(t, "bob has all", func() bool {
			b.post(id, general, 1)
			posted++
			return b.entries(general) == 1500+posted
		}, b)
		eventually(t, "ada too", func() bool { return same(id, a, b) }, a, b)
	}
}
