package presence

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence/presencetest"
)

type crew = presencetest.Crew

func testID(name string) [32]byte { return presencetest.ID(name) }

// world is some nodes with a table each, one team, and a network that does what it is told.
type world struct {
	now    time.Time
	start  time.Time
	names  []string // of nodes
	tables map[string]*Table
	boots  map[string]int
	team   board.TeamID
	crew   *crew
	who    map[board.UserID]string
	where  map[board.NodeID]string
	clock  board.Clock
	next   uint64
	open   map[string]uint64 // sessions by "user/device@node"

	lose   func(from, to string, b *Beat) bool // nil: nothing is lost
	hold   bool                                // beats wait in held
	held   []delivery
	seen   func(node string, c Changed)
	sent   func(node string, b *Beat)
	asked  int
	beats  int
	unsaid map[string]bool // nodes whose lease isn't renewed
}

type delivery struct {
	from, to string
	beat     []byte
}

func newWorld(nodes ...string) *world {
	w := &world{
		start: time.UnixMilli(1_800_000_000_000), names: nodes, tables: map[string]*Table{}, boots: map[string]int{}, team: testID("crew"), crew: &crew{Where: map[board.UserID][]board.NodeID{}},
		who: map[board.UserID]string{}, where: map[board.NodeID]string{}, open: map[string]uint64{}, unsaid: map[string]bool{},
	}
	w.now = w.start
	for _, n := range nodes {
		w.crew.Nodes = append(w.crew.Nodes, testID(n))
		w.where[testID(n)] = n
		w.boot(n)
	}
	return w
}

// boot starts a node, or starts it again.
func (w *world) boot(n string) {
	w.boots[n]++
	w.tables[n] = NewTable(Config{Self: testID(n), Boot: w.bootID(n), Start: w.now})
	for k := range w.open {
		if strings.HasSuffix(k, "@"+n) {
			delete(w.open, k)
		}
	}
	w.do(n, w.tables[n].SetTeam(w.now, w.team, w.copyCrew()))
	w.renew()
}

func (w *world) bootID(n string) (b [16]byte) {
	h := testID(fmt.Sprintf("%s boot %d", n, w.boots[n]))
	copy(b[:], h[:])
	return b
}

func (w *world) copyCrew() *crew {
	c := &crew{Where: map[board.UserID][]board.NodeID{}, Nodes: slices.Clone(w.crew.Nodes)}
	for u, h := range w.crew.Where {
		c.Where[u] = slices.Clone(h)
	}
	return c
}

// person makes somebody a member, or moves them; without homes they leave.
func (w *world) person(name string, homes ...string) {
	u := board.UserID(testID(name))
	w.who[u] = name
	delete(w.crew.Where, u)
	for _, h := range homes {
		w.crew.Where[u] = append(w.crew.Where[u], testID(h))
	}
}

func (w *world) tellTeam() {
	for _, n := range w.names {
		w.do(n, w.tables[n].SetTeam(w.now, w.team, w.copyCrew()))
	}
}

// renew renews leases between all nodes that are heard of.
func (w *world) renew() {
	for _, at := range w.names {
		for _, of := range w.names {
			if at != of && w.tables[at] != nil && !w.unsaid[of] {
				w.do(at, w.tables[at].Lease(w.now, testID(of), w.now.Add(LeaseFor)))
			}
		}
	}
}

// do carries out a node's effects.
func (w *world) do(at string, effects []Effect) {
	for _, e := range effects {
		switch e := e.(type) {
		case Changed:
			if w.seen != nil {
				w.seen(at, e)
			}
		case SendBeat:
			w.beats++
			e.Beat.SentHLC = w.clock.Now(w.now)
			if w.sent != nil {
				w.sent(at, e.Beat)
			}
			for _, to := range w.names {
				if to != at {
					w.carry(at, to, e.Beat)
				}
			}
		case Ask:
			w.asked++
			w.answer(w.where[e.Node], at)
		case TellHomes:
			for _, to := range e.Nodes {
				effects, _, err := w.tables[w.where[to]].ReceiveSetting(w.now, testID(at), reread(e.Own))
				if err != nil {
					panic(err)
				}
				w.do(w.where[to], effects)
			}
		}
	}
}

func reread(o OwnSetting) OwnSetting {
	x, err := ParseSetting(o.Wire())
	if err != nil {
		panic(err)
	}
	return x
}

