package check_test

import (
	"strings"
	"testing"
	"time"

	"weft/sim/check"
)

// at is a moment in seconds.
func at(seconds float64) time.Time {
	return time.Unix(1000, 0).Add(time.Duration(seconds * float64(time.Second)))
}

func TestPresenceSumsUpWhatWasShownWrongly(t *testing.T) {
	c := check.New()
	p := check.NewPresence(c)
	p.There(at(0), "ann", true)
	p.Shown(at(1), "w", "ann", "offline", false) // a watcher comes and doesn't know yet
	p.Shown(at(3), "w", "ann", "online", false)
	p.There(at(10), "ann", false)
	p.Shown(at(14), "w", "ann", "reconnecting", false)
	p.Shown(at(40), "w", "ann", "offline", true)
	p.There(at(50), "ann", true)
	p.Shown(at(51), "w", "ann", "away", false)
	p.Shown(at(60), "w", "ann", "offline", true) // a mistake
	p.Shown(at(65), "w", "ann", "online", true)
	got := p.Report(at(70))
	want := check.Accuracy{Sights: 1, Changes: 6, Finding: 2 * time.Second, FalseOffline: 6 * time.Second, FalseOfflines: 1, LongestOffline: 5 * time.Second, StaleOnline: 30 * time.Second, LongestStale: 30 * time.Second}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if err := c.Err(); err != nil {
		t.Errorf("an honest run: %v", err)
	}
	if wrong := p.Settle(); len(wrong) > 0 {
		t.Errorf("wrong in the end: %v", wrong)
	}
	p.Gone(at(80), "w")
	if got := p.Report(at(90)); got != want {
		t.Errorf("after the watcher is gone %+v, want %+v", got, want)
	}
}

func TestEachViolationOfPresenceIsFound(t *testing.T) {
	tests := []struct {
		name, want string
		run        func(p *check.Presence)
	}{
		{"stale", "after they had gone", func(p *check.Presence) {
			p.There(at(0), "ann", true)
			p.Shown(at(0), "w", "ann", "online", false)
			p.There(at(10), "ann", false)
			p.Shown(at(191), "w", "ann", "offline", true)
		}},
		{"stale for ever", "after they had gone", func(p *check.Presence) {
			p.There(at(0), "ann", true)
			p.Shown(at(0), "w", "ann", "online", false)
			p.There(at(10), "ann", false)
			p.Report(at(200))
		}},
		{"missing", "while they were there", func(p *check.Presence) {
			p.MostMissing = time.Second
			p.There(at(0), "ann", true)
			p.Shown(at(0), "w", "ann", "offline", false)
			p.Shown(at(2), "w", "ann", "online", false)
		}},
		{"flaps", "another change", func(p *check.Presence) {
			p.There(at(0), "ann", true)
			p.Shown(at(0), "w", "ann", "online", false)
			p.Shown(at(11), "w", "ann", "reconnecting", false)
			p.Shown(at(20), "w", "ann", "online", false)
		}},
		{"wrong in the end", "in the end w is shown ann as offline", func(p *check.Presence) {
			p.There(at(0), "ann", true)
			p.Shown(at(0), "w", "ann", "offline", false)
			p.Settle()
		}},
	}
	for _, x := range tests {
		t.Run(x.name, func(t *testing.T) {
			c := check.New()
			x.run(check.NewPresence(c))
			if err := c.Err(); err == nil || !strings.Contains(err.Error(), x.want) || !strings.Contains(err.Error(), "I8") {
				t.Errorf("%v, want one with %q", err, x.want)
			}
		})
	}
}
