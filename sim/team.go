package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/p2p"
	"weft/sim/check"
	"weft/store"
	"weft/team"
)

// What people do to a team, at their nodes, and what the nodes then say of it.

// FoundWith makes n's user the founder of the world's team, with these people as its admins.
func (w *World) FoundWith(n *Node, admins ...*Node) {
	w.T.Helper()
	var ids []board.UserID
	for _, a := range admins {
		ids = append(ids, a.id.User)
	}
	w.found(n, ids)
}

func (w *World) nonce() (n [16]byte) {
	w.nonces++
	k := w.key("nonce", fmt.Sprint(w.nonces)).Public()
	return [16]byte(k[:16])
}

// State of the world's team at the node.
func (n *Node) State() *team.State {
	n.world.T.Helper()
	st, ok := n.store.Team(n.world.team)
	if !ok {
		n.world.T.Fatalf("node %s doesn't know the team", n.Name)
	}
	return st
}

// Key is the node's own id.
func (n *Node) Key() board.NodeID { return board.NodeID(n.key.Public()) }

// records an object at the node, and has the checker know whom the node has to leave alone from then on.
func (n *Node) record(what string, o *team.Object, err error) *team.Object {
	n.world.T.Helper()
	if err == nil {
		_, err = n.store.AppendObject(n.world.T.Context(), n.world.team, o)
	}
	switch {
	case err != nil && n.world.Lenient:
		n.world.T.Logf("node %s couldn't %s: %v", n.Name, what, err)
		return nil
	case err != nil:
		n.world.T.Fatalf("node %s couldn't %s: %v", n.Name, what, err)
	}
	return o
}

// SetRole gives somebody a role, by this node's user.
func (n *Node) SetRole(who *Node, r team.Role, reason string) *team.Object {
	n.world.T.Helper()
	cut, err := n.store.CutUser(n.world.team, who.id.User)
	var o *team.Object
	if err == nil {
		o, err = team.NewSet(n.State(), n.id, who.id.User, r, cut, reason, n.world.nonce())
	}
	return n.record("make "+who.Name+" "+r.String(), o, err)
}

// Leave ends the membership of this node's user.
func (n *Node) Leave() *team.Object {
	n.world.T.Helper()
	cut, err := n.store.CutUser(n.world.team, n.id.User)
	var o *team.Object
	if err == nil {
		o, err = team.NewLeave(n.State(), n.id, cut, n.world.nonce())
	}
	return n.record("leave", o, err)
}

// Deny shuts a node out of the team; what it recorded and this node hasn't seen doesn't count.
func (n *Node) Deny(who *Node) *team.Object {
	n.world.T.Helper()
	cut, err := n.store.CutNode(n.world.team, who.Key())
	var o *team.Object
	if err == nil {
		o, err = team.NewNode(n.State(), n.id, who.Key(), false, cut, n.world.nonce())
	}
	return n.record("deny "+who.Name, o, err)
}

// Allow lifts a denial.
func (n *Node) Allow(who *Node) *team.Object {
	n.world.T.Helper()
	o, err := team.NewNode(n.State(), n.id, who.Key(), true, nil, n.world.nonce())
	return n.record("allow "+who.Name, o, err)
}

// Charter proposes a charter by this node's user, who agrees to it. Who loses power by it stays a member.
func (n *Node) Charter(c team.Change) *team.Object {
	n.world.T.Helper()
	cuts := map[board.UserID]*weftv1.Cut{}
	for _, u := range slices.Concat(c.RemoveAdmins, c.RemoveOwners) {
		cut, err := n.store.CutUser(n.world.team, u)
		if err != nil {
			n.world.T.Fatal(err)
		}
		cuts[u] = cut
	}
	o, err := team.NewCharter(n.State(), n.id, c, cuts, team.Member, n.world.nonce())
	if o = n.record("change the charter", o, err); o == nil {
		return nil
	}
	ack, err := team.NewAck(n.State(), n.id, o.Hash)
	n.record("agree to its charter", ack, err)
	return o
}

