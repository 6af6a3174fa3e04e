package detect

import (
	"bytes"
	"container/heap"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

// world is a mesh of Detectors on a network that is simulated with its time. Between two nodes there is a connection with
// a stream each way, on which frames come in order: one that is lost is sent again as QUIC does it, after a time-out that
// doubles, or when one sent after it was acknowledged.
type world struct {
	t     testing.TB
	rnd   *rand.Rand
	start time.Time
	now   time.Time
	queue eventQueue
	seq   int
	still int // events at this instant
	nodes []*node
	conns map[[2]int]*conn

	rtt   time.Duration
	loss  float64
	lossy func(a, b int) float64 // of a link; nil: loss
	idle  time.Duration          // after which a transport gives a connection up

	sent   map[string]int // frames, by kind
	counts map[string]int // Count effects
	deaths []death
	trace  func(string)
}

// death is a node that another held for dead.
type death struct {
	at       time.Time
	by, whom int
}

type node struct {
	w      *world
	i      int
	id     board.NodeID
	teams  []board.TeamID
	d      *Detector
	boots  int
	up     bool
	paused bool
	slow   time.Duration // its loop comes so much later, at random, and then does all that waits
	queued []func()
	lies   bool   // it says of everybody that they run
	proof  []byte // that it saw last
	ticks  int    // only the newest tick counts
	health map[board.NodeID]Health
	seen   map[board.NodeID][]Health
	turn   []func()
	stall  time.Time // until which it gets no processor
}

type conn struct {
	up      bool
	cut     bool
	gen     int
	next    int // dial
	streams [2]*stream
	last    time.Time // something came through
}

type stream struct {
	frames []*simFrame // not yet delivered, in order
}

type simFrame struct {
	events  []Event
	arrived bool
	tries   int
	rescued bool
}

type simEvent struct {
	at  time.Time
	seq int
	f   func()
}

type eventQueue []simEvent

func (q eventQueue) Len() int { return len(q) }
func (q eventQueue) Less(i, j int) bool {
	if c := q[i].at.Compare(q[j].at); c != 0 {
		return c < 0
	}
	return q[i].seq < q[j].seq
}
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *eventQueue) Push(x any)   { *q = append(*q, x.(simEvent)) }
func (q *eventQueue) Pop() any {
	old := *q
	x := old[len(old)-1]
	old[len(old)-1] = simEvent{}
	*q = old[:len(old)-1]
	return x
}

// oneTeam puts all in one team.
func oneTeam(int) []int { return []int{0} }

func newWorld(t testing.TB, seed uint64, n int, teams func(i int) []int) *world {
	w := &world{
		t: t, rnd: rand.New(rand.NewPCG(seed, 77)), start: time.Unix(1_000_000, 0), conns: map[[2]int]*conn{}, rtt: time.Millisecond,
		idle: 30 * time.Second, sent: map[string]int{}, counts: map[string]int{},
	}
	w.now = w.start
	for i := range n {
		x := &node{w: w, i: i, health: map[board.NodeID]Health{}, seen: map[board.NodeID][]Health{}}
		for k := range x.id {
			x.id[k] = byte(w.rnd.Uint32())
		}
		for _, k := range teams(i) {
			x.teams = append(x.teams, board.TeamID{byte(k >> 8), byte(k), 1})
		}
		w.nodes = append(w.nodes, x)
	}
	for i := range n {
		for j := range i {
			if len(w.shared(i, j)) > 0 {
				w.conns[[2]int{j, i}] = &conn{streams: [2]*stream{{}, {}}}
			}
		}
	}
	return w
}

func (w *world) shared(a, b int) (out []board.TeamID) {
	for _, t := range w.nodes[a].teams {
		if slices.Contains(w.nodes[b].teams, t) {
			out = append(out, t)
		}
	}
	return out
}

func (w *world) conn(a, b int) *conn { return w.conns[[2]int{min(a, b), max(a, b)}] }

func (w *world) after(d time.Duration, f func()) {
	w.seq++
	heap.Push(&w.queue, simEvent{w.now.Add(max(d, 0)), w.seq, f})
}

// run lets the time d go by.
func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for len(w.queue) > 0 && !w.queue[0].at.After(end) {
		e := heap.Pop(&w.queue).(simEvent)
		if w.still++; e.at.After(w.now) {
			w.still = 0
		} else if w.still > 1_000_000 {
			w.t.Fatalf("time stands still at %v", w.now.Sub(w.start))
		}
		w.now = e.at
		e.f()
	}
	w.now = end
}

