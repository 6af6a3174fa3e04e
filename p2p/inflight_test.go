package p2p

import (
	"crypto/rand"
	"strings"
	"sync/atomic"
	"testing"

	"weft/board"
	"weft/store"
)

// TestLargeEntriesComeWithBoundedBytesInFlight has bob fetch 48 MB in bodies of 60 KB from two nodes, which are fast beside
// his disk.
func TestLargeEntriesComeWithBoundedBytesInFlight(t *testing.T) {
	a, b, c := newNode(t, "ada"), newNode(t, "bob"), newNode(t, "cyd")
	id := a.found("crew")
	general := board.GeneralID(id)
	a.letIn(id, b, c)
	b.stop()
	const each = 400
	for _, n := range []*testNode{a, c} {
		for range each / 10 {
			var drafts []store.Draft
			for range 10 {
				drafts = append(drafts, store.Draft{Team: id, Board: general, Author: n.id.User, Device: n.id.Device, Kind: board.KindPost,
					Body: []byte(strings.Repeat(rand.Text(), 60_000/26)), ClientMsgID: rand.Text()})
			}
			if _, err := n.store.Append(testContext(t), drafts); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "ada and cyd have each other's", func() bool { return same(id, a, c) }, a, c)
	b.start()
	var most atomic.Int64
	eventually(t, "bob has all", func() bool {
		n := int64(b.counters()["in_flight_bytes"])
		most.Store(max(most.Load(), n))
		return b.entries(general) == 2*each
	}, b)
	if most.Load() == 0 || most.Load() > 16<<20 {
		t.Errorf("at most %d KiB were in flight", most.Load()>>10)
	}
	eventually(t, "nothing is in flight any more", func() bool { return b.counters()["in_flight_bytes"] == 0 }, b)
}
