package rpc

import (
	"sync"
	"testing"

	"weft/board"
)

func TestPostsCommittedTogetherShareOneSignature(t *testing.T) {
	var r receipts
	var signed int // guarded by the receipt's own lock
	at := func(seq uint64) func() (board.Position, []byte, bool) {
		return func() (board.Position, []byte, bool) {
			signed++
			return board.Position{Seq: seq}, make([]byte, 64), true
		}
	}
	o := board.Origin{Epoch: board.Epoch{N: 1}}
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			if r.of(board.ID{1}, o, uint64(i), at(100)) == nil {
				t.Error("no receipt")
			}
		})
	}
	wg.Wait()
	if signed != 1 {
		t.Errorf("%d signatures for one group", signed)
	}
	if r.of(board.ID{1}, o, 101, at(100)) != nil {
		t.Error("a receipt that does not cover the record")
	}
	if r.of(board.ID{1}, o, 101, at(101)) == nil || r.of(board.ID{2}, o, 1, at(1)) == nil || r.of(board.ID{1}, board.Origin{}, 1, at(1)) == nil {
		t.Error("no receipt of a later record, another board or another origin")
	}
	if signed != 5 {
		t.Errorf("%d signatures", signed)
	}
}
