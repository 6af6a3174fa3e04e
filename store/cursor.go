package store

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Cursor is where a client stands in the change log: after the change with this arrival. The zero Cursor stands before
// the first change of any store.
type Cursor struct {
	Store   [16]byte // id of the store
	Arrival uint64
	Check   uint64 // of the change with this arrival: differs where a store lost its tail and wrote another one
}

// IsZero says whether c is unset.
func (c Cursor) IsZero() bool { return c == Cursor{} }

const cursorVersion = 1

// String is the cursor as opaque text for clients: base64url of version 1, store id, arrival, check and a crc32c.
func (c Cursor) String() string {
	b := make([]byte, 0, 37)
	b = append(b, cursorVersion)
	b = append(b, c.Store[:]...)
	b = binary.BigEndian.AppendUint64(b, c.Arrival)
	b = binary.BigEndian.AppendUint64(b, c.Check)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParseCursor reads what String made; "" is the zero Cursor. Errors wrap ErrBadCursor.
func ParseCursor(s string) (c Cursor, err error) {
	if s == "" {
		return c, nil
	}
	if len(s) != base64.RawURLEncoding.EncodedLen(37) {
		return c, fmt.Errorf("couldn't read cursor of %d characters: %w", len(s), ErrBadCursor)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || b[0] != cursorVersion || binary.BigEndian.Uint32(b[33:]) != crc32.Checksum(b[:33], castagnoli) {
		return c, fmt.Errorf("couldn't read cursor: it was cut or changed: %w", ErrBadCursor)
	}
	copy(c.Store[:], b[1:])
	c.Arrival, c.Check = binary.BigEndian.Uint64(b[17:]), binary.BigEndian.Uint64(b[25:])
	return c, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
