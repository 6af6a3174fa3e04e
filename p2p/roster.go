package p2p

import (
	"crypto/sha256"
	"encoding/base32"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/peer"

	"weft/board"
	"weft/team"
)

// roster says who may be here: the nodes of this node's teams, as of the last look at the store. Readers use one
// immutable view; the loop replaces it.
type roster struct {
	m       *Mesh
	view    atomic.Pointer[view]
	changed *nudges // the view is another one

	mu struct {
		sync.Mutex
		trusted map[board.NodeID]map[board.TeamID]bool // nodes that a link named and whose team this node is joining
		told    map[board.TeamID]bool                  // teams of which a teammate has said that this node is out of them
	}
}

// view is a snapshot; immutable.
type view struct {
	teams  map[board.TeamID]*team.State
	topics map[string]board.TeamID         // of teams that this node is a node of
	names  map[string]board.TeamID         // of all teams here
	shared map[board.NodeID][]board.TeamID // teams that this node and that one are both in
	former map[board.NodeID]bool           // nodes of teams that this node is out of (roster.out)
	out    []*team.State                   // those teams
}

func newRoster(m *Mesh) *roster {
	r := &roster{m: m, changed: newNudges()}
	r.mu.trusted, r.mu.told = map[board.NodeID]map[board.TeamID]bool{}, map[board.TeamID]bool{}
	r.loadTold()
	r.view.Store(&view{})
	r.m.kv.scan("joining/", func(key string, value []byte) {
		t, err := board.ParseTeamID(strings.TrimPrefix(key, "joining/"))
		if _, joined := r.m.o.Store.Team(t); !joined {
			return // it came to nothing
		}
		for ; err == nil && len(value) >= 32; value = value[32:] {
			r.remember(board.NodeID(value[:32]), t)
		}
	})
	return r
}

// topicName of a team: a hash, so that the name alone doesn't tell the team's id.
func topicName(t board.TeamID) string {
	h := sha256.Sum256(append([]byte("weft/topic/v1\x00"), t[:]...))
	return "/weft/team/1/" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h[:]))
}

// look makes a new view of the store's teams and returns it with the one before.
func (r *roster) look() (now, before *view) {
	now = &view{teams: map[board.TeamID]*team.State{}, topics: map[string]board.TeamID{}, names: map[string]board.TeamID{}, shared: map[board.NodeID][]board.TeamID{}, former: map[board.NodeID]bool{}}
	for _, t := range r.m.o.Store.Teams() {
		st, ok := r.m.o.Store.Team(t)
		if !ok {
			continue
		}
		if st.IsNode(r.m.self) {
			r.tell(t, false)
		}
		now.teams[t] = st
		name := topicName(t)
		now.names[name] = t
		if st.IsNode(r.m.self) { // before that there is nobody to talk to on the topic
			now.topics[name] = t
		}
	}
	for _, t := range slices.SortedFunc(maps.Keys(now.teams), compareTeams) {
		out := r.out(now.teams[t])
		if out {
			now.out = append(now.out, now.teams[t])
		}
		for _, n := range now.teams[t].Nodes() {
			if out {
				now.former[n] = true
			} else {
				now.shared[n] = append(now.shared[n], t)
			}
		}
	}
	before = r.view.Swap(now)
	r.changed.nudge()
	return now, before
}

// out says whether this node knows a team whose node it isn't, and isn't on the way into: its person was removed, it was
// denied, or it is no home of theirs (yet, or any more). It leaves such a team's nodes alone, but listens when one of them
// comes: perhaps it is let in again. Until one of them has said that it is out it goes on with governance, since the others
// may hear of it from nobody else: of a person that leaves, say.
func (r *roster) out(st *team.State) bool {
	if !st.Known() || st.IsNode(r.m.self) || len(r.trustedFor(st.ID())) > 0 || !r.isTold(st.ID()) {
		return false
	}
	_, was := slices.BinarySearchFunc(st.Origins(), r.m.self, func(a, b board.NodeID) int { return slices.Compare(a[:], b[:]) })
	return was || st.Role(r.m.o.Identity.User) != team.None
}

func compareTeams(a, b board.TeamID) int { return slices.Compare(a[:], b[:]) }

