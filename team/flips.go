package team

import (
	"slices"

	"weft/board"
)

// Flip is something by which entries that are on disk may have become void, or valid.
type Flip struct {
	User    board.UserID // whose entries; zero: any author's
	Node    board.NodeID // not zero: records of this node's logs, whoever wrote the entries, count or count no more
	Board   board.ID     // not zero: only in it
	Cred    board.Hash   // not zero: only entries that name it as their right
	Revives bool         // only what was void can have changed
	Above   []*Cut       // what stands under all of these can't have changed; none: everything may have
}

// Flips are what changed for entries on disk since old, an earlier snapshot of the same team (or nil). An entry that none
// of them covers has the verdict that it had, its rule too, if it was not pending then. While the team needs newer rules nothing is judged
// again, so there are none; after that everything may have changed.
func (s *State) Flips(old *State) (out []Flip) {
	switch {
	case s == old || s.charter == nil || s.UpgradeNeeded():
		return nil
	case old == nil || old.charter == nil || old.UpgradeNeeded():
		return []Flip{{}}
	}
	replaced := !startsWith(s.chain, old.chain)
	s.people.since(old.people, func(u board.UserID, was, now *member) {
		if was == nil || was == now || len(was.keys) == 0 {
			return // else all that the person wrote was pending
		}
		d := differences{old: old, replaced: replaced}
		d.keys(was, now)
		d.creds(was, now)
		d.stints(was, now)
		switch {
		case d.all:
			out = append(out, Flip{User: u})
			return
		case len(d.cuts) > 0:
			out = append(out, Flip{User: u, Above: d.cuts})
		}
		for _, c := range d.revived {
			out = append(out, Flip{User: u, Cred: c, Revives: true})
		}
	})
	for i := len(old.chain); i < len(s.chain) && !replaced; i++ {
		if c := s.chain[i]; old.voided(c.hash) { // it was a proposal: what names it was void
			for _, u := range slices.Concat(c.says.(*charterSays).owners, c.says.(*charterSays).admins) {
				out = append(out, Flip{User: u, Cred: c.hash, Revives: true})
			}
		}
	}
	out = s.boardFlips(old, out)
	out = s.nodeFlips(old, out)
	slices.SortFunc(out, compareFlips)
	return out
}

func compareFlips(a, b Flip) int {
	if c := slices.Compare(a.User[:], b.User[:]); c != 0 {
		return c
	}
	if c := slices.Compare(a.Node[:], b.Node[:]); c != 0 {
		return c
	}
	if c := slices.Compare(a.Board[:], b.Board[:]); c != 0 {
		return c
	}
	return compareHashes(a.Cred, b.Cred)
}

// voided says whether an object was here and void: entries that name it may be on disk, void too.
func (s *State) voided(h board.Hash) bool {
	o, held := s.objects.get(h)
	return held && o.found.status() == Void
}

// startsWith says whether a chain of charters is another one, or goes on from it.
func startsWith(l, with []*fact) bool {
	if len(l) < len(with) {
		return false
	}
	for i := range with {
		if l[i].hash != with[i].hash {
			return false
		}
	}
	return true
}

// differences are the cuts that decide about somebody's entries in one of two snapshots only.
type differences struct {
	old      *State
	replaced bool // charters of the chain gave way to others
	all      bool
	cuts     []*Cut
	revived  []board.Hash // rights that count now, and were void; or that gave nothing, and are void
}

// some notes cuts that only one of the lists has. A list that something is under all of, empty, voids it all.
func (d *differences) some(a, b []*Cut) {
	for _, l := range [][2][]*Cut{{a, b}, {b, a}} {
		for _, c := range l[0] {
			if !slices.Contains(l[1], c) {
				d.note(c)
			}
		}
	}
}

// note has what is not under a cut judged again.
func (d *differences) note(c *Cut) {
	if c.Empty() {
		d.all = true
	}
	if !slices.Contains(d.cuts, c) {
		d.cuts = append(d.cuts, c)
	}
}

