package attack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/peer"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

// Options of Run.
type Options struct {
	Target  string             // multiaddr of the node to attack, with /p2p/
	Link    *weftv1.InviteLink // made at the target, with a use for each attack of a member; nil: strangers' attacks only
	Only    []string           // names of attacks; none: all
	Seconds float64            // for which a flood goes on; 0: a second

	Observer Observer // nil: none
	// Promote makes somebody an admin of the team, and Remove removes somebody, as the team's owner would. Without them the
	// attacks that need it are left out.
	Promote func(context.Context, board.UserID) error
	Remove  func(context.Context, board.UserID) error
	After   func(context.Context, Result) error // called after each attack; an error breaks it

	Patience time.Duration // for which the target is waited for, several times over; 0: 5 s
	Heap     float64       // bytes by which the target's heap may grow in one attack; 0: 128 MiB
	Libp2p   []libp2p.Option
}

// Verdict on an attack.
type Verdict string

// Verdicts.
const (
	Held   Verdict = "held"
	Broken Verdict = "BROKEN"
	NotRun Verdict = "not run"
)

// Result of one attack.
type Result struct {
	Name     string   `json:"name"`
	As       Standing `json:"as"`
	What     string   `json:"what"`
	Row      string   `json:"row"`
	Frames   int64    `json:"frames"`   // written
	Sent     int64    `json:"sent"`     // bytes
	Received int64    `json:"received"` // bytes that the target sent back
	Rules    []string `json:"rules"`    // counters of refusals that rose at the target
	CPU      float64  `json:"cpu_ms"`   // of the target's process
	Heap     float64  `json:"heap"`     // bytes by which it grew
	Took     float64  `json:"took_ms"`
	Verdict  Verdict  `json:"verdict"`
	Why      string   `json:"why,omitempty"`
}

// TeamObserver is an Observer that also knows who is who in the team.
type TeamObserver interface {
	Observer
	// Roles of the team's people by user id, as the target sees them.
	Roles(ctx context.Context) (map[string]string, error)
}

// campaign is one Run.
type campaign struct {
	*Options
	reach   reach
	witness *liar
	liars   map[string]*liar // by attack
	results []Result
}

// Run carries out attacks, one after the other, and judges each. The error is about what kept it from doing that; what an
// attack broke is in its Result. each, if not nil, is given a result as soon as it is there.
func Run(ctx context.Context, o Options, each func(Result)) ([]Result, error) {
	attacks, err := Select(o.Only...)
	if err != nil {
		return nil, err
	}
	info, err := peer.AddrInfoFromString(o.Target)
	if err != nil {
		return nil, fmt.Errorf("couldn't read the target's address %q (expected one like /ip4/127.0.0.1/udp/4001/quic-v1/p2p/12D3Koo…): %w", o.Target, err)
	}
	if o.Seconds <= 0 {
		o.Seconds = 1
	}
	if o.Patience <= 0 {
		o.Patience = 5 * time.Second
	}
	if o.Heap <= 0 {
		o.Heap = 128 << 20
	}
	c := &campaign{Options: &o, reach: reach{*info, o.Patience, o.Libp2p}, liars: map[string]*liar{}}
	if o.Link != nil {
		if err := c.comeIn(ctx, attacks); err != nil {
			return nil, err
		}
		defer c.witness.close()
	}
	for _, a := range attacks {
		if ctx.Err() != nil {
			return c.results, ctx.Err()
		}
		r := c.one(ctx, a)
		c.results = append(c.results, r)
		if each != nil {
			each(r)
		}
	}
	return c.results, nil
}

// needs says what an attack can't be made without, or "".
func (c *campaign) needs(a Attack) string {
	switch {
	case a.As == Stranger:
	case c.Link == nil:
		return "needs an invite link"
	case a.As == Admin && c.Promote == nil:
		return "needs to be made an admin"
	case a.As == Removed && c.Remove == nil:
		return "needs to be removed"
	}
	return ""
}

// comeIn has a member join for each attack that needs one, while the lobby is still patient, and the witness.
func (c *campaign) comeIn(ctx context.Context, attacks []Attack) (err error) {
	if c.witness, err = c.member(ctx, "witness"); err != nil {
		return err
	}
	for _, a := range attacks {
		if a.As == Stranger || c.needs(a) != "" {
			continue
		}
		l, err := c.member(ctx, a.Name)
		if err != nil {
			return err
		}
		l.close()
		c.liars[a.Name] = l
	}
	return nil
}

