package store

import (
	"encoding/binary"

	"weft/board"
)

// appendStretch appends a log's stretch: lo, hi uvarint, hash of hi 32, link before lo 56, last signed seq uvarint with,
// if it is not 0, its signature 64, shown and multi uvarint, then the bits of hi's chunk.
func appendStretch(b []byte, d *logDelta, tail *chunk) []byte {
	b = binary.AppendUvarint(b, d.st.Lo)
	b = binary.AppendUvarint(b, d.st.Hi)
	b = append(b, d.st.HiHash[:]...)
	b = appendLink(b, d.st.LoPrev)
	b = binary.AppendUvarint(b, d.headSeq)
	if d.headSeq != 0 {
		b = append(b, d.headSig...)
	}
	b = binary.AppendUvarint(b, d.shown)
	b = binary.AppendUvarint(b, d.multi)
	return tail.append(b)
}

// parseStretch fills in a log from what appendStretch wrote.
func (l *logState) parseStretch(c []byte) error {
	ok := true
	num := func() uint64 {
		v, n := binary.Uvarint(c)
		if n <= 0 {
			ok, c = false, nil
			return 0
		}
		c = c[n:]
		return v
	}
	cut := func(n int) []byte {
		if len(c) < n {
			ok, c = false, nil
			return make([]byte, n)
		}
		v := c[:n:n]
		c = c[n:]
		return v
	}
	l.st.Epoch = l.origin.Epoch
	l.st.Lo, l.st.Hi = num(), num()
	copy(l.st.HiHash[:], cut(32))
	l.st.LoPrev = parseLink(cut(linkSize))
	if l.headSeq = num(); l.headSeq != 0 {
		l.headSig = append([]byte(nil), cut(64)...)
	}
	l.shown, l.multi = num(), num()
	tail, err := parseChunk(c)
	if !ok || err != nil || l.st.Lo == 0 || l.st.Hi < l.st.Lo {
		return errDecode
	}
	*l.bits.grown(chunkOf(l.st.Hi)) = tail
	return nil
}

// parseOrigin reads the board and origin of a log: board 16, node 32, epoch 16.
func parseOrigin(c []byte) (b board.ID, o board.Origin, err error) {
	if len(c) != 64 {
		return b, o, errDecode
	}
	copy(b[:], c)
	copy(o.Node[:], c[16:])
	o.Epoch = board.Epoch{N: binary.BigEndian.Uint64(c[48:]), R: binary.BigEndian.Uint64(c[56:])}
	return b, o, nil
}

// appendRows appends rows as from, to uvarint pairs.
func appendRows(b []byte, rs []rows) []byte {
	for _, r := range rs {
		b = binary.AppendUvarint(binary.AppendUvarint(b, r.from), r.to)
	}
	return b
}

func parseRows(c []byte) (out []rows, err error) {
	for len(c) > 0 {
		from, n := binary.Uvarint(c)
		if n <= 0 {
			return nil, errDecode
		}
		to, m := binary.Uvarint(c[n:])
		if m <= 0 || to < from || from == 0 {
			return nil, errDecode
		}
		out, c = append(out, rows{from, to}), c[n+m:]
	}
	return out, nil
}

// addRow joins a row to ascending rows.
func addRow(rs []rows, r rows) []rows {
	var out []rows
	for _, x := range rs {
		switch {
		case x.to+1 < r.from:
			out = append(out, x)
		case r.to+1 < x.from:
			out = append(out, r)
			r = x
		default:
			r = rows{min(r.from, x.from), max(r.to, x.to)}
		}
	}
	return append(out, r)
}

// countRows is how many rows there are.
func countRows(rs []rows) (n uint64) {
	for _, r := range rs {
		n += r.to - r.from + 1
	}
	return n
}

// cutRow takes seq out of ascending rows.
func cutRow(rs []rows, seq uint64) []rows {
	var out []rows
	for _, x := range rs {
		if seq < x.from || seq > x.to {
			out = append(out, x)
			continue
		}
		if x.from < seq {
			out = append(out, rows{x.from, seq - 1})
		}
		if seq < x.to {
			out = append(out, rows{seq + 1, x.to})
		}
	}
	return out
}
