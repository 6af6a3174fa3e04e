package board

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	weftv1 "weft/api/weft/v1"
)

// Record is what a node's log adds to an entry: where it stands, and what stands before it.
type Record struct {
	Board ID
	Origin
	Seq      uint64 // 1, 2, 3, … in the origin
	Prev     Link   // the record before it; for seq 1 it seals the epoch before; zero at the start of a log
	Entry    Hash
	Received HLC // the node's clock when it wrote the record
}

// Link names the record before another one of the same node and board.
type Link struct {
	Epoch Epoch
	Seq   uint64
	Hash  Hash
}

// recordSize: board 16, node 32, epoch 16, seq 8, prev epoch 16, prev seq 8, prev hash 32, entry 32, received 8.
const recordSize = 168

// Append appends the record's fixed layout (integers big-endian, fields in the order of the struct) to b. Its SHA-256 is the record's hash.
func (r *Record) Append(b []byte) []byte {
	b = append(b, r.Board[:]...)
	b = append(b, r.Node[:]...)
	b = binary.BigEndian.AppendUint64(b, r.Epoch.N)
	b = binary.BigEndian.AppendUint64(b, r.Epoch.R)
	b = binary.BigEndian.AppendUint64(b, r.Seq)
	b = binary.BigEndian.AppendUint64(b, r.Prev.Epoch.N)
	b = binary.BigEndian.AppendUint64(b, r.Prev.Epoch.R)
	b = binary.BigEndian.AppendUint64(b, r.Prev.Seq)
	b = append(b, r.Prev.Hash[:]...)
	b = append(b, r.Entry[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(r.Received))
}

// Hash links the record into its node's log.
func (r *Record) Hash() Hash {
	var b [recordSize]byte
	return sha256.Sum256(r.Append(b[:0]))
}

// Position of the record.
func (r *Record) Position() Position {
	return Position{r.Board, r.Node, r.Epoch, r.Seq, r.Hash()}
}

// headBytes is what a head's signature covers: board 16, node 32, epoch 16, seq 8, hash 32.
func (p Position) headBytes() []byte {
	b := make([]byte, 0, 104)
	b = append(b, p.Board[:]...)
	b = append(b, p.Node[:]...)
	b = binary.BigEndian.AppendUint64(b, p.Epoch.N)
	b = binary.BigEndian.AppendUint64(b, p.Epoch.R)
	b = binary.BigEndian.AppendUint64(b, p.Seq)
	return append(b, p.Hash[:]...)
}

// SignHead signs a position of a node's own log. One signature covers the chain below it.
func SignHead(node Key, p Position) [64]byte { return node.Sign(signHead, p.headBytes()) }

// VerifyHead checks a signed head.
func VerifyHead(p Position, sig []byte) bool {
	return Verify(p.Node, signHead, p.headBytes(), sig)
}

// HeadEvery is how many records a node writes at most between two heads that it signs and keeps: at seq 64, 128, ….
const HeadEvery = 64

// Item is one record of a Run with its entry.
type Item struct {
	Entry    *Entry
	Received HLC
	HeadSig  []byte // the node's signature of this record's position, or nil

	checked bool // the entry's signature fits; set by CheckSignatures alone
}

// Run is a row of consecutive records of one origin in one board, as it goes over the wire and through Ingest. A Run is
// immutable once made. Its last item carries a HeadSig unless the reader already knows the last record's hash (a
// backward pull).
type Run struct {
	Board ID
	Origin
	First uint64 // seq of Items[0]
	Prev  Link   // of Items[0]
	Items []Item
}

// MaxRunItems is how many records a run has at most on the wire.
const MaxRunItems = 2048

// MaxSeq is the last seq of an origin: 2^40 records are thirty years of a thousand a second within one run of a node.
// What goes beyond it is malformed, so that numbers made of seqs stay far from their ends.
const MaxSeq = 1 << 40

// LastSeq is the seq of the last item.
func (r *Run) LastSeq() uint64 { return r.First + uint64(len(r.Items)) - 1 }

// Record is the i-th record; prev is the hash of the one before (r.Prev.Hash for i == 0).
func (r *Run) Record(i int, prev Hash) Record {
	l := r.Prev
	if i > 0 {
		l = Link{r.Epoch, r.First + uint64(i) - 1, prev}
	}
	return Record{r.Board, r.Origin, r.First + uint64(i), l, r.Items[i].Entry.ID, r.Items[i].Received}
}

// Hashes computes the hash of each record along the chain.
func (r *Run) Hashes() []Hash {
	out := make([]Hash, len(r.Items))
	prev := r.Prev.Hash
	for i := range r.Items {
		rec := r.Record(i, prev)
		prev = rec.Hash()
		out[i] = prev
	}
	return out
}

// Check examines the run's form: seqs, links, heads' presence and lengths, entries of this board. It verifies no
// signature. Errors wrap ErrMalformed.
func (r *Run) Check() error {
	bad := func(why string) error { return fmt.Errorf("couldn't accept run: %s: %w", why, ErrMalformed) }
	switch {
	case len(r.Items) == 0:
		return bad("no records")
	case len(r.Items) > MaxRunItems:
		return fmt.Errorf("couldn't accept run of %d records: at most %d: %w", len(r.Items), MaxRunItems, ErrTooLarge)
	case r.Epoch.N == 0 || r.First == 0:
		return bad("no epoch or seq")
	case r.First > MaxSeq || r.LastSeq() > MaxSeq || r.Prev.Seq > MaxSeq:
		return bad("a seq beyond what a log can have")
	case r.First > 1 && (r.Prev.Epoch != r.Epoch || r.Prev.Seq != r.First-1 || r.Prev.Hash.IsZero()):
		return bad("link does not name the record before")
	case r.First == 1 && r.Prev != (Link{}) && (r.Prev.Epoch.N == 0 || r.Prev.Epoch.N >= r.Epoch.N || r.Prev.Seq == 0 || r.Prev.Hash.IsZero()):
		return bad("seal is not of an earlier epoch")
	}
	for i, it := range r.Items {
		if it.Entry == nil || it.Entry.Header.Board != r.Board {
			return bad("entry of another board")
		}
		if n := len(it.HeadSig); n != 0 && n != 64 {
			return bad("head signature of wrong length")
		}
		if it.Received == 0 {
			return bad(fmt.Sprintf("record %d has no time", i))
		}
	}
	return nil
}

// ParseRun reads a run from its wire form and checks its form (Check), hashes of bodies included, signatures not. It
// keeps m's slices.
func ParseRun(m *weftv1.Run) (*Run, error) {
	r := &Run{
		First: m.FirstSeq,
		Prev:  Link{Epoch: Epoch{m.PrevEpoch, m.PrevEpochRandom}, Seq: m.PrevSeq},
		Items: make([]Item, 0, min(len(m.Items), MaxRunItems)),
	}
	r.Epoch = Epoch{m.Epoch, m.EpochRandom}
	if len(m.Items) > MaxRunItems {
		return nil, fmt.Errorf("couldn't read run of %d records: at most %d: %w", len(m.Items), MaxRunItems, ErrTooLarge)
	}
	if len(m.Board) != 16 || len(m.Node) != 32 || len(m.Prev) != 0 && len(m.Prev) != 32 {
		return nil, fmt.Errorf("couldn't read run: wrong length of an id: %w", ErrMalformed)
	}
	copy(r.Board[:], m.Board)
	copy(r.Node[:], m.Node)
	copy(r.Prev.Hash[:], m.Prev)
	for _, it := range m.Items {
		e, err := ParseEntry(it.Header, it.Signature, it.Body, it.BodyGone)
		if err != nil {
			return nil, err
		}
		r.Items = append(r.Items, Item{Entry: e, Received: HLC(it.ReceivedHlc), HeadSig: it.HeadSignature})
	}
	return r, r.Check()
}

// Wire is the run's wire form; it shares r's slices.
func (r *Run) Wire() *weftv1.Run {
	m := &weftv1.Run{
		Board: r.Board[:], Node: r.Node[:], Epoch: r.Epoch.N, EpochRandom: r.Epoch.R, FirstSeq: r.First,
		PrevEpoch: r.Prev.Epoch.N, PrevEpochRandom: r.Prev.Epoch.R, PrevSeq: r.Prev.Seq,
		Items: make([]*weftv1.RecordItem, len(r.Items)),
	}
	if !r.Prev.Hash.IsZero() {
		m.Prev = r.Prev.Hash[:]
	}
	for i, it := range r.Items {
		m.Items[i] = &weftv1.RecordItem{
			Header: it.Entry.Raw, Signature: it.Entry.Signature, Body: it.Entry.Body, BodyGone: it.Entry.BodyGone,
			ReceivedHlc: uint64(it.Received), HeadSignature: it.HeadSig,
		}
	}
	return m
}

// Size is about how many bytes the run takes on the wire.
func (r *Run) Size() int {
	n := 160
	for _, it := range r.Items {
		n += len(it.Entry.Raw) + len(it.Entry.Body) + len(it.HeadSig) + 64 + 24
	}
	return n
}
