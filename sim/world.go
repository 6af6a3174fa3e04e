package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weft/board"
	"weft/sim/check"
	"weft/store"
	"weft/team"

	weftv1 "weft/api/weft/v1"
)

// World is a set of nodes on one network, and the checker that watches them. Its methods are called by the test's
// goroutine, inside a synctest bubble.
type World struct {
	T     testing.TB
	Net   *Net
	Check *check.Checker

	seed    uint64
	nodes   []*Node
	team    board.TeamID
	founder *Node
	invites int
	nonces  int
	settled int // numbers people who were enrolled
	people  people

	Lenient bool // what people try to do to the team and may not is logged, and no failure
}

// NewWorld is an empty world whose choices follow seed.
func NewWorld(tb testing.TB, seed uint64) *World {
	return &World{T: tb, Net: NewNet(tb, seed), Check: check.New(), seed: seed}
}

// Nodes that were ever started, in that order.
func (w *World) Nodes() []*Node { return w.nodes }

// Team that Found made.
func (w *World) Team() board.TeamID { return w.team }

// General is the team's first board.
func (w *World) General() board.ID { return board.GeneralID(w.team) }

// wait returns when every other goroutine of the bubble waits for time, network or a nudge.
func (w *World) wait() { synctest.Wait() }

// Pass lets virtual time pass.
func (w *World) Pass(d time.Duration) { time.Sleep(d) }

// Crew starts n nodes called a, b, c, … in one team that a founds and the others join by link.
func (w *World) Crew(n int, o NodeOptions) []*Node {
	w.T.Helper()
	for i := range n {
		node := w.Start(string(rune('a'+i)), o)
		if i == 0 {
			w.Found(node)
		} else {
			w.Join(node)
		}
	}
	return w.nodes
}

// Found makes node n's user the founder of the world's team.
func (w *World) Found(n *Node) {
	w.T.Helper()
	w.found(n, nil)
}

func (w *World) found(n *Node, admins []board.UserID) {
	w.T.Helper()
	w.team, w.founder = w.FoundTeam(n, "crew", admins...), n
}

// FoundTeam makes n's user the founder of a further team.
func (w *World) FoundTeam(n *Node, name string, admins ...board.UserID) board.TeamID {
	w.T.Helper()
	ctx := w.T.Context()
	id, objects, err := team.NewTeam(n.id, name, admins, [16]byte{7})
	if err == nil {
		err = n.store.AdoptTeam(ctx, id, objects[0])
	}
	for _, o := range objects {
		if err == nil {
			_, err = n.store.AppendObject(ctx, id, o)
		}
	}
	if err != nil {
		w.T.Fatalf("couldn't found the team: %v", err)
	}
	return id
}

// Board makes a further board, at the founder's node.
func (w *World) Board(name string) board.ID {
	w.T.Helper()
	st, _ := w.founder.store.Team(w.team)
	o, err := team.NewBoard(st, w.founder.id, name, [16]byte{8})
	if err == nil {
		_, err = w.founder.store.AppendObject(w.T.Context(), w.team, o)
	}
	if err != nil {
		w.T.Fatalf("couldn't make board %s: %v", name, err)
	}
	return board.OperationBoardID(o.Raw)
}

// Invite is a link to the team for one use, made at its founder's node.
func (w *World) Invite() *weftv1.InviteLink {
	w.T.Helper()
	return w.InviteTo(w.team, w.founder)
}

// InviteTo is a link to a team for one use, made at the node of one of its owners.
func (w *World) InviteTo(t board.TeamID, f *Node) *weftv1.InviteLink {
	w.T.Helper()
	w.invites++
	seed := w.key("invite", fmt.Sprint(w.invites)).Seed()
	st, ok := f.store.Team(t)
	if !ok {
		w.T.Fatal("the founder doesn't know the team")
	}
	o, err := team.NewInvite(st, f.id, team.Member, f.key.Public(), 1, uint64(f.Now().Add(24*time.Hour).UnixMilli()), [16]byte{byte(w.invites), byte(w.invites >> 8)}, seed)
	if err == nil {
		_, err = f.store.AppendObject(w.T.Context(), t, o)
	}
	var link *weftv1.InviteLink
	if err == nil {
		st, _ = f.store.Team(t)
		link, err = team.NewLink(st, f.id, o, seed, []string{f.peerAddress()})
	}
	if err != nil {
		w.T.Fatalf("couldn't invite: %v", err)
	}
	return link
}

// Join lets a node join the team by a link of its own. It is given a minute of virtual time.
func (w *World) Join(n *Node) {
	w.T.Helper()
	w.JoinTeam(w.team, w.founder, n)
}

// JoinTeam lets a node join a team by a link that founder's node makes. It is given a minute of virtual time.
func (w *World) JoinTeam(t board.TeamID, founder, n *Node) {
	w.T.Helper()
	ctx, cancel := context.WithTimeout(w.T.Context(), time.Minute)
	defer cancel()
	if _, err := n.mesh.Join(ctx, w.InviteTo(t, founder), ""); err != nil {
		w.T.Fatalf("node %s couldn't join: %v", n.Name, err)
	}
}

// Post writes count entries at a node, one after the other, and tells the checker of each. It returns the last receipt.
func (n *Node) Post(b board.ID, count int) (last store.Receipt) {
	n.world.T.Helper()
	for range count {
		last = n.PostTogether(b, 1)
	}
	return last
}