// keys compares devices: those of the person now, and removed ones with what was accepted of them.
func (d *differences) keys(was, now *member) {
	if slices.Equal(was.keys, now.keys) && len(was.gone) == 0 && len(now.gone) == 0 {
		return
	}
	fate := func(m *member, k [32]byte) (cuts []*Cut, r rule) {
		if m.signs(k) {
			return nil, counts
		}
		for _, g := range m.gone {
			if g.key == k {
				return g.cuts, deviceRemoved
			}
		}
		if slices.Contains(m.ever, k) {
			return nil, deviceLost
		}
		return nil, noDevice
	}
	voids := func(r rule, cuts []*Cut) bool { return r != counts && len(cuts) == 0 }
	for _, m := range []*member{was, now} {
		for _, k := range slices.Concat(m.keys, m.ever) {
			a, before := fate(was, k)
			b, after := fate(now, k)
			switch {
			case before == noDevice: // its entries were pending
			case before == after && voids(before, a) && voids(after, b): // they were void by the same rule
			case voids(before, a) || voids(after, b):
				d.all = true
			default:
				d.some(a, b)
			}
		}
	}
}

// creds compares rights by operations.
func (d *differences) creds(was, now *member) {
	for i, c := range was.creds {
		j, held := slices.BinarySearchFunc(now.creds, c.hash, compareCredential)
		switch {
		case !held && c.role >= Member, held && was.creds[i].role != now.creds[j].role:
			d.all = true
		case !held: // it was void, by another rule
			d.revived = append(d.revived, c.hash)
		case c.role >= Member:
			d.needs(c.needs, now.creds[j].needs)
		}
	}
	for _, c := range now.creds {
		if _, held := slices.BinarySearchFunc(was.creds, c.hash, compareCredential); !held && d.old.voided(c.hash) {
			d.revived = append(d.revived, c.hash)
		}
	}
}

// needs compares what a right has to fulfil, and in which order: of what is not fulfilled the first one is the rule.
func (d *differences) needs(a, b []need) {
	for len(a) > 0 && len(b) > 0 && a[0].equal(b[0]) {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1].equal(b[len(b)-1]) {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	ofBoth := func(n need) bool { return slices.ContainsFunc(a, n.equal) && slices.ContainsFunc(b, n.equal) }
	reordered := !slices.EqualFunc(only(a, ofBoth), only(b, ofBoth), need.equal)
	for _, n := range slices.Concat(a, b) {
		if !reordered && ofBoth(n) {
			continue
		}
		for _, c := range n.cuts {
			d.note(c)
		}
	}
}

func only(l []need, is func(need) bool) (out []need) {
	for _, n := range l {
		if is(n) {
			out = append(out, n)
		}
	}
	return out
}

// stints compares rights by charters.
func (d *differences) stints(was, now *member) {
	if len(was.stints) == 0 && len(now.stints) == 0 {
		return
	}
	if d.replaced {
		d.all = true
		return
	}
	for i, s := range now.stints {
		if i >= len(was.stints) {
			continue // by charters that are new; Flips looks at those
		}
		var a, b []*Cut
		if was.stints[i].to >= 0 {
			a = []*Cut{was.stints[i].cut}
		}
		if s.to >= 0 {
			b = []*Cut{s.cut}
		}
		d.some(a, b)
	}
}

// boardFlips: boards that were made, or whose making became void.
func (s *State) boardFlips(old *State, out []Flip) []Flip {
	for id, b := range s.boards {
		was, held := old.boards[id]
		if held && was.WriteRole == b.WriteRole {
			continue
		}
		if held || old.voided(b.Op) {
			out = append(out, Flip{Board: id})
		}
	}
	for id := range old.boards {
		if _, held := s.boards[id]; !held {
			out = append(out, Flip{Board: id})
		}
	}
	return out
}

// nodeFlips: denials and forks that came, or were lifted. They have no Above: a record that seals may count no more, and then
// records below the cut that its seal left out count again.
func (s *State) nodeFlips(old *State, out []Flip) []Flip {
	seen := map[board.NodeID]bool{}
	for _, m := range []map[board.NodeID]*nodeFate{s.fates, old.fates} {
		for n := range m {
			a, b := old.fates[n], s.fates[n]
			if seen[n] || a == b {
				continue
			}
			seen[n] = true
			if a == nil {
				a = &nodeFate{}
			}
			if b == nil {
				b = &nodeFate{}
			}
			d := differences{}
			d.some(a.cuts, b.cuts)
			if len(d.cuts) > 0 {
				out = append(out, Flip{Node: n})
				continue
			}
			boards := map[board.ID]bool{}
			for _, l := range [][2][]*fact{{a.forks, b.forks}, {b.forks, a.forks}} {
				for _, f := range l[0] {
					if k := f.says.(*forkSays); !slices.Contains(l[1], f) && !boards[k.Board] {
						boards[k.Board] = true
						out = append(out, Flip{Node: n, Board: k.Board})
					}
				}
			}
		}
	}
	return out
}
