package p2p

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence/hub"
	"weft/team"
)

// fakePeople is a Presence that remembers what it is told.
type fakePeople struct {
	mu       sync.Mutex
	beats    []heardThing // guarded by mu
	lives    map[[16]byte]int
	settings []*weftv1.OwnSetting
	leases   map[board.NodeID]time.Time
	raw      map[wholeKey][]*weftv1.Signed // to pass on
	whole    map[board.TeamID][]*weftv1.PresenceBeat
	own      []*weftv1.TeamDigest
	homes    []*weftv1.OwnSetting
	differ   bool // from whatever is said
	asked    int  // for the whole of something
	compared int
}

type heardThing struct {
	from board.NodeID
	beat *weftv1.PresenceBeat
}

func withPeople(n *testNode) {
	n.people = &fakePeople{lives: map[[16]byte]int{}, leases: map[board.NodeID]time.Time{}, raw: map[wholeKey][]*weftv1.Signed{}, whole: map[board.TeamID][]*weftv1.PresenceBeat{}}
}

func (n *testNode) heard() *fakePeople { return n.people.(*fakePeople) }

func (f *fakePeople) locked(g func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g()
}

func (f *fakePeople) SetTeams(map[board.TeamID]*team.State) {}

func (f *fakePeople) Digests(board.NodeID, []board.TeamID) (out []*weftv1.TeamDigest) {
	f.locked(func() { out = f.own })
	return out
}

func (f *fakePeople) Agree(board.NodeID, [16]byte, []board.TeamID, []byte) (same bool) {
	f.locked(func() { same = !f.differ; f.compared++ })
	return same
}

func (f *fakePeople) Differ(_ board.NodeID, _ [16]byte, shared []board.TeamID, _ []*weftv1.TeamDigest) (out []board.TeamID) {
	f.locked(func() {
		if f.differ {
			out = shared
		}
	})
	return out
}

func (f *fakePeople) Whole(n board.NodeID, t board.TeamID, _ board.NodeID) (own []*weftv1.PresenceBeat, signed []*weftv1.Signed) {
	f.locked(func() { own, signed = f.whole[t], f.raw[wholeKey{n, t}]; f.asked++ })
	return own, signed
}

func (f *fakePeople) SettingsFor(board.NodeID) (out []*weftv1.OwnSetting) {
	f.locked(func() { out = f.homes })
	return out
}

func (f *fakePeople) ReceiveBeat(from board.NodeID, raw *weftv1.Signed, b *weftv1.PresenceBeat) error {
	f.locked(func() {
		f.beats = append(f.beats, heardThing{from, b})
		k := wholeKey{board.NodeID(b.Node), board.TeamID(b.Team)}
		f.raw[k] = append(f.raw[k], raw)
	})
	return nil
}

func (f *fakePeople) ReceiveLive(b *hub.Batch) error {
	f.locked(func() {
		for _, e := range b.Events {
			f.lives[e.ID]++
		}
	})
	return nil
}

func (f *fakePeople) ReceiveSetting(_ board.NodeID, s *weftv1.OwnSetting) error {
	f.locked(func() { f.settings = append(f.settings, s) })
	return nil
}

func (f *fakePeople) Lease(n board.NodeID, until time.Time) {
	f.locked(func() { f.leases[n] = until })
}

// count is how many beats of a node in a team came.
func (f *fakePeople) count(n board.NodeID, t board.TeamID) (out int) {
	f.locked(func() {
		for _, b := range f.beats {
			if board.NodeID(b.beat.Node) == n && board.TeamID(b.beat.Team) == t {
				out++
			}
		}
	})
	return out
}

func (f *fakePeople) live() (different, all int) {
	f.locked(func() {
		different = len(f.lives)
		for _, n := range f.lives {
			all += n
		}
	})
	return different, all
}

// beatOf is a beat of n in a team that says nothing of anybody.
func (n *testNode) beatOf(t board.TeamID, number uint64) *weftv1.PresenceBeat {
	boot := n.mesh.boot
	return &weftv1.PresenceBeat{
		Team: t[:], Node: n.mesh.self[:], Boot: boot[:], Number: number, Digest: make([]byte, 16),
		SentHlc: uint64(board.HLCAt(time.Now())), People: []*weftv1.PersonReport{{User: n.id.User[:]}},
	}
}

// linkUpAll waits until all nodes have streams to each other and have said their first pulse.
func linkUpAll(t testing.TB, nodes ...*testNode) {
	t.Helper()
	eventually(t, "all are linked", func() bool {
		for _, a := range nodes {
			for _, b := range nodes {
				if a == b {
					continue
				}
				a.mesh.voices.mu.Lock()
				x, w := a.mesh.voices.mu.mates[b.mesh.self], a.mesh.voices.mu.words[b.mesh.self]
				ok := x != nil && x.out != nil && x.in != nil && w != nil
				a.mesh.voices.mu.Unlock()
				if !ok {
					return false
				}
			}
		}
		return true
	}, nodes...)
}

// lives is a batch of live messages that n's device signed.
func (n *testNode) lives(t board.TeamID, count int, change func(*weftv1.LiveBatch)) *weftv1.Signed {
	b := &weftv1.LiveBatch{Team: t[:], User: n.id.User[:], Node: n.mesh.self[:]}
	for range count {
		id := nonce()
		b.Messages = append(b.Messages, &weftv1.LiveMessage{Id: id[:], Body: []byte("now"), SentMs: uint64(time.Now().UnixMilli()), TtlMs: 5000})
	}
	if change != nil {
		change(b)
	}
	return signedLive(n.id.Device, b)
}

func signedLive(device board.Key, b *weftv1.LiveBatch) *weftv1.Signed {
	raw, err := proto.Marshal(b)
	if err != nil {
		panic(fmt.Sprint("couldn't encode: ", err))
	}
	public, sig := device.Public(), device.Sign(board.SignLive, raw)
	return &weftv1.Signed{Object: raw, Key: public[:], Signature: sig[:]}
}
