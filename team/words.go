package team

import (
	"fmt"
	"time"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// Describe says in words what an object does, for people who read a team's log. names gives the name of a user; nil, or
// "" from it, shows the beginning of the id. Names are shown in quotes: they are what their owners chose.
func Describe(o *Object, names func(board.UserID) string) string {
	who := func(b []byte) string {
		var u board.UserID
		copy(u[:], b)
		if names != nil {
			if n := names(u); n != "" {
				return fmt.Sprintf("%q", n)
			}
		}
		return u.String()[:8]
	}
	switch {
	case o.Charter != nil && o.Charter.Ver == 1:
		return fmt.Sprintf("the team %q was founded", o.Charter.Name)
	case o.Charter != nil:
		return fmt.Sprintf("version %d of the charter was proposed", o.Charter.Ver)
	case o.Ack != nil:
		return fmt.Sprintf("%s agreed to a charter", who(o.Ack.User))
	case o.Op == nil:
		return "nothing"
	}
	by := who(o.Op.Author)
	switch k := o.Op.Kind.(type) {
	case *weftv1.Operation_Board:
		return fmt.Sprintf("%s created the board %q", by, k.Board.Name)
	case *weftv1.Operation_Invite:
		return fmt.Sprintf("%s invited up to %d people as %s%s", by, k.Invite.Quota, Role(k.Invite.Role), until(k.Invite.ExpiresMs))
	case *weftv1.Operation_Uninvite:
		return by + " withdrew an invite"
	case *weftv1.Operation_Admit:
		return fmt.Sprintf("%s was admitted by node %x", who(k.Admit.User), o.Op.Author[:4])
	case *weftv1.Operation_Present:
		return fmt.Sprintf("%s was presented, with %d charters and %d homes", by, len(k.Present.Charters), len(k.Present.Acceptances))
	case *weftv1.Operation_Set:
		return fmt.Sprintf("%s made %s %s", by, who(k.Set.User), Role(k.Set.Role))
	case *weftv1.Operation_Node:
		if k.Node.Allowed {
			return fmt.Sprintf("%s allowed node %x", by, k.Node.Node[:4])
		}
		return fmt.Sprintf("%s denied node %x", by, k.Node.Node[:4])
	case *weftv1.Operation_Request:
		return by + " asked to join"
	case *weftv1.Operation_Floor:
		return fmt.Sprintf("node %x pruned its log of a board", o.Op.Author[:4])
	case *weftv1.Operation_Fork:
		return by + " showed that a node contradicts itself"
	}
	return by + " did something that this version does not know"
}

func until(ms uint64) string {
	if ms == 0 {
		return ""
	}
	return " until " + time.UnixMilli(int64(min(ms, 1<<52))).UTC().Format("2006-01-02 15:04 UTC")
}
