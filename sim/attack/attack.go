package attack

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Standing is what an attacker is to the team.
type Standing string

// Standings.
const (
	Stranger Standing = "stranger" // knows the address and nothing else
	Member   Standing = "member"   // has come in by a link
	Admin    Standing = "admin"    // was made one (Options.Promote)
	Removed  Standing = "removed"  // was a member, and was removed (Options.Remove)
)

// Attack is one way of lying.
type Attack struct {
	Name string
	What string // in a line
	As   Standing
	Row  string // of docs/limits.md, or the section of the rules, that it tries

	// Expect are counters of the target of which at least one rises. None: what comes back says it all.
	Expect []string

	changes bool // of people's roles belong to it, and it looks at them itself
	run     func(ctx context.Context, l *liar, o *order) error
}

// order is what an attack is told beside its liar.
type order struct {
	*Options
	seconds time.Duration // for which floods go on
}

// flood repeats what one function does until the time is over or it fails, which is how the target ends it.
func (o *order) flood(ctx context.Context, least int, once func(i int) error) (n int, err error) {
	for end := time.Now().Add(o.seconds); n < least || time.Now().Before(end); n++ {
		if ctx.Err() != nil {
			return n, ctx.Err()
		}
		if err := once(n); err != nil {
			return n, err
		}
	}
	return n, nil
}

// brokenError is what an attack saw that must not be.
type brokenError struct{ what string }

func (b brokenError) Error() string { return b.what }

// broken says that the target did what it must not.
func broken(format string, args ...any) error { return brokenError{fmt.Sprintf(format, args...)} }

// Attacks are all of them, in the order in which they run: what spoils the target's patience with an address comes last.
func Attacks() []Attack {
	return slices.Concat(frameAttacks, wantAttacks, gossipAttacks, logAttacks, rightAttacks, tellingAttacks, presenceAttacks, powerAttacks, removedAttacks, strangerAttacks)
}

// Select gives the attacks with these names; none: all.
func Select(names ...string) ([]Attack, error) {
	all := Attacks()
	if len(names) == 0 {
		return all, nil
	}
	var out []Attack
	for _, n := range names {
		i := slices.IndexFunc(all, func(a Attack) bool { return a.Name == n })
		if i < 0 {
			var known []string
			for _, a := range all {
				known = append(known, a.Name)
			}
			return nil, fmt.Errorf("couldn't find an attack called %q; there are: %s", n, strings.Join(known, ", "))
		}
		out = append(out, all[i])
	}
	return out, nil
}
