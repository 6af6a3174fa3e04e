package hub

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence"
	"weft/presence/detect"
)

// What the mesh calls. Errors that wrap board.ErrMalformed are the sender's offence; others only say what became of it.

// ReceiveBeat takes a beat from a node of its team, from its author or another; the author's signature was checked. raw is
// kept only while another node wants to hear it from here.
func (h *Hub) ReceiveBeat(from board.NodeID, raw *weftv1.Signed, m *weftv1.PresenceBeat) error {
	b, err := presence.ParseBeat(m)
	if err != nil {
		h.metrics.received.WithLabelValues("malformed").Inc()
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.o.Now()
	if from == b.Node {
		h.do(h.mu.table.Lease(now, from, now.Add(presence.LeaseFor)))
	}
	effects, err := h.mu.table.Receive(now, b)
	h.do(effects)
	switch {
	case err == nil:
		h.metrics.received.WithLabelValues("applied").Inc()
		h.mu.relays.keep(raw, b)
	case errors.Is(err, presence.ErrStale):
		h.metrics.received.WithLabelValues("stale").Inc()
	default:
		h.metrics.received.WithLabelValues("not_member").Inc()
	}
	return err
}

// Lease says until when a node vouches for what it says: any verified message of it renews that.
func (h *Hub) Lease(node board.NodeID, until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if effects := h.mu.table.Lease(h.o.Now(), node, until); len(effects) > 0 {
		h.do(effects)
	}
	if h.mu.wake.IsZero() || until.Before(h.mu.wake) {
		h.nudge() // Run rests until a later time
	}
}

// NodeHealth takes what failure detection says of a node.
func (h *Hub) NodeHealth(node board.NodeID, s detect.Health) {
	x := presence.Health{Boot: s.Boot, By: slices.Clone(s.By), Incarnation: s.Incarnation}
	if !s.Since.IsZero() {
		x.Since = s.Since.UnixMilli()
	}
	switch s.State {
	case detect.Alive:
		x.State = presence.NodeAlive
	case detect.Suspected:
		x.State = presence.NodeSuspected
	case detect.Dead:
		x.State = presence.NodeDead
	case detect.Left:
		x.State = presence.NodeLeft
	}
	h.step(func(t *presence.Table, now time.Time) []presence.Effect { return t.NodeHealth(now, node, x) })
}

// Digests are of this node's own people as node may know them: of shared teams, by team, without teams of which nothing
// was ever said.
func (h *Hub) Digests(node board.NodeID, shared []board.TeamID) []*weftv1.TeamDigest {
	h.mu.Lock()
	defer h.mu.Unlock()
	return digestsWire(h.mu.table.Digests(inOrder(shared)))
}

func inOrder(teams []board.TeamID) []board.TeamID {
	teams = slices.Clone(teams)
	slices.SortFunc(teams, func(a, b board.TeamID) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(teams)
}

func digestsWire(ds []presence.Digest) []*weftv1.TeamDigest {
	out := make([]*weftv1.TeamDigest, len(ds))
	for i, d := range ds {
		out[i] = &weftv1.TeamDigest{Team: slices.Clone(d.Team[:]), Number: d.Number, Presence: slices.Clone(d.Sum[:])}
	}
	return out
}

// PulseDigest is what Pulse.presence says: the first 16 bytes of sha256("weft/pulse/v1\0" ‖ boot ‖ team ‖ number 8 ‖ digest, for each
// team by id).
func PulseDigest(boot [16]byte, ds []*weftv1.TeamDigest) []byte {
	b := append([]byte("weft/pulse/v1\x00"), boot[:]...)
	for _, d := range ds {
		b = append(b, d.Team...)
		b = binary.BigEndian.AppendUint64(b, d.Number)
		b = append(b, d.Presence...)
	}
	sum := sha256.Sum256(b)
	return sum[:16]
}

// Agree compares what node says of its own people in shared teams (the digest of its Pulse) with what is held. If that is
// the same it counts (again). If not: ask for TeamDigests, and give them to Differ.
func (h *Hub) Agree(node board.NodeID, boot [16]byte, shared []board.TeamID, digest []byte) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	ds, held := h.mu.table.Known(node, inOrder(shared))
	if len(ds) == 0 {
		held = boot // nothing was said, whichever start it is
	}
	if held != boot || string(PulseDigest(boot, digestsWire(ds))) != string(digest) {
		return false
	}
	h.do(h.mu.table.Confirm(h.o.Now(), node, boot, shared))
	return true
}

// Differ is Agree by team: it returns the teams whose whole state is to be asked for.
func (h *Hub) Differ(node board.NodeID, boot [16]byte, shared []board.TeamID, said []*weftv1.TeamDigest) (differ []board.TeamID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	shared = inOrder(shared)
	ds, held := h.mu.table.Known(node, shared)
	type one struct {
		number uint64
		sum    string
	}
	know, says := map[board.TeamID]one{}, map[board.TeamID]one{}
	for _, d := range ds {
		know[d.Team] = one{d.Number, string(d.Sum[:])}
	}
	for _, d := range said {
		if len(d.GetTeam()) == 32 && len(d.Presence) == 16 {
			says[board.TeamID(d.Team)] = one{d.Number, string(d.Presence)}
		}
	}
	var same []board.TeamID
	for _, id := range shared {
		if know[id] == says[id] && (held == boot || len(ds) == 0) {
			same = append(same, id)
		} else {
			differ = append(differ, id)
		}
	}
	h.do(h.mu.table.Confirm(h.o.Now(), node, boot, same))
	return differ
}

// Whole is all that a node says in a team, for another node of it: of this node, pages to be signed; of others, what they
// signed, if it is kept here; if not, it is asked for, and the next call may have it.
func (h *Hub) Whole(node board.NodeID, id board.TeamID, to board.NodeID) (own []*weftv1.PresenceBeat, signed []*weftv1.Signed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if st := h.mu.teams[id]; st == nil || !st.IsNode(to) || !st.IsNode(node) {
		return nil, nil
	}
	if node != h.o.Self {
		signed, ask := h.mu.relays.ask(h.o.Now(), node, id)
		if ask {
			h.mu.outbox = append(h.mu.outbox, presence.Ask{Node: node, Team: id})
			h.nudge()
		}
		return nil, signed
	}
	for _, b := range h.mu.table.Whole(id) {
		b.SentHLC = h.o.Clock()
		own = append(own, b.Wire())
	}
	return own, nil
}
