package board

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// simSeeds is how many histories a default run goes through; WEFT_SIM_SEEDS asks for more (make soak).
const simSeeds = 120

// TestReplicationConverges runs random histories of small networks with lost pushes, partitions, crashes, restored
// backups, clones, late joiners, slow links and lying peers, and demands of each: no seq with two contents; after
// healing, within bounded virtual time, all honest nodes hold the same records and show the same entries, among them
// all that any of them still held; and then nothing goes over the wire but periodic digests.
func TestReplicationConverges(t *testing.T) {
	seeds := simSeeds
	if s := os.Getenv("WEFT_SIM_SEEDS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("WEFT_SIM_SEEDS: %v", err)
		}
		seeds = n
	}
	first := uint64(0)
	if s := os.Getenv("WEFT_SIM_SEED"); s != "" { // one seed, with its trace
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("WEFT_SIM_SEED: %v", err)
		}
		w, err := runHistory(n, func(s string) { t.Log(s) })
		if err != nil {
			t.Fatalf("seed %d: %v", n, err)
		}
		t.Log(w.counts, w.sent)
		return
	}
	var next atomic.Uint64
	var wg sync.WaitGroup
	var mu sync.Mutex
	total := map[string]int{}
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := first + next.Add(1); seed <= uint64(seeds); seed = first + next.Add(1) {
				w, err := runHistory(seed, nil)
				mu.Lock()
				if err != nil {
					t.Errorf("seed %d (WEFT_SIM_SEED=%d shows its trace): %v", seed, seed, err)
					next.Add(1 << 40)
				}
				for k, n := range w.counts {
					total[k] += n
				}
				for k, n := range w.sent {
					total["sent_"+k] += n
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for _, k := range []string{"gap", "duplicate", "beyond_seal", "unknown_origin", "pending", "re_recorded", "watchdog", "vector_unknown_node", "backward", "peer_empty_answer", "damaged"} {
		if total[k] == 0 && !t.Failed() && seeds >= 100 {
			t.Errorf("no history showed %q: the simulator does not test it any more", k)
		}
	}
	t.Log(total)
}

// runHistory is one random history.
func runHistory(seed uint64, trace func(string)) (*world, error) {
	w := newWorld(seed, 0, 2)
	w.trace = trace
	w.loss = []float64{0, 0.05, 0.3, 1}[w.rnd.IntN(4)]
	count := 2 + w.rnd.IntN(4)
	for range count {
		w.addNode()
	}
	founder := w.nodes[0]
	for _, n := range w.nodes[1:] {
		if w.rnd.IntN(4) == 0 {
			n.rate = 8 << 10
		}
		n.via, founder.via = []NodeID{founder.id}, append(founder.via, n.id)
	}
	if count > 2 && w.rnd.IntN(4) == 0 {
		w.nodes[count-1].liar = true
	}
	founder.start()
	founder.admit(founder)
	for i, n := range w.nodes[1:] {
		wait := time.Duration(0)
		if i > 0 {
			wait = time.Duration(w.rnd.IntN(20)) * time.Second // late joiners
		}
		w.after(wait, func() {
			founder.admitWhenUp(n)
			n.start()
		})
	}
	w.after(time.Millisecond, w.posts)
	w.after(time.Second, w.faults)
	w.run(time.Duration(20+w.rnd.IntN(30)) * time.Second)
	if w.fault != nil {
		return w, w.fault
	}
	return w, w.heal()
}

func (n *simNode) admit(m *simNode) {
	n.append(n.w.boards[0], n.store.newEntry(n.w.boards[0], fmt.Sprint("admit", m.index), m.id[:], Hash{}))
}

func (n *simNode) admitWhenUp(m *simNode) {
	if n.replica == nil {
		n.w.after(time.Second, func() { n.admitWhenUp(m) })
		return
	}
	n.admit(m)
	n.connectAll()
}

// posts appends entries at random nodes, some in bursts, some under a right that others may not know yet.
func (w *world) posts() {
	n := w.nodes[w.rnd.IntN(len(w.nodes))]
	if n.replica != nil && n.joined() {
		cred := Hash{}
		if w.rnd.IntN(20) == 0 {
			g := n.store.newEntry(w.boards[0], fmt.Sprint("right", w.count, "-", n.index), []byte("right"), Hash{})
			n.append(w.boards[0], g)
			cred = g.ID
		}
		for range 1 + w.rnd.IntN(2)*w.rnd.IntN(40) {
			b := w.boards[1+w.rnd.IntN(len(w.boards)-1)]
			body := make([]byte, w.rnd.IntN(300))
			n.append(b, n.store.newEntry(b, fmt.Sprint("post", w.count, "-", n.index), body, cred))
		}
	}
	w.after(time.Duration(w.rnd.IntN(800))*time.Millisecond, w.posts)
}

// joined says whether the node knows itself as one of the team.
func (n *simNode) joined() bool {
	for _, k := range n.known {
		if k == n.id {
			return true
		}
	}
	return false
}

// faults breaks something now and then.
func (w *world) faults() {
	n := w.nodes[w.rnd.IntN(len(w.nodes))]
	switch w.rnd.IntN(8) {
	case 7:
		if n.replica != nil {
			n.damage()
		}
	case 6: // nothing gets through in one direction for a while; then all of it
		if m := w.nodes[w.rnd.IntN(len(w.nodes))]; m != n && n.busy != nil {
			n.busy[m.index] = w.now.Add(time.Duration(w.rnd.IntN(25000)) * time.Millisecond)
		}
	case 0, 1: // a link or all links of a node
		for _, m := range w.nodes {
			if n.cut != nil && m.cut != nil && m != n && w.rnd.IntN(2) == 0 {
				w.setCut(n, m, true)
				w.after(time.Duration(w.rnd.IntN(15))*time.Second, func() { w.setCut(n, m, false) })
			}
		}
	case 2: // crash and restart; nothing that was stored is lost
		if n.replica != nil {
			n.stop()
			w.after(time.Duration(w.rnd.IntN(8000))*time.Millisecond, n.restart)
		}
	case 3, 4: // a copy of the store is put back later: the tail since then is lost there
		if n.replica != nil && n.joined() {
			old := n.store.clone()
			w.after(time.Duration(w.rnd.IntN(6000))*time.Millisecond, func() {
				if n.replica != nil {
					n.stop()
					n.store = old
					w.after(time.Duration(w.rnd.IntN(3000))*time.Millisecond, n.restart)
				}
			})
		}
	case 5: // a clone runs beside the node, heard by nobody, then takes its place
		if n.replica != nil && n.joined() && n.index > 0 {
			w.clone(n)
		}
	}
	w.after(time.Duration(w.rnd.IntN(6000))*time.Millisecond, w.faults)
}

// damage loses a part of what a store holds of another node's log: its end or all of it. Governance is
// left alone: rights that nobody holds any more could not come back.
func (n *simNode) damage() {
	b, o := n.w.boards[1+n.w.rnd.IntN(len(n.w.boards)-1)], n.w.nodes[n.w.rnd.IntN(len(n.w.nodes))].id
	ss := n.store.holding(b).Stretches(o)
	if o == n.id || len(ss) == 0 {
		return
	}
	s := ss[n.w.rnd.IntN(len(ss))]
	x := n.store.recs[b][o][s.Epoch]
	keep := n.w.rnd.IntN(len(x.recs))
	n.damaged = true
	n.w.counts["damaged"]++
	if keep == 0 {
		delete(n.store.recs[b][o], s.Epoch)
		n.step(Lost{n.w.team, b, o, Stretch{Epoch: s.Epoch}})
		return
	}
	x.recs = slices.Clone(x.recs[:keep])
	x.recs[keep-1].sig = true // not quite so in a store, which then answers that it is damaged
	n.step(Lost{n.w.team, b, o, n.store.stretch(b, o, s.Epoch)})
}

func (n *simNode) restart() {
	if n.replica == nil {
		n.start()
	}
}

// clone lets a copy of n append on its own, then run instead of n; what n appended meanwhile is on its peers only.
func (w *world) clone(n *simNode) {
	c := n.store.clone()
	for i := range 1 + w.rnd.IntN(10) {
		b := w.boards[1]
		p := c.append(b, c.newEntry(b, fmt.Sprint("clone", w.count, "-", i), []byte("x"), Hash{}))
		if w.made[p.Origin()] == nil {
			w.made[p.Origin()] = map[ID]map[uint64]Hash{}
		}
		if w.made[p.Origin()][b] == nil {
			w.made[p.Origin()][b] = map[uint64]Hash{}
		}
		if old, ok := w.made[p.Origin()][b][p.Seq]; ok && old != p.Hash {
			w.failf("clone made two contents of one seq")
		}
		w.made[p.Origin()][b][p.Seq] = p.Hash
	}
	w.after(time.Duration(w.rnd.IntN(5000))*time.Millisecond, func() {
		if n.replica != nil {
			n.stop()
			n.store = c
			w.after(time.Second, n.restart)
		}
	})
}

// heal ends all faults and demands convergence and then quiet.
func (w *world) heal() error {
	var honest []*simNode
	w.queue = nil // no more posts or faults
	for _, n := range w.nodes {
		if n.replica != nil {
			n.stop()
		}
	}
	for _, n := range w.nodes {
		n.cut = map[int]bool{}
		if n.joined() || len(n.via) > 0 {
			n.start()
		}
		if !n.liar {
			honest = append(honest, n)
		}
	}
	for _, m := range w.nodes[1:] {
		if !w.nodes[0].store.hasNode(m.id) {
			w.nodes[0].admit(m)
		}
	}
	w.nodes[0].connectAll()
	mute := len(honest) > 2 && w.rnd.IntN(3) == 0
	for _, n := range honest { // whom a node does not know it cannot get anything from
		for _, m := range honest {
			mute = mute && slices.Contains(n.known, m.id)
		}
	}
	if mute { // one link works in one direction only, for good: others must bring what it does not
		i := w.rnd.IntN(len(honest))
		honest[i].mute = map[int]bool{honest[(i+1)%len(honest)].index: true}
	}
	must := map[ID]map[Hash]bool{}
	for _, b := range w.boards {
		must[b] = map[Hash]bool{}
		for _, n := range honest {
			for e := range n.store.joined(b) {
				must[b][e] = true
			}
		}
	}
	var err error
	for range 36 {
		w.run(5 * time.Second)
		if err = w.converged(honest, must); err == nil || w.fault != nil {
			break
		}
	}
	switch {
	case w.fault != nil:
		return w.fault
	case err != nil:
		return err
	}
	if mute {
		return nil
	}
	return w.quiet(honest)
}

func (s *simStore) hasNode(id NodeID) bool {
	for _, n := range s.nodes() {
		if n == id {
			return true
		}
	}
	return false
}

func (w *world) converged(honest []*simNode, must map[ID]map[Hash]bool) error {
	for _, b := range w.boards {
		first, _ := honest[0].store.counting(b)
		for _, n := range honest {
			if err := n.store.check(); err != nil {
				return fmt.Errorf("node %d: %w", n.index, err)
			}
			if v, o := reachable(n, b, honest), reachable(honest[0], b, honest); !v.Equal(o) {
				return fmt.Errorf("node %d holds %s, node 0 holds %s", n.index, vectorText(v), vectorText(o))
			}
			visible, orphans := n.store.counting(b)
			if len(orphans) > 0 {
				return fmt.Errorf("node %d has orphans in %d origins", n.index, len(orphans))
			}
			above := hanging(n, b, honest) || hanging(honest[0], b, honest) // only what must be there can be compared then
			if len(visible) != len(first) && !above && !w.hasLiar() {
				return fmt.Errorf("node %d shows %d entries, node 0 %d", n.index, len(visible), len(first))
			}
			for e := range must[b] {
				if !visible[e] {
					return fmt.Errorf("node %d lost entry %s", n.index, e)
				}
			}
		}
	}
	for _, n := range honest {
		for _, st := range n.replica.Status(w.team) {
			if slices.ContainsFunc(honest, func(m *simNode) bool { return hanging(m, st.Board, honest) }) {
				continue // what is said of it is true: it can't be had
			}
			if !w.hasLiar() && (st.Behind != 0 || st.Pending != 0 || st.Arriving) {
				return fmt.Errorf("node %d says of itself %+v", n.index, st)
			}
		}
	}
	return nil
}

// reachable is a node's vector without leaves above a hole that no honest node can fill.
func reachable(n *simNode, b ID, honest []*simNode) Vector {
	h := n.store.holding(b)
	return slices.DeleteFunc(h.Vector(), func(f Leaf) bool {
		s, open := h.Base(Origin{f.Node, f.Epoch})
		return open && !slices.ContainsFunc(honest, func(m *simNode) bool {
			return m.store.recs[b][f.Node][s.LoPrev.Epoch].at(s.LoPrev.Seq) != nil
		})
	})
}

// hanging says whether a node holds a leaf above a hole that no honest node can fill: what stands there stays where it is.
func hanging(n *simNode, b ID, honest []*simNode) bool {
	return len(reachable(n, b, honest)) < len(n.store.holding(b).Vector())
}

func (w *world) hasLiar() bool {
	for _, n := range w.nodes {
		if n.liar {
			return true
		}
	}
	return false
}

// quiet demands that a network in which nothing happens says next to nothing.
func (w *world) quiet(honest []*simNode) error {
	w.run(30 * time.Second)
	if w.hasLiar() { // over a slow link what it still gives, and a want for each claim, take longer
		w.run(2 * time.Minute)
	}
	clear(w.sent)
	w.run(10 * time.Minute)
	if w.fault != nil {
		return w.fault
	}
	allowed := map[string]int{"digest": len(w.nodes) * 2 * 28}
	if w.hasLiar() { // it claims in vain, less and less often
		allowed["ask"], allowed["vector"], allowed["want"] = len(w.nodes)*56, len(w.nodes)*56, len(honest)*300
		allowed["credit"], allowed["cancel"], allowed["answer"], allowed["push"] = 1e9, 1e9, 1e9, 1e4
	}
	for _, n := range honest {
		if slices.ContainsFunc(w.boards, func(b ID) bool { return hanging(n, b, honest) }) { // asked for in vain, less and less often
			allowed["want"], allowed["answer"] = allowed["want"]+8*len(honest), allowed["answer"]+8*len(honest)
		}
	}
	for kind, n := range w.sent {
		if n > allowed[kind] {
			return fmt.Errorf("%d frames %q in ten idle minutes: %v", n, kind, w.sent)
		}
	}
	return nil
}

func vectorText(v Vector) string {
	s := ""
	for _, l := range v {
		s += fmt.Sprintf(" %x:%d/%d", l.Node[:2], l.Epoch.N, l.Seq)
		if l.Base != (Point{}) {
			s += fmt.Sprintf("(from %d/%d)", l.Base.Epoch.N, l.Base.Seq)
		}
	}
	return "[" + s + " ]"
}
