package hub

import (
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence/detect"
)

// What the mesh calls. Errors that wrap board.ErrMalformed are the sender's offence; others only say what became of it.

// ReceiveBeat takes a beat from a node of its team, from its author or another; the author's signature was checked. raw is kept
// only while another node wants to hear it from here.
func (h *Hub) ReceiveBeat(from board.NodeID, raw *weftv1.Signed, b *weftv1.PresenceBeat) error {
	return nil
}

// ReceiveSetting takes what a person has set at another home of theirs, from that home.
func (h *Hub) ReceiveSetting(from board.NodeID, s *weftv1.OwnSetting) error { return nil }

// Lease says until when a node vouches for what it says: any verified message of it renews that.
func (h *Hub) Lease(node board.NodeID, until time.Time) {}

// NodeHealth takes what failure detection says of a node.
func (h *Hub) NodeHealth(node board.NodeID, s detect.Health) {}

// Digests are of this node's own people as node may know them: of shared teams, by team, without teams of which nothing was ever said.
func (h *Hub) Digests(node board.NodeID, shared []board.TeamID) []*weftv1.TeamDigest { return nil }

// Known is the same of what is held of node, and the boot that it is from.
func (h *Hub) Known(node board.NodeID, shared []board.TeamID) ([]*weftv1.TeamDigest, [16]byte) {
	return nil, [16]byte{}
}

// Agree compares what node says of its own people in shared teams (the digest of its Pulse) with what is held. If that is
// the same it counts (again). If not: ask for TeamDigests, and give them to Differ.
func (h *Hub) Agree(node board.NodeID, boot [16]byte, shared []board.TeamID, digest []byte) bool {
	return false
}

// Differ is Agree by team: it returns the teams whose whole state is to be asked for.
func (h *Hub) Differ(node board.NodeID, boot [16]byte, shared []board.TeamID, said []*weftv1.TeamDigest) []board.TeamID {
	return nil
}

// PulseDigest is what Pulse.presence says: a hash over boot and digests.
func PulseDigest(boot [16]byte, ds []*weftv1.TeamDigest) []byte { return nil }

// Whole is all that a node says in a team, for another node of it: of this node, pages to be signed; of others, what they signed,
// if it is kept here; if not, it is asked for, and the next call may have it.
func (h *Hub) Whole(node board.NodeID, team board.TeamID, to board.NodeID) (own []*weftv1.PresenceBeat, signed []*weftv1.Signed) {
	return nil, nil
}
