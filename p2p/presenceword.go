package p2p

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

// heardWord is the last word of a node whose signature was found good.
type heardWord struct {
	raw    *weftv1.Signed
	word   *weftv1.NodeAlive
	before [16]byte // the boot before this one: if it comes back, two clones of one node are running
}

// bootTime is when this node started, for others to tell its boots apart: later than at any start before, whatever its
// clock says.
func (m *Mesh) bootTime() uint64 {
	at := uint64(max(m.o.Now().UnixMilli(), 0))
	if b, ok := m.kv.get("boot"); ok && len(b) == 8 {
		if last := binary.BigEndian.Uint64(b); last >= at && last < math.MaxInt64 {
			at = last + 1
		}
	}
	m.kv.set("boot", binary.BigEndian.AppendUint64(nil, at))
	return at
}

// sign makes this node's word of an incarnation. Called with mu held.
func (p *presence) sign(incarnation uint64, goodbye bool) *weftv1.Signed {
	raw, err := proto.Marshal(&weftv1.NodeAlive{Node: p.m.self[:], Boot: p.m.boot[:], BootMs: p.mu.bootMs, Incarnation: incarnation, Goodbye: goodbye})
	if err != nil {
		p.m.log.Error("couldn't encode this node's word", "err", err)
	}
	sig := p.m.o.Key.Sign(board.SignAlive, raw)
	return &weftv1.Signed{Object: raw, Key: p.m.self[:], Signature: sig[:]}
}

// incarnation is that of this node's word. Called with mu held.
func (p *presence) incarnation() uint64 {
	var w weftv1.NodeAlive
	if proto.Unmarshal(p.mu.word.Object, &w) != nil {
		return 1
	}
	return w.Incarnation
}

// setWord makes a new word, which pulses say from now on.
func (p *presence) setWord(bootMs, incarnation uint64, goodbye bool) *weftv1.Signed {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.mu.ended {
		p.mu.bootMs = bootMs
		p.mu.word = p.sign(incarnation, goodbye)
	}
	return p.mu.word
}

// readWord reads a node's word and checks its signature. Words are of nodes that share a team with this one, or they are
// refused; what was heard last isn't checked again. Errors are rejected, or wrap errFrameBad.
func (p *presence) readWord(s *weftv1.Signed) (*weftv1.NodeAlive, error) {
	if len(s.GetKey()) != 32 || len(s.GetSignature()) != 64 {
		return nil, fmt.Errorf("%w: a word that isn't signed", errFrameBad)
	}
	n := board.NodeID(s.Key)
	p.mu.Lock()
	last, mate := p.mu.words[n], p.mu.mates[n] != nil
	p.mu.Unlock()
	if last != nil && bytes.Equal(last.raw.Object, s.Object) && bytes.Equal(last.raw.Signature, s.Signature) {
		return last.word, nil
	}
	w := new(weftv1.NodeAlive)
	if err := decode(s.Object, w); err != nil {
		return nil, err
	}
	switch {
	case !bytes.Equal(w.Node, s.Key) || len(w.Boot) != 16 || w.Incarnation == 0 || w.BootMs > math.MaxInt64:
		return nil, rejected{"malformed", true}
	case n == p.m.self:
		if !bytes.Equal(w.Boot, p.m.boot[:]) {
			p.m.stats.replica.WithLabelValues("own_word_of_another_boot").Inc()
		}
	case !mate:
		return nil, rejected{"of_stranger", false}
	}
	if !board.Verify(n, board.SignAlive, s.Object, s.Signature) {
		return nil, rejected{"bad_signature", true}
	}
	if n != p.m.self {
		p.keepWord(n, s, w)
	}
	return w, nil
}

// keepWord remembers a word, unless it is older than the one that is known.
func (p *presence) keepWord(n board.NodeID, s *weftv1.Signed, w *weftv1.NodeAlive) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.mates[n] == nil {
		return
	}
	last := p.mu.words[n]
	kept := &heardWord{raw: s, word: w}
	if last != nil {
		kept.before = last.before
		if !bytes.Equal(last.word.Boot, w.Boot) {
			if [16]byte(w.Boot) == last.before && w.BootMs < last.word.BootMs {
				return // passed on late, or the older of two clones: which of them is linked tells the pulse
			}
			kept.before = [16]byte(last.word.Boot)
		} else if w.Incarnation < last.word.Incarnation || last.word.Goodbye && w.Incarnation == last.word.Incarnation {
			return
		}
	}
	p.mu.words[n] = kept
}
