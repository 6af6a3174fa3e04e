package team

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// Bounds of governance objects, from docs/limits.md. They are part of the rules: every node must refuse the same bytes.
const (
	MaxCharter   = board.MaxBody - 256 // bytes of a team charter: it must fit an entry's body together with its signature
	MaxOperation = 16 << 10            // bytes of an operation
	MaxAck       = 112                 // bytes of an ack: fewer than any operation has, so that no bytes are both
	MaxName      = 64                  // bytes of the name of a team, board or person
	MaxOwners    = 16
	MaxAdmins    = 64
	MaxRelays    = 256
	MaxKeys      = 32   // keys of a user charter, the recovery key among them
	MaxHomes     = 16   // homes of a user
	MaxQuota     = 1000 // users of one invite

	maxSigned    = 4 << 10 // bytes of a user charter or of an acceptance
	maxCharters  = 64      // user charters in one present
	maxParents   = 64
	maxPositions = 512 // of one cut
	maxDevices   = 128 // device marks of a floor
	maxText      = 1024
	maxDepth     = 16   // of nested messages
	maxFields    = 8192 // in one object, nested ones included: bounds memory before anything is decoded
)

func malformed(what, why string) error {
	return fmt.Errorf("couldn't read %s: %s: %w", what, why, board.ErrMalformed)
}

// decode reads protobuf bytes into m after bounding its size, depth and number of fields.
func decode(what string, b []byte, most int, m proto.Message) error {
	if len(b) > most {
		return fmt.Errorf("couldn't read %s of %d bytes: at most %d: %w", what, len(b), most, board.ErrTooLarge)
	}
	budget := maxFields
	if why := walk(b, m.ProtoReflect().Descriptor(), maxDepth, &budget); why != "" {
		return malformed(what, why)
	}
	if err := proto.Unmarshal(b, m); err != nil {
		return fmt.Errorf("couldn't read %s: %w: %w", what, err, board.ErrMalformed)
	}
	return nil
}

// walk goes over the fields of a message without decoding it and says what is wrong with them, or "". Groups, which weft
// never uses, are refused: they could nest without a bound. So are known fields of a wrong wire type, which decoders skip:
// with them one row of bytes, and so one hash, could be two kinds of object.
func walk(b []byte, d protoreflect.MessageDescriptor, depth int, budget *int) string {
	if depth == 0 {
		return "nested too deeply"
	}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return "bad tag"
		}
		if *budget--; *budget < 0 {
			return "too many fields"
		}
		b = b[n:]
		if typ == protowire.StartGroupType || typ == protowire.EndGroupType {
			return "group"
		}
		n = protowire.ConsumeFieldValue(num, typ, b)
		if n < 0 {
			return "bad field"
		}
		if f := d.Fields().ByNumber(num); f != nil {
			if typ != wireType(f.Kind()) {
				return "wrong type of field"
			}
			if f.Message() != nil {
				v, _ := protowire.ConsumeBytes(b)
				if why := walk(v, f.Message(), depth-1, budget); why != "" {
					return why
				}
			}
		}
		b = b[n:]
	}
	return ""
}

// wireType of a field; objects have no packed ones.
func wireType(k protoreflect.Kind) protowire.Type {
	switch k {
	case protoreflect.BytesKind, protoreflect.StringKind, protoreflect.MessageKind:
		return protowire.BytesType
	case protoreflect.Fixed64Kind:
		return protowire.Fixed64Type
	}
	return protowire.VarintType
}

// checker collects the first thing that is wrong with an object, in words.
type checker struct{ why string }

func (c *checker) that(ok bool, why string) {
	if c.why == "" && !ok {
		c.why = why
	}
}

func (c *checker) size(b []byte, n int, what string) {
	if c.why == "" && len(b) != n {
		c.why = fmt.Sprintf("%s has %d bytes instead of %d", what, len(b), n)
	}
}

// name: 1..MaxName bytes of UTF-8 without control characters (Unicode category Cc).
func (c *checker) name(s, what string) {
	if c.why == "" {
		if why := badName(s); why != "" {
			c.why = what + " " + why
		}
	}
}

func badName(s string) string {
	switch {
	case s == "":
		return "is empty"
	case len(s) > MaxName:
		return fmt.Sprintf("has %d bytes; at most %d", len(s), MaxName)
	case !utf8.ValidString(s):
		return "is not UTF-8"
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return "has control characters"
		}
	}
	return ""
}

// ids: lo..hi byte strings of n bytes each, all different.
func (c *checker) ids(l [][]byte, n, lo, hi int, what string) {
	if c.why != "" {
		return
	}
	if len(l) < lo || len(l) > hi {
		c.why = fmt.Sprintf("%d %s; %d to %d are allowed", len(l), what, lo, hi)
		return
	}
	for i, b := range l {
		c.size(b, n, "one of the "+what)
		for _, o := range l[:i] {
			c.that(!bytes.Equal(b, o), what+" are named twice")
		}
	}
}

func (c *checker) position(p *weftv1.Position) {
	c.that(p != nil, "no position")
	if c.why != "" {
		return
	}
	c.size(p.Board, 16, "a position's board")
	c.size(p.Node, 32, "a position's node")
	c.size(p.Hash, 32, "a position's hash")
	c.that(p.Epoch > 0 && p.Seq > 0, "a position has no epoch or seq")
}

func (c *checker) cut(cut *weftv1.Cut) {
	c.that(len(cut.GetPositions()) <= maxPositions, "a cut has too many positions")
	for _, p := range cut.GetPositions() {
		c.position(p)
		if c.why != "" {
			return
		}
	}
}

func (c *checker) err(what string) error {
	if c.why == "" {
		return nil
	}
	return malformed(what, c.why)
}
