package board

import (
	"container/heap"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// world is a network of Replicas in virtual time: streams that keep order and have latency, pushes that get lost,
// stores that take a while. One seed gives one history.
type world struct {
	rnd    *rand.Rand
	now    time.Time
	queue  simQueue
	count  int // of things queued, to keep their order
	steps  int
	nodes  []*simNode
	team   TeamID
	boards []ID
	loss   float64
	made   map[Origin]map[ID]map[uint64]Hash // every record ever made
	fault  error
	sent   map[string]int // messages by kind
	counts map[string]int
	trace  func(string)
}

type simItem struct {
	at time.Time
	n  int
	do func()
}

type simQueue []simItem

func (q simQueue) Len() int { return len(q) }
func (q simQueue) Less(i, j int) bool {
	if !q[i].at.Equal(q[j].at) {
		return q[i].at.Before(q[j].at)
	}
	return q[i].n < q[j].n
}
func (q simQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *simQueue) Push(x any)   { *q = append(*q, x.(simItem)) }
func (q *simQueue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}

// simNode is one node: a store, a Replica while it runs, and links to the others.
type simNode struct {
	w       *world
	index   int
	id      NodeID
	store   *simStore
	replica *Replica // nil: not running
	boot    int
	tickAt  time.Time
	via     []NodeID
	known   []NodeID // what TeamChanged said last
	pushed  map[ID]uint64
	up      map[NodeID]int // which connection, 0: none
	cut     map[int]bool   // links that are down
	busy    map[int]time.Time
	mute    map[int]bool   // nothing that is sent arrives, though the streams stay up
	pipe    map[NodeID]int // bytes sent to a peer that have not arrived
	rate    int            // bytes a second of its link; 0: no limit
	disk    time.Duration
	liar    bool
	damaged bool
	orphans map[originKey]map[uint64]bool
	serving map[simServe]*simAnswer
}

type simServe struct {
	peer       NodeID
	governance bool
	id         uint64
}

// simPipe is how many bytes a link takes before they arrive: what the transport holds of a stream.
const simPipe = 64 << 10

type simAnswer struct {
	want   Want
	rows   []Segment
	joined bool
	begun  bool
	waits  bool
	credit int
}

func newWorld(seed uint64, nodes, boards int) *world {
	w := &world{
		rnd: rand.New(rand.NewPCG(seed, 1)), now: time.UnixMilli(1e12), team: simID("team"),
		made: map[Origin]map[ID]map[uint64]Hash{}, sent: map[string]int{}, counts: map[string]int{},
	}
	w.boards = []ID{GovernanceID(w.team)}
	for i := range boards {
		w.boards = append(w.boards, ID(slices.Clone(func() []byte { h := simID(fmt.Sprint("board", i)); return h[:16] }())))
	}
	for range nodes {
		w.addNode()
	}
	return w
}

func (w *world) addNode() *simNode {
	i := len(w.nodes)
	n := &simNode{w: w, index: i, id: simID(fmt.Sprint("node", i)), disk: time.Duration(1+w.rnd.IntN(5)) * time.Millisecond}
	n.store = newSimStore(n.id, w.team, w.boards, w.rnd)
	w.nodes = append(w.nodes, n)
	return n
}

func (w *world) after(d time.Duration, do func()) {
	w.count++
	heap.Push(&w.queue, simItem{w.now.Add(d), w.count, do})
}

// run goes on for a while of virtual time.
func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for len(w.queue) > 0 && !w.queue[0].at.After(end) && w.fault == nil {
		it := heap.Pop(&w.queue).(simItem)
		w.now = it.at
		it.do()
	}
	w.now = end
}

func (w *world) failf(format string, a ...any) {
	if w.fault == nil {
		w.fault = fmt.Errorf(format, a...)
	}
}

