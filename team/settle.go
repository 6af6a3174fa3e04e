package team

import (
	"cmp"
	"slices"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// member is what a State knows of a user. Immutable.
type member struct {
	name     string
	role     Role
	cred     board.Hash   // what entries name as the right to write; without such a right what the role follows from
	clear    bool         // cred is a right to write that nothing limits
	creds    []credential // of the register, by hash
	register []entry
	stints   []stint
	keys     [][32]byte
	gone     []gone     // devices that the person removed, by key
	ever     [][32]byte // every key that was ever named, sorted
	homes    []board.NodeID
	head     board.Hash // the newest charter that counts
	presents []*fact    // by version and hash
}

// gone is a device that its person removed: what it signed counts under all of the cuts; none: nothing counts.
type gone struct {
	key  [32]byte
	cuts []*Cut
}

// settle computes a person's role, rights and homes from what counts.
func (e *Evaluator) settle(u *user) {
	m := &member{ever: u.ever, register: e.register(u), stints: slices.Clone(u.stints), role: None}
	e.settleRights(u, m)
	if head := u.head(); head != nil {
		m.name, m.keys, m.head = head.name, head.keys, head.hash
		m.homes = u.homes()
		m.gone = u.goneDevices()
	}
	for _, it := range u.presents {
		m.presents = append(m.presents, it.fact)
	}
	slices.SortFunc(m.presents, comparePresents)
	e.moved[u.id] = m
	var served, sources []board.NodeID
	if m.role != None && m.role >= Reader {
		served = m.homes
	}
	if len(m.register) > 0 || len(m.stints) > 0 {
		sources = slices.Clone(u.accepted)
	}
	u.served = e.swap(e.serving, u.served, served)
	u.sources = e.swap(e.sources, u.sources, sources)
}

func comparePresents(a, b *fact) int {
	x, y := a.says.(*presentSays).charters, b.says.(*presentSays).charters
	return cmp.Or(cmp.Compare(x[len(x)-1].ver, y[len(y)-1].ver), compareHashes(a.hash, b.hash))
}

func (e *Evaluator) settleRights(u *user, m *member) {
	r := newRegister(u.id, m.register)
	m.creds = r.credentials()
	last := len(e.chain) - 1
	if s := stintAt(u.stints, last); s != nil {
		m.role, m.clear = s.role(last), true
		for _, t := range s.roles { // the oldest charter that gives the role without a break: the least likely to lose its place
			m.cred = e.chain[t.from].hash
		}
		return
	}
	if len(m.register) == 0 {
		return
	}
	m.role = r.role()
	for pass := range 3 { // heads first; of equals the lowest hash is named
		for i, c := range m.creds {
			head := !r.graph.replaced(i)
			switch {
			case pass == 0 && m.role >= Member && head && c.role >= Member && len(c.needs) == 0,
				pass == 1 && m.role >= Member && c.role >= Member && len(c.needs) == 0:
				m.cred, m.clear = c.hash, true
				return
			case pass == 2 && head && c.role == m.role:
				m.cred = c.hash
				return
			}
		}
	}
}

// register of what counts on a person, by hash.
func (e *Evaluator) register(u *user) (out []entry) {
	if n := len(u.admits) + len(u.cuts); n > 0 {
		out = make([]entry, 0, n)
	}
	for _, it := range u.sets {
		if it.valid() {
			out = append(out, entry{it.fact, it.says.(*setSays).role})
		}
	}
	for _, it := range u.admits {
		out = append(out, entry{it.fact, Role(e.items[it.says.(*admitSays).invite].says.(*weftv1.Invite).Role)})
	}
	for _, it := range u.cuts {
		out = append(out, entry{it.fact, it.says.(*charterSays).cutOf(u.id).keep})
	}
	if len(out) > 1 {
		slices.SortFunc(out, func(a, b entry) int { return compareHashes(a.hash, b.hash) })
	}
	return out
}

// goneDevices are those that the person removed, with what was accepted of each.
func (u *user) goneDevices() (out []gone) {
	if len(u.chain) < 2 {
		return nil
	}
	u.leaveOf([32]byte{}) // makes the index
	for k := range u.removed {
		out = append(out, gone{k, u.leaveOf(k).cuts})
	}
	slices.SortFunc(out, func(a, b gone) int { return slices.Compare(a.key[:], b.key[:]) })
	return out
}

// swap counts the reasons that nodes have to be of the team: new ones for old ones, which it returns.
func (e *Evaluator) swap(count map[board.NodeID]int, old, new []board.NodeID) []board.NodeID {
	if slices.Equal(old, new) {
		return old
	}
	for _, n := range new {
		count[n]++
	}
	for _, n := range old {
		if count[n]--; count[n] == 0 {
			delete(count, n)
		}
	}
	e.renewed.nodes = true
	return new
}

// serve counts a relay.
func (e *Evaluator) serve(n board.NodeID, by int) { e.tally(e.serving, n, by) }

// source counts a node whose logs are part of the boards.
func (e *Evaluator) source(n board.NodeID, by int) { e.tally(e.sources, n, by) }

func (e *Evaluator) tally(count map[board.NodeID]int, n board.NodeID, by int) {
	if count[n] += by; count[n] == 0 {
		delete(count, n)
	}
	e.renewed.nodes = true
}
