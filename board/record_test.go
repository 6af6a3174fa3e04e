package board

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const goldenRecordHash = "ritb3ur7nofp2gsmeorlli2qujor6c7iv7aan3j3ruhobakq2qoa"

func TestRecordHashIsFixed(t *testing.T) {
	r := Record{ID{1}, Origin{NodeID{2}, Epoch{3, 4}}, 5, Link{Epoch{3, 4}, 4, Hash{6}}, Hash{7}, 8}
	if b := r.Append(nil); len(b) != recordSize {
		t.Fatalf("%d bytes", len(b))
	}
	if r.Hash().String() != goldenRecordHash {
		t.Fatalf("hash is %s", r.Hash())
	}
	for name, f := range map[string]func(*Record){
		"board": func(r *Record) { r.Board[0]++ }, "node": func(r *Record) { r.Node[0]++ }, "epoch": func(r *Record) { r.Epoch.R++ },
		"seq": func(r *Record) { r.Seq++ }, "link": func(r *Record) { r.Prev.Seq++ }, "entry": func(r *Record) { r.Entry[31]++ },
		"time": func(r *Record) { r.Received++ },
	} {
		x := r
		if f(&x); x.Hash() == r.Hash() {
			t.Errorf("%s is not covered", name)
		}
	}
}

func TestHeadsAreSignedForOnePosition(t *testing.T) {
	k := NewKey([32]byte{9})
	p := Position{ID{1}, k.Public(), Epoch{1, 2}, 3, Hash{4}}
	sig := SignHead(k, p)
	if !VerifyHead(p, sig[:]) || VerifyHead(p, sig[:60]) || VerifyHead(p, nil) {
		t.Fatal("own head")
	}
	for _, f := range []func(*Position){
		func(p *Position) { p.Board[0]++ }, func(p *Position) { p.Epoch.N++ }, func(p *Position) { p.Seq++ }, func(p *Position) { p.Hash[0]++ },
		func(p *Position) { p.Node = NewKey([32]byte{8}).Public() },
	} {
		x := p
		if f(&x); VerifyHead(x, sig[:]) {
			t.Errorf("fits %+v too", x)
		}
	}
}

func TestRunsThatDoNotHangTogetherAreRefused(t *testing.T) {
	s := &transcript{team: TeamID{1}, names: map[NodeID]string{}}
	good := s.chain("ann", ID{7}, Epoch{2, 2}, 5, Link{Epoch{1, 1}, 9, Hash{3}}, 0)
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	p := &piece{run: good, hashes: good.Hashes()}
	if cut := p.part(3, 4); cut.Check() != nil || cut.Hashes()[1] != p.hashes[3] || cut.LastSeq() != 4 {
		t.Fatal("a part of a run hashes otherwise")
	}
	for name, f := range map[string]func(*Run){
		"no records":           func(r *Run) { r.Items = nil },
		"no epoch":             func(r *Run) { r.Epoch = Epoch{} },
		"no seq":               func(r *Run) { r.First = 0 },
		"seqs run over":        func(r *Run) { r.First = ^uint64(0) - 1; r.Prev = Link{r.Epoch, r.First - 1, Hash{1}} },
		"seq beyond MaxSeq":    func(r *Run) { r.First = MaxSeq; r.Prev = Link{r.Epoch, r.First - 1, Hash{1}} },
		"seal beyond MaxSeq":   func(r *Run) { r.Prev.Seq = MaxSeq + 1 },
		"link not before":      func(r *Run) { r.First = 4 },
		"seals a later epoch":  func(r *Run) { r.Prev.Epoch.N = 2 },
		"seals nothing":        func(r *Run) { r.Prev.Seq = 0 },
		"seal without a hash":  func(r *Run) { r.Prev.Hash = Hash{} },
		"entry of other board": func(r *Run) { r.Board = ID{8} },
		"no entry":             func(r *Run) { r.Items = []Item{{}} },
		"short head signature": func(r *Run) { r.Items = []Item{{Entry: r.Items[0].Entry, Received: 1, HeadSig: make([]byte, 63)}} },
		"no time":              func(r *Run) { r.Items = []Item{{Entry: r.Items[0].Entry, Received: 0, HeadSig: nil}} },
	} {
		r := *good
		if f(&r); !errors.Is(r.Check(), ErrMalformed) {
			t.Errorf("%s: %v", name, r.Check())
		}
	}
	long := *good
	long.Items = make([]Item, MaxRunItems+1)
	if err := long.Check(); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too long: %v", err)
	}
	m := good.Wire()
	m.Node = m.Node[:31]
	if _, err := ParseRun(m); !errors.Is(err, ErrMalformed) {
		t.Errorf("short node: %v", err)
	}
	back, err := ParseRun(good.Wire())
	if err != nil || back.Hashes()[4] != p.hashes[4] || back.Prev != good.Prev {
		t.Errorf("over the wire: %v", err)
	}
}

func TestIDsReadBackInOneForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h Hash
		copy(h[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
		if got, err := ParseHash(strings.ToUpper(h.String())); err != nil || got != h {
			t.Fatalf("%s: %v", h, err)
		}
		if got, err := ParseTeamID(TeamID(h).String()); err != nil || got != TeamID(h) {
			t.Fatal(err)
		}
		if got, err := ParseUserID(UserID(h).String()); err != nil || got != UserID(h) {
			t.Fatal(err)
		}
		b := ID(h[:16])
		if got, err := ParseID(b.String()); err != nil || got != b {
			t.Fatal(err)
		}
	})
	s := Hash{}.String()
	for _, bad := range []string{"", s[1:], s + "a", s[:51] + "b", "1" + s[1:], s[:50] + "é"} {
		if _, err := ParseHash(bad); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if GovernanceID(TeamID{1}) == GeneralID(TeamID{1}) || GovernanceID(TeamID{1}) == GovernanceID(TeamID{2}) {
		t.Error("boards of one id")
	}
}

func TestABadBatchIsBisected(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := NewKey([32]byte{3})
		n := rapid.IntRange(0, 20).Draw(t, "n")
		var b Batch
		var want []int
		for i := range n {
			h := Hash{byte(i)}
			sig := k.SignHash(SignEntry, h)
			s := sig[:]
			switch rapid.IntRange(0, 5).Draw(t, "bad") {
			case 0:
				s[7] ^= 1
				want = append(want, i)
			case 1:
				s = s[:10]
				want = append(want, i)
			}
			b.Add(k.Public(), SignEntry, h, s)
			if VerifyHash(k.Public(), SignEntry, h, s) == (len(want) > 0 && want[len(want)-1] == i) {
				t.Fatalf("one by one the answer is another for %d", i)
			}
		}
		got := b.Verify()
		if len(got) != len(want) || b.Len() != n {
			t.Fatalf("bad %v, want %v", got, want)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("bad %v, want %v", got, want)
			}
		}
	})
}

func TestSignaturesAreForOneUse(t *testing.T) {
	k := NewKey([32]byte{3})
	if k2 := NewKey(k.Seed()); k2.Public() != k.Public() || k.IsZero() || !(Key{}).IsZero() {
		t.Fatal("seed")
	}
	sig := k.Sign(SignAck, []byte("x"))
	if !Verify(k.Public(), SignAck, []byte("x"), sig[:]) || Verify(k.Public(), SignOperation, []byte("x"), sig[:]) || Verify(k.Public(), SignAck, []byte("y"), sig[:]) {
		t.Fatal("a signature fits what it was not made for")
	}
}

