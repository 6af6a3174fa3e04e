package board

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"

	weftv1 "weft/api/weft/v1"
)

// Leaf is an end of a node's chain of epochs: everything on the chain below it is held, down to Base.
type Leaf struct {
	Node  NodeID
	Epoch Epoch
	Seq   uint64
	Hash  Hash
	Base  Point // the first record held, where the part below is not (yet, or no longer) held; zero: all of it is held
}

// Vector says which prefix of each log is held: the leaves, by node and epoch. A sealed epoch that is wholly held is
// implied by its successor, so a thousand restarts of a node cost one element.
type Vector []Leaf

// BoardVector is the vector of one board.
type BoardVector struct {
	Board  ID
	Vector Vector
}

// MaxVector is how many leaves one board's vector has at most on the wire: 256 nodes' worth of a few each
// (docs/limits.md: 512 KiB a frame).
const MaxVector = 4096

// leafSize: node 32, epoch 16, seq 8, hash 32, base epoch 16, base seq 8.
const leafSize = 112

// Node is the part of v about n's log.
func (v Vector) Node(n NodeID) Vector {
	i, _ := slices.BinarySearchFunc(v, n, func(l Leaf, n NodeID) int { return compareNodes(l.Node, n) })
	j := i
	for j < len(v) && v[j].Node == n {
		j++
	}
	return v[i:j:j]
}

// Equal says whether both name the same leaves.
func (v Vector) Equal(w Vector) bool { return slices.Equal(v, w) }

// append appends v's fixed layout: for each leaf node, epoch, seq, hash and base, integers big-endian.
func (v Vector) append(b []byte) []byte {
	for _, l := range v {
		b = append(b, l.Node[:]...)
		b = appendPoint(b, Point{l.Epoch, l.Seq})
		b = append(b, l.Hash[:]...)
		b = appendPoint(b, l.Base)
	}
	return b
}

func appendPoint(b []byte, p Point) []byte {
	b = binary.BigEndian.AppendUint64(b, p.Epoch.N)
	b = binary.BigEndian.AppendUint64(b, p.Epoch.R)
	return binary.BigEndian.AppendUint64(b, p.Seq)
}

// Digest is equal for equal vectors: sha256 over "weft/vector/v1\0" and the leaves in their order.
func (v Vector) Digest() Hash { return sha256.Sum256(v.append([]byte("weft/vector/v1\x00"))) }

// TeamDigest is one hash over the vectors of a team's boards, in any order: sha256 over "weft/team-vector/v1\0" and, for
// each board that has a leaf, by id, its id and its Digest.
func TeamDigest(vs []BoardVector) Hash {
	var ds []boardDigest
	for _, v := range vs {
		if len(v.Vector) > 0 {
			ds = append(ds, boardDigest{v.Board, v.Vector.Digest()})
		}
	}
	return teamDigest(ds)
}

type boardDigest struct {
	board  ID
	digest Hash
}

func teamDigest(ds []boardDigest) Hash {
	slices.SortFunc(ds, func(a, b boardDigest) int { return compareBoards(a.board, b.board) })
	b := []byte("weft/team-vector/v1\x00")
	for _, d := range ds {
		b = append(append(b, d.board[:]...), d.digest[:]...)
	}
	return sha256.Sum256(b)
}

func compareBoards(a, b ID) int { return slices.Compare(a[:], b[:]) }

// Wire is the vector's wire form. It shares v's arrays.
func (v Vector) Wire() []*weftv1.VectorElement {
	out := make([]*weftv1.VectorElement, len(v))
	for i := range v {
		l := &v[i]
		out[i] = &weftv1.VectorElement{
			Node: l.Node[:], Epoch: l.Epoch.N, EpochRandom: l.Epoch.R, Seq: l.Seq, Hash: l.Hash[:],
			BaseEpoch: l.Base.Epoch.N, BaseEpochRandom: l.Base.Epoch.R, BaseSeq: l.Base.Seq,
		}
	}
	return out
}

// ParseVector reads a vector of at most limit leaves from its wire form and puts it into order. Errors wrap ErrMalformed
// or ErrTooLarge: wrong lengths, zero epochs or seqs, one origin twice, more than MaxLeaves leaves of a node.
func ParseVector(m []*weftv1.VectorElement, limit int) (Vector, error) {
	if len(m) > limit {
		return nil, fmt.Errorf("couldn't read vector of %d leaves: at most %d: %w", len(m), limit, ErrTooLarge)
	}
	v := make(Vector, 0, len(m))
	for _, e := range m {
		if len(e.GetNode()) != 32 || len(e.GetHash()) != 32 {
			return nil, fmt.Errorf("couldn't read vector: wrong length of an id: %w", ErrMalformed)
		}
		l := Leaf{
			Node: NodeID(e.Node), Epoch: Epoch{e.Epoch, e.EpochRandom}, Seq: e.Seq, Hash: Hash(e.Hash),
			Base: Point{Epoch{e.BaseEpoch, e.BaseEpochRandom}, e.BaseSeq},
		}
		v = append(v, l)
	}
	sortVector(v)
	return v, v.check()
}

