package store

import "testing"

// Who is nudged may ask replication what it makes of the commit, so that is told first.
func TestReplicationHearsOfACommitBeforeSubscribers(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	nudges, stop := f.s.Subscribe()
	defer stop()
	told, late := 0, 0
	f.s.OnCommit(func([]Committed) {
		told++
		late += len(nudges)
	})
	for range 3 {
		f.post("x")
		<-nudges
	}
	if told != 3 || late != 0 {
		t.Errorf("of 3 commits replication was told of %d, of %d after the subscribers", told, late)
	}
}
