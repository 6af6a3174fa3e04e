package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"weft/board"
)

func FuzzParseCursor(f *testing.F) {
	f.Add(Cursor{Store: [16]byte{1}, Arrival: 2, Check: 3}.String())
	f.Add("")
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCursor(s)
		switch {
		case err != nil && !errors.Is(err, ErrBadCursor):
			t.Fatalf("an error of another kind: %v", err)
		case err == nil && s != "" && c.String() != s:
			t.Fatalf("a cursor has two forms: %q and %q", s, c.String())
		}
	})
}

// Values lie on a disk that may give back anything. A value with a good checksum can still be of another version: no
// decoder may panic, nor make more of a value than its bytes can hold.
func FuzzStoredValues(f *testing.F) {
	e := board.NewEntry(board.Header{ClientMsgID: "m", Kind: board.KindPost, DevSeq: 1, HLC: 1 << 20}, []byte("hello"))
	e.Signature = make([]byte, 64)
	for _, r := range []stored{
		{entry: e, received: 7},
		{entry: e, received: 7, headSig: make([]byte, 64), hash: board.Hash{1}, link: board.Link{Seq: 3}, void: "for a reason"},
	} {
		f.Add(r.append(nil, 1))
		f.Add(r.append(nil, 64))
	}
	list := postList{shown: 0, recs: []pos{{1, 2}, {3, 4}}}
	f.Add(list.append(nil))
	f.Add(appendRows(nil, []rows{{1, 2}, {5, 9}}))
	f.Add((&device{latest: 5, heads: []devHead{{epoch: 1, seq: 2, hlc: 3}}}).append(nil))
	f.Add(appendVector(nil, board.Vector{{Node: board.NodeID{1}, Epoch: board.Epoch{N: 1, R: 2}, Seq: 3}}))
	f.Add(append([]byte{2, 0, 0, 0, 0, 0, 0, 0, 9, byte(EntryShown) | lateBit, 1, 2, 2}, append([]byte{byte(TeamChanged)}, make([]byte, 32)...)...))
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, c []byte) {
		kept := bytes.Clone(c)
		if r, err := parseStored(c); err == nil {
			r.entry.Verify()
			if len(r.entry.Raw)+len(r.entry.Body) > len(c) {
				t.Fatal("a record is longer than its value")
			}
		}
		if p, err := parsePostList(c); err == nil {
			if q, err := parsePostList(p.append(nil)); err != nil || len(q.recs) != len(p.recs) || q.shown != p.shown {
				t.Fatalf("%+v was written and read as %+v, %v", p, q, err)
			}
		}
		if rs, err := parseRows(c); err == nil {
			if again, err := parseRows(appendRows(nil, rs)); err != nil || len(again) != len(rs) {
				t.Fatalf("rows: %v", err)
			}
		}
		if d, err := parseDevice(c); err == nil && !bytes.Equal(d.append(nil), c) {
			t.Fatal("a device is written otherwise than it was read")
		}
		if v, err := parseVector(c); err == nil && !bytes.Equal(appendVector(nil, v), c) {
			t.Fatal("a mark is written otherwise than it was read")
		}
		if ch, err := parseChunk(c); err == nil && !bytes.HasPrefix(c, ch.append(nil)) {
			t.Fatal("bits are written otherwise than they were read")
		}
		parseOrigin(c)
		parsePosition(c)
		l := logState{}
		if err := l.parseStretch(c); err == nil && (l.st.Lo == 0 || l.st.Hi < l.st.Lo) {
			t.Fatalf("a stretch from %d to %d", l.st.Lo, l.st.Hi)
		}
		if g, err := parseChangeGroup(changeKey(1), c); err == nil {
			for n := len(g.items); len(g.items) > 0; n = len(g.items) {
				if _, err := g.next(); err != nil {
					break
				}
				if len(g.items) >= n {
					t.Fatal("an item of a change takes no bytes")
				}
			}
		}
		if _, err := unseal([]byte("key"), c); err == nil && len(c) < 4 {
			t.Fatal("a value without a checksum is good")
		}
		if again, err := unseal([]byte("key"), seal([]byte("key"), bytes.Clone(c))); err != nil || !bytes.Equal(again, c) {
			t.Fatalf("sealed and unsealed: %v", err)
		}
		if !bytes.Equal(kept, c) {
			t.Fatal("reading a value changed it")
		}
	})
}

// What is known of a device is read as it was written, with any number of heads and spans, and nothing else is taken for it.
func FuzzDevice(f *testing.F) {
	for spans := range maxSpans + 1 {
		d := device{latest: 5}
		for i := range maxDevHeads {
			d.heads = append(d.heads, devHead{epoch: 1, seq: uint64(i), id: board.Hash{1, byte(i)}, hlc: 3})
		}
		for i := range spans {
			d.spans = append(d.spans, devSpan{epoch: 1, lo: uint64(i), hi: 9, hiID: board.Hash{2, byte(i)}, loPrev: board.Hash{3}, open: i%2 == 0})
		}
		f.Add(d.append(nil))
	}
	f.Add(bytes.Repeat([]byte{0xff}, 8+4*devHeadBytes+maxSpans*spanBytes+1))
	f.Fuzz(func(t *testing.T, c []byte) {
		if d, err := parseDevice(c); err == nil {
			if again := d.append(nil); !bytes.Equal(again, c) {
				t.Fatalf("%x is written as %x", c, again)
			}
			if len(d.spans) > maxSpans {
				t.Fatalf("%d spans", len(d.spans))
			}
		} else if !errors.Is(err, errDecode) {
			t.Fatalf("an error of another kind: %v", err)
		}
		d := deviceFrom(c)
		got, err := parseDevice(d.append(nil))
		if err != nil || got.latest != d.latest || !slices.Equal(got.heads, d.heads) || !slices.Equal(got.spans, d.spans) {
			t.Fatalf("%+v was read as %+v, %v", d, got, err)
		}
	})
}

// deviceFrom makes a device that could be, of any bytes.
func deviceFrom(c []byte) *device {
	next := func() (n uint64) {
		var b [8]byte
		c = c[copy(b[:], c):]
		return binary.BigEndian.Uint64(b[:])
	}
	d := &device{latest: board.HLC(next())}
	for i := range next() % (maxDevHeads + 1) {
		d.heads = append(d.heads, devHead{epoch: next(), seq: next(), id: board.Hash{0, byte(i)}, hlc: board.HLC(next())})
	}
	for i := range next() % (maxSpans + 1) {
		lo := next() >> 1
		d.spans = append(d.spans, devSpan{epoch: next(), lo: lo, hi: lo + next()>>1, hiID: board.Hash{1, byte(i)}, loPrev: board.Hash{2, byte(next())}, open: i%2 == 1})
	}
	return d
}
