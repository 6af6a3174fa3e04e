package board

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// largeLog is a log of n records with bodies of 60 KB, each with a signed head, in board b.
func largeLog(b ID, n NodeID, count int, body []byte) *Run {
	r := &Run{Board: b, Origin: Origin{n, Epoch{1, 7}}, First: 1}
	for i := range count {
		raw := fmt.Appendf(nil, "%300d", i)
		e := &Entry{ID: sha256.Sum256(append(raw, append(b[:], n[:]...)...)), Raw: raw, Signature: make([]byte, 64), Body: body}
		r.Items = append(r.Items, Item{Entry: e, Received: HLC(i + 1), HeadSig: make([]byte, 64)})
	}
	return r
}

func cut(r *Run, first, last uint64) *Run {
	hashes := r.Hashes()
	c := *r
	c.First, c.Items = first, r.Items[first-1:last]
	if first > 1 {
		c.Prev = Link{r.Epoch, first - 1, hashes[first-2]}
	}
	return &c
}

// roomRig answers a Replica's wants as many peers would, and keeps books of its own about what is under way.
type roomRig struct {
	t     *testing.T
	r     *Replica
	now   time.Time
	rnd   *rand.Rand
	team  TeamID
	logs  map[originKey]*Run
	wants map[string]*roomWant
	order []string
	out   []Ingest
	here  int // delivered and not ingested
	peak  int
}

type roomWant struct {
	Want
	next   uint64
	credit int
}

func (x *roomRig) step(ev Event) {
	x.t.Helper()
	x.now = x.now.Add(time.Millisecond)
	for _, e := range x.r.Step(x.now, ev) {
		switch e := e.(type) {
		case Want:
			k := fmt.Sprint(e.Peer, e.ID)
			x.wants[k] = &roomWant{e, e.Have1(), e.Credit}
			x.order = append(x.order, k)
		case SendCredit:
			if w := x.wants[fmt.Sprint(e.Peer, e.ID)]; w != nil {
				w.credit += e.Bytes
			}
		case SendCancel:
			delete(x.wants, fmt.Sprint(e.Peer, e.ID))
		case Ingest:
			x.out = append(x.out, e)
		case ClosePeer:
			x.t.Fatalf("left a peer: %s", e.Reason)
		}
	}
	promised := 0
	for _, w := range x.wants {
		promised += max(w.credit, 0)
	}
	x.peak = max(x.peak, promised+x.here)
	if got := x.r.InFlight(); got != promised+x.here {
		x.t.Fatalf("after %T: in flight %d, want %d promised and %d here", ev, got, promised, x.here)
	}
}

// Have1 is the seq after what the asker has.
func (w Want) Have1() uint64 {
	if len(w.Have) == 0 {
		return 1
	}
	return w.Have[0].Seq + 1
}

// answer has a random peer that may send something do so. False: none may.
func (x *roomRig) answer() bool {
	for _, i := range x.rnd.Perm(len(x.order)) {
		k := x.order[i]
		w := x.wants[k]
		if w == nil || w.credit <= 0 {
			continue
		}
		all := x.logs[originKey{w.Board, Origin{Node: w.Node}}]
		run := cut(all, w.next, min(w.next+1, all.LastSeq()))
		w.next = run.LastSeq() + 1
		w.credit -= run.Size()
		x.here += run.Size()
		done := w.next > w.Toward.Seq
		if done {
			delete(x.wants, k)
		}
		x.step(Answered{Peer: w.Peer, ID: w.ID, Run: run, Done: done})
		return true
	}
	return false
}

// ingest has the store finish with one of the runs that it was given.
func (x *roomRig) ingest() bool {
	if len(x.out) == 0 {
		return false
	}
	i := x.rnd.IntN(len(x.out))
	e := x.out[i]
	x.out = append(x.out[:i], x.out[i+1:]...)
	for j := range e.Run.Items { // as it came: runs of two
		if j%2 == 0 {
			x.here -= cut(x.logs[originKey{e.Run.Board, Origin{Node: e.Run.Node}}], e.Run.First+uint64(j), min(e.Run.First+uint64(j)+1, e.Run.LastSeq())).Size()
		}
	}
	x.step(Ingested{Token: e.Token})
	return true
}

// TestBytesInFlightAreBounded: many peers with many long logs of large entries, a slow store. What may come and what is
// here is never more than the bound, and all of it arrives in the end.
func TestBytesInFlightAreBounded(t *testing.T) {
	const peers, boards, records, limit = 12, 6, 24, 4 << 20
	x := &roomRig{
		t: t, now: time.UnixMilli(1_800_000_000_000), rnd: rand.New(rand.NewPCG(1, 2)), team: TeamID{1},
		logs: map[originKey]*Run{}, wants: map[string]*roomWant{},
	}
	x.r = NewReplica(ReplicaConfig{Self: NodeID{200}, InFlight: limit}, x.rnd)
	changed := TeamChanged{Team: x.team, Nodes: []NodeID{{200}}}
	for i := range boards {
		changed.Boards = append(changed.Boards, ID{byte(i + 1)})
	}
	for i := range peers {
		changed.Nodes = append(changed.Nodes, NodeID{byte(i + 1)})
	}
	x.step(changed)
	body := make([]byte, 60_000)
	total := 0
	for _, n := range changed.Nodes[1:] {
		var v []BoardVector
		for _, b := range changed.Boards {
			run := largeLog(b, n, records, body)
			x.logs[originKey{b, Origin{Node: n}}] = run
			hashes := run.Hashes()
			v = append(v, BoardVector{b, Vector{{Node: n, Epoch: run.Epoch, Seq: records, Hash: hashes[records-1]}}})
			total += run.Size()
		}
		for _, governance := range []bool{true, false} {
			x.step(PeerUp{n, governance})
			ev := PeerVector{Peer: n, Governance: governance, Team: x.team, Whole: true}
			if !governance {
				ev.Boards = v
			}
			x.step(ev)
		}
	}
	for idle := 0; idle < 100; {
		progress := false
		if x.rnd.IntN(4) > 0 {
			progress = x.answer() || x.ingest()
		} else {
			progress = x.ingest() || x.answer()
		}
		if progress {
			idle = 0
			continue
		}
		x.now = x.now.Add(100 * time.Millisecond)
		x.step(Tick{})
		idle++
	}
	for _, st := range x.r.Status(x.team) {
		if st.Behind > 0 {
			t.Errorf("board %s is still %d records behind", st.Board, st.Behind)
		}
	}
	if got := x.r.InFlight(); got != 0 {
		t.Errorf("%d bytes are in flight when all is done", got)
	}
	// A peer may end its answer at the next signed head: here one record further than its credit reached.
	if most := limit + peers*8*2*61_000; x.peak > most {
		t.Errorf("%d KiB were in flight, at most %d may be", x.peak>>10, most>>10)
	}
	t.Logf("%d MiB came with at most %d KiB in flight", total>>20, x.peak>>10)
}
