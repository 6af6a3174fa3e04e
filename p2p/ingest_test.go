package p2p

import (
	"testing"

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
	in := b.mesh.pool
	if got := in.parts(board.Ingest{Run: run}); len(got) != 1 {
		t.Fatalf("%d parts while nobody posts", len(got))
	}
	in.posted()
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
