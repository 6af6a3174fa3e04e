package board

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// forest is a naive model of logs: each record by itself, with the one before it.
type forest struct {
	nodes   []NodeID
	epochs  map[NodeID][]Epoch
	parent  map[spot]spot // zero: the start of a log
	hash    map[spot]Hash
	lengths map[Origin]uint64
}

// spot is where a record stands.
type spot struct {
	Node NodeID
	Point
}

func at(n NodeID, e Epoch, seq uint64) spot { return spot{n, Point{e, seq}} }

// drawForest draws logs of one or two nodes whose epochs seal each other anywhere.
func drawForest(t *rapid.T) *forest {
	f := &forest{epochs: map[NodeID][]Epoch{}, parent: map[spot]spot{}, hash: map[spot]Hash{}, lengths: map[Origin]uint64{}}
	for i := range rapid.IntRange(1, 2).Draw(t, "nodes") {
		n := NodeID{byte(i + 1)}
		f.nodes = append(f.nodes, n)
		for j := range rapid.IntRange(1, 5).Draw(t, "epochs") {
			e := Epoch{uint64(1 + j/2), uint64(j)}
			length := rapid.Uint64Range(1, 5).Draw(t, "length")
			f.lengths[Origin{n, e}] = length
			var before spot
			if earlier := slices.DeleteFunc(slices.Clone(f.epochs[n]), func(x Epoch) bool { return x.N >= e.N }); len(earlier) > 0 {
				p := rapid.SampledFrom(earlier).Draw(t, "seals")
				before = at(n, p, rapid.Uint64Range(1, f.lengths[Origin{n, p}]).Draw(t, "at"))
			}
			for seq := uint64(1); seq <= length; seq++ {
				r := at(n, e, seq)
				f.parent[r], f.hash[r] = before, naiveHash(r)
				before = r
			}
			f.epochs[n] = append(f.epochs[n], e)
		}
	}
	return f
}

func naiveHash(r spot) Hash {
	b := binary.BigEndian.AppendUint64(r.Node[:1:1], r.Epoch.R)
	return sha256.Sum256(binary.BigEndian.AppendUint64(b, r.Seq))
}

func (f *forest) link(r spot) Link {
	p := f.parent[r]
	if p == (spot{}) {
		return Link{}
	}
	return Link{p.Epoch, p.Seq, f.hash[p]}
}

// drawHeld draws for each epoch the part that is held, as one stretch; some begin late, as during a backward catch-up.
func (f *forest) drawHeld(t *rapid.T) (*Holding, map[spot]bool) {
	h, held := &Holding{}, map[spot]bool{}
	for _, n := range f.nodes {
		for _, e := range f.epochs[n] {
			length := f.lengths[Origin{n, e}]
			hi := rapid.Uint64Range(0, length).Draw(t, "hi")
			if rapid.Bool().Draw(t, "whole") {
				hi = length
			}
			if hi == 0 {
				continue
			}
			lo := uint64(1)
			if rapid.IntRange(0, 3).Draw(t, "late") == 0 {
				lo = rapid.Uint64Range(1, hi).Draw(t, "lo")
			}
			h.Set(n, Stretch{e, lo, hi, f.hash[at(n, e, hi)], f.link(at(n, e, lo))})
			for s := lo; s <= hi; s++ {
				held[at(n, e, s)] = true
			}
		}
	}
	return h, held
}

// below is the chain of held records that ends in r, newest first, and whether it reaches the start of the log.
func (f *forest) below(held map[spot]bool, r spot) (chain []spot, whole bool) {
	for ; held[r]; r = f.parent[r] {
		chain = append(chain, r)
	}
	return chain, r == spot{}
}

func (f *forest) vector(held map[spot]bool) (v Vector) {
	inner := map[spot]bool{}
	for r := range held {
		inner[f.parent[r]] = true
	}
	for r := range held {
		if inner[r] {
			continue
		}
		l := Leaf{Node: r.Node, Epoch: r.Epoch, Seq: r.Seq, Hash: f.hash[r]}
		if chain, whole := f.below(held, r); !whole {
			l.Base = chain[len(chain)-1].Point
		}
		v = append(v, l)
	}
	sortVector(v)
	return v
}

