package p2p

import (
	"crypto/rand"
	"testing"

	"weft/board"
	"weft/store"
)

// A node that dies between the commit and the push has stored, and told nobody. What it stored arrives once the node is
// back, once.
func TestWhatWasStoredAndNotPushedArrivesOnce(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	general := board.GeneralID(id)
	a.letIn(id, b)
	b.post(id, general, 3)
	eventually(t, "ada has bob's posts", func() bool { return a.entries(general) == 3 && same(id, a, b) }, a, b)
	if err := b.mesh.Close(); err != nil {
		t.Fatal(err)
	}
	<-b.ended
	draft := store.Draft{
		Team: id, Board: general, Author: b.id.User, Device: b.id.Device, Kind: board.KindPost,
		Body: []byte("stored, and then the power failed"), ClientMsgID: rand.Text(),
	}
	if _, err := b.store.Append(testContext(t), []store.Draft{draft}); err != nil { // there is nobody who could push it
		t.Fatal(err)
	}
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	b.mesh = nil
	b.start()
	again, err := b.store.Append(testContext(t), []store.Draft{draft}) // the client never heard that it was stored
	if err != nil || !again[0].Duplicate {
		t.Fatalf("the retry: %+v, %v", again, err)
	}
	eventually(t, "ada has it", func() bool { return a.entries(general) == 4 && same(id, a, b) }, a, b)
	page, err := a.store.Page(testContext(t), general, store.PageQuery{Limit: 10})
	if err != nil || len(page.Entries) != 4 || string(page.Entries[3].Entry.Body) != string(draft.Body) {
		t.Errorf("ada shows %d entries, %v", len(page.Entries), err)
	}
}