// start begins a run of the node with what its store holds.
func (n *simNode) start() {
	n.boot++
	n.store.epochs = map[ID]Epoch{}
	n.replica = NewReplica(ReplicaConfig{Self: n.id}, n.w.rnd)
	n.up, n.serving, n.orphans = map[NodeID]int{}, map[simServe]*simAnswer{}, map[originKey]map[uint64]bool{}
	n.pushed, n.tickAt, n.busy, n.pipe = map[ID]uint64{}, time.Time{}, map[int]time.Time{}, map[NodeID]int{}
	if n.cut == nil {
		n.cut = map[int]bool{}
	}
	n.known = n.store.nodes()
	n.step(TeamChanged{Team: n.w.team, Nodes: n.known, Via: n.via, Boards: n.w.boards[1:]})
	for _, b := range n.w.boards {
		h := n.store.holding(b)
		for _, o := range h.Nodes() {
			for _, s := range h.Stretches(o) {
				n.step(Held{n.w.team, b, o, s})
			}
		}
		n.tellOrphans(b)
	}
	n.connectAll()
}

func (n *simNode) stop() {
	n.replica = nil
	n.boot++
	for _, m := range n.w.nodes {
		n.unlink(m)
	}
}

func (n *simNode) talks(m *simNode) bool {
	member := func(a, b *simNode) bool { return slices.Contains(a.known, b.id) || slices.Contains(a.via, b.id) }
	return n != m && n.id != m.id && n.replica != nil && m.replica != nil && !n.cut[m.index] && !m.cut[n.index] && (member(n, m) || member(m, n))
}

func (n *simNode) connectAll() {
	for _, m := range n.w.nodes {
		if n.talks(m) && n.up[m.id] == 0 {
			n.w.count++
			n.up[m.id], m.up[n.id] = n.w.count, n.w.count
			n.pipe[m.id], m.pipe[n.id] = 0, 0
			for _, g := range []bool{true, false} {
				n.step(PeerUp{m.id, g})
				m.step(PeerUp{n.id, g})
			}
		}
	}
}

func (n *simNode) unlink(m *simNode) {
	for _, x := range [][2]*simNode{{n, m}, {m, n}} {
		if x[0].up[x[1].id] > 0 {
			delete(x[0].up, x[1].id)
			maps.DeleteFunc(x[0].serving, func(k simServe, _ *simAnswer) bool { return k.peer == x[1].id })
			for _, g := range []bool{true, false} {
				if x[0].replica != nil {
					x[0].step(PeerDown{x[1].id, g})
				}
			}
		}
	}
}

// setCut takes the link between two nodes down or up again. Each side notices at once.
func (w *world) setCut(a, b *simNode, cut bool) {
	a.cut[b.index] = cut
	if cut {
		a.unlink(b)
	} else {
		a.connectAll()
	}
}

// step has the Replica hear of something and carries out what it decides.
func (n *simNode) step(ev Event) {
	if n.replica == nil {
		return
	}
	w := n.w
	if w.steps++; w.steps > 3_000_000 {
		w.failf("endless: %T at node %d", ev, n.index)
		return
	}
	for _, e := range n.replica.Step(w.now, ev) {
		n.carryOut(e)
		if n.replica == nil {
			return
		}
	}
	n.schedule()
}

func (n *simNode) schedule() {
	wake := n.replica.Wake()
	if wake.IsZero() || !n.tickAt.IsZero() && !wake.Before(n.tickAt) {
		return
	}
	n.tickAt = wake
	boot := n.boot
	n.w.after(max(0, wake.Sub(n.w.now)), func() {
		if n.boot == boot && n.tickAt.Equal(wake) {
			n.tickAt = time.Time{}
			n.step(Tick{})
		}
	})
}