// Acknowledge has this node's user agree to what their device should agree to by itself.
func (n *Node) Acknowledge() {
	n.world.T.Helper()
	for _, h := range n.State().WantsAck(n.id) {
		o, err := team.NewAck(n.State(), n.id, h)
		n.record("agree to a charter", o, err)
	}
}

// Out says whether the node knows the team and that it is none of its nodes.
func (n *Node) Out() bool {
	st, ok := n.store.Team(n.world.team)
	return ok && st.Known() && !st.IsNode(n.Key())
}

// watchRemovals has the checker know, at each change, which nodes this one must send nothing more, and what it has sent
// since to those. It ends with ctx.
func (n *Node) watchRemovals(ctx context.Context, s *store.Store, m *p2p.Mesh) {
	n.world.Check.Forgotten(n.Name) // the count begins anew
	nudge, stop := s.Subscribe()
	defer stop()
	for {
		n.noteRemoved(s, m)
		select {
		case <-nudge:
		case <-ctx.Done():
			return
		}
	}
}

func (n *Node) noteRemoved(s *store.Store, m *p2p.Mesh) {
	st, ok := s.Team(n.world.Team())
	if !ok || !st.IsNode(n.Key()) {
		return
	}
	for _, other := range st.Origins() {
		sent := m.Sent(other, st.ID())
		switch {
		case other == n.Key():
		case st.IsNode(other):
			n.world.Check.LetIn(n.Name, other.String())
		default:
			n.world.Check.Removed(n.Name, other.String(), sent)
			n.world.Check.Sent(n.Name, other.String(), sent)
		}
	}
}

// members are the running nodes that are the team's, by their own word.
func (w *World) members() []*Node {
	return slices.DeleteFunc(w.running(), (*Node).Out)
}

// Told says whether a node that was removed knows who did it, or, of one that is out for another reason, that it is out.
func (n *Node) Told() (team.Removal, bool) { return n.State().Removal(n.id.User) }

// roles is everything that a node says of who is who in the team.
func (n *Node) roles() string {
	st := n.State()
	var b strings.Builder
	fmt.Fprintf(&b, "charters %v", st.Chain())
	for _, p := range slices.Concat(st.Members(), st.Outsiders()) {
		heads, _ := st.Register(p.User)
		fmt.Fprintf(&b, "\n  %s is %s by %v, homes %v", p.Name, p.Role, heads, p.Homes)
	}
	fmt.Fprintf(&b, "\n  nodes %v origins %v", st.Nodes(), st.Origins())
	for _, board := range st.Boards() {
		fmt.Fprintf(&b, "\n  board %s %s", board.Name, board.ID)
	}
	for _, r := range st.Requests() {
		fmt.Fprintf(&b, "\n  asked %s", r.User)
	}
	for _, f := range st.ForkProofs() {
		fmt.Fprintf(&b, "\n  forked %s %d", f.Node, f.Seq)
	}
	return b.String()
}

// sameTeam says whether all members' nodes say the same of the team, and if not, how they differ.
func (w *World) sameTeam() (bool, string) {
	var first string
	nodes := w.members()
	for i, n := range nodes {
		if r := n.roles(); i == 0 {
			first = r
		} else if r != first {
			return false, fmt.Sprintf("\n  %s: %s\n  %s: %s", nodes[0].Name, first, n.Name, r)
		}
	}
	return true, ""
}