// answer gives a node's whole state to another.
func (w *world) answer(from, to string) {
	for _, b := range w.tables[from].Whole(w.team) {
		b.SentHLC = w.clock.Now(w.now)
		w.carry(from, to, b)
	}
}

func (w *world) carry(from, to string, b *Beat) {
	if w.lose != nil && w.lose(from, to, b) {
		return
	}
	raw, err := proto.Marshal(b.Wire())
	if err != nil {
		panic(err)
	}
	if len(raw) > MaxBeat {
		panic(fmt.Sprintf("a beat of %d bytes", len(raw)))
	}
	if w.hold {
		w.held = append(w.held, delivery{from, to, raw})
		return
	}
	w.deliver(delivery{from, to, raw})
}

func (w *world) deliver(d delivery) {
	m := &weftv1.PresenceBeat{}
	if err := proto.Unmarshal(d.beat, m); err != nil {
		panic(err)
	}
	b, err := ParseBeat(m)
	if err != nil {
		panic(err)
	}
	effects, _ := w.tables[d.to].Receive(w.now, b)
	w.do(d.to, effects)
}

// wait lets time pass, with a Tick wherever one is due.
func (w *world) wait(d time.Duration) {
	end := w.now.Add(d)
	for range 1_000_000 {
		var first time.Time
		for _, n := range w.names {
			if at := w.tables[n].Wake(); !at.IsZero() && (first.IsZero() || at.Before(first)) {
				first = at
			}
		}
		beat := w.now.Truncate(time.Minute).Add(time.Minute)
		if first.IsZero() || beat.Before(first) {
			first = beat
		}
		if first.After(end) {
			w.now = end
			return
		}
		if first.After(w.now) {
			w.now = first
		}
		if !w.now.Before(beat) {
			w.renew()
		}
		for _, n := range w.names {
			w.do(n, w.tables[n].Tick(w.now))
		}
	}
	panic("time doesn't pass")
}

func device(name string) (d DeviceID) { copy(d[:], name); return d }

func (w *world) attach(user, dev, node string) {
	w.next++
	w.open[user+"/"+dev+"@"+node] = w.next
	w.do(node, w.tables[node].Attach(w.now, w.next, testID(user), device(dev)))
}

func (w *world) detach(user, dev, node string, goodbye bool) {
	k := user + "/" + dev + "@" + node
	w.do(node, w.tables[node].Detach(w.now, w.open[k], goodbye))
	delete(w.open, k)
}

func (w *world) set(user, node string, s Setting, clear bool) {
	if s.Availability == Offline {
		s.Availability = Online
	}
	s.SetAt = w.clock.Now(w.now)
	w.do(node, w.tables[node].Set(w.now, OwnSetting{User: testID(user), Setting: s, Clear: clear}))
}

func (w *world) health(at, of string, s NodeState) {
	w.do(at, w.tables[at].NodeHealth(w.now, testID(of), Health{State: s, Boot: w.bootID(of)}))
}

// pulse compares digests of two nodes as a Pulse does: what differs is asked for, the rest confirmed.
func (w *world) pulse(at, of string) {
	says := w.tables[of].Digests([]board.TeamID{w.team})
	know, boot := w.tables[at].Known(testID(of), []board.TeamID{w.team})
	if (boot == w.bootID(of) || len(know) == 0) && slices.Equal(says, know) {
		w.do(at, w.tables[at].Confirm(w.now, testID(of), w.bootID(of), []board.TeamID{w.team}))
		return
	}
	w.answer(of, at)
}

// describe is a person in words.
func (w *world) describe(p Person) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s %s", w.who[p.User], p.State)
	if p.Status != "" {
		fmt.Fprintf(&s, " %q", p.Status)
	}
	var devices []string
	for _, d := range p.Devices {
		x := strings.TrimRight(string(d.ID[:]), "\x00") + "@" + w.where[d.Node]
		if d.State != Online {
			x += "(" + d.State.String() + ")"
		}
		if d.Payload != nil {
			x += fmt.Sprintf("=%s", d.Payload)
		}
		devices = append(devices, x)
	}
	if len(devices) > 0 {
		fmt.Fprintf(&s, " [%s]", strings.Join(devices, " "))
	}
	since := func(what string, ms int64) {
		if ms != 0 {
			fmt.Fprintf(&s, ", %s %.1f", what, float64(ms-w.start.UnixMilli())/1000)
		}
	}
	since("since", p.Since)
	since("active", p.LastActive)
	since("until", p.Until)
	return s.String()
}
