package p2p

import (
	"testing"
	"time"
)

// Whoever learns of a commit may ask the loop about it: no other nudge need follow, as a join that waits relies on.
func TestTheLoopAnswersWithWhatIsCommitted(t *testing.T) {
	a := newNode(t, "ada")
	id := a.found("crew")
	told := func() (known bool) {
		a.mesh.loop.do(a.mesh.ctx, func() {
			known = a.mesh.loop.teams[id] == a.team(id)
		})
		return known
	}
	for i := range 40 { // by chance the loop would look at the commit before the call in half of them
		commits, stop := a.store.Subscribe()
		busy, goOn := make(chan struct{}), make(chan struct{})
		go a.mesh.loop.do(a.mesh.ctx, func() { close(busy); <-goOn })
		<-busy
		a.invite(id, 1, time.Time{})
		<-commits
		asking, answer := make(chan struct{}), make(chan bool, 1)
		go func() {
			close(asking)
			answer <- told()
		}()
		<-asking
		close(goOn)
		if !<-answer {
			t.Fatalf("commit %d was unknown to the loop when it was asked about it", i)
		}
		stop()
	}
}