func (n *simNode) carryOut(e Effect) {
	w := n.w
	if w.trace != nil {
		if c, ok := e.(Count); !ok || strings.HasPrefix(c.Name, "peer_") || c.Name == "fork" {
			w.trace(fmt.Sprintf("%8.3f node %d: %T %s", w.now.Sub(time.UnixMilli(1e12)).Seconds(), n.index, e, brief(e)))
		}
	}
	switch e := e.(type) {
	case SendVector:
		if n.liar {
			e = n.lie(e)
		}
		n.send(e.Peer, "vector", 100+112*leavesIn(e.Boards), func(m *simNode) {
			m.step(PeerVector{Peer: n.id, Governance: e.Governance, Team: e.Team, Whole: e.Whole, Digest: e.Digest, Boards: e.Boards})
		})
	case SendDigest:
		n.send(e.Peer, "digest", 60, func(m *simNode) {
			m.step(PeerVector{Peer: n.id, Governance: e.Governance, Team: e.Team, Digest: e.Digest})
		})
	case AskVector:
		n.send(e.Peer, "ask", 60, func(m *simNode) { m.step(AskedVector{n.id, e.Governance, e.Team}) })
	case Want:
		if e.Backward {
			w.counts["backward"]++
		}
		n.send(e.Peer, "want", 200, func(m *simNode) { m.asked(n.id, e) })
	case SendCredit:
		n.send(e.Peer, "credit", 20, func(m *simNode) { m.credited(simServe{n.id, e.Governance, e.ID}, e.Bytes) })
	case SendCancel:
		n.send(e.Peer, "cancel", 20, func(m *simNode) { delete(m.serving, simServe{n.id, e.Governance, e.ID}) })
	case Ingest:
		n.ingest(e)
	case ReRecord:
		n.reRecord(e)
	case ClosePeer:
		w.counts["closed_"+e.Reason]++
		for _, m := range w.nodes {
			if m.id == e.Peer {
				if !m.liar {
					w.failf("node %d left honest node %d for %s", n.index, m.index, e.Reason)
				}
				n.unlink(m)
			}
		}
	case Count:
		w.counts[e.Name] += e.N
	}
}

func leavesIn(bs []BoardVector) (n int) {
	for _, b := range bs {
		n += len(b.Vector)
	}
	return n
}

// send brings a frame to a peer in order, unless the link goes down first.
func (n *simNode) send(to NodeID, kind string, size int, deliver func(*simNode)) {
	w := n.w
	for _, m := range w.nodes {
		if m.id != to || n.up[to] == 0 || m.replica == nil {
			continue
		}
		w.sent[kind]++
		if n.mute[m.index] {
			return
		}
		at := w.now.Add(time.Duration(5+w.rnd.IntN(20)) * time.Millisecond)
		if b := n.busy[m.index]; at.Before(b) {
			at = b
		}
		for _, rate := range []int{n.rate, m.rate} {
			if rate > 0 {
				at = at.Add(time.Duration(size) * time.Second / time.Duration(rate))
			}
		}
		n.busy[m.index] = at
		link := n.up[to]
		n.pipe[to] += size
		w.after(at.Sub(w.now), func() {
			if n.up[to] == link {
				n.pipe[to] -= size
				deliver(m)
			}
		})
		return
	}
}

func brief(e Effect) string {
	switch e := e.(type) {
	case Want:
		return fmt.Sprintf("id %d to %x board %x log %x toward %d/%d back %v have %v", e.ID, e.Peer[:2], e.Board[:2], e.Node[:2], e.Toward.Epoch.N, e.Toward.Seq, e.Backward, len(e.Have))
	case Ingest:
		return fmt.Sprintf("board %x log %x %d/%d..%d tail %v", e.Run.Board[:2], e.Run.Node[:2], e.Run.Epoch.N, e.Run.First, e.Run.LastSeq(), e.Tail)
	case SendVector:
		return fmt.Sprintf("to %x gov %v whole %v leaves %d", e.Peer[:2], e.Governance, e.Whole, leavesIn(e.Boards))
	case SendDigest:
		return fmt.Sprintf("to %x gov %v", e.Peer[:2], e.Governance)
	case AskVector:
		return fmt.Sprintf("to %x gov %v", e.Peer[:2], e.Governance)
	case Count:
		return e.Name
	case SendCancel:
		return fmt.Sprintf("id %d to %x", e.ID, e.Peer[:2])
	case SendCredit:
		return fmt.Sprintf("id %d to %x %d", e.ID, e.Peer[:2], e.Bytes)
	case ReRecord:
		return fmt.Sprintf("%d records", len(e.Seqs))
	}
	return ""
}
