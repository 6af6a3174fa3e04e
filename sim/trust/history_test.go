package trust

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"weft/board"
	"weft/team"

	weftv1 "weft/api/weft/v1"
)

// firsts are the compositions that a team may begin with.
var firsts = []struct{ owners, admins []string }{
	{[]string{"o"}, nil},
	{[]string{"o"}, []string{"a"}},
	{[]string{"o"}, []string{"a", "b"}},
	{[]string{"o", "p"}, []string{"a"}},
	{[]string{"o", "p", "q"}, []string{"a", "b"}},
	{[]string{"o", "p", "q"}, nil},
}

// history is what came of a seed: steps without those in skip.
func history(seed uint64, skip map[int]bool) *world {
	w := &world{rnd: rand.New(rand.NewPCG(seed, 0)), groups: map[*replica]int{}, place: map[board.Hash]string{}, names: map[board.Hash]string{}, carried: map[board.Hash]*team.Object{}}
	steps, weights := w.found()
	for i := range steps {
		w.rnd = rand.New(rand.NewPCG(seed, uint64(i)+1)) // so that a step does much the same when others are left out
		a := w.choose(weights)
		if skip[i] {
			continue
		}
		if text := a.do(w); text != "" {
			w.story = append(w.story, fmt.Sprintf("%3d %s", i, text))
		}
	}
	return w
}

// choose an action by weights.
func (w *world) choose(weights []int) *action {
	sum := 0
	for _, n := range weights {
		sum += n
	}
	n := w.rnd.IntN(sum)
	for i := range weights {
		if n -= weights[i]; n < 0 {
			return &actions[i]
		}
	}
	panic("no action")
}

// found makes the team with its people and nodes. Each history prefers some actions: so each is met in depth.
func (w *world) found() (steps int, weights []int) {
	for _, a := range actions {
		weights = append(weights, a.weight*pick(w, []int{0, 1, 1, 1, 2, 5}))
	}
	weights[0] += 2
	nodes := 2 + w.rnd.IntN(3)
	for i := range nodes {
		w.newReplica(fmt.Sprintf("n%d", i+1), keyOf(fmt.Sprintf("node %d", i+1)))
	}
	ids := map[string][]byte{}
	for i, name := range []string{"o", "p", "q", "a", "b", "u", "v", "x"} {
		a := newActor(name, w.replicas[i%nodes])
		w.people = append(w.people, a)
		ids[name] = a.id[:]
	}
	c := &weftv1.TeamCharter{Ver: 1, Rules: 1, Name: "team", Policy: &weftv1.TeamPolicy{}, Nonce: make([]byte, 16)}
	first := pick(w, firsts)
	for _, n := range first.owners {
		c.Owners = append(c.Owners, ids[n])
	}
	for _, n := range first.admins {
		c.Admins = append(c.Admins, ids[n])
	}
	if w.chance(20) {
		c.Relays = [][]byte{w.replicas[nodes-1].node[:]}
	}
	if w.chance(1) {
		c.Rules = team.Rules + 1
	}
	w.founding = sign(board.KindCharter, board.SignCharter, encode(c), w.people[0].keys[key(w.people[0].newest.Keys[1])])
	w.team = board.TeamID(w.founding.Hash)
	w.names[w.founding.Hash] = "genesis"
	w.story = append(w.story, fmt.Sprintf("    founded by %v with admins %v, %d nodes", first.owners, first.admins, nodes))
	w.put(w.replicas[0], w.founding)
	for i, a := range w.people {
		if !w.chance(92) {
			continue
		}
		p := &weftv1.Present{Charters: a.newest.run(1), Acceptances: []*weftv1.Signed{w.accept(a, a.newest.Homes[0])}}
		m := &weftv1.Operation{Team: w.team[:], Author: a.id[:], Charter: w.team[:], Nonce: make([]byte, 16), Kind: &weftv1.Operation_Present{Present: p}}
		o := sign(board.KindOperation, board.SignOperation, encode(m), a.keys[key(a.newest.Keys[1])])
		w.names[o.Hash] = "present of " + a.name
		w.put(w.replicas[i%nodes], o)
	}
	for _, r := range w.replicas {
		w.sync(w.replicas[0], r, nil)
	}
	w.sync(w.replicas[0], w.replicas[nodes-1], nil)
	return 8 + w.rnd.IntN(24) + w.rnd.IntN(48), weights
}

