package p2p

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

// A range that a peer asks for again and again, and was given each time, costs this node much and the peer little. So
// each is sent a few times only, and then not for a while; the peer is told BUSY and may ask somebody else.
const (
	sameRange  = 2           // times that one range is sent to a peer within repeatTime
	repeatTime = time.Minute // after the last of them
	keptRanges = 64          // remembered of a peer, the newest
)

// sentRanges says which ranges were sent to their end. Safe for concurrent use. It is bounded by the nodes of this node's
// teams: others are sent nothing.
type sentRanges struct {
	mu     sync.Mutex
	byNode map[board.NodeID][]sentRange // the oldest first
}

type sentRange struct {
	what [32]byte
	n    int
	at   time.Time
}

// whatOf names what a Want asks for: its whole text but number and credit.
func whatOf(w *weftv1.Want) (what [32]byte) {
	h := sha256.New()
	point := func(p *weftv1.EpochPoint) {
		var b [24]byte
		binary.BigEndian.PutUint64(b[:], p.GetEpoch())
		binary.BigEndian.PutUint64(b[8:], p.GetEpochRandom())
		binary.BigEndian.PutUint64(b[16:], p.GetSeq())
		h.Write(b[:])
	}
	h.Write(w.Team)
	h.Write(w.Board)
	h.Write(w.Node)
	point(w.Toward)
	for _, p := range w.Have {
		point(p)
	}
	if w.Backward {
		h.Write([]byte{1})
	}
	h.Sum(what[:0])
	return what
}

// often says whether a range was sent to n as often as it will be for now.
func (s *sentRanges) often(n board.NodeID, what [32]byte, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.byNode[n] {
		if r.what == what {
			return r.n >= sameRange && now.Sub(r.at) < repeatTime
		}
	}
	return false
}

// sent notes that a range was sent to its end.
func (s *sentRanges) sent(n board.NodeID, what [32]byte, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byNode == nil {
		s.byNode = map[board.NodeID][]sentRange{}
	}
	list := s.byNode[n]
	times := 1
	for i, r := range list {
		if r.what == what {
			if now.Sub(r.at) < repeatTime {
				times += r.n
			}
			list = append(list[:i], list[i+1:]...)
			break
		}
	}
	if len(list) >= keptRanges {
		list = append(list[:0], list[1:]...)
	}
	s.byNode[n] = append(list, sentRange{what, times, now})
}
