package store

import (
	"encoding/binary"
	"math/bits"
)

// chunkBits is how many records one stored chunk of bits describes.
const chunkBits = 512

type chunk [chunkBits / 64]uint64

// bitset has a bit for each seq of a log. Chunks begin at the first one in use, so a log whose old part is not held
// costs nothing for it. Its owner guards it.
type bitset struct {
	first  uint32 // number of chunks[0]
	chunks []*chunk
}

func chunkOf(seq uint64) uint32 { return uint32(seq / chunkBits) }

// at is the chunk with this number, or nil.
func (s *bitset) at(n uint32) *chunk {
	if n < s.first || n >= s.first+uint32(len(s.chunks)) {
		return nil
	}
	return s.chunks[n-s.first]
}

// grown is the chunk with this number, made if needed.
func (s *bitset) grown(n uint32) *chunk {
	switch {
	case len(s.chunks) == 0:
		s.first, s.chunks = n, []*chunk{new(chunk)}
	case n < s.first:
		more := make([]*chunk, s.first-n, int(s.first-n)+len(s.chunks))
		s.first, s.chunks = n, append(more, s.chunks...)
	case n >= s.first+uint32(len(s.chunks)):
		s.chunks = append(s.chunks, make([]*chunk, n-s.first-uint32(len(s.chunks))+1)...)
	}
	i := n - s.first
	if s.chunks[i] == nil {
		s.chunks[i] = new(chunk)
	}
	return s.chunks[i]
}

func (c *chunk) set(seq uint64, on bool) {
	w, b := seq%chunkBits/64, uint64(1)<<(seq%64)
	if on {
		c[w] |= b
	} else {
		c[w] &^= b
	}
}

// get says whether the bit of seq is set.
func (s *bitset) get(seq uint64) bool {
	c := s.at(chunkOf(seq))
	return c != nil && c[seq%chunkBits/64]&(1<<(seq%64)) != 0
}

// countAfter counts the set bits of seqs greater than after that are not set in without (which may be nil).
func (s *bitset) countAfter(after uint64, without *bitset) (n uint64) {
	from := chunkOf(after + 1)
	for i := max(from, s.first); i < s.first+uint32(len(s.chunks)); i++ {
		c := s.chunks[i-s.first]
		if c == nil {
			continue
		}
		var w *chunk
		if without != nil {
			w = without.at(i)
		}
		for j, x := range c {
			if w != nil {
				x &^= w[j]
			}
			if i == from {
				x &= maskFrom(after+1, uint64(i)*chunkBits+uint64(j)*64)
			}
			n += uint64(bits.OnesCount64(x))
		}
	}
	return n
}

// maskFrom has the bits of seqs >= seq in the word that begins with start.
func maskFrom(seq, start uint64) uint64 {
	switch {
	case seq <= start:
		return ^uint64(0)
	case seq >= start+64:
		return 0
	}
	return ^uint64(0) << (seq - start)
}

// append appends the chunk's words, big-endian, without zero words at the end.
func (c *chunk) append(b []byte) []byte {
	n := len(c)
	for n > 0 && c[n-1] == 0 {
		n--
	}
	for _, x := range c[:n] {
		b = binary.BigEndian.AppendUint64(b, x)
	}
	return b
}

func parseChunk(b []byte) (c chunk, err error) {
	if len(b)%8 != 0 || len(b) > 8*len(c) {
		return c, errDecode
	}
	for i := range len(b) / 8 {
		c[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return c, nil
}

// bitEdit changes one bit.
type bitEdit struct {
	seq uint64
	on  bool
}
