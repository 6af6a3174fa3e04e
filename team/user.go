package team

import (
	"bytes"
	"math"
	"slices"

	"weft/board"
)

// userCharter is one version of a person's identity: keys[0] is the recovery key, then devices by seniority. Immutable; an
// identity makes one of its own to gather the signers of a charter.
type userCharter struct {
	hash    board.Hash
	prev    board.Hash
	user    board.UserID
	ver     uint64
	name    string
	keys    [][32]byte
	homes   []board.NodeID
	signers [][32]byte
}

func (c *userCharter) has(key [32]byte) bool { return slices.Contains(c.keys, key) }

// identity is a person as some of the presents of them in the team show them: all, or (seen under a cut) only those that
// it accepted.
type identity struct {
	id       board.UserID
	logs     *logs
	within   *Cut           // nil: all presents
	presents []*item        // those shown
	charters []*userCharter // by parent, then by hash
	accepted []board.NodeID

	chain   []*userCharter      // that count, from genesis on; empty while that is not here
	ever    [][32]byte          // every key of any well-formed charter, canonical or not; sorted; nil: those of the only charter
	removed map[[32]byte]*leave // devices that the chain removes; made when asked for
	by      map[[32]byte][]*item
}

// leave is what is known of a device that was removed.
type leave struct {
	at   int // index in the chain of the charter that removes it
	done bool
	cuts []*Cut // what it signed counts under all of these; none: nothing counts
}

// show takes a present's charters and acceptances, and says whether one is new.
func (u *identity) show(p *presentSays) (news bool) {
	for _, c := range p.charters {
		i, held := slices.BinarySearchFunc(u.charters, c, compareCharters)
		if !held {
			u.charters = slices.Insert(u.charters, i, c)
			news = true
		}
		for _, s := range c.signers {
			if !slices.Contains(u.charters[i].signers, s) {
				own := *u.charters[i] // others may share it
				own.signers = append(slices.Clip(own.signers), s)
				u.charters[i], news = &own, true
			}
		}
	}
	for _, n := range p.accepted {
		if !slices.Contains(u.accepted, n) {
			u.accepted, news = append(u.accepted, n), true
		}
	}
	return news
}

func compareCharters(a, b *userCharter) int {
	if c := bytes.Compare(a.prev[:], b.prev[:]); c != 0 {
		return c
	}
	return bytes.Compare(a.hash[:], b.hash[:])
}

// children of a charter, in order of hash.
func (u *identity) children(of board.Hash) []*userCharter {
	from, _ := slices.BinarySearchFunc(u.charters, &userCharter{prev: of}, compareCharters)
	to := from
	for to < len(u.charters) && u.charters[to].prev == of {
		to++
	}
	return u.charters[from:to]
}

