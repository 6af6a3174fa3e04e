package team

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// Describe says in words what an object does, for people who read a team's log. names gives the name of a user; nil, or
// "" from it, shows the beginning of the id. Names are shown in quotes: they are what their owners chose.
func Describe(o *Object, names func(board.UserID) string) string {
	if o.Charter == nil && o.Ack == nil && o.Op == nil {
		return "nothing"
	}
	return speaker{names}.describe(newFact(o, board.TeamID{}))
}

// speaker puts facts into words.
type speaker struct{ names func(board.UserID) string }

func (s speaker) who(u board.UserID) string {
	if s.names != nil {
		if n := s.names(u); n != "" {
			return fmt.Sprintf("%q", n)
		}
	}
	return u.String()[:8]
}

func (s speaker) people(l []board.UserID) string {
	out := make([]string, len(l))
	for i, u := range l {
		out[i] = s.who(u)
	}
	return list(out)
}

// list in words: a, b and c.
func list(l []string) string {
	if n := len(l); n > 1 {
		return strings.Join(l[:n-1], ", ") + " and " + l[n-1]
	}
	return strings.Join(l, "")
}

func (s speaker) describe(f *fact) string {
	by := s.who(f.author)
	switch k := f.says.(type) {
	case *charterSays:
		if k.ver == 1 {
			return fmt.Sprintf("the team %q was founded", k.m.Name)
		}
		out := fmt.Sprintf("version %d of the charter was proposed", k.ver)
		if lost := k.losers(); len(lost) > 0 {
			out += ", taking power from " + s.people(lost)
		}
		return out
	case *Board:
		return fmt.Sprintf("%s created the board %q", by, k.Name)
	case *weftv1.Invite:
		return fmt.Sprintf("%s invited %s as %s%s", by, upTo(k.Quota), Role(k.Role), until(k.ExpiresMs))
	case *uninviteSays:
		return by + " withdrew an invite"
	case *admitSays:
		return fmt.Sprintf("%s was admitted by node %x", s.who(k.user), f.author[:4])
	case *presentSays:
		out := fmt.Sprintf("%s was presented, with %d charters and %d homes", by, len(k.charters), len(k.accepted))
		if n := len(k.cuts); n > 0 {
			out += fmt.Sprintf(", and %d removed devices", n)
		}
		return out
	case *setSays:
		return s.describeSet(f, k)
	case *nodeSays:
		if k.allowed {
			return fmt.Sprintf("%s allowed node %x", by, k.node[:4])
		}
		return fmt.Sprintf("%s denied node %x", by, k.node[:4])
	case *requestSays:
		if k.note != "" {
			return fmt.Sprintf("%s asked to join: %q", by, k.note)
		}
		return by + " asked to join"
	case *Floor:
		if board.NodeID(f.author) == k.Position.Node {
			return fmt.Sprintf("node %x pruned its log of a board", f.author[:4])
		}
		return fmt.Sprintf("%s pruned the log of node %x, which is gone", by, k.Position.Node[:4])
	case *forkSays:
		return fmt.Sprintf("node %x was shown to contradict itself", k.Node[:4])
	}
	if f.act == actAck {
		return by + " agreed to a charter"
	}
	return by + " did something that this version does not know"
}

func (s speaker) describeSet(f *fact, k *setSays) string {
	if board.UserID(f.author) == k.user && k.role == Removed {
		return s.who(f.author) + " left"
	}
	out := fmt.Sprintf("%s made %s %s", s.who(f.author), s.who(k.user), k.role)
	switch {
	case k.recut && k.role == Removed:
		out = fmt.Sprintf("%s removed %s, with another limit of what stays", s.who(f.author), s.who(k.user))
	case k.recut:
		out += ", with another limit of what stays"
	case k.role == Removed:
		out = fmt.Sprintf("%s removed %s", s.who(f.author), s.who(k.user))
	case k.role == Banned:
		out = fmt.Sprintf("%s banned %s", s.who(f.author), s.who(k.user))
	case k.role == Muted:
		out = fmt.Sprintf("%s muted %s", s.who(f.author), s.who(k.user))
	}
	if k.reason != "" {
		out += fmt.Sprintf(": %q", k.reason)
	}
	return out
}

// losers are the people whose power a charter takes, as it says itself.
func (c *charterSays) losers() (out []board.UserID) {
	for i := range c.cuts {
		if c.power(c.cuts[i].user) == None {
			out = append(out, c.cuts[i].user)
		}
	}
	return out
}