func TestVectorNamesTheLeavesAndFoldsSealedEpochs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawForest(t)
		h, held := f.drawHeld(t)
		if got, want := h.Vector(), f.vector(held); !got.Equal(want) {
			t.Fatalf("vector %v, want %v", got, want)
		}
		if c := h.Clone(); !c.Vector().Equal(h.Vector()) {
			t.Fatalf("a clone has another vector")
		}
		if v, err := ParseToken(h.Vector().Token()); err != nil || !v.Equal(h.Vector()) {
			t.Fatalf("token gives %v, %v", v, err)
		}
		if v, err := ParseVector(h.Vector().Wire(), MaxVector); err != nil || !v.Equal(h.Vector()) {
			t.Fatalf("wire gives %v, %v", v, err)
		}
	})
}

func TestAThousandRestartsCostOneElement(t *testing.T) {
	var h Holding
	prev := Link{}
	for i := range uint64(1000) {
		e := Epoch{i + 1, i}
		s := Stretch{e, 1, 3, sha256.Sum256([]byte{byte(i), byte(i >> 8)}), prev}
		h.Set(NodeID{1}, s)
		prev = Link{e, 3, s.HiHash}
	}
	if v := h.Vector(); len(v) != 1 || v[0].Epoch.N != 1000 || v[0].Base != (Point{}) {
		t.Fatalf("vector is %v", v)
	}
	rows, joined := h.Path(NodeID{1}, []Point{{Epoch{998, 997}, 2}}, Point{Epoch{1000, 999}, 0})
	if len(rows) != 3 || rows[0].First != 3 || !joined {
		t.Fatalf("path %v %v", rows, joined)
	}
	if n := len(h.Have(NodeID{1})); n != MaxLeaves {
		t.Fatalf("have names %d epochs", n)
	}
}

func TestCoversBehindIncludesAgreeWithSingleRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawForest(t)
		h, held := f.drawHeld(t)
		_, theirs := f.drawHeld(t)
		v := f.vector(theirs)
		missing := uint64(0)
		for _, l := range v {
			chain, _ := f.below(theirs, at(l.Node, l.Epoch, l.Seq))
			for _, r := range chain {
				if !held[r] {
					missing++
				}
			}
		}
		if got := h.Covers(v); got != (missing == 0) {
			t.Fatalf("covers %v is %v, %d missing", v, got, missing)
		}
		if behind := h.Behind(v); (behind > 0) != (missing > 0) {
			t.Fatalf("behind %d of %v with %d missing", behind, v, missing)
		}
		for r := range f.parent {
			want := slices.ContainsFunc(v, func(l Leaf) bool { return f.includes(held, l, r) })
			if got := h.Includes(v, r.Node, r.Point); got != want {
				t.Fatalf("%v includes %v: %v, want %v", v, r, got, want)
			}
		}
	})
}

// includes walks down from a leaf by what is known here: records held here, and the leaf's own epoch.
func (f *forest) includes(held map[spot]bool, l Leaf, r spot) bool {
	if l.Node != r.Node {
		return false
	}
	for x := at(l.Node, l.Epoch, l.Seq); x != (spot{}); x = f.parent[x] {
		if x == r {
			return true
		}
		if x.Point == l.Base {
			return false
		}
		if x.Seq == 1 && !held[x] {
			return false // what it seals is not known here
		}
	}
	return false
}

func TestARecordBeyondAllSealsDoesNotCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawForest(t)
		h, held := f.drawHeld(t)
		for r := range held {
			sealed, counts := false, false
			for s := range held {
				if p := f.parent[s]; s.Seq == 1 && p.Node == r.Node && p.Epoch == r.Epoch {
					sealed, counts = true, counts || r.Seq <= p.Seq
				}
			}
			if got := h.Counting(Origin{r.Node, r.Epoch}, r.Seq); got != (counts || !sealed) {
				t.Fatalf("%v counts: %v, want %v", r, got, counts || !sealed)
			}
		}
	})
}

func TestPathIsWhatTheAskerLacks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawForest(t)
		h, held := f.drawHeld(t)
		theirs, theirHeld := f.drawHeld(t)
		n := f.nodes[0]
		e := rapid.SampledFrom(f.epochs[n]).Draw(t, "epoch")
		toward := Point{e, rapid.Uint64Range(0, 6).Draw(t, "seq")}
		s, ok := h.Get(Origin{n, e})
		if ok && toward.Seq > 0 && toward.Seq < s.Lo {
			return // asked below what is held: nothing sensible to ask
		}
		rows, joined := h.Path(n, theirs.Have(n), toward)
		var got []spot
		for _, row := range rows {
			for seq := row.First; seq <= row.Last; seq++ {
				got = append(got, at(n, row.Epoch, seq))
			}
		}
		if !ok {
			if len(got) > 0 || joined {
				t.Fatalf("path without its end: %v", rows)
			}
			return
		}
		end := s.Hi
		if toward.Seq > 0 {
			end = min(end, toward.Seq)
		}
		highest := map[Epoch]uint64{}
		for r := range theirHeld {
			if r.Node == n {
				highest[r.Epoch] = max(highest[r.Epoch], r.Seq)
			}
		}
		var want []spot
		reached := false
		x := at(n, e, end)
		for ; held[x] && !reached; x = f.parent[x] {
			if reached = x.Seq <= highest[x.Epoch]; !reached {
				want = append(want, x)
			}
		}
		// Where the held part begins right after what they have, the path joins too.
		reached = reached || x != (spot{}) && len(want) > 0 && x.Epoch == want[len(want)-1].Epoch && x.Seq <= highest[x.Epoch]
		slices.Reverse(want)
		if !slices.Equal(got, want) || joined != (reached || x == spot{}) {
			t.Fatalf("path %v joined %v, want %v %v", got, joined, want, reached || x == spot{})
		}
	})
}

func TestMarksOnlyGrowAndMergeInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawForest(t)
		h, held := f.drawHeld(t)
		draw := func() Vector {
			_, x := f.drawHeld(t)
			v := f.vector(x)
			for i := range v {
				v[i].Base = Point{}
			}
			return MergeMax(h, v, nil)
		}
		a, b, c := draw(), draw(), draw()
		ab := MergeMax(h, a, b)
		if !ab.Equal(MergeMax(h, b, a)) {
			t.Fatalf("not commutative: %v and %v", a, b)
		}
		if !MergeMax(h, ab, c).Equal(MergeMax(h, a, MergeMax(h, b, c))) {
			t.Fatalf("not associative: %v, %v, %v", a, b, c)
		}
		if !MergeMax(h, ab, a).Equal(ab) {
			t.Fatalf("not idempotent: %v into %v", a, ab)
		}
		covered := map[spot]uint64{}
		for _, n := range f.nodes {
			for _, p := range h.Covered(ab, n) {
				covered[at(n, p.Epoch, 0)] = p.Seq
			}
		}
		for r := range held {
			in := h.Includes(ab, r.Node, r.Point)
			if want := h.Includes(a, r.Node, r.Point) || h.Includes(b, r.Node, r.Point); in != want {
				t.Fatalf("%v in the merged mark: %v, want %v", r, in, want)
			}
			if byLog := r.Seq <= covered[at(r.Node, r.Epoch, 0)]; byLog != in {
				t.Fatalf("Covered says %v of %v, Includes %v", byLog, r, in)
			}
		}
	})
}

func TestLeavesOfANodeAreBounded(t *testing.T) {
	var h Holding
	n := NodeID{1}
	h.Set(n, Stretch{Epoch: Epoch{1, 0}, Lo: 1, Hi: 200, HiHash: Hash{1}})
	for i := range uint64(MaxLeaves - 1) {
		h.Set(n, Stretch{Epoch{2, i}, 1, 1, Hash{2}, Link{Epoch{1, 0}, i + 1, Hash{3}}})
	}
	if len(h.Leaves(n)) != MaxLeaves || h.Admits(n, Link{Epoch{1, 0}, 100, Hash{}}) || h.Admits(n, Link{}) {
		t.Fatalf("%d leaves, and one more would be taken", len(h.Leaves(n)))
	}
	if !h.Admits(n, Link{Epoch{1, 0}, 200, Hash{1}}) {
		t.Fatal("an epoch that seals a leaf wholly makes no new leaf")
	}
	h.Set(n, Stretch{Epoch: Epoch{3, 0}, Lo: 1, Hi: 1})
	if v := h.Leaves(n); len(v) != MaxLeaves || v[MaxLeaves-1].Epoch.N != 3 {
		t.Fatalf("%d leaves named, the last %v", len(v), v[len(v)-1])
	}
}

func TestTeamDigestIsOfWhatIsHeldOnly(t *testing.T) {
	v := Vector{{Node: NodeID{1}, Epoch: Epoch{1, 2}, Seq: 3, Hash: Hash{4}}}
	a, b := BoardVector{ID{1}, v}, BoardVector{ID{2}, v}
	if TeamDigest([]BoardVector{a, b}) != TeamDigest([]BoardVector{b, a, {ID{3}, nil}}) {
		t.Error("depends on order or on empty boards")
	}
	w := slices.Clone(v)
	w[0].Base = Point{Epoch{1, 2}, 1}
	if TeamDigest([]BoardVector{a}) == TeamDigest([]BoardVector{b}) || v.Digest() == w.Digest() {
		t.Error("does not tell boards or bases apart")
	}
}
