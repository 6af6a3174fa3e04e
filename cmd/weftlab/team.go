package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"weft/board"
	"weft/team"

	weftv1 "weft/api/weft/v1"
)

// teamBench measures what rules without a server cost: evaluating a team, its state in memory, judging entries on their
// way into the store, and how long a removal takes to hold elsewhere.
type teamBench struct {
	operations, removals, entries, seconds int
}

func (b *teamBench) flags(c *cobra.Command) {
	c.Flags().IntVar(&b.operations, "operations", 10_000, "operations of the team that is evaluated")
	c.Flags().IntVar(&b.removals, "removals", 100, "people removed while B and C are watched")
	c.Flags().IntVar(&b.entries, "entries", 20_000, "entries of the board that is pulled")
	c.Flags().IntVar(&b.seconds, "seconds", 5, "length of each run of posting")
}

func (b *teamBench) run(ctx context.Context, l *lab) error {
	l.out.note(quotaNote)
	for range l.runs {
		for _, part := range []func(context.Context, *lab) error{b.evaluate, b.memory, b.rates, b.removal} {
			if err := part(ctx, l); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return nil
}

// minutes are a team's governance logs in memory, and an evaluator that was told of all of them.
type minutes struct {
	id     board.TeamID
	owner  team.Identity
	home   board.Key // of the owner, who records what isn't said to be recorded elsewhere
	ev     *team.Evaluator
	lines  []minute
	tips   map[board.NodeID]board.Link
	epochs map[board.NodeID]uint64
	n      uint64
}

// minute is a record with the object that it carries.
type minute struct {
	board.Record
	object *team.Object
}

func madeKey(what string, i int) board.Key {
	return board.NewKey(sha256.Sum256(fmt.Appendf(nil, "weftlab %s %d", what, i)))
}

func someone(i int) (home board.Key, id team.Identity, err error) {
	home = madeKey("home", i)
	id, err = team.NewUser(fmt.Sprintf("person %d", i), madeKey("recovery", i), madeKey("device", i), home, [16]byte{byte(i), byte(i >> 8)})
	return home, id, err
}

func newMinutes() (*minutes, error) {
	home, owner, err := someone(0)
	if err != nil {
		return nil, err
	}
	id, objects, err := team.NewTeam(owner, "crew", nil, [16]byte{1})
	if err != nil {
		return nil, err
	}
	m := &minutes{id: id, owner: owner, home: home, ev: team.NewEvaluator(id), tips: map[board.NodeID]board.Link{}, epochs: map[board.NodeID]uint64{}}
	for _, o := range objects {
		if _, err := m.record(home.Public(), o, nil); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *minutes) nonce() (n [16]byte) {
	m.n++
	for i := range 8 {
		n[i] = byte(m.n >> (8 * i))
	}
	return n
}

// record appends an object to a node's log. It takes what a builder returns.
func (m *minutes) record(n board.NodeID, o *team.Object, err error) (*team.Object, error) {
	if err != nil {
		return nil, err
	}
	x := minute{board.Record{
		Board: board.GovernanceID(m.id), Origin: board.Origin{Node: n, Epoch: board.Epoch{N: m.epochs[n] + 1, R: 7}}, Seq: 1, Prev: m.tips[n],
		Entry: sha256.Sum256(o.Body), Received: board.HLC(len(m.lines) + 1),
	}, o}
	if x.Prev.Epoch == x.Epoch {
		x.Seq = x.Prev.Seq + 1
	}
	m.tips[n] = board.Link{Epoch: x.Epoch, Seq: x.Seq, Hash: x.Record.Hash()}
	m.lines = append(m.lines, x)
	return o, x.tell(m.ev)
}

// tell an evaluator of it, as a store does.
func (x *minute) tell(ev *team.Evaluator) error {
	at := x.Position()
	ev.AddRecord(at, x.Prev)
	o := *x.object
	o.Records = []board.Position{at}
	_, err := ev.Add(&o)
	return err
}

// cut is all that is held of some nodes' logs.
func (m *minutes) cut(nodes ...board.NodeID) *weftv1.Cut {
	var at []board.Position
	for _, n := range nodes {
		if t := m.tips[n]; t.Seq > 0 {
			at = append(at, board.Position{Board: board.GovernanceID(m.id), Node: n, Epoch: t.Epoch, Seq: t.Seq, Hash: t.Hash})
		}
	}
	return team.NewCut(at)
}

// change sets the role of the i-th of many people, over and over: taken, with a cut, and given back.
func (m *minutes) change(i int) error {
	u := board.UserID(sha256.Sum256(fmt.Appendf(nil, "user %d", i%900)))
	role := []team.Role{team.Member, team.Removed, team.Member, team.Muted}[i/900%4]
	o, err := team.NewSet(m.ev.State(), m.owner, u, role, m.cut(m.home.Public()), "as agreed", m.nonce())
	_, err = m.record(m.home.Public(), o, err)
	return err
}

func (b *teamBench) evaluate(_ context.Context, l *lab) error {
	m, err := newMinutes()
	if err != nil {
		return err
	}
	for i := range b.operations {
		if err := m.change(i); err != nil {
			return err
		}
	}
	start := time.Now()
	ev := team.NewEvaluator(m.id)
	for i := range m.lines {
		if err := m.lines[i].tell(ev); err != nil {
			return err
		}
	}
	st := ev.State()
	took := time.Since(start)
	if a, b := len(st.Members()), len(m.ev.State().Members()); a != b {
		return fmt.Errorf("couldn't evaluate: %d members from scratch, %d bit by bit", a, b)
	}
	const more = 1000
	var each []time.Duration
	for i := range more {
		if err := m.change(b.operations + i); err != nil {
			return err
		}
		x := &m.lines[len(m.lines)-1]
		start := time.Now()
		if err := x.tell(ev); err != nil {
			return err
		}
		ev.State()
		each = append(each, time.Since(start))
	}
	p50, p99, _ := quantiles(each)
	l.out.add("evaluate "+number(float64(b.operations))+" operations from scratch", took.Seconds()*1000, "ms", atMost(1000))
	l.out.add("one operation more: p50", p50*1000, "µs", atMost(100))
	l.out.add("one operation more: p99", p99*1000, "µs", bar{})
	return nil
}

// memory of the evaluated state of 1,000 people, 50 of them admins, 20 removed, and nodes that were restarted 1,000 times.
func (b *teamBench) memory(_ context.Context, l *lab) error {
	m, err := bigTeam(1000, 50, 20, 1000)
	if err != nil {
		return err
	}
	before := heapBytes()
	ev := team.NewEvaluator(m.id)
	for i := range m.lines {
		o := m.lines[i].object
		own, err := team.ParseObject(o.Kind, append([]byte(nil), o.Body...)) // so that only the evaluator keeps it
		if err != nil {
			return err
		}
		x := minute{m.lines[i].Record, own}
		if err := x.tell(ev); err != nil {
			return err
		}
	}
	st := ev.State()
	size := heapBytes() - before
	if in, out := len(st.Members()), len(st.Outsiders()); in != 980 || out != 20 || len(st.Charter().Admins) != 50 {
		return fmt.Errorf("couldn't make the team: %d members, %d outsiders, %d admins", in, out, len(st.Charter().Admins))
	}
	runtime.KeepAlive(m)
	runtime.KeepAlive(ev)
	l.out.add("state of 1,000 people, 50 admins, 20 removals, 1,000 restarts", float64(size)/1e6, "MB", atMost(4))
	return nil
}

// heapBytes in use, once what earlier parts left behind is gone.
func heapBytes() int64 {
	last := int64(-1)
	for range 50 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		now := int64(s.HeapAlloc)
		if last >= 0 && max(now-last, last-now) < 16<<10 {
			return now
		}
		last = now
		time.Sleep(50 * time.Millisecond)
	}
	return last
}

// bigTeam has restarts of the owner's node between the admissions by it.
func bigTeam(people, admins, removals, restarts int) (*minutes, error) {
	m, err := newMinutes()
	if err != nil {
		return nil, err
	}
	home := m.home.Public()
	seed := sha256.Sum256([]byte("weftlab link"))
	inv, err := team.NewInvite(m.ev.State(), m.owner, team.Member, home, team.MaxQuota, 0, m.nonce(), seed)
	if inv, err = m.record(home, inv, err); err != nil {
		return nil, err
	}
	link, err := team.NewLink(m.ev.State(), m.owner, inv, seed, nil)
	if err != nil {
		return nil, err
	}
	ids := []team.Identity{m.owner}
	for i := 1; i < people; i++ {
		node, id, err := someone(i)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
		if err := m.join(link, node, id); err != nil {
			return nil, err
		}
		for n := (i - 1) * restarts / people; n < i*restarts/people; n++ {
			m.epochs[home]++
		}
	}
	for i := 1; i <= admins; i += 10 {
		var add []board.UserID
		for _, p := range ids[i:min(i+10, admins+1)] {
			add = append(add, p.User)
		}
		c, err := team.NewCharter(m.ev.State(), m.owner, team.Change{AddAdmins: add}, nil, team.Removed, m.nonce())
		if c, err = m.record(home, c, err); err != nil {
			return nil, err
		}
		a, err := team.NewAck(m.ev.State(), m.owner, c.Hash)
		if _, err = m.record(home, a, err); err != nil {
			return nil, err
		}
	}
	for i := range removals {
		at := people - 1 - i
		node := madeKey("home", 1+i%admins).Public()
		o, err := team.NewSet(m.ev.State(), ids[1+i%admins], ids[at].User, team.Removed, m.cut(home, madeKey("home", at).Public()), "as agreed", m.nonce())
		if _, err = m.record(node, o, err); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// join lets somebody in.
func (m *minutes) join(link *weftv1.InviteLink, node board.Key, id team.Identity) error {
	p, err := team.NewPresent(m.id, id)
	if _, err = m.record(node.Public(), p, err); err != nil {
		return err
	}
	k, err := team.NewKnock(link, 0, id)
	if err != nil {
		return err
	}
	a, err := team.NewAdmit(m.home, m.ev.State(), k, m.nonce())
	_, err = m.record(m.home.Public(), a, err)
	return err
}
