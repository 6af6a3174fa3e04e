package presence

import (
	"time"

	"weft/board"
)

func (t *Table) node(id board.NodeID) *node {
	n := t.nodes[id]
	if n == nil {
		n = &node{id: id, self: id == t.cfg.Self}
		t.nodes[id] = n
	}
	return n
}

// booksOf are what is held of a node, by team.
func (t *Table) booksOf(n *node) (all []*book) {
	for _, rm := range t.sorted() {
		if b := rm.books[n.id]; b != nil {
			all = append(all, b)
		}
	}
	return all
}

// affect carries out what concerns all people of books at once, and shows what follows from it.
func (t *Table) affect(books []*book, cause Cause, change func()) {
	type one struct {
		room   *room
		row    *row
		before Person
	}
	var all []one
	for _, b := range books {
		for _, r := range b.team.rows {
			if r.of(b) != nil {
				all = append(all, one{b.team, r, r.shown()})
			}
		}
	}
	change()
	for i := range all { // in any order: nothing of this is held back, and end sorts it
		t.show(all[i].room, all[i].row, all[i].before, cause)
		all[i].room.prune(all[i].row)
	}
}

// reboot: the node was started again, and what it said before is void.
func (t *Table) reboot(n *node, boot [16]byte) {
	was := n.boot
	n.boot, n.sent = boot, 0
	if was == [16]byte{} {
		return
	}
	copy(n.old[1:], n.old[:])
	n.old[0] = was
	books := t.booksOf(n)
	t.affect(books, CauseNodeBack, func() {
		for _, b := range books {
			b.clear()
			b.reborn = t.now + StateEvery.Milliseconds()
		}
	})
}

// freshen says that books are what their node says now.
func (t *Table) freshen(books []*book) {
	var stale []*book
	for _, b := range books {
		if !b.fresh {
			stale = append(stale, b)
		}
	}
	if len(stale) > 0 {
		t.affect(stale, CauseNodeBack, func() {
			for _, b := range stale {
				b.fresh = true
			}
		})
	}
}

// doubt says that what a node has said doesn't count from now on, and when it is heard again only once it is known to be what it says then.
func (t *Table) doubt(n *node, cause Cause, change func()) {
	books := t.booksOf(n)
	t.affect(books, cause, func() {
		change()
		for _, b := range books {
			b.fresh = false
		}
	})
}

// Lease says until when a node vouches for what it has said.
func (t *Table) Lease(now time.Time, id board.NodeID, until time.Time) []Effect {
	t.begin(now)
	n := t.node(id)
	lease := min(until.Sub(t.cfg.Start).Milliseconds()+longAgo, t.now+4*LeaseFor.Milliseconds())
	if n.self || lease <= t.now {
		return nil
	}
	n.lease, n.heard = max(n.lease, lease), t.wall
	if n.leased {
		return nil
	}
	t.affect(t.booksOf(n), CauseNodeBack, func() { n.leased = true })
	return t.end()
}

// expire ends leases.
func (t *Table) expire() {
	for _, n := range t.nodes { // in any order, since end sorts changes
		if n.leased && n.lease <= t.now {
			t.doubt(n, CauseExpired, func() { n.leased = false })
		}
	}
}

// NodeHealth takes what failure detection says of a node.
func (t *Table) NodeHealth(now time.Time, id board.NodeID, h Health) []Effect {
	t.begin(now)
	n := t.node(id)
	if n.self {
		n.health = h // shown by Why; a node doesn't die for itself
		return nil
	}
	if h.Boot != [16]byte{} {
		if n.isOld(h.Boot) {
			return nil // it was started again since
		}
		if h.Boot != n.boot {
			t.reboot(n, h.Boot)
		}
	}
	dies := n.lives() && (h.State == NodeDead || h.State == NodeLeft)
	if !dies {
		revives := !n.lives() && n.leased && h.State != NodeDead && h.State != NodeLeft
		if revives { // what is known to be what it says now, since it has said so before it was known to live
			t.affect(t.booksOf(n), CauseNodeBack, func() { n.health = h })
		}
		n.health = h
		return t.end()
	}
	cause := CauseNodeDead
	if h.State == NodeLeft {
		cause, n.heard = CauseNodeLeft, t.wall
	}
	t.doubt(n, cause, func() { n.health = h })
	return t.end()
}

// Confirm says that what is held of a node in these teams is what the node says now, by its digests.
func (t *Table) Confirm(now time.Time, id board.NodeID, boot [16]byte, teams []board.TeamID) []Effect {
	t.begin(now)
	n := t.nodes[id]
	if n == nil || n.boot != boot {
		return nil
	}
	var books []*book
	for _, team := range teams {
		if rm := t.rooms[team]; rm != nil && rm.books[id] != nil {
			books = append(books, rm.books[id])
		}
	}
	t.freshen(books)
	return t.end()
}

// Digest of the state of a node's people in a team.
type Digest struct {
	Team   board.TeamID
	Number uint64
	Sum    [16]byte
}

// Digests are of this node's own people, in the order of teams; those of which nothing was ever said are left out.
func (t *Table) Digests(teams []board.TeamID) []Digest { return t.digests(t.cfg.Self, teams) }

// Known is the same for what is held of another node, with the boot that it is from.
func (t *Table) Known(id board.NodeID, teams []board.TeamID) ([]Digest, [16]byte) {
	if n := t.nodes[id]; n != nil {
		return t.digests(id, teams), n.boot
	}
	return nil, [16]byte{}
}

func (t *Table) digests(id board.NodeID, teams []board.TeamID) (out []Digest) {
	for _, team := range teams {
		if rm := t.rooms[team]; rm != nil {
			if b := rm.books[id]; b != nil && (b.number > 0 || b.sum != sum{}) {
				out = append(out, Digest{team, b.number, b.sum.bytes()})
			}
		}
	}
	return out
}