// choose finds the canonical chain: from genesis on, among valid children wins the one in whose subtree the most senior
// key of the parent signed, ties to the lowest hash (trust §4).
func (u *identity) choose() {
	u.chain, u.ever, u.removed, u.by = nil, nil, nil, nil
	for _, c := range u.children(board.Hash{}) {
		if c.ver == 1 && c.hash == board.Hash(u.id) {
			w := walker{u: u, next: map[*userCharter]*userCharter{}, gone: map[[32]byte]int{}}
			w.walk(c)
			for ; c != nil; c = w.next[c] {
				u.chain = append(u.chain, c)
			}
			break
		}
	}
	if len(u.charters) == 1 {
		u.ever = nil
		return
	}
	slices.SortFunc(u.ever, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
	u.ever = slices.Clip(slices.Compact(u.ever))
}

// walker goes over the tree of a person's charters, once.
type walker struct {
	u    *identity
	next map[*userCharter]*userCharter // the child that counts
	gone map[[32]byte]int              // keys removed between genesis and where the walk is
}

// walk finds the best chain from p on, and returns who signed in p's subtree.
func (w *walker) walk(p *userCharter) (signed map[[32]byte]bool) {
	w.u.ever = append(w.u.ever, p.keys...)
	best := math.MaxInt
	for _, c := range w.u.children(p.hash) {
		by := w.signersOf(p, c)
		if len(by) == 0 {
			continue
		}
		for _, k := range p.keys {
			if !c.has(k) {
				w.gone[k]++
			}
		}
		below := w.walk(c)
		for _, k := range p.keys {
			if !c.has(k) {
				if w.gone[k]--; w.gone[k] == 0 {
					delete(w.gone, k)
				}
			}
		}
		if below == nil {
			below = map[[32]byte]bool{}
		}
		for _, k := range by {
			below[k] = true
		}
		for i, k := range p.keys {
			if below[k] && i < best {
				best, w.next[p] = i, c
			}
		}
		if len(signed) < len(below) { // the smaller set goes into the larger one, so that a long chain stays cheap
			signed, below = below, signed
		}
		for k := range below {
			signed[k] = true
		}
	}
	return signed
}

// signersOf are the keys of p whose signature makes c a child of p: it keeps that key and all before it in their place,
// and brings back no key that was removed.
func (w *walker) signersOf(p, c *userCharter) (by [][32]byte) {
	if c.ver != p.ver+1 {
		return nil
	}
	for _, k := range c.keys {
		if w.gone[k] > 0 {
			return nil
		}
	}
	for i, k := range p.keys {
		if i >= len(c.keys) || c.keys[i] != k {
			break
		}
		if slices.Contains(c.signers, k) {
			by = append(by, k)
		}
	}
	return by
}

// head is the newest charter that counts; nil while the person's genesis is not here.
func (u *identity) head() *userCharter {
	if len(u.chain) == 0 {
		return nil
	}
	return u.chain[len(u.chain)-1]
}

func (u *identity) knew(key [32]byte) bool {
	if u.ever == nil {
		return u.head() != nil && u.head().has(key)
	}
	_, ok := slices.BinarySearchFunc(u.ever, key, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
	return ok
}

// counts says whether a signature of the person on something counts (trust §4).
func (u *identity) counts(s *signed) finding {
	head := u.head()
	switch {
	case head == nil:
		return finding{noPresent, board.Hash(u.id)}
	case head.has(s.key):
		return finding{rule: counts}
	}
	l := u.leaveOf(s.key)
	switch {
	case l == nil && u.knew(s.key):
		return finding{rule: deviceLost}
	case l == nil:
		return finding{noDevice, board.Hash(u.id)}
	case len(l.cuts) == 0:
		return finding{rule: deviceRemoved}
	}
	for _, c := range l.cuts {
		if !u.logs.under(s, c) {
			return finding{rule: deviceRemoved}
		}
	}
	return finding{rule: counts}
}

// leaveOf says how a device was removed, and what of it was accepted; nil for one that the chain never removes. Of the
// counting presents that say so hold those by the most senior signer, in the order of the charter that removes it, less
// those that these name as replaced. A signer that was removed later is judged by that later removal, so this ends.
func (u *identity) leaveOf(key [32]byte) *leave {
	if u.removed == nil {
		u.index()
	}
	l := u.removed[key]
	if l == nil || l.done {
		return l
	}
	l.done = true
	var best []*item
	rank := math.MaxInt
	for _, p := range u.by[key] {
		switch r := u.rankOf(p, l.at); {
		case r < rank:
			best, rank = append(best[:0], p), r
		case r == rank && r < math.MaxInt:
			best = append(best, p)
		}
	}
	for _, p := range best {
		replaced := slices.ContainsFunc(best, func(o *item) bool { return slices.Contains(o.says.(*presentSays).parents, p.hash) })
		for _, d := range p.says.(*presentSays).cuts {
			if d.device == key && !replaced {
				l.cuts = append(l.cuts, d.cut)
				break // a device named twice by one present: the first holds
			}
		}
	}
	return l
}

// index notes which charter removes each device, and which presents speak of it.
func (u *identity) index() {
	u.removed, u.by = map[[32]byte]*leave{}, map[[32]byte][]*item{}
	for i := 1; i < len(u.chain); i++ {
		for _, k := range u.chain[i-1].keys {
			if !u.chain[i].has(k) {
				u.removed[k] = &leave{at: i}
			}
		}
	}
	if len(u.removed) == 0 {
		return
	}
	for _, p := range u.presents {
		for _, d := range p.says.(*presentSays).cuts {
			if l := u.by[d.device]; u.removed[d.device] != nil && (len(l) == 0 || l[len(l)-1] != p) {
				u.by[d.device] = append(l, p)
			}
		}
	}
}

// rankOf orders the presents that may say what was accepted of a device removed at index i of the chain: by the seniority
// of their signers from that charter on. MaxInt: it may not.
func (u *identity) rankOf(p *item, i int) int {
	charters := p.says.(*presentSays).charters
	if len(charters) == 0 {
		return math.MaxInt
	}
	last := charters[len(charters)-1].hash
	if at := slices.IndexFunc(u.chain, func(c *userCharter) bool { return c.hash == last }); at < i {
		return math.MaxInt
	}
	best := math.MaxInt
	for _, s := range p.copies {
		if u.within != nil && !u.logs.under(s, u.within) || u.counts(s).rule != counts {
			continue
		}
		for j := i; j < len(u.chain); j++ {
			if n := slices.Index(u.chain[j].keys, s.key); n >= 0 {
				best = min(best, (j-i)*2*MaxKeys+n)
				break
			}
		}
	}
	return best
}

// homes that the person's newest charter names and that have accepted, in order of key.
func (u *identity) homes() (out []board.NodeID) {
	if u.head() == nil {
		return nil
	}
	for _, n := range u.head().homes {
		if slices.Contains(u.accepted, n) {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b board.NodeID) int { return bytes.Compare(a[:], b[:]) })
	return out
}

// user is all that an Evaluator knows about a person.
type user struct {
	identity
	views    map[*Cut]*identity
	sensible bool    // records decide something about this person: a device was removed, or power lost
	again    bool    // the identity is to be looked at again, and all that hangs on it
	rejudge  bool    // all that the person did is to be judged again
	fresh    []*item // else: only these
	ops      []*item // done by this person, presents and acks excepted
	acks     []*item //
	sets     []*item // done to this person, whether or not they count
	admits   []*item // that count
	cuts     []*item // charters that count and that take this person's power
	stints   []stint // of power
	served   []board.NodeID
	sources  []board.NodeID // homes that ever accepted, once the person has or had a role
}

// stint is a row of charters on the team's chain in which somebody has power.
type stint struct {
	from, to int  // indexes in the chain; to is the charter that takes the power, or -1
	cut      *Cut // what that one says was accepted
	roles    []turn
}

// turn is the role from some charter of a stint on.
type turn struct {
	from int
	role Role
}

// stintAt is the stint in which the charter at index i lies; nil: no power in it.
func stintAt(l []stint, i int) *stint {
	for n := range l {
		if s := &l[n]; s.from <= i && (s.to < 0 || i < s.to) {
			return s
		}
	}
	return nil
}

// role in the charter at index i of the chain.
func (s *stint) role(i int) Role {
	r := s.roles[0].role
	for _, t := range s.roles {
		if t.from <= i {
			r = t.role
		}
	}
	return r
}

// view is the person as those presents show them that a cut accepted.
func (u *user) view(c *Cut) *identity {
	v := u.views[c]
	if v != nil {
		return v
	}
	v = &identity{id: u.id, logs: u.logs, within: c}
	for _, p := range u.presents {
		if slices.ContainsFunc(p.copies, func(s *signed) bool { return u.logs.under(s, c) }) {
			v.presents = append(v.presents, p)
			v.show(p.says.(*presentSays))
		}
	}
	v.choose()
	if u.views == nil {
		u.views = map[*Cut]*identity{}
	}
	u.views[c] = v
	return v
}
