package client

import (
	"crypto/sha256"
	"slices"
	"testing"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

// entryOf is a signed post as a node sends it.
func entryOf(words string) *weftv1.Entry {
	key := board.NewKey(sha256.Sum256([]byte("device")))
	e := board.NewEntry(board.Header{
		Team: board.TeamID{1}, Board: board.ID{2}, Author: board.UserID{3}, Device: key.Public(), DevSeq: 1, ClientMsgID: words, HLC: 1, Kind: board.KindPost,
	}, []byte(words))
	e.Sign(key)
	return &weftv1.Entry{EntryId: e.ID.String(), Header: e.Raw, Signature: e.Signature, Body: e.Body}
}

func TestWhatArrivesBetweenCursorAndPagesIsFollowedOnce(t *testing.T) {
	var got []string
	f := follower{seen: map[board.Hash]bool{}, yield: func(m *Message, err error) bool {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, m.Text)
		return true
	}}
	batch := func(live bool, words ...string) {
		b := &weftv1.SyncResponse{Live: live}
		for _, w := range words {
			b.Events = append(b.Events, &weftv1.SyncEvent{Event: &weftv1.SyncEvent_Shown{Shown: &weftv1.EntryShown{Entry: entryOf(w)}}})
		}
		f.batch(b)
	}
	for _, w := range []string{"old", "between"} { // on the pages
		f.show(entryOf(w), nil)
	}
	batch(false, "between")
	batch(true, "new")
	batch(true, "newer")
	if want := []string{"old", "between", "new", "newer"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if f.seen != nil {
		t.Error("the pages' ids are kept for ever")
	}
}
