package p2p

import (
	"context"
	"time"

	"weft/board"
)

// compareFork has the store find out where a peer's records of a node part from those held here.
func (l *loop) compareFork(e board.CompareFork) {
	ctx, cancel := context.WithTimeout(l.m.ctx, time.Minute)
	defer cancel()
	found, err := l.m.o.Store.FindFork(ctx, e.Team, e.Run)
	if err != nil {
		l.m.log.Debug("couldn't compare records that contradict each other", "board", e.Run.Board.String(), "node", e.Run.Node.String(), "err", err)
	}
	l.m.step(board.ForkCompared{
		Team: e.Team, Board: e.Run.Board, Origin: e.Run.Origin, From: e.From,
		Same: found.Same, Differs: found.Differs, Proven: found.Proven, Failed: err != nil,
	})
}