// PostTogether writes count entries at a node in one go.
func (n *Node) PostTogether(b board.ID, count int) (last store.Receipt) {
	n.world.T.Helper()
	posts := make([]check.Post, count)
	drafts := make([]store.Draft, count)
	for i := range posts {
		n.posted++
		posts[i] = n.nextPost(b)
		n.world.Check.Attempt(posts[i])
		drafts[i] = store.Draft{
			Team: n.world.team, Board: b, Author: n.id.User, Device: n.id.Device, Kind: board.KindPost,
			Body: []byte(posts[i].Text), ClientMsgID: posts[i].MsgID,
		}
	}
	receipts, err := n.store.Append(n.world.T.Context(), drafts)
	if err != nil {
		n.world.T.Errorf("node %s couldn't post: %v", n.Name, err)
		return last
	}
	for i, r := range receipts {
		n.world.Check.Acked(posts[i], check.Ack{Node: n.Name, Entry: r.Entry.String(), Origin: origin(r.Position.Origin()), Seq: r.Position.Seq})
		last = r
	}
	return last
}

func (n *Node) nextPost(b board.ID) check.Post {
	return check.Post{
		Board: b.String(), Author: n.id.User.String(), MsgID: fmt.Sprintf("%s-%d", n.Name, n.posted),
		Text: fmt.Sprintf("post %d of %s", n.posted, n.Name), Sender: n.Name, Seq: n.posted,
	}
}

func origin(o board.Origin) string {
	return fmt.Sprintf("%s/%d-%x", o.Node, o.Epoch.N, o.Epoch.R)
}

// running nodes.
func (w *World) running() []*Node {
	return slices.DeleteFunc(slices.Clone(w.nodes), func(n *Node) bool { return !n.Running() })
}

// inStep says whether all running nodes hold the same and none of them has an entry that waits to be recorded again,
// and if not, who differs.
func (w *World) inStep() (bool, string) {
	w.T.Helper()
	nodes := w.members()
	var first string
	for i, n := range nodes {
		var vs []board.BoardVector
		for _, info := range n.store.Boards(w.team) {
			vs = append(vs, board.BoardVector{Board: info.ID, Vector: n.store.Vector(info.ID)})
			orphans, err := n.store.Orphans(w.T.Context(), info.ID)
			if err != nil {
				w.T.Fatalf("couldn't ask %s for records that don't count: %v", n.Name, err)
			}
			if len(orphans) > 0 {
				return false, fmt.Sprintf("\n  %s has entries of %s with no counting record, of %d origins", n.Name, info.Name, len(orphans))
			}
		}
		d := board.TeamDigest(vs)
		if i == 0 {
			first = d.String()
		} else if d.String() != first {
			return false, w.difference()
		}
	}
	return w.sameTeam()
}

// difference is how many records each running node holds of each board.
func (w *World) difference() string {
	var b strings.Builder
	for _, n := range w.members() {
		fmt.Fprintf(&b, "\n  %s:", n.Name)
		for _, info := range n.store.Boards(w.team) {
			fmt.Fprintf(&b, " %s %d records, %d shown, %d leaves;", info.Name, info.Records, info.Entries, len(n.store.Vector(info.ID)))
		}
	}
	return b.String()
}

// Settle lets time pass until all running nodes hold the same, at most for limit, then looks at everything that they
// show and has the checker judge it. It returns how long it took.
func (w *World) Settle(limit time.Duration) time.Duration {
	w.T.Helper()
	start := time.Now()
	for {
		w.wait()
		same, differ := w.inStep()
		if same {
			break
		}
		if time.Since(start) >= limit {
			w.T.Fatalf("after %v of a whole network the nodes still differ:%s", limit, differ)
		}
		time.Sleep(250 * time.Millisecond)
	}
	took := time.Since(start)
	w.Pass(2 * time.Second) // readers are nudged and catch up
	w.wait()
	var names []string
	for _, n := range w.members() {
		n.noteRemoved(n.store, n.mesh)
		n.Observe()
		names = append(names, n.Name)
	}
	for _, n := range w.members() {
		n.complete(names)
	}
	w.Check.Settle(names...)
	w.Judge()
	return took
}

// Judge fails the test if the checker found anything.
func (w *World) Judge() {
	w.T.Helper()
	if err := w.Check.Err(); err != nil {
		w.T.Fatalf("seed %d: %v", w.seed, err)
	}
}

// MarkRead marks everything that the node shows of a board as read by its user.
func (n *Node) MarkRead(b board.ID) {
	n.world.T.Helper()
	if _, err := n.store.MarkAll(n.world.T.Context(), n.id.User, b); err != nil {
		n.world.T.Errorf("node %s couldn't mark: %v", n.Name, err)
	}
}

// Everybody posts count entries at each of the nodes that run, taking turns.
func (w *World) Everybody(b board.ID, count int) {
	w.T.Helper()
	for range count {
		for _, n := range w.members() {
			n.Post(b, 1)
		}
		w.Pass(20 * time.Millisecond)
	}
}

// Hosts of nodes, for Net.Partition.
func Hosts(nodes ...*Node) (hs []Host) {
	for _, n := range nodes {
		hs = append(hs, n.Host)
	}
	return hs
}
