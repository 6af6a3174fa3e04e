package rpc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/team"
)

var joinNames = map[weftv1.JoinMode]string{
	weftv1.JoinMode_JOIN_MODE_OPEN: "open", weftv1.JoinMode_JOIN_MODE_APPROVAL: "approval",
	weftv1.JoinMode_JOIN_MODE_LINK: "link", weftv1.JoinMode_JOIN_MODE_CLOSED: "closed",
}

var visibilityNames = map[weftv1.Visibility]string{
	weftv1.Visibility_VISIBILITY_PUBLIC: "public", weftv1.Visibility_VISIBILITY_MEMBERS: "members", weftv1.Visibility_VISIBILITY_HIDDEN: "hidden",
}

// named is the key with this name.
func named[K comparable](names map[K]string, field, name string) (key K, err error) {
	var all []string
	for k, n := range names {
		if n == name {
			return k, nil
		}
		all = append(all, n)
	}
	return key, refuse(reasonUnknownOption, "couldn't set %s to %q: it can be %s", field, shorten(name), anyOf(slices.Sorted(slices.Values(all))))
}

func wirePolicy(p team.Policy) *weftv1.Policy {
	return &weftv1.Policy{
		Join: joinNames[p.Join], Visibility: visibilityNames[p.Visibility], KeepMs: uint64(p.Retention.MaxAge.Milliseconds()),
		KeepEntries: p.Retention.MaxEntries, KeepBytes: p.Retention.MaxBytes,
		AuthorPerSecond: p.Quotas.AuthorPerSecond, AuthorBurst: p.Quotas.AuthorBurst, TeamBytes: p.Quotas.TeamBytes, TeamEntries: p.Quotas.TeamEntries,
		Receipts: p.Receipts, Admitters: nodeTexts(p.Admitters),
	}
}

// leastKeep is the shortest age that entries can have: with less, people who were off line over night would miss some.
const leastKeep = time.Minute

// Least limits: with less nobody could write, or nothing that was written would stay.
const (
	leastBytes   = 1 << 20
	leastEntries = 100
)

// SetPolicy changes the team's rules.
func (s *teamService) SetPolicy(ctx context.Context, req *connect.Request[weftv1.SetPolicyRequest]) (changeResponse, error) {
	m := req.Msg
	st, err := s.findTeam(m.Team)
	if err != nil {
		return nil, err
	}
	before := st.Policy()
	after := before
	did, err := fillPolicy(&after, m)
	if err != nil {
		return nil, err
	}
	if len(did) == 0 {
		return nil, refuse(reasonEmpty, "couldn't change the rules of team %s: nothing to change was given", st.Name()).
			hint("give join, visibility, keep_ms, keep_entries, keep_bytes, author_per_second, author_burst, team_bytes, team_entries or receipts")
	}
	if after.Join == weftv1.JoinMode_JOIN_MODE_OPEN && !slices.Contains(after.Admitters, s.Node) {
		after.Admitters = append(slices.Clip(after.Admitters), s.Node)
	}
	c := &charterChange{deed: deed{team: st}, keepAs: team.Member, words: []string{fmt.Sprintf("in team %s: %s", st.Name(), strings.Join(did, ", "))}}
	c.change.Policy = &after
	res, err := s.changeCharter(ctx, c, 0)
	if err != nil {
		return nil, err
	}
	if len(c.objects) > 0 {
		if err := s.policyCounts(ctx, &c.deed, before); err != nil {
			return nil, err
		}
		return s.answer(ctx, &c.deed, m.WaitMs)
	}
	return res, nil
}

// fillPolicy puts into p what a request gives, and says so in words.
func fillPolicy(p *team.Policy, m *weftv1.SetPolicyRequest) (did []string, err error) {
	say := func(format string, args ...any) { did = append(did, fmt.Sprintf(format, args...)) }
	if m.Join != nil {
		if p.Join, err = named(joinNames, "join", *m.Join); err != nil {
			return nil, err
		}
		say("%s", map[string]string{"open": "people join by asking, and are let in", "approval": "people join by asking, and an admin answers",
			"link": "people join by links", "closed": "nobody can join"}[*m.Join])
	}
	if m.Visibility != nil {
		if p.Visibility, err = named(visibilityNames, "visibility", *m.Visibility); err != nil {
			return nil, err
		}
		say("it is visible to %s", map[string]string{"public": "everyone", "members": "its members", "hidden": "nobody else"}[*m.Visibility])
	}
	if m.KeepMs != nil {
		const most = uint64(100 * 365 * 24 * time.Hour / time.Millisecond)
		p.Retention.MaxAge = time.Duration(min(*m.KeepMs, most)) * time.Millisecond
		switch {
		case *m.KeepMs == 0:
			say("entries are kept for ever")
		case p.Retention.MaxAge < leastKeep:
			return nil, refuse(reasonUnknownOption, "couldn't keep entries for %s only: a minute is the least", p.Retention.MaxAge)
		default:
			say("entries are kept for %s", age(p.Retention.MaxAge))
		}
	}
	for _, n := range []struct {
		given *uint64
		to    *uint64
		least uint64
		words string
	}{
		{m.KeepEntries, &p.Retention.MaxEntries, 1, "a board keeps %d entries"}, {m.KeepBytes, &p.Retention.MaxBytes, leastBytes, "a board keeps %d bytes"},
		{m.TeamEntries, &p.Quotas.TeamEntries, leastEntries, "the team may hold %d entries"}, {m.TeamBytes, &p.Quotas.TeamBytes, leastBytes, "the team may hold %d bytes"},
	} {
		if n.given != nil && *n.given > 0 && *n.given < n.least {
			return nil, refuse(reasonUnknownOption, "couldn't set that %s: %d is the least", limitWords(n.words, *n.given), n.least).hint("0 means: as much as the nodes allow")
		}
		if n.given != nil {
			*n.to = *n.given
			say("%s", limitWords(n.words, *n.given))
		}
	}
	if m.AuthorPerSecond != nil {
		p.Quotas.AuthorPerSecond = *m.AuthorPerSecond
		say("%s", limitWords("an author may write %d entries a second", uint64(*m.AuthorPerSecond)))
	}
	if m.AuthorBurst != nil {
		p.Quotas.AuthorBurst = *m.AuthorBurst
		say("%s", limitWords("an author may write %d entries at once", uint64(*m.AuthorBurst)))
	}
	if m.Receipts != nil {
		p.Receipts = *m.Receipts
		say("receipts are %s", map[bool]string{true: "on", false: "off"}[*m.Receipts])
	}
	return did, nil
}

// limitWords says a limit, or that there is none.
func limitWords(words string, n uint64) string {
	if n == 0 {
		return strings.Replace(words, "%d", "as many", 1) + " as the nodes allow"
	}
	return fmt.Sprintf(words, n)
}

// age is a duration in days where it is whole days.
func age(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == day:
		return "1 day"
	case d >= day && d%day == 0:
		return fmt.Sprintf("%d days", d/day)
	}
	return d.String()
}

// policyCounts does what goes with new rules of a team, at the node of whoever made them count.
func (s *service) policyCounts(ctx context.Context, d *deed, before team.Policy) error {
	after := d.team.Policy()
	if after.Retention != before.Retention && (after.Retention != team.Retention{}) {
		d.note("older entries are pruned on all nodes alike within minutes, and can't be brought back; boards then say that history starts here")
	}
	if err := s.openOrClose(ctx, d, before, after); err != nil {
		return fmt.Errorf("couldn't finish: the rules are changed, but not how people join: %w; say it again", err)
	}
	return nil
}
