package presence

import (
	"bytes"
	"slices"
	"time"

	"weft/board"
)

// room is a team in the table.
type room struct {
	id      board.TeamID
	team    Team
	members []board.UserID // who may see and be seen, sorted
	rows    map[board.UserID]*row
	books   map[board.NodeID]*book
	own     *book
	counts  [Online + 1]int // of members that have a row, by the state shown
}

func (rm *room) isMember(u board.UserID) bool {
	_, ok := slices.BinarySearchFunc(rm.members, u, func(a, b board.UserID) int { return bytes.Compare(a[:], b[:]) })
	return ok
}

// isHome says whether a node may speak for a person.
func (rm *room) isHome(n board.NodeID, u board.UserID) bool {
	return slices.Contains(rm.team.Homes(u), n)
}

// row of a person, made if there is none.
func (rm *room) row(u board.UserID) *row {
	r := rm.rows[u]
	if r == nil {
		r = &row{user: u, member: rm.isMember(u)}
		rm.rows[u] = r
		if r.member {
			rm.counts[Offline]++
		}
	}
	return r
}

// prune forgets a row in which nothing stands.
func (rm *room) prune(r *row) {
	if r.one.book != nil || r.pending != nil || r.member && (r.active != 0 || r.since != 0) {
		return
	}
	if r.member {
		rm.counts[r.state]--
	}
	delete(rm.rows, r.user)
}

// sorted are rows by user.
func (rm *room) sorted(which func(*row) bool) []*row {
	var all []*row
	for _, r := range rm.rows {
		if which(r) {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b *row) int { return bytes.Compare(a.user[:], b.user[:]) })
	return all
}

func (rm *room) book(n *node) *book {
	b := rm.books[n.id]
	if b == nil {
		b = &book{node: n, team: rm, fresh: true}
		rm.books[n.id] = b
	}
	return b
}

// SetTeam tells the table of a team, or of what changed in it.
func (t *Table) SetTeam(now time.Time, id board.TeamID, st Team) []Effect {
	t.begin(now)
	rm := t.rooms[id]
	if rm == nil {
		rm = &room{id: id, rows: map[board.UserID]*row{}, books: map[board.NodeID]*book{}}
		rm.own = rm.book(t.nodes[t.cfg.Self])
		t.rooms[id] = rm
	}
	was := rm.members
	rm.team, rm.members = st, nil
	for _, p := range st.Members() {
		if st.CanRead(p.User) {
			rm.members = append(rm.members, p.User)
		}
	}
	rm.members = slices.Clip(rm.members)
	slices.SortFunc(rm.members, func(a, b board.UserID) int { return bytes.Compare(a[:], b[:]) })
	before := map[*row]Person{}
	for _, r := range rm.rows {
		before[r] = r.shown()
	}
	for n, b := range rm.books {
		if b != rm.own && !st.IsNode(n) {
			b.clear()
			delete(rm.books, n)
		}
	}
	for _, r := range rm.rows {
		r.member = rm.isMember(r.user)
		r.each(func(h *held) {
			if home := rm.isHome(h.book.node.id, r.user); home != h.home {
				h.home = home
				if home {
					h.book.strangers--
				} else {
					h.book.strangers++
				}
			}
		})
	}
	rm.recount()
	for _, r := range rm.sorted(func(*row) bool { return true }) {
		t.show(rm, r, before[r], CauseTeam)
		rm.prune(r)
	}
	if was != nil {
		t.compare(rm, was)
	}
	for _, o := range t.ownPeople() {
		t.seat(o, rm)
	}
	return t.end()
}

// recount counts the rows again.
func (rm *room) recount() {
	rm.counts = [Online + 1]int{}
	for _, r := range rm.rows {
		if r.member {
			rm.counts[r.state]++
		}
	}
}

// compare tells of people who came to the team or left it, where nothing else was said of them.
func (t *Table) compare(rm *room, was []board.UserID) {
	told := map[board.UserID]bool{}
	for _, c := range t.changes {
		for i := range c.Changes {
			told[c.Changes[i].Person.User] = true
		}
	}
	tell := func(u board.UserID) {
		if !told[u] {
			p, _ := t.person(rm, u)
			t.tell(Change{rm.id, p, Offline, CauseTeam})
		}
	}
	i := 0
	for _, u := range rm.members {
		for i < len(was) && bytes.Compare(was[i][:], u[:]) < 0 {
			tell(was[i])
			i++
		}
		if i < len(was) && was[i] == u {
			i++
			continue
		}
		tell(u)
	}
	for ; i < len(was); i++ {
		tell(was[i])
	}
}

// DropTeam forgets a team that this node is out of.
func (t *Table) DropTeam(now time.Time, id board.TeamID) []Effect {
	t.begin(now)
	if rm := t.rooms[id]; rm != nil {
		for _, o := range t.people {
			delete(o.rows, id)
		}
		for _, b := range rm.books {
			b.ask.due = 0
		}
		for _, r := range rm.rows {
			r.pending = nil
		}
		delete(t.rooms, id)
	}
	return t.end()
}

// Members of a team, sorted; not to be changed.
func (t *Table) Members(team board.TeamID) []board.UserID {
	if rm := t.rooms[team]; rm != nil {
		return rm.members
	}
	return nil
}

// IsMember says whether somebody is seen in a team, and sees the others.
func (t *Table) IsMember(team board.TeamID, user board.UserID) bool {
	rm := t.rooms[team]
	return rm != nil && rm.isMember(user)
}

// Person is how somebody is shown in a team; false: they aren't in it.
func (t *Table) Person(team board.TeamID, user board.UserID) (Person, bool) {
	rm := t.rooms[team]
	if rm == nil {
		return Person{User: user}, false
	}
	return t.person(rm, user)
}

func (t *Table) person(rm *room, user board.UserID) (Person, bool) {
	if r := rm.rows[user]; r != nil {
		return r.shown(), r.member
	}
	return Person{User: user}, rm.isMember(user)
}

// Counts of a team, and how many people it has.
func (t *Table) Counts(team board.TeamID) (c Counts, people int) {
	rm := t.rooms[team]
	if rm == nil {
		return c, 0
	}
	c = Counts{Online: rm.counts[Online], Away: rm.counts[Away], Busy: rm.counts[Busy], Reconnecting: rm.counts[Reconnecting]}
	c.Offline = len(rm.members) - c.Online - c.Away - c.Busy - c.Reconnecting
	return c, len(rm.members)
}

// Where are the nodes on which somebody is there, as far as is shown, by key; this node may be one of them.
func (t *Table) Where(team board.TeamID, user board.UserID) (nodes []board.NodeID) {
	p, ok := t.Person(team, user)
	if !ok {
		return nil
	}
	for _, d := range p.Devices {
		if !slices.Contains(nodes, d.Node) {
			nodes = append(nodes, d.Node)
		}
	}
	return nodes
}

// SetActive says when somebody was last active, from before this start. What is known to be later stays.
func (t *Table) SetActive(team board.TeamID, user board.UserID, at int64) {
	if rm := t.rooms[team]; rm != nil && rm.isMember(user) && at > 0 {
		r := rm.row(user)
		r.active = max(r.active, at)
	}
}
