package rpc

import (
	"context"
	"errors"
	"fmt"
	"slices"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// Kinds of alarms.
const (
	alarmDenied    = "denied"
	alarmDropped   = "dropped"
	alarmProposal  = "proposal"
	alarmRequest   = "request"
	alarmFork      = "fork"
	alarmLoneOwner = "lone_owner"
)

// alarms are what a person should look at: things that they did and that don't count any more, what waits for their
// answer, and how a team of theirs could be lost.
func (s *service) alarms(ctx context.Context) (out []*weftv1.Alarm) {
	for _, st := range s.teams() {
		if !s.active(st) {
			continue
		}
		say := func(kind, advice, format string, args ...any) {
			out = append(out, &weftv1.Alarm{TeamId: st.ID().String(), Team: st.Name(), Kind: kind, Words: fmt.Sprintf(format, args...), Advice: advice})
		}
		if _, denied := st.Denial(s.Node); denied {
			say(alarmDenied, s.askForThisNode(st), "this node is kept out of the team: it gets nothing of it, and nobody takes what it records")
		}
		if n := len(s.dropped(ctx, st)); n > 0 {
			say(alarmDropped, fmt.Sprintf("weft team reissue %[1]s --list shows what it was; weft team reissue %[1]s does it again", word(st.Name())),
				"what you did under a change of the charter that lost to another one doesn't count: %s", plural(n, "thing", "things"))
		}
		for _, f := range st.ForkProofs() {
			if _, denied := st.Denial(f.Node); denied && f.Node != s.Node {
				say(alarmFork, fmt.Sprintf("the node was modified, or its folder was copied; once that is mended: weft team node allow %s %s", word(st.Name()), nodeText(f.Node)),
					"%s has contradicted itself and is kept out", s.nodeName(st, f.Node))
			}
		}
		role := st.Role(s.Identity.User)
		if role != team.Owner && role != team.Admin {
			continue
		}
		if role == team.Owner {
			for _, p := range st.Proposals() {
				if !p.Valid && slices.Contains(p.Missing, s.Identity.User) {
					say(alarmProposal, fmt.Sprintf("weft team proposals %[1]s; weft team agree %[1]s", word(st.Name())), "a change of the charter waits for you")
				}
			}
			for _, w := range s.warnings(st) {
				say(alarmLoneOwner, "", "%s", w)
			}
		}
		if n := len(st.Requests()); n > 0 {
			say(alarmRequest, "weft team requests "+word(st.Name()), "%s to be let in", plural(n, "person asks", "people ask"))
		}
	}
	return out
}

// seenPrefix is of the settings that say that the user has dealt with something that was dropped.
const seenPrefix = "dropped/"

// dropped is what the user did under a charter that lost, as far as it is not so all the same and they have not dealt
// with it.
func (s *service) dropped(ctx context.Context, st *team.State) (out []team.Event) {
	for _, e := range st.Dropped(s.Identity.User) {
		if seen, err := s.Store.GetKV(seenPrefix + e.Object.String()); err == nil && seen != nil {
			continue
		}
		if _, err := s.again(ctx, st, e.Object); isSoAlready(err) {
			continue
		}
		out = append(out, e)
	}
	return out
}

// isSoAlready says whether something need not be done because it is so.
func isSoAlready(err error) bool {
	return errors.Is(err, team.ErrUnchanged) || errors.Is(err, team.ErrExists) || errors.Is(err, board.ErrNotFound)
}

// dealtWith notes that the user has dealt with something that was dropped.
func (s *service) dealtWith(ctx context.Context, object board.Hash) error {
	return s.Store.SetKV(ctx, seenPrefix+object.String(), []byte{1})
}

// plural is "1 person asks", "2 people ask".
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
