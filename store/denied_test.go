package store

import (
	"testing"

	"weft/board"
	"weft/team"
)

// A node is denied before anything of it is here, and the store has forgotten by a start, or never knew, that it is about
// this board: the first log of the node in the board counts no more than any other of it, until the node is let in again.
func TestTheFirstLogOfADeniedNodeDoesNotCount(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	g := f.join(2)
	f.allow(g, false)
	f.settle()
	f.reopen()
	g.post("nobody has accepted this")
	f.pull(g)
	f.settle()
	if got := f.texts(); len(got) != 0 || f.unread() != 0 {
		t.Fatalf("shown: %q, %d unread", got, f.unread())
	}
	f.allow(g, true)
	f.settle()
	if got := f.texts(); len(got) != 1 || f.unread() != 1 {
		t.Fatalf("shown after it was let in again: %q, %d unread", got, f.unread())
	}
}

// allow has f's user deny g's node, of which nothing was accepted, or let it in again.
func (f *fixture) allow(g *fixture, allowed bool) {
	f.t.Helper()
	f.n++
	o, err := team.NewNode(f.state(), f.who.id, board.NodeID(g.who.node.Public()), allowed, team.NewCut(nil), [16]byte{4, byte(f.n)})
	if err != nil {
		f.t.Fatal(err)
	}
	f.object(o)
}
