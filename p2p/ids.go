package p2p

import (
	"fmt"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"weft/board"
)

// NodeIDOf is the node behind a libp2p peer id. Only Ed25519 peer ids (12D3Koo…), which contain their key, are nodes;
// others give an error that wraps board.ErrMalformed.
func NodeIDOf(p peer.ID) (n board.NodeID, err error) {
	key, err := p.ExtractPublicKey()
	if err != nil {
		return n, fmt.Errorf("couldn't read node id %q (expected one like 12D3Koo…): %v: %w", p, err, board.ErrMalformed)
	}
	raw, err := key.Raw()
	if err != nil || key.Type() != crypto.Ed25519 || len(raw) != len(n) {
		return n, fmt.Errorf("couldn't read node id %q: it isn't an Ed25519 key: %w", p, board.ErrMalformed)
	}
	copy(n[:], raw)
	return n, nil
}

// PeerIDOf is the libp2p peer id of a node: the text form in which people see it.
func PeerIDOf(n board.NodeID) (peer.ID, error) {
	key, err := crypto.UnmarshalEd25519PublicKey(n[:])
	if err != nil {
		return "", fmt.Errorf("couldn't make a peer id of node %s: %w", n, err)
	}
	p, err := peer.IDFromPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("couldn't make a peer id of node %s: %w", n, err)
	}
	return p, nil
}

// privateKey is the node's key as libp2p wants it.
func privateKey(k board.Key) (crypto.PrivKey, error) {
	seed, public := k.Seed(), k.Public()
	key, err := crypto.UnmarshalEd25519PrivateKey(append(seed[:], public[:]...))
	if err != nil {
		return nil, fmt.Errorf("couldn't use the node's key: %w", err)
	}
	return key, nil
}
