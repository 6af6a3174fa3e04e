package attack_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"weft/sim/attack"
)

// TestAttacksSucceedAgainstAWeakNode lifts limits of the target one by one: the attack that the limit is against must then
// be reported as broken, or it shows nothing.
func TestAttacksSucceedAgainstAWeakNode(t *testing.T) {
	t.Parallel()
	none := quick
	none.SyncFrame, none.TopicMessage = 1<<31-1, 1<<20
	none.Subscriptions, none.MessageIDs = 1<<20, 1<<20
	none.LobbyConns, none.LobbyTime, none.LobbyTriesPerMin, none.LobbyBytes = 10_000, time.Hour, 1<<20, 1<<31-1
	none.SyncStreams, none.GovernanceStreams = 100, 100
	none.MinRate, none.Idle = 1, time.Hour
	f := newFieldWith(t, none)
	o := f.options()
	o.Patience = time.Second
	o.Only = []string{
		"frame-giant", "frame-slow", "subscription-spam", "ihave-spam", "iwant-spam", "graft-spam", "gossip-giant",
		"connection-flood", "knock-guessing", "lobby-slow",
	}
	results, err := attack.Run(t.Context(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		t.Logf("%-18s %s: %s", r.Name, r.Verdict, r.Why)
		if r.Verdict != attack.Broken {
			t.Errorf("%s says %q of a node that has no limit against it", r.Name, r.Verdict)
		}
	}
}

// blind has rules that its owner doesn't keep: it shows what nobody said, promotes liars and panics.
type blind struct {
	*field
	asked, roles int
}

func (b *blind) Counters(ctx context.Context) (attack.Counters, error) {
	c, err := b.field.Counters(ctx)
	b.asked++
	c["weft_p2p_panics_total"] += float64(b.asked)
	return c, err
}

func (b *blind) Shown(context.Context) ([]string, error) {
	return []string{"good morning", attack.Forged + " words"}, nil
}

func (b *blind) Roles(ctx context.Context) (map[string]string, error) {
	r, err := b.field.Roles(ctx)
	b.roles++
	r["somebody"] = fmt.Sprint("role ", b.roles)
	return r, err
}

// TestWhatATargetDoesWrongIsSeen has an observer report of a target that shows forged posts, gives roles away and panics.
func TestWhatATargetDoesWrongIsSeen(t *testing.T) {
	t.Parallel()
	f := newField(t)
	o := f.options()
	o.Only, o.Observer = []string{"cred-charter"}, &blind{field: f}
	results, err := attack.Run(t.Context(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"panicked", "who is who", "the target shows"} {
		if !slices.ContainsFunc(results, func(r attack.Result) bool { return strings.Contains(r.Why, want) && r.Verdict == attack.Broken }) {
			t.Errorf("nobody saw %q: %+v", want, results)
		}
	}
}