// voids is every entry that the node holds as void, with the rule.
func (n *Node) voids() string {
	n.world.T.Helper()
	var b strings.Builder
	for _, info := range n.store.Boards(n.world.team) {
		q := store.PageQuery{Limit: 500, IncludeVoid: true}
		for !info.Governance {
			page, err := n.store.Page(n.world.T.Context(), info.ID, q)
			if err != nil {
				n.world.T.Fatalf("node %s couldn't list what is void: %v", n.Name, err)
			}
			for _, s := range slices.Backward(page.Entries) {
				if s.Void != "" {
					fmt.Fprintf(&b, "%s %s: %s (%s)\n", info.Name, s.Entry.Header.ClientMsgID, s.Rule, s.Void)
				}
			}
			if !page.Older || len(page.Entries) == 0 {
				break
			}
			k := page.Entries[0].Entry.Order()
			q.Before = &k
		}
	}
	return b.String()
}

// SameVoids says whether all members' nodes hold the same entries as void, by the same rules.
func (w *World) SameVoids() (bool, string) {
	w.T.Helper()
	nodes := w.members()
	for _, n := range nodes[1:] {
		if a, b := nodes[0].voids(), n.voids(); a != b {
			return false, fmt.Sprintf("\n  %s:\n%s\n  %s:\n%s", nodes[0].Name, a, n.Name, b)
		}
	}
	return true, ""
}

// Entries that the node shows of a board.
func (n *Node) Entries(b board.ID) uint64 {
	info, _ := n.store.Board(b)
	return info.Entries
}

// ConnectedTo says whether the node has a connection to another one.
func (n *Node) ConnectedTo(other *Node) bool {
	return slices.ContainsFunc(n.mesh.Peers(), func(p p2p.PeerInfo) bool {
		id, err := p2p.NodeIDOf(p.ID)
		return err == nil && id == other.Key() && p.Connected
	})
}

// InTeam says whether the node is one of the team's, by its own word.
func (n *Node) InTeam() bool {
	st, ok := n.store.Team(n.world.team)
	return ok && st.IsNode(n.Key())
}

// TryJoin uses a link, with a note for who decides. It is given a minute of virtual time.
func (n *Node) TryJoin(link *weftv1.InviteLink, note string) error {
	ctx, cancel := context.WithTimeout(n.world.T.Context(), time.Minute)
	defer cancel()
	_, err := n.mesh.Join(ctx, link, note)
	return err
}

// AskLink is a link without an invite, to this node.
func (n *Node) AskLink() *weftv1.InviteLink {
	n.world.T.Helper()
	l, err := team.NewAskLink(n.State(), n.id, n.Key(), []string{n.peerAddress()})
	if err != nil {
		n.world.T.Fatal(err)
	}
	return l
}

// Sign makes an entry that a further device of nobody's node signs for this node's user: number seq of it, after prev.
func (n *Node) Sign(b board.ID, seq uint64, prev board.Hash, text string) (*board.Entry, board.Hash) {
	n.world.T.Helper()
	cred, ok := n.State().Cred(n.id.User)
	if !ok {
		n.world.T.Fatalf("%s may not write", n.Name)
	}
	h := board.Header{
		Team: n.world.team, Board: b, Author: n.id.User, Device: n.id.Device.Public(), DevEpoch: 77, DevSeq: seq, DevPrev: prev,
		Cred: cred, ClientMsgID: fmt.Sprintf("%s-elsewhere-%d", n.Name, seq), HLC: board.HLCAt(n.Now()) + board.HLC(seq), Kind: board.KindPost,
	}
	e := board.NewEntry(h, []byte(text))
	e.Sign(n.id.Device)
	return e, e.ID
}

// Take offers the node an entry that a device has signed elsewhere.
func (n *Node) Take(e *board.Entry) {
	n.world.T.Helper()
	p := check.Post{Board: e.Header.Board.String(), Author: e.Header.Author.String(), MsgID: e.Header.ClientMsgID, Text: string(e.Body), Sender: e.Header.Device.String()}
	n.world.Check.Attempt(p)
	if _, err := n.store.AppendSigned(n.world.T.Context(), e); err != nil {
		n.world.T.Fatalf("node %s didn't take an entry: %v", n.Name, err)
	}
}
