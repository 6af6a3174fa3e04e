package store

import (
	"context"
	"errors"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
)

// overwrite changes a value behind the store's back: Badger's own checksums fit, as they do where memory or a program was
// at fault and not the disk.
func (f *fixture) overwrite(key []byte, change func(v []byte)) {
	f.t.Helper()
	txn := f.s.db.NewTransactionAt(f.s.snaps.last(), true)
	defer txn.Discard()
	it, err := txn.Get(key)
	if err != nil {
		f.t.Fatal(err)
	}
	v, err := it.ValueCopy(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	change(v)
	if err := txn.SetEntry(&badger.Entry{Key: key, Value: v}); err != nil {
		f.t.Fatal(err)
	}
	if err := f.s.commitAt(txn, func() {}); err != nil {
		f.t.Fatal(err)
	}
}

func TestAValueThatDoesNotFitItsChecksumIsDamaged(t *testing.T) {
	ctx := context.Background()
	f := newTeamNode(t, 1, nil)
	f.post("first")
	at := f.post("second").Position
	f.post("third")
	l, err := f.s.findLog(f.board, at.Origin())
	if err != nil {
		t.Fatal(err)
	}
	f.overwrite(recordKey(pos{l.num, at.Seq}), func(v []byte) { v[8]++ }) // when it was received: nothing else vouches for that
	if _, err := f.s.Run(ctx, f.board, at.Origin(), at.Seq, at.Seq, 1); !errors.Is(err, board.ErrDamaged) {
		t.Errorf("a peer would be sent it: %v", err)
	}
	page, err := f.s.Page(ctx, f.board, PageQuery{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	if page.Damaged != 1 || len(page.Entries) != 2 {
		t.Errorf("a page shows %d entries and %d damaged", len(page.Entries), page.Damaged)
	}
}

// TestARestartSealsTheEpochBefore: the first record after a start names the last one before it, so that all epochs are one
// chain.
func TestARestartSealsTheEpochBefore(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	for range 3 {
		before := f.post("before").Position
		f.reopen()
		after := f.post("after").Position
		st, ok := f.s.Holding(f.board).Get(after.Origin())
		if !ok || after.Seq != 1 || st.LoPrev != (board.Link{Epoch: before.Epoch, Seq: before.Seq, Hash: before.Hash}) {
			t.Fatalf("the epoch %v begins at %d after %+v, want after %v", after.Epoch, after.Seq, st.LoPrev, before)
		}
	}
	if v := f.s.Vector(f.board); len(v) != 1 {
		t.Errorf("the vector names %d leaves", len(v))
	}
}
