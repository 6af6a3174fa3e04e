package board

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// atOrBelow follows single records down from a spot; where one is not held, numbers stand for it.
func (f *forest) atOrBelow(held map[spot]bool, n NodeID, s Spot, r spot) bool {
	if n != r.Node {
		return false
	}
	for x, known := (spot{n, s.Point}), s.Held; x != (spot{}); x, known = f.parent[x], true {
		if !known || !held[x] {
			return r.Epoch.N < x.Epoch.N || r.Epoch == x.Epoch && r.Seq <= x.Seq
		}
		if x == r {
			return true
		}
	}
	return false
}

func drawSpots(t *rapid.T, f *forest, held map[spot]bool, n NodeID) (out []Spot) {
	for range rapid.IntRange(0, 3).Draw(t, "spots") {
		e := rapid.SampledFrom(f.epochs[n]).Draw(t, "epoch")
		p := Point{e, rapid.Uint64Range(1, 6).Draw(t, "seq")}
		out = append(out, Spot{p, held[spot{n, p}] && rapid.IntRange(0, 5).Draw(t, "other") > 0})
	}
	return out
}

func TestReachAgreesWithSingleRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawForest(t)
		h, held := f.drawHeld(t)
		n := f.nodes[0]
		spots := drawSpots(t, f, held, n)
		for r := range f.parent {
			if r.Node != n {
				continue
			}
			want := slices.ContainsFunc(spots, func(s Spot) bool { return f.atOrBelow(held, n, s, r) })
			if got := r.Seq <= h.Chain(n).Within(spots, r.Epoch); got != want {
				t.Fatalf("%v below %v: %v, want %v", r, spots, got, want)
			}
			for _, s := range spots {
				if one, all := h.Chain(n).Reach(s, r.Epoch), h.Chain(n).Reaches(s)(r.Epoch); one != all {
					t.Fatalf("%v reaches %d, of all epochs %d", s, one, all)
				}
			}
		}
	})
}

func TestLimitsAgreeWithSingleRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawForest(t)
		h, held := f.drawHeld(t)
		n := f.nodes[0]
		fault := &Fault{}
		for range rapid.IntRange(0, 2).Draw(t, "denials") {
			fault.Denials = append(fault.Denials, drawSpots(t, f, held, n))
		}
		for range rapid.IntRange(0, 2).Draw(t, "forks") {
			fault.Forks = append(fault.Forks, Point{rapid.SampledFrom(f.epochs[n]).Draw(t, "epoch"), rapid.Uint64Range(1, 6).Draw(t, "seq")})
		}
		within := func(r spot) bool {
			for _, p := range fault.Forks {
				for x, ok := r, true; ok && x != (spot{}); x = f.parent[x] {
					if x.Epoch == p.Epoch && x.Seq >= p.Seq {
						return false
					}
					ok = held[x]
				}
			}
			for _, spots := range fault.Denials {
				if !slices.ContainsFunc(spots, func(s Spot) bool { return f.atOrBelow(held, n, s, r) }) {
					return false
				}
			}
			return true
		}
		limits := map[Epoch]uint64{}
		for i, l := range Limits(fault, h.Stretches(n)) {
			limits[h.Stretches(n)[i].Epoch] = l
		}
		for r := range held {
			if r.Node != n {
				continue
			}
			sealed, above := false, false
			for s := range held {
				if p := f.parent[s]; s.Seq == 1 && p.Node == n && p.Epoch == r.Epoch && within(s) {
					sealed, above = true, above || r.Seq <= p.Seq
				}
			}
			want := within(r) && (above || !sealed)
			if got := r.Seq <= limits[r.Epoch]; got != want {
				t.Fatalf("%v counts: %v, want %v with %+v", r, got, want, fault)
			}
		}
	})
}

// TestAForkIsProvenByTwoSignedHeads also where the heads stand some records above the place where the contents part.
func TestAForkIsProvenByTwoSignedHeads(t *testing.T) {
	key := NewKey([32]byte{1})
	side := func(first byte, rest int) ForkSide {
		s := ForkSide{Record: Record{Board: ID{1}, Origin: Origin{NodeID(key.Public()), Epoch{3, 4}}, Seq: 9, Prev: Link{Epoch{3, 4}, 8, Hash{5}}, Entry: Hash{first}, Received: 7}}
		for i := range rest {
			s.Rest = append(s.Rest, RestItem{Hash{first, byte(i)}, HLC(8 + i)})
		}
		s.Sig = SignHead(key, s.head())
		return s
	}
	f := &Fork{side(1, 0), side(2, 70)}
	if f.B.head().Seq != 79 {
		t.Fatalf("head stands at %d", f.B.head().Seq)
	}
	g, err := ParseFork(f.Wire())
	if err != nil || g.Seq() != (Point{Epoch{3, 4}, 9}) || g.B.head() != f.B.head() {
		t.Fatalf("proof came back as %+v: %v", g, err)
	}
	apart := &Fork{side(1, 0), side(2, 70)} // what stands before them may be two contents, too (trust §9)
	apart.B.Record.Prev.Hash[0]++
	apart.B.Sig = SignHead(key, apart.B.head())
	if _, err := ParseFork(apart.Wire()); err != nil {
		t.Errorf("records that hang on two others: %v", err)
	}
	refused := func(why string, kind error, change func(*Fork)) {
		x := &Fork{side(1, 0), side(2, 70)}
		change(x)
		if _, err := ParseFork(x.Wire()); !errors.Is(err, kind) {
			t.Errorf("%s: %v", why, err)
		}
	}
	refused("one content twice", ErrMalformed, func(f *Fork) { f.B = f.A })
	refused("records of two places", ErrMalformed, func(f *Fork) {
		f.B.Record.Seq++
		f.B.Record.Prev.Seq++
		f.B.Sig = SignHead(key, f.B.head())
	})
	refused("a head that the node did not sign", ErrBadSignature, func(f *Fork) { f.B.Rest[3].Received++ })
	refused("a head too far away", ErrMalformed, func(f *Fork) { f.B = side(2, MaxForkRest+1) })
}