// member is somebody who has joined the team.
func (c *campaign) member(ctx context.Context, name string) (*liar, error) {
	l, err := newLiar(name, c.reach, &traffic{})
	if err != nil {
		return nil, err
	}
	if err := l.join(ctx, c.Link); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// look is what an Observer sees at one time.
type look struct {
	counters Counters
	roles    map[string]string
}

func (c *campaign) look(ctx context.Context) (out look, err error) {
	if c.Observer == nil {
		return out, nil
	}
	if t, ok := c.Observer.(TeamObserver); ok && c.Link != nil {
		if out.roles, err = t.Roles(ctx); err != nil {
			return out, err
		}
	}
	out.counters, err = c.Observer.Counters(ctx)
	return out, err
}

// one carries out one attack and judges it.
func (c *campaign) one(ctx context.Context, a Attack) Result {
	r := Result{Name: a.Name, As: a.As, What: a.What, Row: a.Row, Verdict: NotRun}
	if r.Why = c.needs(a); r.Why != "" {
		return r
	}
	count := &traffic{}
	l, err := c.ready(ctx, a, count)
	if err != nil {
		r.Why = err.Error()
		return r
	}
	before, err := c.look(ctx)
	if err != nil {
		l.close()
		r.Why = err.Error()
		return r
	}
	start := time.Now()
	err = a.run(ctx, l, &order{c.Options, time.Duration(c.Seconds * float64(time.Second))})
	r.Took = float64(time.Since(start).Milliseconds())
	var why []string
	if lied := (brokenError{}); errors.As(err, &lied) {
		why = append(why, lied.what)
	} else if err != nil && ctx.Err() == nil {
		why = append(why, "the attack could not be carried out: "+err.Error())
	}
	why = append(why, c.judge(ctx, a, before, &r)...)
	l.close()
	if err := c.alive(ctx); err != nil {
		why = append(why, err.Error())
	}
	r.Frames, r.Sent, r.Received = count.frames.Load(), count.sent.Load(), count.received.Load()
	if n := count.leaked.Load(); n > 0 {
		why = append(why, fmt.Sprintf("somebody who is not of the team was sent %d bytes", n))
	}
	r.Verdict, r.Why = Held, strings.Join(why, "; ")
	if c.After != nil {
		if err := c.After(ctx, r); err != nil {
			why = append(why, err.Error())
		}
	}
	if r.Why = strings.Join(why, "; "); len(why) > 0 {
		r.Verdict = Broken
	}
	return r
}

// ready is the liar of an attack, connected to the target and knowing what a member knows.
func (c *campaign) ready(ctx context.Context, a Attack, count *traffic) (*liar, error) {
	if a.As == Stranger {
		l, err := newLiar("stranger", c.reach, count)
		if err == nil {
			l.outside.Store(true)
		}
		return l, err // it connects by itself: there may be no room for it
	}
	l := c.liars[a.Name]
	var err error
	if l.wireHost, err = newHost(l.key, c.reach, count); err != nil {
		return nil, err
	}
	if a.As == Admin {
		if err = c.Promote(ctx, l.id.User); err != nil {
			l.close()
			return nil, err
		}
	}
	if err = l.connect(ctx); err == nil {
		err = l.learn(ctx)
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// judge compares the target with how it was before. It waits until the expected counter has risen.
func (c *campaign) judge(ctx context.Context, a Attack, before look, r *Result) (why []string) {
	if c.Observer == nil {
		return nil
	}
	var after look
	var err error
	risen := func() bool {
		if after, err = c.look(ctx); err != nil {
			return true
		}
		return len(a.Expect) == 0 || slices.ContainsFunc(a.Expect, func(name string) bool {
			return after.counters[name] > before.counters[name]
		})
	}
	if !until(ctx, 2*c.Patience, risen) {
		why = append(why, "none of the counters rose that should: "+strings.Join(a.Expect, ", "))
	}
	if err != nil {
		return append(why, "the target can't be observed any more: "+err.Error())
	}
	r.Rules = rose(before.counters, after.counters, refusing)
	r.CPU = 1000 * (after.counters["process_cpu_seconds_total"] - before.counters["process_cpu_seconds_total"])
	r.Heap = after.counters["go_memstats_heap_inuse_bytes"] - before.counters["go_memstats_heap_inuse_bytes"]
	if after.counters[panics] > before.counters[panics] {
		why = append(why, "a handler of the target panicked")
	}
	if r.Heap > c.Heap {
		why = append(why, fmt.Sprintf("the target's heap grew by %.0f MiB", r.Heap/(1<<20)))
	}
	if !a.changes && !maps.Equal(before.roles, after.roles) {
		why = append(why, "who is who in the team has changed: "+difference(before.roles, after.roles))
	}
	texts, err := c.Observer.Shown(ctx)
	if err != nil {
		why = append(why, "the target can't say what it shows: "+err.Error())
	}
	if i := slices.IndexFunc(texts, func(t string) bool { return strings.HasPrefix(t, Forged) }); i >= 0 {
		why = append(why, fmt.Sprintf("the target shows %q", texts[i]))
	}
	return why
}

// alive asks the target for a sign of life: an honest member is greeted, or, without a team, somebody can connect.
func (c *campaign) alive(ctx context.Context) error {
	var last error
	ok := until(ctx, 6*c.Patience, func() bool {
		if last = c.greets(ctx); last != nil {
			wait(ctx, 100*time.Millisecond)
		}
		return last == nil
	})
	if !ok {
		return fmt.Errorf("the target gives no sign of life: %w", last)
	}
	return nil
}

func (c *campaign) greets(ctx context.Context) error {
	if c.witness != nil {
		if err := c.witness.connect(ctx); err != nil {
			return err
		}
		x, err := c.witness.greeted(ctx, syncProtocol)
		if err == nil {
			x.reset()
		}
		return err
	}
	l, err := newLiar("passer-by", c.reach, &traffic{})
	if err != nil {
		return err
	}
	defer l.close()
	return l.connect(ctx)
}

// difference says what is in one of two maps only.
func difference(a, b map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(b)) {
		if a[k] != b[k] {
			out = append(out, fmt.Sprintf("%.12s was %q and is %q", k, a[k], b[k]))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(a)) {
		if _, still := b[k]; !still {
			out = append(out, fmt.Sprintf("%.12s was %q and is gone", k, a[k]))
		}
	}
	return strings.Join(out, ", ")
}
