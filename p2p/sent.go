package p2p

import (
	"sync"

	"weft/board"
)

// sent counts what went to each node of each team: bytes of frames and of gossip that are about the team. A node that
// is none of the team's any more must be sent nothing more of it; this is how a test can tell. It is bounded by the
// nodes that the teams have had since the start.
type sent struct {
	mu    sync.Mutex
	bytes map[sentKey]uint64 // guarded by mu
}

type sentKey struct {
	node board.NodeID
	team board.TeamID
}

func newSent() *sent { return &sent{bytes: map[sentKey]uint64{}} }

func (s *sent) add(n board.NodeID, t board.TeamID, bytes int) {
	s.mu.Lock()
	s.bytes[sentKey{n, t}] += uint64(bytes)
	s.mu.Unlock()
}

func (s *sent) of(n board.NodeID, t board.TeamID) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes[sentKey{n, t}]
}

// Sent is how many bytes about a team went to a node since the start: vectors, wants, answers, addresses, pushes and
// beats, as they were handed to the network. The farewell to a node that lost the team is not among them, nor is what
// is said in the lobby.
func (m *Mesh) Sent(n board.NodeID, t board.TeamID) uint64 { return m.sent.of(n, t) }
