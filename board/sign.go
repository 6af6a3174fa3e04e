package board

import (
	"crypto/ed25519"
	"crypto/sha256"

	"github.com/hdevalence/ed25519consensus"
)

// Kind labels of signatures. A signature covers "weft/<kind>/v1\0" || sha256(bytes as received).
const (
	SignEntry       = "entry"
	signHead        = "head"
	SignCharter     = "charter" // of team charters; which charter counts is decided by hashes and acks, not by this
	SignAck         = "ack"
	SignOperation   = "op"
	SignUserCharter = "user-charter"
	SignHome        = "home"
	SignInvite      = "invite"
	SignBeat        = "beat"
	SignMark        = "mark"
	SignPresence    = "presence" // of a node, over a PresenceBeat
	SignAlive       = "alive"    // of a node, over a NodeAlive
	SignProbe       = "probe"    // of a node, over a Probe's nonce
	SignLive        = "live"     // of a device, over a LiveBatch
)

// Key is a private Ed25519 key of a device, a node, an invite or a recovery. Safe for concurrent use.
type Key struct {
	private ed25519.PrivateKey
}

// NewKey makes the key of a 32-byte seed.
func NewKey(seed [32]byte) Key { return Key{ed25519.NewKeyFromSeed(seed[:])} }

// Seed is what NewKey makes the key from. It is the secret itself.
func (k Key) Seed() (s [32]byte) { copy(s[:], k.private.Seed()); return s }

// Public is the key's public half.
func (k Key) Public() (p [32]byte) { copy(p[:], k.private.Public().(ed25519.PublicKey)); return p }

// IsZero says whether k is unset.
func (k Key) IsZero() bool { return k.private == nil }

// Sign signs bytes for one use, given as the kind label.
func (k Key) Sign(kind string, b []byte) (s [64]byte) {
	copy(s[:], ed25519.Sign(k.private, signed(kind, sha256.Sum256(b))))
	return s
}

// SignHash signs bytes whose hash is known.
func (k Key) SignHash(kind string, h Hash) (s [64]byte) {
	copy(s[:], ed25519.Sign(k.private, signed(kind, h)))
	return s
}

func signed(kind string, h Hash) []byte {
	m := make([]byte, 0, 5+len(kind)+4+len(h))
	m = append(m, "weft/"...)
	m = append(m, kind...)
	m = append(m, "/v1\x00"...)
	return append(m, h[:]...)
}

// Verify checks a signature by the rules of ZIP 215, under which single and batched checks always agree; so every node
// gives one answer about the same bytes, which the usual rules (RFC 8032 leaves room) do not guarantee.
func Verify(public [32]byte, kind string, b []byte, sig []byte) bool {
	return VerifyHash(public, kind, sha256.Sum256(b), sig)
}

// VerifyHash is Verify for bytes whose hash is known.
func VerifyHash(public [32]byte, kind string, h Hash, sig []byte) bool {
	return len(sig) == 64 && ed25519consensus.Verify(public[:], signed(kind, h), sig)
}
