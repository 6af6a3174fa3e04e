package rpc

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"weft/board"
)

// A page token names the entry at the end of a page: version, board 16, hlc 8, entry id 32, and the first 8 bytes of
// their sha256, in base64url. It holds no right and no secret.
const (
	pageTokenVersion = 2 // 1 are vector tokens: neither is taken for the other
	pageTokenSize    = 1 + 16 + 8 + 32 + 8
)

// pageToken is the token of a place in a board's display order.
func pageToken(b board.ID, k board.OrderKey) string {
	raw := make([]byte, 0, pageTokenSize)
	raw = append(raw, pageTokenVersion)
	raw = append(raw, b[:]...)
	raw = binary.BigEndian.AppendUint64(raw, uint64(k.HLC))
	raw = append(raw, k.ID[:]...)
	sum := sha256.Sum256(raw)
	return base64.RawURLEncoding.EncodeToString(append(raw, sum[:8]...))
}

// parsePageToken reads a token of board b. ok is false for anything else.
func parsePageToken(b board.ID, s string) (k board.OrderKey, ok bool) {
	if len(s) != base64.RawURLEncoding.EncodedLen(pageTokenSize) {
		return k, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || raw[0] != pageTokenVersion || board.ID(raw[1:17]) != b {
		return k, false
	}
	if sum := sha256.Sum256(raw[:pageTokenSize-8]); [8]byte(sum[:8]) != [8]byte(raw[pageTokenSize-8:]) {
		return k, false
	}
	return board.OrderKey{HLC: board.HLC(binary.BigEndian.Uint64(raw[17:])), ID: board.Hash(raw[25:57])}, true
}

// orderToken is parsePageToken for a field of a request; nil for an empty one.
func orderToken(b board.ID, field, s string) (*board.OrderKey, error) {
	if s == "" {
		return nil, nil
	}
	k, ok := parsePageToken(b, s)
	if !ok {
		return nil, refuse(reasonBadToken, "couldn't read the page token in %s: it was changed, or is of another board", field)
	}
	return &k, nil
}

// vectorToken reads the vector token of a request.
func vectorToken(field, s string) (board.Vector, error) {
	v, err := board.ParseToken(s)
	if err != nil {
		return nil, refuse(reasonBadToken, "couldn't read the vector token in %s: %w", field, err)
	}
	return v, nil
}

// leaf is the vector that a position names: its log up to there.
func leaf(p board.Position) board.Leaf {
	return board.Leaf{Node: p.Node, Epoch: p.Epoch, Seq: p.Seq, Hash: p.Hash}
}
