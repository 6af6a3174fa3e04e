package board

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Sizes in bytes, from docs/limits.md.
const (
	MaxHeader      = 4 << 10
	MaxBody        = 64 << 10
	MaxClientMsgID = 64
)

// Kind says what an entry is. The high bit says that it counts as unread.
type Kind uint8

// Kinds of entries. Post carries UTF-8 text as its whole body; the next four carry a weft.v1.Reference; those of the
// governance board carry a weft.v1.Signed (charter: of the founder's device; the others as in docs/PROTOCOL.md).
const (
	KindPost      Kind = 0x81
	KindReply     Kind = 0x82
	KindEdit      Kind = 0x03
	KindReaction  Kind = 0x04
	KindRedaction Kind = 0x05
	KindCharter   Kind = 0x40
	KindAck       Kind = 0x41
	KindOperation Kind = 0x42
)

// Counts says whether entries of this kind count as unread.
func (k Kind) Counts() bool { return k&0x80 != 0 }

// Governance says whether the kind belongs on a governance board.
func (k Kind) Governance() bool { return k >= KindCharter && k <= KindOperation }

func (k Kind) String() string {
	switch k {
	case KindPost:
		return "post"
	case KindReply:
		return "reply"
	case KindEdit:
		return "edit"
	case KindReaction:
		return "reaction"
	case KindRedaction:
		return "redaction"
	case KindCharter:
		return "charter"
	case KindAck:
		return "ack"
	case KindOperation:
		return "operation"
	}
	return fmt.Sprintf("kind-%#02x", uint8(k))
}

// Header is the decoded form of a weft.v1.EntryHeader. On the governance board Author and Cred are zero and Device is
// the key of the node that carries the object: such objects count by their own signatures.
type Header struct {
	Team        TeamID
	Board       ID
	Author      UserID
	Device      DeviceID
	DevEpoch    uint64
	DevSeq      uint64
	DevPrev     Hash
	Cred        Hash
	ClientMsgID string
	HLC         HLC
	Kind        Kind
	BodyLen     uint32
	BodyHash    Hash
	KeyID       uint64
}

// headersEncoded counts calls of Header.Append in this process: an entry is encoded once in its life.
var headersEncoded atomic.Uint64

// HeadersEncoded is how many headers this process has encoded. A test uses it to show that an entry is encoded once on
// its way from a client to another node's client.
func HeadersEncoded() uint64 { return headersEncoded.Load() }

// Append appends the header's wire form (protobuf, fields in order of number) to b.
func (h *Header) Append(b []byte) []byte {
	headersEncoded.Add(1)
	field := func(n protowire.Number, v []byte) {
		b = protowire.AppendTag(b, n, protowire.BytesType)
		b = protowire.AppendBytes(b, v)
	}
	varint := func(n protowire.Number, v uint64) {
		if v != 0 {
			b = protowire.AppendTag(b, n, protowire.VarintType)
			b = protowire.AppendVarint(b, v)
		}
	}
	fixed := func(n protowire.Number, v uint64) {
		if v != 0 {
			b = protowire.AppendTag(b, n, protowire.Fixed64Type)
			b = protowire.AppendFixed64(b, v)
		}
	}
	hash := func(n protowire.Number, v [32]byte) {
		if v != [32]byte{} {
			field(n, v[:])
		}
	}
	field(1, h.Team[:])
	field(2, h.Board[:])
	hash(3, h.Author)
	field(4, h.Device[:])
	fixed(5, h.DevEpoch)
	varint(6, h.DevSeq)
	hash(7, h.DevPrev)
	hash(8, h.Cred)
	field(9, []byte(h.ClientMsgID))
	fixed(10, uint64(h.HLC))
	varint(11, uint64(h.Kind))
	varint(12, uint64(h.BodyLen))
	field(13, h.BodyHash[:])
	varint(14, h.KeyID)
	return b
}

// ParseHeader reads a header. Unknown fields are skipped (they stay covered by the hash of the bytes). Errors wrap
// ErrMalformed or ErrTooLarge.
func ParseHeader(b []byte) (h Header, err error) {
	if len(b) > MaxHeader {
		return h, fmt.Errorf("couldn't read header of %d bytes: at most %d: %w", len(b), MaxHeader, ErrTooLarge)
	}
	malformed := func(why string) (Header, error) {
		return Header{}, fmt.Errorf("couldn't read header: %s: %w", why, ErrMalformed)
	}
	for rest := b; len(rest) > 0; {
		num, typ, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return malformed("bad tag")
		}
		rest = rest[n:]
		var v []byte
		var x uint64
		switch typ {
		case protowire.BytesType:
			v, n = protowire.ConsumeBytes(rest)
		case protowire.VarintType:
			x, n = protowire.ConsumeVarint(rest)
		case protowire.Fixed64Type:
			x, n = protowire.ConsumeFixed64(rest)
		default:
			n = protowire.ConsumeFieldValue(num, typ, rest)
		}
		if n < 0 {
			return malformed("bad field")
		}
		rest = rest[n:]
		if want, known := headerTypes[num]; known && want != typ {
			return malformed("wrong type of field")
		}
		ok := true
		switch num {
		case 1:
			ok = len(v) == copy(h.Team[:], v) && len(v) == 32
		case 2:
			ok = len(v) == copy(h.Board[:], v) && len(v) == 16
		case 3:
			ok = len(v) == copy(h.Author[:], v) && len(v) == 32
		case 4:
			ok = len(v) == copy(h.Device[:], v) && len(v) == 32
		case 5:
			h.DevEpoch = x
		case 6:
			h.DevSeq = x
		case 7:
			ok = len(v) == copy(h.DevPrev[:], v) && len(v) == 32
		case 8:
			ok = len(v) == copy(h.Cred[:], v) && len(v) == 32
		case 9:
			ok = len(v) <= MaxClientMsgID
			if ok {
				h.ClientMsgID = string(v)
			}
		case 10:
			h.HLC = HLC(x)
		case 11:
			ok = x <= 255
			h.Kind = Kind(x)
		case 12:
			ok = x <= MaxBody
			h.BodyLen = uint32(x)
		case 13:
			ok = len(v) == copy(h.BodyHash[:], v) && len(v) == 32
		case 14:
			h.KeyID = x
		}
		if !ok {
			return malformed(fmt.Sprintf("bad field %d", num))
		}
	}
	switch {
	case h.Team == TeamID{}, h.Board == ID{}, h.Device == DeviceID{}:
		return malformed("no team, board or device")
	case h.ClientMsgID == "":
		return malformed("no client_msg_id")
	case h.DevSeq == 0, h.HLC == 0, h.Kind == 0:
		return malformed("no dev_seq, hlc or kind")
	case (h.DevSeq == 1) != h.DevPrev.IsZero():
		return malformed("dev_prev does not fit dev_seq")
	}
	return h, nil
}

