package board

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strings"
)

// Hash is a SHA-256 hash. The id of an entry is the Hash of its header bytes.
type Hash [32]byte

// TeamID is the hash of a team's genesis charter.
type TeamID [32]byte

// UserID is the hash of the genesis of a user's charter.
type UserID [32]byte

// NodeID is the Ed25519 public key of a node; libp2p's peer id is made from the same key.
type NodeID [32]byte

// DeviceID is the Ed25519 public key of a device.
type DeviceID [32]byte

// ID names a board: the first 16 bytes of a hash (GovernanceID, GeneralID, or of the operation that made the board).
type ID [16]byte

// text is RFC 4648's base32 in lower case, without padding.
var text = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// encode is the text form of an id, of 32 bytes at most.
func encode(b []byte) string {
	var room [52]byte // on the stack: answers name ids by the thousand
	to := room[:text.EncodedLen(len(b))]
	text.Encode(to, b)
	return string(to)
}

func decode(dst []byte, what, s string) error {
	if len(s) != text.EncodedLen(len(dst)) {
		return fmt.Errorf("couldn't read %s %q: it has %d characters instead of %d: %w", what, shorten(s), len(s), text.EncodedLen(len(dst)), ErrMalformed)
	}
	b, err := text.DecodeString(strings.ToLower(s))
	if err != nil {
		return fmt.Errorf("couldn't read %s %q: %w", what, shorten(s), ErrMalformed)
	}
	if len(b) != len(dst) || encode(b) != strings.ToLower(s) { // the last character has unused bits
		return fmt.Errorf("couldn't read %s %q: not its canonical form: %w", what, shorten(s), ErrMalformed)
	}
	copy(dst, b)
	return nil
}

func shorten(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}

func (h Hash) String() string     { return encode(h[:]) }
func (t TeamID) String() string   { return encode(t[:]) }
func (u UserID) String() string   { return encode(u[:]) }
func (d DeviceID) String() string { return encode(d[:]) }
func (b ID) String() string       { return encode(b[:]) }

// String is the key in hexadecimal digits. People see libp2p's form of it, which p2p makes.
func (n NodeID) String() string { return hex.EncodeToString(n[:]) }

// IsZero says whether h is unset.
func (h Hash) IsZero() bool { return h == Hash{} }

// ParseHash reads the text form of a Hash or an entry id.
func ParseHash(s string) (h Hash, err error) { return h, decode(h[:], "entry id", s) }

// ParseTeamID reads the text form of a TeamID.
func ParseTeamID(s string) (t TeamID, err error) { return t, decode(t[:], "team id", s) }

// ParseUserID reads the text form of a UserID.
func ParseUserID(s string) (u UserID, err error) { return u, decode(u[:], "user id", s) }

// ParseID reads the text form of a board's id.
func ParseID(s string) (b ID, err error) { return b, decode(b[:], "board id", s) }

// GovernanceID is the board that carries a team's charters, acks and operations.
func GovernanceID(t TeamID) ID { return labelled("weft/governance/v1\x00", t) }

// GeneralID is the first message board of a team.
func GeneralID(t TeamID) ID { return labelled("weft/general/v1\x00", t) }

func labelled(label string, t TeamID) (b ID) {
	h := sha256.Sum256(append([]byte(label), t[:]...))
	copy(b[:], h[:])
	return b
}

// OperationBoardID is the id of a board that an operation with these bytes made.
func OperationBoardID(operation []byte) (b ID) {
	h := sha256.Sum256(operation)
	copy(b[:], h[:])
	return b
}

// Epoch is one run of a node: a counter that grows along the node's log and random bits that tell clones apart.
type Epoch struct {
	N uint64
	R uint64
}

// IsZero says whether e is unset: no epoch has N == 0.
func (e Epoch) IsZero() bool { return e == Epoch{} }

// Compare orders epochs by counter, then by random bits.
func (e Epoch) Compare(o Epoch) int {
	switch {
	case e.N != o.N:
		return cmpUint(e.N, o.N)
	default:
		return cmpUint(e.R, o.R)
	}
}

func cmpUint(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Origin is one append-only stretch of a node's log in a board. Seqs in it run 1, 2, 3, … without a hole.
type Origin struct {
	Node  NodeID
	Epoch Epoch
}

// Compare orders origins by node key, then by epoch.
func (o Origin) Compare(p Origin) int {
	for i := range o.Node {
		if o.Node[i] != p.Node[i] {
			return cmpUint(uint64(o.Node[i]), uint64(p.Node[i]))
		}
	}
	return o.Epoch.Compare(p.Epoch)
}

// Position is a point of a node's log. What stands at or below it is fixed by the hash chain that ends there.
type Position struct {
	Board ID
	Node  NodeID
	Epoch Epoch
	Seq   uint64
	Hash  Hash
}

// Origin is the origin that p lies in.
func (p Position) Origin() Origin { return Origin{p.Node, p.Epoch} }