// boot starts all nodes within spread, and lets them find each other.
func (w *world) boot(spread time.Duration) {
	for _, x := range w.nodes {
		w.after(time.Duration(w.rnd.Int64N(int64(spread)+1)), x.boot)
	}
	w.run(spread + 5*time.Second)
}

func (x *node) boot() {
	x.boots++
	x.up, x.paused, x.queued = true, false, nil
	var boot [16]byte
	for k := range boot {
		boot[k] = byte(x.w.rnd.Uint32())
	}
	clear(x.health)
	x.d = New(Config{Self: x.id, Boot: boot, BootMs: uint64(x.w.now.UnixMilli()), Rand: rand.New(rand.NewPCG(x.w.rnd.Uint64(), 5)), Proof: x.proved})
	teams := map[board.NodeID][]board.TeamID{}
	for j, o := range x.w.nodes {
		if ts := x.w.shared(x.i, j); j != x.i && len(ts) > 0 {
			teams[o.id] = ts
		}
	}
	x.step(Neighbours{teams})
	for j := range x.w.nodes {
		if c := x.w.conn(x.i, j); c != nil {
			if c.up { // a connection of the run before, which is reset
				x.w.drop(x.i, j)
			}
			x.w.dial(x.i, j, 0)
		}
	}
	x.pulse(x.d.own.Boot)
}

// nonce for a probe that another node does for this one, and whether a node has signed it.
func (x *node) nonce(id uint64) []byte {
	return binary.BigEndian.AppendUint64(append(x.id[:], x.d.own.Boot[:]...), id)
}

func (x *node) proved(n board.NodeID, id uint64, proof []byte) bool {
	return bytes.Equal(proof, signOf(n, x.nonce(id)))
}

// signOf stands for a signature.
func signOf(n board.NodeID, nonce []byte) []byte {
	s := sha256.Sum256(append(n[:], nonce...))
	return s[:]
}

// pulse goes to everybody once a minute.
func (x *node) pulse(boot [16]byte) {
	x.w.after(60*time.Second*3/4+time.Duration(x.w.rnd.Int64N(int64(30*time.Second))), func() {
		if !x.up || x.d.own.Boot != boot {
			return
		}
		if !x.paused {
			for j := range x.w.nodes {
				if c := x.w.conn(x.i, j); c != nil && c.up {
					x.sayTo(j, "pulse")
				}
			}
		}
		x.pulse(boot)
	})
}

var signed = &weftv1.Signed{}

func (x *node) sayTo(j int, kind string) {
	word := x.d.Own()
	word.Signed = signed
	x.w.send(x.i, j, kind, Said{From: x.id, Word: word})
}

// dial tries again and again to connect a and b.
func (w *world) dial(a, b int, tries int) {
	c := w.conn(a, b)
	c.next++
	turn := c.next
	wait := min(250*time.Millisecond<<min(tries, 6), 2*time.Second)
	if tries == 0 {
		wait = 0
	}
	w.after(wait*3/4+time.Duration(w.rnd.Int64N(int64(wait)/2+1)), func() {
		if c.next != turn || c.up {
			return
		}
		x, y := w.nodes[a], w.nodes[b]
		if c.cut || !x.up || !y.up || x.paused || y.paused {
			w.dial(a, b, tries+1)
			return
		}
		took := w.rtt * 2
		for range 4 { // packets of a handshake
			for k := 0; k < 4 && w.rnd.Float64() < w.lossOf(a, b); k++ {
				took += (w.rtt*3 + 25*time.Millisecond) << k
			}
		}
		w.after(took, func() {
			if c.next != turn || c.up {
				return
			}
			if c.cut || !x.up || !y.up {
				w.dial(a, b, tries+1)
				return
			}
			c.up, c.last = true, w.now
			c.gen++
			c.streams = [2]*stream{{}, {}}
			for _, e := range [2][2]int{{a, b}, {b, a}} {
				n := w.nodes[e[0]]
				n.do(func() {
					n.step(Connected{w.nodes[e[1]].id})
					n.sayTo(e[1], "first")
				})
			}
		})
	})
}

// drop ends the connection of a and b, which both notice, and dials again.
func (w *world) drop(a, b int) {
	c := w.conn(a, b)
	if !c.up {
		return
	}
	c.up = false
	c.gen++
	for _, e := range [2][2]int{{a, b}, {b, a}} {
		n := w.nodes[e[0]]
		n.do(func() { n.step(Disconnected{w.nodes[e[1]].id}) })
	}
	w.dial(a, b, 1)
}