// check examines a sorted vector's form.
func (v Vector) check() error {
	ofNode := 0
	for i, l := range v {
		base := l.Base != Point{}
		ofNode++
		if i > 0 && v[i-1].Node != l.Node {
			ofNode = 1
		}
		switch {
		case l.Epoch.N == 0 || l.Seq == 0:
			return fmt.Errorf("couldn't read vector: leaf without epoch or seq: %w", ErrMalformed)
		case l.Seq > MaxSeq || l.Base.Seq > MaxSeq:
			return fmt.Errorf("couldn't read vector: a seq beyond what a log can have: %w", ErrMalformed)
		case i > 0 && (Origin{v[i-1].Node, v[i-1].Epoch}).Compare(Origin{l.Node, l.Epoch}) >= 0:
			return fmt.Errorf("couldn't read vector: one origin twice or out of order: %w", ErrMalformed)
		case base && (l.Base.Epoch.N == 0 || l.Base.Seq == 0 || l.Base.Epoch.N > l.Epoch.N || l.Base.Epoch == l.Epoch && l.Base.Seq > l.Seq):
			return fmt.Errorf("couldn't read vector: base is not below its leaf: %w", ErrMalformed)
		case ofNode > MaxLeaves:
			return fmt.Errorf("couldn't read vector: more than %d leaves of one node: %w", MaxLeaves, ErrTooLarge)
		}
	}
	return nil
}

// tokenVersion is the first byte of a token's bytes.
const tokenVersion = 1

// Token is the vector as opaque text for clients: base64url of version 1, sha256(leaves)[:8] and the leaves in the
// layout that Digest covers. It holds no right and no secret.
func (v Vector) Token() string {
	b := append(make([]byte, 0, 9+len(v)*leafSize), tokenVersion, 0, 0, 0, 0, 0, 0, 0, 0)
	b = v.append(b)
	sum := tokenSum(b[9:])
	copy(b[1:], sum[:8])
	return base64.RawURLEncoding.EncodeToString(b)
}

func tokenSum(body []byte) [32]byte {
	return sha256.Sum256(append([]byte("weft/token/v1\x00"), body...))
}

// ParseToken reads what Token made. Errors wrap ErrMalformed or ErrTooLarge.
func ParseToken(s string) (Vector, error) {
	if len(s) > base64.RawURLEncoding.EncodedLen(9+MaxVector*leafSize) {
		return nil, fmt.Errorf("couldn't read vector token of %d characters: %w", len(s), ErrTooLarge)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) < 9 || b[0] != tokenVersion || (len(b)-9)%leafSize != 0 {
		return nil, fmt.Errorf("couldn't read vector token: use one that a page or an event came with: %w", ErrMalformed)
	}
	body := b[9:]
	if sum := tokenSum(body); string(sum[:8]) != string(b[1:9]) {
		return nil, fmt.Errorf("couldn't read vector token: its checksum does not fit, it was cut or changed: %w", ErrMalformed)
	}
	v := make(Vector, 0, len(body)/leafSize)
	for ; len(body) > 0; body = body[leafSize:] {
		v = append(v, parseLeaf(body[:leafSize]))
	}
	if err := v.check(); err != nil {
		return nil, err
	}
	return v, nil
}

func parseLeaf(b []byte) (l Leaf) {
	copy(l.Node[:], b)
	l.Epoch, l.Seq = parsePoint(b[32:])
	copy(l.Hash[:], b[56:])
	l.Base.Epoch, l.Base.Seq = parsePoint(b[88:])
	return l
}

func parsePoint(b []byte) (Epoch, uint64) {
	u := binary.BigEndian.Uint64
	return Epoch{u(b), u(b[8:])}, u(b[16:])
}

// sortVector puts v into its one order.
func sortVector(v Vector) {
	slices.SortFunc(v, func(a, b Leaf) int {
		return Origin{a.Node, a.Epoch}.Compare(Origin{b.Node, b.Epoch})
	})
}

// Wire is the position's wire form. It shares no memory with p.
func (p Position) Wire() *weftv1.Position {
	return &weftv1.Position{Board: p.Board[:], Node: p.Node[:], Epoch: p.Epoch.N, EpochRandom: p.Epoch.R, Seq: p.Seq, Hash: p.Hash[:]}
}

// ParsePosition reads a position. Errors wrap ErrMalformed.
func ParsePosition(m *weftv1.Position) (Position, error) {
	if len(m.GetBoard()) != 16 || len(m.Node) != 32 || len(m.Hash) != 32 || m.Epoch == 0 || m.Seq == 0 || m.Seq > MaxSeq {
		return Position{}, fmt.Errorf("couldn't read position: wrong length of an id, or no epoch, or no seq that a log can have: %w", ErrMalformed)
	}
	return Position{ID(m.Board), NodeID(m.Node), Epoch{m.Epoch, m.EpochRandom}, m.Seq, Hash(m.Hash)}, nil
}
