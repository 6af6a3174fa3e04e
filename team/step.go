package team

import (
	"slices"

	"weft/board"
)

// step is the choice among the charters that want to follow one (trust §5).
type step struct {
	parent   *item   // nil: not here
	children []*item // whose prev names the parent, and which are of this team
	best     *item   // nil: none is valid
	choice   *choice // for readers; of a parent that is here
}

// choice is what a State knows of a step. Immutable.
type choice struct {
	offers []offer                  // by hash
	acked  map[board.UserID][]ackOf // every ack in it, whether or not it counts
}

type ackOf struct {
	charter board.Hash
	ack     *fact
}

// offer is a charter that may follow the parent.
type offer struct {
	*fact
	follows bool                  // in form
	agreed  map[board.UserID]bool // by acks that count
	valid   bool                  // enough owners agreed
}

// follows says whether c has the form of a child of p: the next version, with a cut for everyone who loses power. Of a
// charter that needs newer rules only its place is looked at.
func (c *charterSays) follows(p *charterSays) bool {
	if c.ver != p.ver+1 {
		return false
	}
	if c.m.Rules > Rules {
		return true
	}
	for _, l := range [][]board.UserID{p.owners, p.admins} {
		for _, u := range l {
			if c.power(u) == None && c.cutOf(u) == nil {
				return false
			}
		}
	}
	return true
}

// take judges the acks of a step and chooses among its charters.
func (e *Evaluator) take(st *step) {
	slices.SortFunc(st.children, compareItems)
	st.best, st.choice = nil, nil
	if st.parent == nil || st.parent.act != actCharter {
		for _, c := range st.children {
			for _, a := range e.acks[c.hash] {
				e.rule(a, finding{noCharter, c.says.(*charterSays).prev})
			}
		}
		return
	}
	if st.parent.says.(*charterSays).m.Rules > Rules { // who has a say in it is for a newer version to know
		for _, c := range st.children {
			for _, a := range e.acks[c.hash] {
				e.rule(a, finding{rule: upgrade})
			}
		}
		return
	}
	v := vote{e: e, p: st.parent.says.(*charterSays), agreed: make([]map[board.UserID]bool, len(st.children)), users: map[board.UserID]int{}, devices: map[[32]byte][]int{}}
	ch := &choice{acked: map[board.UserID][]ackOf{}}
	for i, c := range st.children {
		for _, a := range e.acks[c.hash] {
			ch.acked[a.author] = append(ch.acked[a.author], ackOf{c.hash, a.fact})
		}
		follows := c.says.(*charterSays).follows(v.p)
		v.count(i, e.acks[c.hash], follows)
		ch.offers = append(ch.offers, offer{fact: c.fact, follows: follows, agreed: v.agreed[i]})
	}
	var rank [4]int
	for i, c := range st.children {
		o := &ch.offers[i]
		if o.valid = o.follows && v.enough(i); !o.valid {
			continue
		}
		if r := v.rank(i); st.best == nil || slices.Compare(r[:], rank[:]) > 0 { // equal ranks: the lowest hash, as children are in order
			st.best, rank = c, r
		}
	}
	st.choice = ch
}

// vote counts the acks of one step.
type vote struct {
	e       *Evaluator
	p       *charterSays
	agreed  []map[board.UserID]bool // by child
	users   map[board.UserID]int    // how many well-formed children each agreed to
	devices map[[32]byte][]int      // likewise the children of each device of the senior owner
}

// count takes the acks of the i-th child. An ack counts if its device does. One of a removed device counts above its cut
// where a strict majority of the parent's other owners and admins agreed to the same child, so that nobody takes back a
// handover by disowning the device.
func (v *vote) count(i int, acks []*item, follows bool) {
	in := map[board.UserID]bool{}
	var late []*item
	var found []finding
	for _, a := range acks {
		u := v.e.user(a.author)
		if v.p.power(a.author) == None {
			v.e.rule(a, finding{rule: noPower})
			continue
		}
		best, knew := finding{}, false
		for _, s := range a.copies {
			f := u.counts(s)
			best = best.better(f)
			knew = knew || u.knew(s.key)
			if f.rule == counts && follows && a.author == v.p.owners[0] && !slices.Contains(v.devices[s.key], i) {
				v.devices[s.key] = append(v.devices[s.key], i)
			}
		}
		switch {
		case best.rule == counts:
			in[a.author] = true
		case knew:
			late, found = append(late, a), append(found, best)
			continue
		}
		v.e.rule(a, best)
	}
	all := in
	if len(late) > 0 {
		all = map[board.UserID]bool{}
		for u := range in {
			all[u] = true
		}
	}
	for at, a := range late {
		others, n := 0, 0
		for _, l := range [][]board.UserID{v.p.owners, v.p.admins} {
			for _, u := range l {
				if u != a.author {
					others++
					if in[u] {
						n++
					}
				}
			}
		}
		if 2*n > others {
			all[a.author] = true
			v.e.rule(a, finding{rule: lateAck})
		} else {
			v.e.rule(a, found[at])
		}
	}
	v.agreed[i] = all
	if follows {
		for u := range all {
			v.users[u]++
		}
	}
}

// enough: the senior owner, or a strict majority of the owners, agreed to the i-th child.
func (v *vote) enough(i int) bool {
	n := 0
	for _, o := range v.p.owners {
		if v.agreed[i][o] {
			n++
		}
	}
	return v.agreed[i][v.p.owners[0]] || 2*n > len(v.p.owners)
}

// rank orders valid children: by owner majority, owners, admins, of those who agreed to no other; then by the most senior
// device of the senior owner that agreed to this one only.
func (v *vote) rank(i int) (r [4]int) {
	only := func(l []board.UserID) (n int) {
		for _, u := range l {
			if v.agreed[i][u] && v.users[u] == 1 {
				n++
			}
		}
		return n
	}
	r[1], r[2] = only(v.p.owners), only(v.p.admins)
	if 2*r[1] > len(v.p.owners) {
		r[0] = 1
	}
	if head := v.e.user(v.p.owners[0]).head(); head != nil {
		for n, k := range head.keys {
			if d := v.devices[k]; len(d) == 1 && d[0] == i {
				r[3] = MaxKeys - n
				break
			}
		}
	}
	return r
}