// post an entry of a message board.
func (w *world) post() string {
	r, a := w.at(), pick(w, w.people)
	w.clock++
	h := board.Header{Team: w.team, Board: board.GeneralID(w.team), Author: a.id, Device: board.DeviceID(w.hand(a).Public()), DevSeq: 1, ClientMsgID: "m", HLC: board.HLC(w.clock << 16), Kind: board.KindPost}
	sensible := w.chance(85)
	creds := r.creds(a.id, sensible)
	for n := 0; n < 5 && len(creds) == 0; n++ {
		a = pick(w, w.people)
		h.Author, h.Device, creds = a.id, board.DeviceID(w.hand(a).Public()), r.creds(a.id, sensible)
	}
	switch n := w.rnd.IntN(100); {
	case n < 8:
		creds = nil
		for _, x := range w.all {
			if x.Object != nil {
				creds = append(creds, x.Object.Hash)
			}
		}
		for _, o := range w.drawer {
			creds = append(creds, o.Hash)
		}
	case n < 40:
		creds = creds[max(0, len(creds)-2):]
	case n < 70 && len(creds) == 0:
		return ""
	}
	if len(creds) > 0 {
		h.Cred = pick(w, creds)
	}
	if len(w.boards) > 0 && w.chance(25) {
		h.Board = pick(w, w.boards)
	}
	switch w.rnd.IntN(90) {
	case 0:
		h.Team[0]++
	case 1:
		h.Board[0]++
	case 2:
		h.Kind = board.KindAck
	case 3:
		h.Author = board.UserID{}
	case 4:
		h.Device = board.DeviceID(w.hand(pick(w, w.people)).Public())
	}
	if before := w.lastOf(r, h.Device); before != nil && w.chance(30) {
		h.DevSeq, h.DevPrev = before.Header.DevSeq+1, before.ID
		if w.chance(10) {
			h.HLC = before.Header.HLC
		}
	}
	return w.write(r, h)
}

func (w *world) write(r *replica, h board.Header) string {
	e := board.NewEntry(h, []byte("hello"))
	w.names[e.ID] = fmt.Sprintf("entry#%d", w.clock)
	rec := w.record(r, e)
	return fmt.Sprintf("%s by %s with %s, cred %s, on %x at %s", w.names[e.ID], w.who(h.Author[:]), w.device(h.Device[:]), w.nameOf(h.Cred[:]), h.Board[:2], w.place[rec.Hash])
}

func (w *world) lastOf(r *replica, d board.DeviceID) (last *board.Entry) {
	for _, h := range r.order {
		if h.Object == nil && h.Entry.Header.Device == d {
			last = h.Entry
		}
	}
	return last
}

// reRecord puts what somebody else carries into the own log: what a good node does for orphans, and a bad one to backdate.
func (w *world) reRecord() string {
	r := w.at()
	if len(r.order) == 0 {
		return ""
	}
	h := pick(w, r.order)
	return "what is at " + w.place[h.Hash] + " again at " + w.place[w.record(r, h.Entry).Hash]
}

// rollback brings back an old copy of a node's folder.
func (w *world) rollback() string {
	r := w.at()
	if r.snap == 0 || w.chance(30) {
		r.snap = len(r.order)
		return ""
	}
	if w.chance(60) { // others have what the disk loses
		w.sync(r, w.at(), nil)
	}
	w.cutBack(r, r.snap)
	return r.name + " goes back to an old copy of its folder"
}

// cutBack leaves r what it held first.
func (w *world) cutBack(r *replica, n int) {
	r.order = slices.Clone(r.order[:min(n, len(r.order))])
	r.held, r.tips, r.epoch = map[board.Hash]bool{}, map[board.ID]*Held{}, board.Epoch{}
	for _, h := range r.order {
		r.held[h.Hash] = true
		if h.Record.Node == r.node {
			r.tips[h.Record.Board] = h
		}
	}
	w.restart(r)
}

// clone starts a second copy of a running node.
func (w *world) clone() string {
	if len(w.replicas) > 6 {
		return ""
	}
	from := w.at()
	r := w.newReplica(from.name+"'", from.key)
	for _, h := range from.order {
		r.take(h)
	}
	w.cutBack(r, len(r.order))
	w.groups[r] = w.rnd.IntN(2)
	return r.name + " is a clone that runs"
}

// backdate lets a bad node grow a new branch from far below.
func (w *world) backdate() string {
	r := w.at()
	own := []*Held{nil}
	for _, h := range r.order {
		if h.Record.Node == r.node {
			own = append(own, h)
		}
	}
	tip := pick(w, own)
	w.restart(r)
	if w.chance(20) {
		r.epoch.N = 1 // a counter that isn't greater: no log goes on like this
	}
	if tip == nil {
		clear(r.tips)
		return r.name + " begins its logs anew"
	}
	r.tips[tip.Record.Board] = tip
	return r.name + " goes on from " + w.place[tip.Hash]
}

// exchange syncs two replicas of one side of the split; now and then only a part of what they hold.
func (w *world) exchange() string {
	a, b := w.at(), w.at()
	if a == b || w.groups[a] != w.groups[b] {
		return ""
	}
	switch n := w.rnd.IntN(100); {
	case n < 70:
		w.sync(a, b, nil)
		return a.name + " and " + b.name + " sync"
	case n < 85:
		w.sync(a, b, func(h *Held) bool { return bytesEqual(h.Record.Board[:], w.governance()) })
		return a.name + " and " + b.name + " sync governance"
	}
	node, until := w.at().node, board.HLC(w.rnd.Uint64N(w.clock+1)<<16)
	w.sync(a, b, func(h *Held) bool { return h.Record.Node == node && h.Record.Received < until })
	return a.name + " and " + b.name + " sync a part of " + w.device(node[:])
}

// split the network, or heal it.
func (w *world) split() string {
	if len(w.groups) > 0 {
		clear(w.groups)
		return "the network heals"
	}
	text := "the network splits:"
	for _, r := range w.replicas {
		w.groups[r] = w.rnd.IntN(2)
		text += fmt.Sprintf(" %s:%d", r.name, w.groups[r])
	}
	return text
}
