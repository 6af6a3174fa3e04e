package presence

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	"weft/sim/transcripts"
)

// TestTranscripts plays the conversations in testdata: some nodes with one team, what happens to them, and what is said and
// shown then. To accept what comes out now: go test ./presence -run TestTranscripts -rewrite
//
//	start NODE …                         nodes with empty tables; who is home is said by: person NAME NODE …  (none: they leave)
//	team                                 tells all nodes of the people as they are now
//	attach|vanish|goodbye USER/DEVICE@NODE    idle USER/DEVICE@NODE DURATION|back    payload USER/DEVICE@NODE [TEXT]
//	set USER@NODE busy|away|online|invisible [status=TEXT] [for=DURATION] [clear]
//	wait DURATION
//	lose [NODE] | keep                   what NODE says is lost from now on, or nothing any more
//	hold | release [backwards|twice]     beats wait; then they arrive
//	restart NODE                         as after kill -9
//	silent NODE | loud NODE              its lease isn't renewed, or is again
//	health NODE NODE alive|suspected|dead|left     what the first holds of the second
//	pulse NODE NODE                      the first compares its digest of the second
//	show [NODE] | why NODE USER | counts NODE
//	changes [NODE …]                     shows changes at these nodes only; of none: at all
func TestTranscripts(t *testing.T) {
	transcripts.Play(t, "testdata", func() (func([]string) error, *strings.Builder) {
		s := &transcript{}
		return s.command, &s.out
	})
}

type transcript struct {
	*world
	out  strings.Builder
	only map[string]bool
	last time.Time
}

func (s *transcript) say(format string, args ...any) {
	if s.now != s.last {
		fmt.Fprintf(&s.out, "at %.2f s\n", s.now.Sub(s.start).Seconds())
		s.last = s.now
	}
	fmt.Fprintf(&s.out, "  "+format+"\n", args...)
}

func (s *transcript) command(w []string) error {
	switch w[0] {
	case "start":
		s.world = newWorld(w[1:]...)
		s.last, s.only = s.now, nil
		s.seen = func(node string, c Changed) {
			if len(s.only) > 0 && !s.only[node] {
				return
			}
			var people []string
			for _, x := range c.Changes {
				people = append(people, fmt.Sprintf("%s (was %s)", s.describe(x.Person), x.Was))
			}
			sort.Strings(people)
			s.say("%s sees, by %s: %s", node, c.Cause, strings.Join(people, "; "))
		}
		s.sent = func(node string, b *Beat) {
			var people []string
			for i := range b.People {
				r := &b.People[i]
				people = append(people, fmt.Sprintf("%s %s", s.who[r.User], r.state()))
			}
			sort.Strings(people)
			s.say("%s says (%d): %s", node, b.Number, strings.Join(people, ", "))
		}
	case "changes":
		s.only = map[string]bool{}
		for _, n := range w[1:] {
			s.only[n] = true
		}
	case "person":
		s.person(w[1], w[2:]...)
	case "team":
		s.tellTeam()
	case "attach", "vanish", "goodbye", "idle", "payload":
		return s.session(w)
	case "set":
		return s.setting(w)
	case "wait":
		d, err := time.ParseDuration(w[1])
		s.wait(d)
		return err
	case "lose":
		s.lose = func(from, _ string, _ *Beat) bool { return len(w) == 1 || from == w[1] }
	case "keep":
		s.lose = nil
	case "hold":
		s.hold = true
	case "release":
		held := s.held
		s.hold, s.held = false, nil
		for i := range held {
			d := held[i]
			if len(w) > 1 && w[1] == "backwards" {
				d = held[len(held)-1-i]
			}
			s.deliver(d)
			if len(w) > 1 && w[1] == "twice" {
				s.deliver(d)
			}
		}
	case "restart":
		s.boot(w[1])
	case "silent", "loud":
		s.unsaid[w[1]] = w[0] == "silent"
		s.renew()
	case "health":
		h := map[string]NodeState{"alive": NodeAlive, "suspected": NodeSuspected, "dead": NodeDead, "left": NodeLeft}[w[3]]
		s.health(w[1], w[2], h)
	case "pulse":
		s.pulse(w[1], w[2])
	case "show":
		for _, n := range s.names {
			if len(w) == 1 || w[1] == n {
				for _, u := range s.tables[n].Members(s.team) {
					if p, ok := s.tables[n].Person(s.team, u); ok {
						fmt.Fprintf(&s.out, "  at %s: %s\n", n, s.describe(p))
					}
				}
			}
		}
	case "counts":
		c, n := s.tables[w[1]].Counts(s.team)
		fmt.Fprintf(&s.out, "  of %d: %+v\n", n, c)
	case "why":
		for _, r := range s.tables[w[1]].Why(s.now, s.team, testID(w[2])) {
			fmt.Fprintf(&s.out, "  %s: %s\n", s.where[r.Node], r.Words)
		}
	default:
		return errors.New("no such command")
	}
	return nil
}

func (s *transcript) session(w []string) error {
	who, node, _ := strings.Cut(w[1], "@")
	user, dev, _ := strings.Cut(who, "/")
	id := s.open[w[1]]
	t := s.tables[node]
	switch w[0] {
	case "attach":
		s.attach(user, dev, node)
	case "vanish", "goodbye":
		s.detach(user, dev, node, w[0] == "goodbye")
	case "idle":
		if w[2] == "back" {
			s.do(node, t.Report(s.now, id, false, 0))
			return nil
		}
		d, err := time.ParseDuration(w[2])
		s.do(node, t.Report(s.now, id, true, d))
		return err
	case "payload":
		effects, err := t.SetPayload(s.now, id, []byte(strings.Join(w[2:], " ")))
		s.do(node, effects)
		return err
	}
	return nil
}

func (s *transcript) setting(w []string) error {
	user, node, _ := strings.Cut(w[1], "@")
	x := Setting{Availability: map[string]State{"busy": Busy, "away": Away}[w[2]], Invisible: w[2] == "invisible"}
	clear := false
	for _, a := range w[3:] {
		k, v, _ := strings.Cut(a, "=")
		switch k {
		case "status":
			x.Status = v
		case "for":
			d, err := time.ParseDuration(v)
			if err != nil {
				return err
			}
			x.Until = s.now.Add(d).UnixMilli()
		case "clear":
			clear = true
		}
	}
	s.set(user, node, x, clear)
	return nil
}

var _ Team = (*crew)(nil)
