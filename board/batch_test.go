package board

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"testing"

	"filippo.io/edwards25519"
	"pgregory.net/rapid"
)

// TestBatchesAgreeWithSingleChecks damages some of many signatures in several ways: a batch, in whatever order, finds those
// that single checks find.
func TestBatchesAgreeWithSingleChecks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 40).Draw(t, "signatures")
		keys := rapid.IntRange(1, 4).Draw(t, "keys")
		var b Batch
		var want []int
		for i := range n {
			key := NewKey([32]byte{byte(rapid.IntRange(1, keys).Draw(t, "key"))})
			h := Hash{byte(i)}
			signature := key.SignHash(SignEntry, h)
			sig, public := signature[:], key.Public()
			switch rapid.IntRange(0, 24).Draw(t, "damage") {
			case 0:
				sig[rapid.IntRange(0, 63).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			case 1:
				h[1] ^= 1
			case 2:
				public = NewKey([32]byte{99}).Public()
			case 3:
				sig = sig[:rapid.IntRange(0, 63).Draw(t, "length")]
			case 4: // of the right sum, but not below the order of the group
				sig = aboveOrder(sig)
			case 5:
				public[0] ^= 2
			}
			if !VerifyHash(public, SignEntry, h, sig) {
				want = append(want, i)
			}
			b.Add(public, SignEntry, h, sig)
		}
		if bad := b.Verify(); !slices.Equal(bad, want) {
			t.Fatalf("a batch finds %v, single checks %v", bad, want)
		}
	})
}

// aboveOrder adds the group's order to s, which names the same number again.
func aboveOrder(sig []byte) []byte {
	order := [4]uint64{0x5812631a5cf5d3ed, 0x14def9dea2f79cd6, 0, 0x1000000000000000}
	out := slices.Clone(sig)
	var carry uint64
	for i := range order {
		v := binary.LittleEndian.Uint64(sig[32+8*i:])
		sum := v + order[i]
		next := uint64(0)
		if sum < v {
			next = 1
		}
		if sum += carry; sum < carry {
			next = 1
		}
		binary.LittleEndian.PutUint64(out[32+8*i:], sum)
		carry = next
	}
	return out
}

// TestErrorsInABatchDoNotCancelOut changes two signatures of one key by opposite amounts: without factors that differ
// they would fit together.
func TestErrorsInABatchDoNotCancelOut(t *testing.T) {
	key := NewKey([32]byte{7})
	one := append([]byte{1}, make([]byte, 31)...)
	delta, err := new(edwards25519.Scalar).SetCanonicalBytes(one)
	if err != nil {
		t.Fatal(err)
	}
	var b Batch
	for i := range 8 {
		h := Hash{byte(i)}
		sig := key.SignHash(SignEntry, h)
		s, err := new(edwards25519.Scalar).SetCanonicalBytes(sig[32:])
		if err != nil {
			t.Fatal(err)
		}
		switch i {
		case 2:
			s.Add(s, delta)
		case 5:
			s.Subtract(s, delta)
		}
		copy(sig[32:], s.Bytes())
		b.Add(key.Public(), SignEntry, h, sig[:])
	}
	if bad := b.Verify(); !slices.Equal(bad, []int{2, 5}) {
		t.Fatalf("found %v", bad)
	}
}

// TestBatchesTakeWhatZIP215Takes: keys and points of small order, which the rules of RFC 8032 leave open, give one
// answer alone and in a batch.
func TestBatchesTakeWhatZIP215Takes(t *testing.T) {
	small := []string{
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // not canonical
	}
	var b Batch
	for _, a := range small {
		for _, r := range small {
			public, err := hex.DecodeString(a)
			if err != nil {
				t.Fatal(err)
			}
			sig, err := hex.DecodeString(r)
			if err != nil {
				t.Fatal(err)
			}
			sig = append(sig, make([]byte, 32)...) // s = 0
			if !VerifyHash([32]byte(public), SignEntry, Hash{1}, sig) {
				t.Fatalf("%s %s: refused alone", a, r)
			}
			b.Add([32]byte(public), SignEntry, Hash{1}, sig)
		}
	}
	if bad := b.Verify(); len(bad) > 0 {
		t.Fatalf("refused together: %v", bad)
	}
}

// TestChecksAheadMarkOnlyWhatFits damages one signature of a run: its batch and what comes later stay open.
func TestChecksAheadMarkOnlyWhatFits(t *testing.T) {
	key := NewKey([32]byte{1})
	r := &Run{}
	for i := range 200 {
		e := NewEntry(Header{Device: key.Public(), DevSeq: uint64(i) + 1, Kind: KindPost, ClientMsgID: "x"}, []byte("text"))
		e.Sign(key)
		r.Items = append(r.Items, Item{Entry: e})
	}
	r.Items[100].Entry.Signature[5] ^= 1
	pauses := 0
	r.CheckSignatures(func() { pauses++ })
	for i := range r.Items {
		if got := r.Items[i].Checked(); got != (i < ahead) {
			t.Fatalf("item %d: %v", i, got)
		}
	}
	if pauses != 1 {
		t.Fatalf("%d pauses", pauses)
	}
}

// FuzzBatch compares a batch with single checks: of each 96 bytes 32 are a key and 64 a signature, over the same hash.
func FuzzBatch(f *testing.F) {
	key := NewKey([32]byte{3})
	public, sig := key.Public(), key.SignHash(SignEntry, Hash{1})
	one := slices.Concat(public[:], sig[:])
	zero := slices.Concat([]byte{1}, make([]byte, 31), []byte{1}, make([]byte, 63)) // the neutral point, twice
	f.Add(one)
	f.Add(slices.Concat(one, one, zero))
	f.Add(slices.Concat(one, zero[:64], aboveOrder(sig[:])[32:], one))
	f.Fuzz(func(t *testing.T, b []byte) {
		var batch Batch
		var want []int
		for ; len(b) >= 96 && batch.Len() < 16; b = b[96:] {
			if !VerifyHash([32]byte(b), SignEntry, Hash{1}, b[32:96]) {
				want = append(want, batch.Len())
			}
			batch.Add([32]byte(b), SignEntry, Hash{1}, b[32:96])
		}
		if bad := batch.Verify(); !slices.Equal(bad, want) {
			t.Fatalf("a batch finds %v, single checks %v", bad, want)
		}
	})
}

func BenchmarkBatch(b *testing.B) {
	const n = 64
	key := NewKey([32]byte{1})
	var sigs [n][64]byte
	for i := range sigs {
		sigs[i] = key.SignHash(SignEntry, Hash{byte(i)})
	}
	for b.Loop() {
		var batch Batch
		for i := range sigs {
			batch.Add(key.Public(), SignEntry, Hash{byte(i)}, sigs[i][:])
		}
		if len(batch.Verify()) > 0 {
			b.Fatal("refused")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/signature")
}