// trust counts n as a node of t until t's own state says who its nodes are: a link named it. It lasts over a restart.
func (r *roster) trust(n board.NodeID, t board.TeamID) {
	r.remember(n, t)
	key := "joining/" + t.String()
	old, _ := r.m.kv.get(key)
	r.m.kv.set(key, append(slices.Clip(old), n[:]...))
}

func (r *roster) remember(n board.NodeID, t board.TeamID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.trusted[n] == nil {
		r.mu.trusted[n] = map[board.TeamID]bool{}
	}
	r.mu.trusted[n][t] = true
}

// settle forgets who was trusted for a team that knows its own nodes now, or that wasn't joined after all.
func (r *roster) settle(t board.TeamID) {
	r.mu.Lock()
	found := false
	for n, ts := range r.mu.trusted {
		if ts[t] {
			found = true
			if delete(ts, t); len(ts) == 0 {
				delete(r.mu.trusted, n)
			}
		}
	}
	r.mu.Unlock()
	if found {
		r.m.kv.delete("joining/" + t.String())
	}
}

// trustedFor are the nodes that count as t's for asking, though its state doesn't name them yet.
func (r *roster) trustedFor(t board.TeamID) (out []board.NodeID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n, ts := range r.mu.trusted {
		if ts[t] {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b board.NodeID) int { return slices.Compare(a[:], b[:]) })
	return out
}

// mayReceive says whether n may be sent anything of t: t's state names it. This is the check of trust §8, made from
// the store's newest state each time, not from the view.
func (r *roster) mayReceive(n board.NodeID, t board.TeamID) bool {
	st, ok := r.m.o.Store.Team(t)
	return ok && st.IsNode(n)
}

// mayAsk says whether n's word about t is listened to: a node of the team, or one that a link named.
func (r *roster) mayAsk(n board.NodeID, t board.TeamID) bool {
	if r.mayReceive(n, t) {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.trusted[n][t]
}

// trusts says whether a link named n for t, and t's state doesn't name this node yet.
func (r *roster) trusts(n board.NodeID, t board.TeamID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.trusted[n][t]
}

// knows says whether n shares a team with this node, or did, or is trusted for one.
func (r *roster) knows(n board.NodeID) bool {
	if v := r.view.Load(); len(v.shared[n]) > 0 || v.former[n] || r.m.asks.knows(n) {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.mu.trusted[n]) > 0
}

// useful says whether a stream to n is of use yet. On the way into a team that one is on which governance can come once
// the team is taken up, and the one for boards once governance says that n is a node.
func (r *roster) useful(n board.NodeID, governance bool) bool {
	v := r.view.Load()
	if len(v.shared[n]) > 0 {
		return true
	}
	if !governance {
		return false
	}
	if v.former[n] {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for t := range r.mu.trusted[n] {
		if v.teams[t] != nil {
			return true
		}
	}
	return false
}

// knowsPeer is knows for a libp2p id.
func (r *roster) knowsPeer(p peer.ID) bool {
	n, err := NodeIDOf(p)
	return err == nil && r.knows(n)
}

// everyone are all nodes to stay connected to: those that share a team with this one or are trusted, in order, without
// this one.
func (r *roster) everyone() []board.NodeID {
	seen := map[board.NodeID]bool{}
	for n := range r.view.Load().shared {
		seen[n] = true
	}
	r.mu.Lock()
	for n := range r.mu.trusted {
		seen[n] = true
	}
	r.mu.Unlock()
	delete(seen, r.m.self)
	return slices.SortedFunc(maps.Keys(seen), func(a, b board.NodeID) int { return slices.Compare(a[:], b[:]) })
}

// loss is what a node has lost from one view to the next.
type loss struct {
	teams []board.TeamID // that this node and that one shared
	still bool           // they share another one
}

// losses are the nodes that share fewer teams in now than in before.
func losses(before, now *view) map[board.NodeID]loss {
	out := map[board.NodeID]loss{}
	for n, old := range before.shared {
		left := now.shared[n]
		for _, t := range old {
			if !slices.Contains(left, t) {
				out[n] = loss{append(out[n].teams, t), len(left) > 0}
			}
		}
	}
	return out
}
