package board

import (
	"crypto/sha512"
	"encoding/binary"

	"filippo.io/edwards25519"
	"github.com/hdevalence/ed25519consensus"
)

// Batch checks many signatures at a third of the price of one by one, the more so the fewer keys made them. The zero Batch
// is ready; not safe for concurrent use.
type Batch struct {
	items []batchItem
}

type batchItem struct {
	public [32]byte
	msg    []byte
	sig    []byte
}

// Add adds a signature; sig is kept, not copied.
func (b *Batch) Add(public [32]byte, kind string, h Hash, sig []byte) {
	b.items = append(b.items, batchItem{public, signed(kind, h), sig})
}

// Len is how many were added.
func (b *Batch) Len() int { return len(b.items) }

// Verify returns the indexes, in the order of Add, of those that do not fit; none if all do.
func (b *Batch) Verify() (bad []int) { return verify(b.items, 0, nil) }

// ahead is how many signatures CheckSignatures checks together.
const ahead = 64

// CheckSignatures checks the entries' signatures ahead of Ingest, which then needn't, so that one run is checked while the
// one before it is written. What doesn't fit is left for Ingest to refuse. It must be called before anybody else has
// the run; between two batches it calls pause.
func (r *Run) CheckSignatures(pause func()) {
	for from := 0; from < len(r.Items); from += ahead {
		if from > 0 {
			pause()
		}
		items := r.Items[from:min(from+ahead, len(r.Items))]
		batch := make([]batchItem, len(items))
		for i, it := range items {
			batch[i] = batchItem{it.Entry.Header.Device, signed(SignEntry, it.Entry.ID), it.Entry.Signature}
		}
		if !fitTogether(batch) {
			return // nobody is helped by finding out here which one it is
		}
		for i := range items {
			items[i].checked = true
		}
	}
}

// Checked says whether CheckSignatures found that the entry's signature fits.
func (it *Item) Checked() bool { return it.checked }

// verify bisects a bad batch.
func verify(items []batchItem, at int, bad []int) []int {
	if len(items) == 0 {
		return bad
	}
	if len(items) == 1 {
		it := items[0]
		if len(it.sig) != 64 || !ed25519consensus.Verify(it.public[:], it.msg, it.sig) {
			return append(bad, at)
		}
		return bad
	}
	if fitTogether(items) {
		return bad
	}
	half := len(items) / 2
	bad = verify(items[:half], at, bad)
	return verify(items[half:], at+half, bad)
}

// fitTogether checks the batch equation of ZIP 215 (https://zips.z.cash/zip-0215), with the terms of one key A taken
// together:
//
//	[8] ( Σ [z] R  +  Σ over keys [Σ z·k] A  −  [Σ z·s] B ) = 0
//
// where R and s are a signature's halves, k its challenge SHA-512(R ‖ A ‖ message) and z a factor of 128 bits that nobody
// who made the signatures could choose: it is derived from a hash over all of them, so that the answer depends on
// nothing else (as in Chalkias, Garillot, Kondi, Nikolaenko: Non-interactive half-aggregation of EdDSA and variants of
// Schnorr signatures, 2021). Boards are written by few devices: most of a batch is usually one key's, and only R is left to decode
// and to multiply for each signature, by half as many bits.
func fitTogether(items []batchItem) bool {
	challenges := make([][64]byte, len(items))
	all, one := sha512.New(), sha512.New()
	for i, it := range items {
		if len(it.sig) != 64 {
			return false
		}
		one.Reset()
		one.Write(it.sig[:32])
		one.Write(it.public[:])
		one.Write(it.msg)
		one.Sum(challenges[i][:0])
		all.Write(challenges[i][:])
		all.Write(it.sig[32:])
	}
	var seed [72]byte
	all.Sum(seed[:0])

	terms := newTerms(2*len(items) + 1)
	base := terms.add()
	terms.points[base].Set(edwards25519.NewGeneratorPoint())
	keys := map[[32]byte]int{}
	var factors [64]byte // four at a time
	var s, k, zk edwards25519.Scalar
	for i, it := range items {
		key, seen := keys[it.public]
		if !seen {
			key = terms.add()
			keys[it.public] = key
			if _, err := terms.points[key].SetBytes(it.public[:]); err != nil {
				return false
			}
		}
		r := terms.add()
		if _, err := terms.points[r].SetBytes(it.sig[:32]); err != nil {
			return false
		}
		if i%4 == 0 {
			binary.BigEndian.PutUint64(seed[64:], uint64(i))
			factors = sha512.Sum512(seed[:])
		}
		var z [32]byte
		copy(z[:16], factors[i%4*16:])
		if _, err := terms.scalars[r].SetCanonicalBytes(z[:]); err != nil {
			return false
		}
		if _, err := s.SetCanonicalBytes(it.sig[32:]); err != nil {
			return false
		}
		if _, err := k.SetUniformBytes(challenges[i][:]); err != nil {
			return false
		}
		terms.scalars[key].Add(terms.scalars[key], zk.Multiply(terms.scalars[r], &k))
		terms.scalars[base].MultiplyAdd(terms.scalars[r], &s, terms.scalars[base])
	}
	terms.scalars[base].Negate(terms.scalars[base])
	sum := new(edwards25519.Point).VarTimeMultiScalarMult(terms.scalars, terms.points)
	return sum.MultByCofactor(sum).Equal(edwards25519.NewIdentityPoint()) == 1
}

// terms are scalars and points that are multiplied and summed.
type terms struct {
	scalars []*edwards25519.Scalar
	points  []*edwards25519.Point
	values  []edwards25519.Scalar // memory of scalars
	places  []edwards25519.Point  // of points
}

func newTerms(most int) *terms {
	return &terms{values: make([]edwards25519.Scalar, most), places: make([]edwards25519.Point, most)}
}

// add makes room for one more and returns where.
func (t *terms) add() int {
	n := len(t.scalars)
	t.scalars, t.points = append(t.scalars, &t.values[n]), append(t.points, &t.places[n])
	return n
}