// giveUp drops the connection when its transport would, if nothing has come through meanwhile.
func (w *world) giveUp(a, b int) {
	c := w.conn(a, b)
	if c == nil || !c.up {
		return
	}
	gen := c.gen
	w.after(w.idle, func() {
		if c.gen == gen && w.now.Sub(c.last) >= w.idle {
			w.drop(a, b)
		}
	})
}

func (w *world) lossOf(a, b int) float64 {
	if w.lossy != nil {
		return w.lossy(a, b)
	}
	return w.loss
}

func (w *world) oneWay() time.Duration {
	return w.rtt/2 + time.Duration(w.rnd.Int64N(int64(w.rtt)/10+1))
}

// send puts a frame on the stream from a to b. It carries events.
func (w *world) send(a, b int, kind string, events ...Event) {
	w.sent[kind]++
	c := w.conn(a, b)
	if c == nil || !c.up {
		w.sent["unsent"]++
		return
	}
	f := &simFrame{events: events}
	s := c.streams[0]
	if a > b {
		s = c.streams[1]
	}
	s.frames = append(s.frames, f)
	w.attempt(a, b, c.gen, s, f)
}

// attempt sends a frame, or sends it again.
func (w *world) attempt(a, b, gen int, s *stream, f *simFrame) {
	c := w.conn(a, b)
	if c.gen != gen || f.arrived {
		return
	}
	to, from := w.nodes[b], w.nodes[a]
	if f.tries++; !c.cut && to.up && !to.paused && from.up && w.rnd.Float64() >= w.lossOf(a, b) {
		w.after(w.oneWay(), func() { w.arrive(a, b, gen, s, f) })
		return
	}
	if from.paused || !from.up {
		return
	}
	w.after((w.rtt*3/2+25*time.Millisecond)<<min(f.tries-1, 8), func() { w.attempt(a, b, gen, s, f) })
}

func (w *world) arrive(a, b, gen int, s *stream, f *simFrame) {
	c, to := w.conn(a, b), w.nodes[b]
	if c.gen != gen || f.arrived || !to.up || c.cut {
		return
	}
	f.arrived, c.last = true, w.now
	for _, e := range s.frames { // what was sent before and is missing is sent again when this one is acknowledged
		if e == f {
			break
		}
		if !e.arrived && !e.rescued {
			e.rescued = true
			w.after(w.oneWay(), func() {
				e.rescued = false
				w.attempt(a, b, gen, s, e)
			})
		}
	}
	for len(s.frames) > 0 && s.frames[0].arrived {
		events := s.frames[0].events
		s.frames = s.frames[1:]
		to.do(func() {
			for _, ev := range events {
				to.step(ev)
			}
		})
	}
}

// do has the node do something when it gets to it.
func (x *node) do(f func()) {
	switch {
	case !x.up:
	case x.paused:
		x.queued = append(x.queued, f)
	case x.stall.After(x.w.now):
		boots := x.boots
		x.w.after(x.stall.Sub(x.w.now), func() {
			if x.boots == boots {
				x.do(f)
			}
		})
	case x.slow > 0:
		if x.turn = append(x.turn, f); len(x.turn) > 1 {
			return
		}
		boots := x.boots
		x.w.after(time.Duration(x.w.rnd.Int64N(int64(x.slow))), func() {
			turn := x.turn
			x.turn = nil
			switch {
			case !x.up || x.boots != boots:
			case x.paused:
				x.queued = append(x.queued, turn...)
			default:
				for _, f := range turn {
					f()
				}
			}
		})
	default:
		f()
	}
}

func (x *node) step(ev Event) {
	if !x.up {
		return
	}
	for _, e := range x.d.Step(x.w.now, ev) {
		x.carryOut(e)
	}
	x.ticks++
	turn, boots := x.ticks, x.boots
	x.w.after(x.d.Wake().Sub(x.w.now), func() {
		if x.ticks == turn && x.boots == boots {
			x.do(func() {
				if x.ticks == turn && x.boots == boots {
					x.step(Tick{})
				}
			})
		}
	})
}

func (w *world) index(n board.NodeID) int {
	return slices.IndexFunc(w.nodes, func(x *node) bool { return x.id == n })
}

