package p2p

import (
	"bytes"
	"slices"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

// On a node's own stream its beats come short: without what the stream has told already, the node and its boot, which are
// 120 of the 290 bytes of one person's change. A short beat has no key, and its object is team || rest, each as in the
// PresenceBeat that was signed: the reader puts node and boot back between them. Whom it is passed on to gets it whole.

// Lengths of the encoded fields with which a PresenceBeat begins.
const (
	teamField = 2 + 32
	nodeField = 2 + 32
	bootField = 2 + 16
)

// nodeAndBoot are the encoded fields 2 and 3 of a PresenceBeat.
func nodeAndBoot(n board.NodeID, boot [16]byte) []byte {
	out := append(make([]byte, 0, nodeField+bootField), 2<<3|2, 32)
	out = append(out, n[:]...)
	out = append(out, 3<<3|2, 16)
	return append(out, boot[:]...)
}

// short is one of this node's own beats for those who read its stream.
func (p *presence) short(s *weftv1.Signed) *weftv1.Signed {
	known := nodeAndBoot(p.m.self, p.m.boot)
	if len(s.Object) < teamField || !bytes.HasPrefix(s.Object[teamField:], known) { // of another encoder
		return s
	}
	return &weftv1.Signed{Object: slices.Concat(s.Object[:teamField], s.Object[teamField+len(known):]), Signature: s.Signature}
}

// long is a beat that came on the stream as its node signed it.
func (e *ear) long(s *weftv1.Signed) *weftv1.Signed {
	if len(s.GetKey()) > 0 || len(s.GetObject()) < teamField {
		return s
	}
	return &weftv1.Signed{
		Object: slices.Concat(s.Object[:teamField], nodeAndBoot(e.node, e.boot), s.Object[teamField:]), Key: e.node[:], Signature: s.Signature,
	}
}