var headerTypes = map[protowire.Number]protowire.Type{
	1: protowire.BytesType, 2: protowire.BytesType, 3: protowire.BytesType, 4: protowire.BytesType,
	5: protowire.Fixed64Type, 6: protowire.VarintType, 7: protowire.BytesType, 8: protowire.BytesType,
	9: protowire.BytesType, 10: protowire.Fixed64Type, 11: protowire.VarintType, 12: protowire.VarintType,
	13: protowire.BytesType, 14: protowire.VarintType,
}

// PostID names (author, client_msg_id): entries with one PostID show once. It is a prefix of a hash, so that a store
// can find a post again by what its client called it.
type PostID [16]byte

// PostID of the entry with this header.
func (h *Header) PostID() PostID { return MakePostID(h.Author, h.ClientMsgID) }

// MakePostID is sha256(author || client_msg_id)[:16].
func MakePostID(author UserID, clientMsgID string) (p PostID) {
	b := make([]byte, 0, 32+MaxClientMsgID)
	b = append(append(b, author[:]...), clientMsgID...)
	s := sha256.Sum256(b)
	copy(p[:], s[:])
	return p
}

// Entry is one signed item of a board, as it was received. An Entry is immutable once made; its slices may be shared.
type Entry struct {
	ID        Hash   // sha256(Raw)
	Header    Header // decoded from Raw
	Raw       []byte // header bytes as signed
	Signature []byte // 64 bytes
	Body      []byte
	BodyGone  bool // redacted or pruned: Body is absent by right
}

// NewEntry encodes h with the hash of body and leaves the signature to Sign: the id does not depend on it.
func NewEntry(h Header, body []byte) *Entry {
	h.BodyLen, h.BodyHash = uint32(len(body)), sha256.Sum256(body)
	e := &Entry{Header: h, Body: body}
	e.Raw = h.Append(make([]byte, 0, 320))
	e.ID = sha256.Sum256(e.Raw)
	return e
}

// Sign adds the device's signature.
func (e *Entry) Sign(k Key) {
	s := k.SignHash(SignEntry, e.ID)
	e.Signature = s[:]
}

// ParseEntry reads an entry from its three parts and checks sizes and the body's hash, but not the signature: use
// Verify, or a Batch with e.Header.Device, SignEntry and e.ID. The slices are kept.
func ParseEntry(raw, signature, body []byte, bodyGone bool) (*Entry, error) {
	h, err := ParseHeader(raw)
	if err != nil {
		return nil, err
	}
	e := &Entry{ID: sha256.Sum256(raw), Header: h, Raw: raw, Signature: signature, Body: body, BodyGone: bodyGone}
	switch {
	case len(signature) != 64:
		return nil, fmt.Errorf("couldn't read entry: its signature has %d bytes: %w", len(signature), ErrMalformed)
	case bodyGone && len(body) > 0:
		return nil, fmt.Errorf("couldn't read entry: a body that is gone has bytes: %w", ErrMalformed)
	case !bodyGone && (len(body) != int(h.BodyLen) || sha256.Sum256(body) != h.BodyHash):
		return nil, fmt.Errorf("couldn't read entry %s: body is not the one that was signed: %w", e.ID, ErrMalformed)
	case h.Kind == KindPost && h.KeyID == 0 && !utf8.Valid(body):
		return nil, fmt.Errorf("couldn't read entry %s: text is not UTF-8: %w", e.ID, ErrMalformed)
	}
	return e, nil
}

// Verify checks the device's signature.
func (e *Entry) Verify() bool {
	return VerifyHash(e.Header.Device, SignEntry, e.ID, e.Signature)
}

// OrderKey is where an entry stands in its board: by hlc, then by id. It is a property of the entry alone, so every
// node shows the same order.
type OrderKey struct {
	HLC HLC
	ID  Hash
}

// Order is the entry's OrderKey.
func (e *Entry) Order() OrderKey { return OrderKey{e.Header.HLC, e.ID} }

// Compare orders keys as they are displayed, oldest first.
func (k OrderKey) Compare(o OrderKey) int {
	if k.HLC != o.HLC {
		return cmpUint(uint64(k.HLC), uint64(o.HLC))
	}
	for i := 0; i < 32; i += 8 {
		if a, b := binary.BigEndian.Uint64(k.ID[i:]), binary.BigEndian.Uint64(o.ID[i:]); a != b {
			return cmpUint(a, b)
		}
	}
	return 0
}
