package presence

import (
	"bytes"
	"slices"

	"weft/board"
)

// flush says what is due in a team, in as few beats as it takes.
func (t *Table) flush(rm *room, due []*ownRow) {
	slices.SortFunc(due, func(a, b *ownRow) int { return bytes.Compare(a.own.user[:], b.own.user[:]) })
	var people []Report
	var rows []*ownRow
	for _, r := range due {
		at, differs := t.mayAt(r)
		switch {
		case r.own.rows[rm.id] != r: // taken back, and looked at twice
		case differs && at <= t.now:
			people, rows = append(people, t.want(r)), append(rows, r)
		default:
			t.plan(r)
			if !t.speaksFor(r.own, rm) {
				delete(r.own.rows, rm.id)
			}
		}
	}
	for _, n := range pages(people) {
		b := &Beat{Team: rm.id, Node: t.cfg.Self, Boot: t.cfg.Boot, Number: rm.own.number + 1, People: people[:n]}
		for i := range b.People {
			t.publish(rm, rows[i], &b.People[i], b.Number)
		}
		rm.own.note(b.Number)
		rm.own.top, rm.own.digest = b.Number, rm.own.sum.bytes()
		b.Digest = rm.own.digest
		t.out = append(t.out, SendBeat{b})
		people, rows = people[n:], rows[n:]
	}
}

// publish puts a report where reports of other nodes stand, so that it is shown here as it is there.
func (t *Table) publish(rm *room, r *ownRow, x *Report, number uint64) {
	row := rm.row(x.User)
	was := Offline
	if h := row.of(rm.own); h != nil {
		have := h.says.unpack(x.User)
		was = have.state()
	}
	cause := r.reckon(was != x.state(), t.now)
	says := x.pack()
	if x.gone() {
		says = ""
		delete(r.own.rows, rm.id)
	}
	t.say(rm, rm.own, row, says, number, cause)
}

// pages cuts reports into runs that fit into a beat each.
func pages(people []Report) (sizes []int) {
	n, size := 0, beatHead
	for i := range people {
		s := people[i].size()
		if n > 0 && (n == MaxPeople || size+s > MaxBeat) {
			sizes, n, size = append(sizes, n), 0, beatHead
		}
		n, size = n+1, size+s
	}
	if n > 0 {
		sizes = append(sizes, n)
	}
	return sizes
}

// beatHead is more than a beat without people takes on the wire, and size more than a person does.
const beatHead = 160

func (r *Report) size() int {
	n := 80 + len(r.Status)
	for i := range r.Devices {
		n += 32 + len(r.Devices[i].Payload)
	}
	return n
}

// Whole is the whole state of this node's own people in a team, in pages; one of which nothing was ever said is one empty page.
func (t *Table) Whole(team board.TeamID) (beats []*Beat) {
	rm := t.rooms[team]
	if rm == nil {
		return nil
	}
	var people []Report
	for _, r := range rm.sorted(func(r *row) bool { return r.of(rm.own) != nil }) {
		people = append(people, r.of(rm.own).says.unpack(r.user))
	}
	sizes := pages(people)
	if len(sizes) == 0 {
		sizes = []int{0}
	}
	for i, n := range sizes {
		beats = append(beats, &Beat{
			Team: team, Node: t.cfg.Self, Boot: t.cfg.Boot, Number: rm.own.number, Whole: true, Page: i, Pages: len(sizes), People: people[:n], Digest: rm.own.sum.bytes(),
		})
		people = people[n:]
	}
	return beats
}