func (x *node) carryOut(e Effect) {
	w := x.w
	switch e := e.(type) {
	case Probe:
		if e.Target == (board.NodeID{}) {
			w.send(x.i, w.index(e.Node), "probe", Probed{x.id, e.ID, e.Nonce})
		} else {
			w.send(x.i, w.index(e.Node), "ask", AskedFor{x.id, e.Target, e.ID, x.nonce(e.ID)})
		}
	case Answer:
		var events []Event
		e.Silent = e.Silent && !x.lies
		if e.Word != nil {
			events = append(events, Said{x.id, *e.Word})
		}
		if len(e.Nonce) > 0 {
			e.Proof = signOf(x.id, e.Nonce)
		}
		if x.lies && e.Proof == nil && x.proof != nil {
			e.Proof = x.proof
		}
		if e.Proof != nil {
			x.proof = e.Proof
		}
		w.send(x.i, w.index(e.Node), "answer", append(events, Answered{x.id, e.ID, e.Silent, e.Late, e.Proof})...)
	case Tell:
		for _, n := range e.Nodes {
			var events []Event
			if len(e.Suspicions) > 0 {
				events = append(events, Told{x.id, e.Suspicions})
			}
			for _, word := range e.Words {
				events = append(events, Said{x.id, word})
			}
			w.send(x.i, w.index(n), "tell", events...)
		}
	case SayAlive:
		word := e.Word
		word.Signed = signed
		for _, n := range e.Nodes {
			w.send(x.i, w.index(n), "alive", Said{x.id, word})
		}
	case Health:
		if w.trace != nil {
			w.trace(fmt.Sprintf("%8.3f %d holds %d for %s (%d, by %d)", w.now.Sub(w.start).Seconds(), x.i, w.index(e.Node), e.State, e.Incarnation, len(e.By)))
		}
		if e.State == Dead && x.health[e.Node].State != Dead {
			w.deaths = append(w.deaths, death{w.now, x.i, w.index(e.Node)})
		}
		x.health[e.Node] = e
		x.seen[e.Node] = append(x.seen[e.Node], e)
	case Count:
		w.counts[e.Name]++
	}
}

// kill ends a node at once. reset: its system still answers that nobody is there.
func (w *world) kill(i int, reset bool) {
	w.nodes[i].up = false
	for j := range w.nodes {
		switch {
		case w.conn(i, j) == nil:
		case reset:
			w.after(w.oneWay(), func() { w.drop(i, j) })
		default:
			w.giveUp(i, j)
		}
	}
}

// crowd lets all nodes share a machine that has too much to do for d: each runs for a moment and then waits for the
// processor, for as long as most.
func (w *world) crowd(d, most time.Duration) {
	end := w.now.Add(d)
	for _, x := range w.nodes {
		var turn func()
		turn = func() {
			if w.now.After(end) {
				return
			}
			x.stall = w.now.Add(time.Duration(w.rnd.Int64N(int64(most))))
			w.after(x.stall.Sub(w.now)+time.Duration(w.rnd.Int64N(int64(50*time.Millisecond))), turn)
		}
		turn()
	}
}

func (w *world) pause(i int) {
	w.nodes[i].paused = true
	for j := range w.nodes {
		w.giveUp(i, j)
	}
}

func (w *world) resume(i int) {
	x := w.nodes[i]
	x.paused = false
	queued := x.queued
	x.queued = nil
	x.step(Tick{})
	for _, f := range queued {
		f()
	}
	for j := range w.nodes { // what its transport has to send again
		if c := w.conn(i, j); c != nil && c.up {
			for k, s := range c.streams {
				a, b := min(i, j), max(i, j)
				if k == 1 {
					a, b = b, a
				}
				for _, f := range s.frames {
					w.attempt(a, b, c.gen, s, f)
				}
			}
		}
	}
}

// cut parts those in group from all others; heal undoes it.
func (w *world) cut(group ...int) {
	for pair, c := range w.conns {
		if slices.Contains(group, pair[0]) != slices.Contains(group, pair[1]) {
			c.cut = true
		}
	}
	for i := range w.nodes {
		for j := range i {
			if c := w.conn(i, j); c != nil && c.cut {
				w.giveUp(i, j)
			}
		}
	}
}

func (w *world) heal() {
	for _, c := range w.conns {
		c.cut = false
	}
}

// frames are all frames so far.
func (w *world) frames() (n int) {
	for _, c := range w.sent {
		n += c
	}
	return n - w.sent["unsent"]
}

// allAlive fails unless each node that runs holds each neighbour that runs for alive.
func (w *world) allAlive(what string) {
	w.t.Helper()
	for _, x := range w.nodes {
		for j, y := range w.nodes {
			if j != x.i && x.up && y.up && w.conn(x.i, j) != nil && x.health[y.id].State != Alive {
				w.t.Errorf("%s: %d holds %d for %q", what, x.i, j, x.health[y.id].State)
			}
		}
	}
}