// upTo is how many people an invite is for.
func upTo(n uint32) string {
	if n == 1 {
		return "one person"
	}
	return fmt.Sprintf("up to %d people", n)
}

func until(ms uint64) string {
	if ms == 0 {
		return ""
	}
	return " until " + time.UnixMilli(int64(min(ms, 1<<52))).UTC().Format("2006-01-02 15:04 UTC")
}

// difference says what charter b changes in a.
func (s *State) difference(a, b *charterSays) (out []string) {
	say := speaker{s.UserName}
	if a.m.Name != b.m.Name {
		out = append(out, fmt.Sprintf("the team is called %q", b.m.Name))
	}
	for _, u := range b.owners {
		if !slices.Contains(a.owners, u) {
			out = append(out, say.who(u)+" becomes owner")
		}
	}
	for _, u := range b.admins {
		if !slices.Contains(a.admins, u) {
			out = append(out, say.who(u)+" becomes admin")
		}
	}
	for _, u := range slices.Concat(a.owners, a.admins) {
		if b.power(u) == None {
			stays := "stays as nothing"
			if c := b.cutOf(u); c != nil && c.keep <= Removed {
				stays = "is " + c.keep.String()
			} else if c != nil {
				stays = "stays as " + c.keep.String()
			}
			out = append(out, fmt.Sprintf("%s loses power and %s", say.who(u), stays))
		}
	}
	if len(a.owners) > 1 && len(b.owners) > 1 && b.owners[0] != a.owners[0] && slices.Contains(a.owners, b.owners[0]) {
		out = append(out, say.who(b.owners[0])+" becomes the senior owner")
	}
	if x, y := len(a.m.Relays), len(b.m.Relays); x != y || !slices.EqualFunc(a.m.Relays, b.m.Relays, func(x, y []byte) bool { return string(x) == string(y) }) {
		out = append(out, fmt.Sprintf("%d relays instead of %d", y, x))
	}
	out = append(out, policyDifference(policyOf(a.m.Policy), policyOf(b.m.Policy))...)
	if len(b.m.Successor) > 0 && len(a.m.Successor) == 0 {
		out = append(out, "the team is disbanded")
	}
	return out
}

var joinWords = map[weftv1.JoinMode]string{
	weftv1.JoinMode_JOIN_MODE_OPEN: "anyone may join", weftv1.JoinMode_JOIN_MODE_APPROVAL: "who wants to join asks",
	weftv1.JoinMode_JOIN_MODE_LINK: "people join by link", weftv1.JoinMode_JOIN_MODE_CLOSED: "nobody joins",
}

var visibilityWords = map[weftv1.Visibility]string{
	weftv1.Visibility_VISIBILITY_PUBLIC: "everyone", weftv1.Visibility_VISIBILITY_MEMBERS: "its members", weftv1.Visibility_VISIBILITY_HIDDEN: "nobody else",
}

func policyDifference(a, b Policy) (out []string) {
	if a.Join != b.Join {
		out = append(out, joinWords[b.Join])
	}
	if a.Retention != b.Retention {
		out = append(out, "messages are kept "+b.Retention.String())
	}
	if a.Visibility != b.Visibility {
		out = append(out, "it is visible to "+visibilityWords[b.Visibility])
	}
	if a.Quotas != b.Quotas {
		out = append(out, "other limits of what may be written")
	}
	if a.Receipts != b.Receipts {
		out = append(out, "receipts are "+map[bool]string{true: "on", false: "off"}[b.Receipts])
	}
	if a.E2EE != b.E2EE || a.History != b.History || !slices.Equal(a.Admitters, b.Admitters) && a.Join == b.Join {
		out = append(out, "other details of the policy change")
	}
	return out
}

// String is how long a board keeps what it has, in words.
func (r Retention) String() string {
	var l []string
	if r.MaxAge > 0 {
		if day := 24 * time.Hour; r.MaxAge%day == 0 {
			l = append(l, fmt.Sprintf("%d days", r.MaxAge/day))
		} else {
			l = append(l, r.MaxAge.String())
		}
	}
	if r.MaxEntries > 0 {
		l = append(l, fmt.Sprintf("up to %d of them", r.MaxEntries))
	}
	if r.MaxBytes > 0 {
		l = append(l, fmt.Sprintf("up to %d bytes", r.MaxBytes))
	}
	if l == nil {
		return "for ever"
	}
	return strings.Join(l, ", ")
}
