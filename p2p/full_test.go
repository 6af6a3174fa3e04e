package p2p

import (
	"testing"

	"weft/board"
)

// TestAFullTeamTakesNothingMoreAndLosesNothing: a node that keeps no more of a team refuses posts by name, stops fetching,
// says how far it is behind, and goes on with another team and, when it may keep more, with this one.
func TestAFullTeamTakesNothingMoreAndLosesNothing(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob", func(n *testNode) { n.quotas.TeamEntries = 50 })
	id, other := a.found("crew"), a.found("other")
	general := board.GeneralID(id)
	a.letIn(id, b)
	a.letIn(other, b)
	a.post(id, general, 40)
	eventually(t, "bob has what fits", func() bool { return b.entries(general) == 40 }, a, b)
	// What has begun is taken to its end: a run is of 2,048 at most, and only the next one is refused.
	const more = board.MaxRunItems + 452
	a.post(id, general, more)
	behind := func() uint64 {
		for _, s := range b.mesh.SyncStatus(id) {
			if s.Board == general {
				return s.Behind
			}
		}
		return 0
	}
	eventually(t, "bob stops and says so", func() bool {
		return b.counters()["replica_total/store_failed"] > 0 && behind() > 0 && behind()+b.entries(general) == 40+more
	}, a, b)
	a.post(other, board.GeneralID(other), 20)
	eventually(t, "another team goes on", func() bool { return b.entries(board.GeneralID(other)) == 20 }, a, b)
	b.stop()
	b.quotas.TeamEntries = 0
	b.start()
	eventually(t, "all is there", func() bool { return same(id, a, b) && b.entries(general) == 40+more }, a, b)
}
