package presence

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"weft/board"
)

// Why says what each home of a person says of them in a team, and what of it counts. By node.
func (t *Table) Why(now time.Time, team board.TeamID, user board.UserID) (all []Reason) {
	t.begin(now)
	rm := t.rooms[team]
	if rm == nil {
		return nil
	}
	r := rm.rows[user]
	homes := slices.Clone(rm.team.Homes(user))
	if r != nil {
		r.each(func(h *held) {
			if !slices.Contains(homes, h.book.node.id) {
				homes = append(homes, h.book.node.id)
			}
		})
	}
	slices.SortFunc(homes, func(a, b board.NodeID) int { return bytes.Compare(a[:], b[:]) })
	for _, id := range homes {
		x := Reason{Team: team, Node: id, Self: id == t.cfg.Self, Report: Report{User: user, Availability: Online}}
		if n := t.nodes[id]; n != nil {
			x.Health = n.health
			if n.leased {
				x.Lease = t.wall + n.lease - t.now
			}
		}
		if b := rm.books[id]; b != nil {
			x.Number, x.Fresh = b.number, b.fresh
			if h := r.find(b); h != nil {
				x.Heard, x.Counts, x.Report = true, r.counts(h), h.says.unpack(user)
				x.Says = x.Report.state()
			}
		}
		if r != nil && r.pending != nil {
			x.Waiting = max(0, r.queued-t.now)
		}
		x.Words = t.words(rm, r, &x)
		all = append(all, x)
	}
	return all
}

// find is of for a row that there may not be.
func (r *row) find(b *book) *held {
	if r == nil {
		return nil
	}
	return r.of(b)
}

func (t *Table) words(rm *room, r *row, x *Reason) string {
	var s strings.Builder
	switch {
	case !x.Heard && x.Self:
		return "none of their devices has been here since this daemon started"
	case !x.Heard && x.Health.State == NodeUnheard && x.Lease == 0:
		return "the node was not heard of since this daemon started"
	case !x.Heard:
		return "the node has said nothing about this person"
	}
	fmt.Fprintf(&s, "says %s, devices there: %d", x.Says, len(x.Report.Devices))
	switch h := r.find(rm.books[x.Node]); {
	case !r.member:
		s.WriteString("; doesn't count, since the person is not in the team")
	case !h.home:
		s.WriteString("; doesn't count, since the team doesn't know the node as a home of this person")
	case x.Health.State == NodeDead:
		s.WriteString("; doesn't count, since the node doesn't answer")
	case x.Health.State == NodeLeft:
		s.WriteString("; doesn't count, since the node said goodbye")
	case !x.Self && x.Lease == 0:
		s.WriteString("; doesn't count, since nothing was heard of the node for longer than it vouches")
	case !x.Fresh:
		s.WriteString("; doesn't count until the node, which was away, has said that it still holds")
	case x.Health.State == NodeSuspected:
		s.WriteString("; counts, though the node is suspected")
	default:
		s.WriteString("; counts")
	}
	if x.Waiting > 0 {
		fmt.Fprintf(&s, "; a change is shown in %s, since states change once in %s at most", time.Duration(x.Waiting)*time.Millisecond, StateEvery)
	}
	return s.String()
}
