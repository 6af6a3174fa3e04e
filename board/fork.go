package board

import (
	"encoding/binary"
	"fmt"

	weftv1 "weft/api/weft/v1"
)

// Fork is the proof that a node signed two contents under one (board, node, epoch, seq): both records, each with the records
// after it up to one whose head the node signed.
type Fork struct {
	A, B ForkSide
}

// ForkSide is one of a fork's two contents.
type ForkSide struct {
	Record Record
	Rest   []RestItem // the records that follow, without a hole
	Sig    [64]byte   // the node's signature of the last one's position (of Record's, without Rest)
}

// RestItem is what of a record does not follow from the one before it.
type RestItem struct {
	Entry    Hash
	Received HLC
}

// MaxForkRest is how many records stand at most between a contradicting one and its signed head: nodes sign at least
// every HeadEvery.
const MaxForkRest = 2 * HeadEvery

// restSize: entry 32, received 8.
const restSize = 40

// Seq is where the contents part.
func (f *Fork) Seq() Point { return Point{f.A.Record.Epoch, f.A.Record.Seq} }

// Check says whether f proves a fork. Errors wrap ErrMalformed or ErrBadSignature.
func (f *Fork) Check() error {
	a, b := &f.A.Record, &f.B.Record
	switch {
	case a.Board != b.Board || a.Origin != b.Origin || a.Seq != b.Seq:
		return fmt.Errorf("couldn't accept fork proof: its records do not stand in one place: %w", ErrMalformed)
	case a.Epoch.N == 0 || a.Seq == 0 || a.Seq > MaxSeq:
		return fmt.Errorf("couldn't accept fork proof: no epoch, or no seq that a log can have: %w", ErrMalformed)
	case a.Hash() == b.Hash():
		return fmt.Errorf("couldn't accept fork proof: both records are the same: %w", ErrMalformed)
	case len(f.A.Rest) > MaxForkRest || len(f.B.Rest) > MaxForkRest:
		return fmt.Errorf("couldn't accept fork proof: its heads are more than %d records away: %w", MaxForkRest, ErrTooLarge)
	case !f.A.signed() || !f.B.signed():
		return fmt.Errorf("couldn't accept fork proof: %w", ErrBadSignature)
	}
	return nil
}

// head is the position that the side's signature is about.
func (s *ForkSide) head() Position {
	r := s.Record
	at := r.Position()
	for _, x := range s.Rest {
		r = Record{r.Board, r.Origin, r.Seq + 1, Link{r.Epoch, r.Seq, at.Hash}, x.Entry, x.Received}
		at = r.Position()
	}
	return at
}

func (s *ForkSide) signed() bool { return VerifyHead(s.head(), s.Sig[:]) }

// Wire is the proof's wire form.
func (f *Fork) Wire() *weftv1.ForkProof {
	rest := func(items []RestItem) (b []byte) {
		for _, x := range items {
			b = binary.BigEndian.AppendUint64(append(b, x.Entry[:]...), uint64(x.Received))
		}
		return b
	}
	return &weftv1.ForkProof{
		RecordA: f.A.Record.Append(nil), HeadSignatureA: f.A.Sig[:], RestA: rest(f.A.Rest),
		RecordB: f.B.Record.Append(nil), HeadSignatureB: f.B.Sig[:], RestB: rest(f.B.Rest),
	}
}

// ParseFork reads a proof and checks it. Errors as those of Check.
func ParseFork(m *weftv1.ForkProof) (*Fork, error) {
	f := &Fork{}
	for _, x := range []struct {
		to                *ForkSide
		record, rest, sig []byte
	}{{&f.A, m.GetRecordA(), m.GetRestA(), m.GetHeadSignatureA()}, {&f.B, m.GetRecordB(), m.GetRestB(), m.GetHeadSignatureB()}} {
		if len(x.record) != recordSize || len(x.sig) != 64 || len(x.rest)%restSize != 0 || len(x.rest) > MaxForkRest*restSize {
			return nil, fmt.Errorf("couldn't read fork proof: a part has a wrong length: %w", ErrMalformed)
		}
		x.to.Record, x.to.Sig = parseRecord(x.record), [64]byte(x.sig)
		for b := x.rest; len(b) > 0; b = b[restSize:] {
			x.to.Rest = append(x.to.Rest, RestItem{Hash(b[:32]), HLC(binary.BigEndian.Uint64(b[32:]))})
		}
	}
	return f, f.Check()
}

// parseRecord reads what Record.Append wrote.
func parseRecord(b []byte) (r Record) {
	u := binary.BigEndian.Uint64
	copy(r.Board[:], b)
	copy(r.Node[:], b[16:])
	r.Epoch, r.Seq = parsePoint(b[48:])
	r.Prev.Epoch, r.Prev.Seq = parsePoint(b[72:])
	copy(r.Prev.Hash[:], b[96:])
	copy(r.Entry[:], b[128:])
	r.Received = HLC(u(b[160:]))
	return r
}
