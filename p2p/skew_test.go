package p2p

import (
	"testing"
	"time"

	"weft/board"
)

func TestOneWrongClockDoesNotMakeOursWrong(t *testing.T) {
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	var s skews
	if _, n := s.median(now); n != 0 {
		t.Errorf("knows %d clocks of nobody", n)
	}
	s.heard(board.NodeID{1}, board.HLCAt(now.Add(time.Hour)), now)
	s.heard(board.NodeID{2}, board.HLCAt(now.Add(10*time.Millisecond)), now)
	s.heard(board.NodeID{3}, board.HLCAt(now), now)
	if ahead, n := s.median(now); n != 3 || ahead != 10*time.Millisecond {
		t.Errorf("%s of %d", ahead, n)
	}
	if _, n := s.median(now.Add(skewAge + time.Second)); n != 0 {
		t.Errorf("still believes %d old clocks", n)
	}
}
