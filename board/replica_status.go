package board

import (
	"maps"
	"slices"
	"time"
)

// BoardStatus answers "am I synced?" for one board.
type BoardStatus struct {
	Board       ID
	Governance  bool
	Behind      uint64   // records that peers or signed heads name and that are not held, at least
	From        []NodeID // nodes whose logs they belong to
	Arriving    bool     // older history is still on its way, newest first
	Pending     int      // records held back until a gap is filled or a right is known
	Unavailable bool     // every peer that is there was asked in vain for some of it
}

// disbelief is how often a peer may claim what it does not deliver before Status takes no notice of its claims.
const disbelief = 3

// Wake is when the next Tick is due; zero: never, unless something else happens first.
func (r *Replica) Wake() time.Time { return r.next }

// Digest is one hash over all boards of a team, the governance board among them, for the beat: what TeamDigest makes
// of their vectors.
func (r *Replica) Digest(id TeamID) Hash {
	if t := r.teams.at(id); t != nil {
		return t.digestOf(func(*replBoard) bool { return true })
	}
	return Hash{}
}

// PeerDigest is the Digest of what a connected peer last said that it holds of a team. False: it has not said all.
func (r *Replica) PeerDigest(peer NodeID, id TeamID) (Hash, bool) {
	_, boards := r.viewOf(peer, false, id)
	_, governance := r.viewOf(peer, true, id)
	if boards == nil || governance == nil || !boards.known || !governance.known {
		return Hash{}, false
	}
	return teamDigest(slices.Concat(boards.digests(), governance.digests())), true
}

// PeerVector is what a connected peer last said that it holds of a board. False: it has not said. Read it only.
func (r *Replica) PeerVector(peer NodeID, t TeamID, id ID) (Vector, bool) {
	b := r.board(t, id)
	if b == nil {
		return nil, false
	}
	_, v := r.viewOf(peer, b.governance, t)
	if v == nil || !v.known {
		return nil, false
	}
	return v.vectors.at(id), true
}

// Status says for each board of a team, governance first, how far it is synced.
func (r *Replica) Status(id TeamID) []BoardStatus {
	t := r.teams.at(id)
	if t == nil {
		return nil
	}
	out := []BoardStatus{r.boardStatus(t.governance)}
	for b := range t.of(false) {
		out = append(out, r.boardStatus(b))
	}
	return out
}

func (r *Replica) boardStatus(b *replBoard) BoardStatus {
	st := BoardStatus{Board: b.id, Governance: b.governance}
	claims, claimants := r.claims(b)
	for n, v := range claims.all() {
		behind := b.holding.Behind(v)
		if behind == 0 {
			continue
		}
		st.Behind = add(st.Behind, behind)
		st.From = append(st.From, n)
		l := b.logs.at(n)
		if l == nil || l.transfers != [2]*transfer{} {
			continue
		}
		vain := 0
		for _, p := range claimants[n] {
			if l.unavailable[p] {
				vain++
			}
		}
		st.Unavailable = st.Unavailable || vain > 0 && vain == len(claimants[n])
	}
	for n, l := range b.logs.all() {
		for _, p := range l.pieces {
			st.Pending += p.records
		}
		for _, f := range b.holding.Leaves(n) {
			st.Arriving = st.Arriving || f.Base != Point{}
		}
	}
	return st
}

// claims are, for each node, the greatest leaves that connected peers and heads name, and who of the peers named any
// that is missing here.
func (r *Replica) claims(b *replBoard) (ordered[NodeID, Vector], map[NodeID][]NodeID) {
	by := newOrdered[NodeID, map[Epoch]Leaf](compareNodes)
	claimants := map[NodeID][]NodeID{}
	note := func(f Leaf, from NodeID) {
		if l := b.logs.at(f.Node); l != nil {
			if a := l.avoid[from]; l.isRefused(f, from) || a != nil && a.lies >= disbelief {
				return
			}
		}
		if by.at(f.Node) == nil {
			by.put(f.Node, map[Epoch]Leaf{})
		}
		if old := by.at(f.Node)[f.Epoch]; f.Seq > old.Seq {
			by.at(f.Node)[f.Epoch] = f
		}
	}
	for id, v := range r.views(b.team, b.governance) {
		for _, f := range v.vectors.at(b.id) {
			note(f, id)
			if ps := claimants[f.Node]; !b.holding.coversLeaf(f) && (len(ps) == 0 || ps[len(ps)-1] != id) {
				claimants[f.Node] = append(ps, id)
			}
		}
	}
	for _, l := range b.logs.all() {
		for _, x := range l.heard {
			note(x.leaf, x.from)
		}
	}
	out := newOrdered[NodeID, Vector](compareNodes)
	for n, leaves := range by.all() {
		v := Vector(slices.Collect(maps.Values(leaves)))
		sortVector(v)
		out.put(n, v)
	}
	return out, claimants
}
