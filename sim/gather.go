package sim

import (
	"fmt"

	"weft/board"
	"weft/team"
)

// How a world gets many people and nodes without each of them joining by link.

// Enrol takes further people into a team whose home is this node, by founder's word. They are members, named after the node.
func (n *Node) Enrol(t board.TeamID, founder *Node, count int) (people []team.Identity) {
	w := n.world
	w.T.Helper()
	for range count {
		w.settled++
		name := fmt.Sprintf("%s-%d", n.Name, w.settled)
		id, err := team.NewUser(name, w.key("recovery", name), w.key("device", name), n.key, [16]byte{1})
		if err != nil {
			w.T.Fatal(err)
		}
		founder.takeIn(t, id)
		people = append(people, id)
	}
	return people
}

// takeIn makes somebody a member of a team by the word of this node's user.
func (n *Node) takeIn(t board.TeamID, id team.Identity) {
	n.world.T.Helper()
	p, err := team.NewPresent(t, id)
	if err == nil {
		_, err = n.store.AppendObject(n.world.T.Context(), t, p)
	}
	st, _ := n.store.Team(t)
	var set *team.Object
	if err == nil {
		set, err = team.NewSet(st, n.id, id.User, team.Member, nil, "", n.world.nonce())
	}
	if err == nil {
		_, err = n.store.AppendObject(n.world.T.Context(), t, set)
	}
	if err != nil {
		n.world.T.Fatalf("couldn't let %s into a team: %v", id.Name, err)
	}
}

// Gather makes nodes' users members of a team, copies its governance into their stores and tells them where founder's node is:
// much faster than joins of many nodes one by one. Nodes that are asleep are told where all others are, as after a restart of
// the whole mesh; a large world is made while everybody sleeps, for else each word of governance goes around at once.
func (w *World) Gather(t board.TeamID, founder *Node, nodes ...*Node) {
	w.T.Helper()
	for _, n := range nodes {
		founder.takeIn(t, n.id)
	}
	st, _ := founder.store.Team(t)
	b := board.GovernanceID(t)
	for _, n := range nodes {
		err := n.store.AdoptTeam(w.T.Context(), t, st.Genesis())
		for _, leaf := range founder.store.Vector(b) {
			for first := uint64(1); err == nil && first <= leaf.Seq; {
				var r *board.Run
				if r, err = founder.store.Run(w.T.Context(), b, board.Origin{Node: leaf.Node, Epoch: leaf.Epoch}, first, leaf.Seq, 256<<10); err == nil {
					_, err = n.store.Ingest(w.T.Context(), t, r, false)
					first = r.LastSeq() + 1
				}
			}
		}
		if err == nil && n.mesh != nil {
			_, err = n.mesh.AddPeer(w.T.Context(), founder.peerAddress())
		}
		if err != nil {
			w.T.Fatalf("couldn't put %s into a team: %v", n.Name, err)
		}
	}
	all := append([]*Node{founder}, nodes...)
	for i, n := range all {
		for _, other := range all[:i] {
			if n.mesh == nil {
				n.remember(other)
			}
		}
	}
}

// remember puts a node's address where the mesh looks for those that worked before.
func (n *Node) remember(other *Node) {
	n.world.T.Helper()
	key := "p2p/addrs/" + other.peerID()
	held, err := n.store.GetKV(key)
	if err == nil && held == nil {
		err = n.store.SetKV(n.world.T.Context(), key, []byte(n.world.Net.Address(other.Host)))
	}
	if err != nil {
		n.world.T.Fatalf("couldn't tell %s where %s is: %v", n.Name, other.Name, err)
	}
}
