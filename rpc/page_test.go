package rpc

import (
	"testing"

	"weft/board"
	"weft/store"
)

func TestPageWithDamageSaysSoAndMarksNothing(t *testing.T) {
	node := board.NewKey([32]byte{1})
	st, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), Node: node})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	s := &service{Options: Options{Store: st}}
	page := store.Page{Damaged: 2, Vector: board.Vector{{Node: node.Public(), Epoch: board.Epoch{N: 1}, Seq: 1, Hash: board.Hash{1}}}}
	if res := s.wirePage(place{}, page, store.PageQuery{}, 0); res.Damaged != 2 || res.Vector != "" {
		t.Errorf("page %v", res)
	}
	page.Damaged = 0
	if res := s.wirePage(place{}, page, store.PageQuery{}, 0); res.Damaged != 0 || res.Vector == "" {
		t.Errorf("page %v", res)
	}
}