func TestClockOnlyGrowsAndIsNotMovedByTheFuture(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c Clock
		now := time.UnixMilli(1e12)
		last := HLC(0)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(-10_000, 10_000).Draw(t, "ms")) * time.Millisecond)
			if rapid.Bool().Draw(t, "observe") {
				h := HLCAt(now.Add(time.Duration(rapid.Int64Range(-100_000, 200_000).Draw(t, "off")) * time.Millisecond))
				before := c.Last()
				if moved := c.Observe(h, now); moved != (h.Time().Sub(now.Truncate(time.Millisecond)) <= MaxAhead) {
					t.Fatalf("observed %v at %v: %v", h.Time(), now, moved)
				} else if !moved && c.Last() != before {
					t.Fatal("a stamp of the future moved the clock")
				}
				continue
			}
			h := c.Now(now)
			if h <= last || h < HLCAt(now) {
				t.Fatalf("%d after %d", h, last)
			}
			last = h
		}
	})
	if HLCAt(time.UnixMilli(-5)) != 0 || HLCAt(time.UnixMilli(7)).Time() != time.UnixMilli(7) {
		t.Error("stamps and times")
	}
}

func TestCountersOfOneMillisecondDoNotCollide(t *testing.T) {
	var c Clock
	seen := map[HLC]bool{}
	for range 100_000 { // more than a counter of 16 bits holds
		h := c.Now(time.UnixMilli(1e12))
		if seen[h] {
			t.Fatal("one stamp twice")
		}
		seen[h] = true
	}
}

func TestBadVectorsAndTokensAreRefused(t *testing.T) {
	good := Vector{{Node: NodeID{1}, Epoch: Epoch{2, 2}, Seq: 3, Hash: Hash{4}}}
	for name, f := range map[string]func(Vector) Vector{
		"no epoch":        func(v Vector) Vector { v[0].Epoch = Epoch{}; return v },
		"no seq":          func(v Vector) Vector { v[0].Seq = 0; return v },
		"beyond MaxSeq":   func(v Vector) Vector { v[0].Seq = MaxSeq + 1; return v },
		"origin twice":    func(v Vector) Vector { return append(v, v[0]) },
		"base above":      func(v Vector) Vector { v[0].Base = Point{Epoch{2, 2}, 4}; return v },
		"base later":      func(v Vector) Vector { v[0].Base = Point{Epoch{3, 2}, 1}; return v },
		"base of nothing": func(v Vector) Vector { v[0].Base = Point{Epoch{1, 2}, 0}; return v },
	} {
		v := f(append(Vector{}, good...))
		if _, err := ParseVector(v.Wire(), 100); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s on the wire: %v", name, err)
		}
		if _, err := ParseToken(v.Token()); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s in a token: %v", name, err)
		}
	}
	var many Vector
	for i := range uint64(MaxLeaves + 1) {
		many = append(many, Leaf{Node: NodeID{1}, Epoch: Epoch{1, i}, Seq: 1})
	}
	if _, err := ParseVector(many.Wire(), 100); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%d leaves of a node: %v", len(many), err)
	}
	if _, err := ParseVector(many.Wire(), 10); !errors.Is(err, ErrTooLarge) {
		t.Errorf("over the limit: %v", err)
	}
	tok := good.Token()
	for i := range tok {
		bent := []byte(tok)
		if bent[i] == 'A' {
			bent[i] = 'B'
		} else {
			bent[i] = 'A'
		}
		if _, err := ParseToken(string(bent)); !errors.Is(err, ErrMalformed) {
			t.Fatalf("bent at %d: %v", i, err)
		}
	}
	if _, err := ParseToken(strings.Repeat("A", 2<<20)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a long token: %v", err)
	}
	if p := (Position{ID{1}, NodeID{2}, Epoch{3, 4}, 5, Hash{6}}); func() Position { q, _ := ParsePosition(p.Wire()); return q }() != p {
		t.Error("position over the wire")
	}
	if _, err := ParsePosition((Position{ID{1}, NodeID{2}, Epoch{3, 4}, MaxSeq + 1, Hash{6}}).Wire()); !errors.Is(err, ErrMalformed) {
		t.Errorf("a position beyond MaxSeq: %v", err)
	}
	if _, err := ParsePosition(nil); !errors.Is(err, ErrMalformed) {
		t.Errorf("no position: %v", err)
	}
}
