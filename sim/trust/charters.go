package trust

import (
	"bytes"
	"slices"

	"weft/board"
	"weft/team"

	weftv1 "weft/api/weft/v1"
)

// charter is a version of the team's rules.
type charter struct {
	*weftv1.TeamCharter
	hash board.Hash
}

func among(ids [][]byte, u board.UserID) bool {
	return slices.ContainsFunc(ids, func(b []byte) bool { return bytes.Equal(b, u[:]) })
}

// role that u has by the charter alone: Owner, Admin or None.
func (c *charter) role(u board.UserID) team.Role {
	switch {
	case among(c.Owners, u):
		return team.Owner
	case among(c.Admins, u):
		return team.Admin
	}
	return team.None
}

func (c *charter) power(u board.UserID) bool { return c.role(u) != team.None }

func (c *charter) powers() (out []board.UserID) {
	for _, b := range append(slices.Clone(c.Owners), c.Admins...) {
		out = append(out, board.UserID(b))
	}
	return out
}

// cutOf is what c says of u, if anything.
func (c *charter) cutOf(u board.UserID) *weftv1.PowerCut {
	for _, p := range c.Cuts {
		if bytes.Equal(p.User, u[:]) {
			return p
		}
	}
	return nil
}

// takes says whether c is a `set` of u: it carries a cut for someone whom it leaves without power.
func (c *charter) takes(u board.UserID) bool { return c.cutOf(u) != nil && !c.power(u) }

// follows says whether c has the form of a child of p.
func (e *evaluation) follows(p, c *charter) bool {
	if !bytes.Equal(c.Prev, p.hash[:]) || c.Ver != p.Ver+1 || !bytes.Equal(c.Team, e.team[:]) {
		return false
	}
	if c.Rules > team.Rules {
		e.met.mark("charter with newer rules")
		return true // what else it says, this version can't read
	}
	for _, x := range p.powers() {
		if !c.power(x) && c.cutOf(x) == nil {
			e.met.mark("charter without a cut")
			return false
		}
	}
	return true
}

// ack is one signature of an ack.
type ack struct {
	item
	charter board.Hash
	user    board.UserID
}

// acked are those with power in p who acked c.
func (e *evaluation) acked(p, c *charter) map[board.UserID]bool {
	counting, late := map[board.UserID]bool{}, map[board.UserID]bool{}
	for _, a := range e.acks {
		if a.charter != c.hash || !p.power(a.user) {
			continue
		}
		switch u := e.person(a.user); {
		case u.counts(e.logs, a.signer, a.item) == valid:
			counting[a.user] = true
		case u.ever[a.signer]:
			late[a.user] = true
		}
	}
	users := map[board.UserID]bool{}
	for x := range counting {
		users[x] = true
	}
	for x := range late { // nobody takes a handover back by disowning the device that acked it
		others, of := 0, 0
		for _, y := range p.powers() {
			if y == x {
				continue
			}
			of++
			if counting[y] {
				others++
			}
		}
		if users[x] {
			continue
		}
		if 2*others > of {
			users[x] = e.met.mark("late ack with most of the others")
		} else {
			e.met.mark("late ack")
		}
	}
	return users
}

// walk finds the canonical chain from genesis on.
func (e *evaluation) walk(genesis *charter) (chain []*charter) {
	chain = []*charter{genesis}
	for {
		next := e.winner(chain[len(chain)-1])
		if next == nil {
			return chain
		}
		chain = append(chain, next)
		if next.Rules > team.Rules {
			return chain
		}
	}
}

// winner among the valid children of p: nil without any.
func (e *evaluation) winner(p *charter) (best *charter) {
	children := map[*charter]map[board.UserID]bool{}
	chosen, devices := map[board.UserID]int{}, map[*charter]map[key]bool{}
	chosenBy := map[key]int{}
	var order []*charter
	senior := board.UserID(p.Owners[0])
	for _, c := range sorted(e.charters) {
		if !e.follows(p, c) {
			continue
		}
		order = append(order, c)
		children[c] = e.acked(p, c)
		for x := range children[c] {
			chosen[x]++
		}
		devices[c] = e.ackedBy(senior, c)
		for d := range devices[c] {
			chosenBy[d]++
		}
	}
	var greatest []int
	for _, c := range order {
		owners := 0
		for _, o := range p.Owners {
			if children[c][board.UserID(o)] {
				owners++
			}
		}
		if !children[c][senior] && 2*owners <= len(p.Owners) {
			e.met.mark("charter with too few acks")
			continue // not valid
		}
		if !children[c][senior] {
			e.met.mark("charter by most owners without the senior")
		}
		prefer := func(of [][]byte) (n int) {
			for _, x := range of {
				switch {
				case children[c][board.UserID(x)] && chosen[board.UserID(x)] == 1:
					n++
				case children[c][board.UserID(x)]:
					e.met.mark("acked more than one sibling")
				}
			}
			return n
		}
		majority, rank := 0, -1000
		if 2*prefer(p.Owners) > len(p.Owners) {
			majority = 1
		}
		if h := e.person(senior).head(); h != nil {
			for i, k := range slices.Backward(h.Keys) {
				if devices[c][key(k)] && chosenBy[key(k)] == 1 {
					rank = -i
				}
			}
		}
		worth := []int{majority, prefer(p.Owners), prefer(p.Admins), rank}
		if best != nil {
			names := []string{"owner majority", "owners", "admins", "senior owner's device", "hash"}
			i := 0
			for i < len(worth) && worth[i] == greatest[i] {
				i++
			}
			e.met.mark("sibling charters: " + names[i])
		}
		if best == nil || slices.Compare(worth, greatest) > 0 {
			best, greatest = c, worth
		}
	}
	return best
}

// ackedBy are the devices of u whose acks of c count.
func (e *evaluation) ackedBy(u board.UserID, c *charter) map[key]bool {
	devices := map[key]bool{}
	for _, a := range e.acks {
		if a.charter == c.hash && a.user == u && e.person(u).counts(e.logs, a.signer, a.item) == valid {
			devices[a.signer] = true
		}
	}
	return devices
}

// loss is the first canonical charter after the one at index i that takes u's power; nil: none did.
func (e *evaluation) loss(u board.UserID, i int) *charter {
	for _, c := range e.chain[i+1:] {
		if !c.power(u) {
			return c
		}
	}
	return nil
}

// at is the place of a charter in the canonical chain; -1: it isn't there.
func (e *evaluation) at(h board.Hash) int {
	return slices.IndexFunc(e.chain, func(c *charter) bool { return c.hash == h })
}
