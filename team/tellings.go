package team

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"weft/board"
)

// tell says in words what an object does, to those who know its team: unlike Describe it names what a charter changes,
// by whose invite somebody came and whose node is spoken of.
func (s *State) tell(o *outcome) string {
	say := speaker{s.UserName}
	by := say.who(o.author)
	switch k := o.says.(type) {
	case *charterSays:
		return s.tellCharter(say, k)
	case *admitSays:
		if i, ok := s.objects.get(k.invite); ok {
			return fmt.Sprintf("%s came by invite %s of %s", say.who(k.user), shortHash(k.invite), say.who(i.author))
		}
	case *presentSays:
		return by + " was presented" + presentWords(k)
	case *nodeSays:
		if k.allowed {
			return fmt.Sprintf("%s let %s in again", by, s.nodeWords(say, k.node))
		}
		return fmt.Sprintf("%s denied %s", by, s.nodeWords(say, k.node))
	case *Floor:
		if board.NodeID(o.author) == k.Position.Node {
			return s.nodeWords(say, k.Position.Node) + " pruned its log of a board"
		}
		return fmt.Sprintf("%s pruned the log of %s, which is gone", by, s.nodeWords(say, k.Position.Node))
	case *forkSays:
		return s.nodeWords(say, k.Node) + " was shown to contradict itself"
	}
	if o.act == actAck {
		if x, ok := s.objects.get(o.charter); ok {
			if c, ok := x.says.(*charterSays); ok {
				return fmt.Sprintf("%s agreed to version %d of the charter", by, c.ver)
			}
		}
	}
	return say.describe(o.fact)
}

// tellCharter says what a charter changes in the one before it.
func (s *State) tellCharter(say speaker, c *charterSays) string {
	if c.ver == 1 {
		return fmt.Sprintf("the team %q was founded by %s", c.m.Name, say.people(c.owners))
	}
	before, ok := s.objects.get(c.prev)
	if !ok {
		return fmt.Sprintf("version %d of the charter was proposed", c.ver)
	}
	p, ok := before.says.(*charterSays)
	if !ok {
		return fmt.Sprintf("version %d of the charter was proposed, after what is no charter", c.ver)
	}
	what := strings.Join(s.difference(p, c), "; ")
	if what == "" {
		what = "nothing changes"
	}
	if by := s.holderOf(c.by, p); by != (board.UserID{}) {
		return fmt.Sprintf("%s proposed version %d of the charter: %s", say.who(by), c.ver, what)
	}
	return fmt.Sprintf("version %d of the charter was proposed: %s", c.ver, what)
}

// presentWords says what a presentation of somebody is for, as far as it is more than their first device at one home.
func presentWords(k *presentSays) string {
	var l []string
	if n := len(k.charters); n > 1 {
		l = append(l, fmt.Sprintf("%d versions of their devices and homes", n))
	}
	if n := len(k.accepted); n != 1 {
		l = append(l, fmt.Sprintf("%d homes", n))
	}
	if n := len(k.cuts); n > 0 {
		l = append(l, fmt.Sprintf("%d removed devices", n))
	}
	if l == nil {
		return ""
	}
	return ", with " + list(l)
}

// nodeWords names a node by whose home it is; by the beginning of its key, too, where that is not enough.
func (s *State) nodeWords(say speaker, n board.NodeID) string {
	var people []board.UserID
	only := true
	s.people.all(func(u board.UserID, m *member) {
		if slices.Contains(m.homes, n) {
			people, only = append(people, u), only && len(m.homes) == 1
		}
	})
	if len(people) == 0 {
		return fmt.Sprintf("node %x", n[:4])
	}
	slices.SortFunc(people, func(a, b board.UserID) int { return bytes.Compare(a[:], b[:]) })
	if only {
		return say.people(people) + "'s node"
	}
	return fmt.Sprintf("%s's node %x", say.people(people), n[:4])
}

// shortHash is the beginning of an object's id, as much of it as people get to see.
func shortHash(h board.Hash) string { return h.String()[:8] }
