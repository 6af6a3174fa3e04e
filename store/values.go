package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"weft/board"
)

// errDecode marks a value whose checksum or form is wrong.
var errDecode = errors.New("checksum or form does not fit")

// seal appends the crc32c of key and content to content.
func seal(key, content []byte) []byte {
	return binary.BigEndian.AppendUint32(content, checksum(key, content))
}

func checksum(key, content []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, content)
}

// unseal checks a stored value and returns its content.
func unseal(key, value []byte) ([]byte, error) {
	n := len(value) - 4
	if n < 0 || binary.BigEndian.Uint32(value[n:]) != checksum(key, value[:n]) {
		return nil, errDecode
	}
	return value[:n:n], nil
}

// Flags of a stored record.
const (
	recVoid     = 1 << iota // does not count: the reason follows
	recHeadSig              // the origin's signature of this position follows
	recHash                 // the record's hash follows: at seq 64, 128, …
	recBodyGone             // body is absent by right
	recLink                 // the link follows: at seq 1
	recNoHash               // body_hash was cut out of the header: sha256 of the body belongs there
)

// stored is a record as it is kept: flags 1, received 8, [link 56], [hash 32], [head signature 64], [reason: length 1,
// text], header length uvarint, header, signature 64, body.
type stored struct {
	received board.HLC
	void     string // why the entry does not count; "" if it does
	headSig  []byte
	hash     board.Hash // only where kept
	link     board.Link // only at seq 1
	entry    *board.Entry
}

const linkSize = 56

func appendLink(b []byte, l board.Link) []byte {
	b = binary.BigEndian.AppendUint64(b, l.Epoch.N)
	b = binary.BigEndian.AppendUint64(b, l.Epoch.R)
	b = binary.BigEndian.AppendUint64(b, l.Seq)
	return append(b, l.Hash[:]...)
}

func parseLink(b []byte) (l board.Link) {
	l.Epoch.N, l.Epoch.R, l.Seq = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])
	copy(l.Hash[:], b[24:])
	return l
}

// storedSize is room enough for append.
func (r *stored) size() int {
	return 1 + 8 + linkSize + 32 + 64 + 256 + 3 + len(r.entry.Raw) + 64 + len(r.entry.Body) + 4
}

// append appends the record's layout to b.
func (r *stored) append(b []byte, seq uint64) []byte {
	e := r.entry
	var flags byte
	if r.void != "" {
		flags |= recVoid
	}
	if len(r.headSig) == 64 {
		flags |= recHeadSig
	}
	if !r.hash.IsZero() {
		flags |= recHash
	}
	if e.BodyGone {
		flags |= recBodyGone
	}
	if seq == 1 {
		flags |= recLink
	}
	b = binary.BigEndian.AppendUint64(append(b, flags), uint64(r.received))
	if flags&recLink != 0 {
		b = appendLink(b, r.link)
	}
	if flags&recHash != 0 {
		b = append(b, r.hash[:]...)
	}
	if flags&recHeadSig != 0 {
		b = append(b, r.headSig...)
	}
	if flags&recVoid != 0 {
		why := r.void[:min(len(r.void), 255)]
		b = append(append(b, byte(len(why))), why...)
	}
	b = binary.AppendUvarint(b, uint64(len(e.Raw)))
	b = append(append(b, e.Raw...), e.Signature...)
	return append(b, e.Body...)
}

// parseStored reads a record's content. It keeps c's slices. The body's hash is checked, so that what is returned is
// what was signed.
func parseStored(c []byte) (r stored, err error) {
	cut := func(n int) (v []byte) {
		if n > len(c) {
			err, c = errDecode, nil
			return make([]byte, n)
		}
		v, c = c[:n:n], c[n:]
		return v
	}
	flags := cut(1)[0]
	r.received = board.HLC(binary.BigEndian.Uint64(cut(8)))
	if flags&recLink != 0 {
		r.link = parseLink(cut(linkSize))
	}
	if flags&recHash != 0 {
		copy(r.hash[:], cut(32))
	}
	if flags&recHeadSig != 0 {
		r.headSig = cut(64)
	}
	if flags&recVoid != 0 {
		r.void = string(cut(int(cut(1)[0])))
		if r.void == "" {
			r.void = "void"
		}
	}
	n, w := binary.Uvarint(c)
	if err != nil || w <= 0 || n > board.MaxHeader || n+64 > uint64(len(c)) {
		return stored{}, errDecode
	}
	cut(w)
	raw, sig := cut(int(n)), cut(64)
	if err != nil {
		return stored{}, err
	}
	r.entry, err = board.ParseEntry(raw, sig, c, flags&recBodyGone != 0)
	if err != nil {
		return stored{}, fmt.Errorf("%w: %w", errDecode, err)
	}
	return r, nil
}

// maxPostRecords is how many records of one post are told apart; of more only the ones that could show are kept.
const maxPostRecords = 64

// postList is what is known of a post: its records in the order in which they came, and which of them stands for the
// shown entry (-1: none).
type postList struct {
	shown int
	recs  []pos
}

// append: shown+1 one byte, then log uvarint and seq uvarint of each record.
func (p *postList) append(b []byte) []byte {
	b = append(b, byte(p.shown+1))
	for _, r := range p.recs {
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(r.log)), r.seq)
	}
	return b
}

func parsePostList(c []byte) (p postList, err error) {
	if len(c) == 0 {
		return p, errDecode
	}
	p.shown = int(c[0]) - 1
	p.recs, err = parsePositions(c[1:])
	if err != nil || p.shown >= len(p.recs) || len(p.recs) == 0 {
		return postList{}, errDecode
	}
	return p, nil
}

func parsePositions(c []byte) (out []pos, err error) {
	for len(c) > 0 {
		l, n := binary.Uvarint(c)
		if n <= 0 || l > 1<<32-1 {
			return nil, errDecode
		}
		s, m := binary.Uvarint(c[n:])
		if m <= 0 || s == 0 {
			return nil, errDecode
		}
		out, c = append(out, pos{logNum(l), s}), c[n+m:]
	}
	return out, nil
}

func appendPosition(b []byte, p pos) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(p.log)), p.seq)
}

func parsePosition(c []byte) (pos, error) {
	ps, err := parsePositions(c)
	if err != nil || len(ps) != 1 {
		return pos{}, errDecode
	}
	return ps[0], nil
}
