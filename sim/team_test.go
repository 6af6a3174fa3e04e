package sim_test

import (
	"errors"
	"testing"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/sim"
	"weft/team"
)

// crewOf starts nodes a, b, c, … in one team; a founds it and the next ones are admins from the start.
func crewOf(w *sim.World, n, admins int) []*sim.Node {
	w.T.Helper()
	var nodes []*sim.Node
	for i := range n {
		nodes = append(nodes, w.Start(string(rune('a'+i)), sim.NodeOptions{}))
	}
	w.FoundWith(nodes[0], nodes[1:1+admins]...)
	for _, x := range nodes[1:] {
		w.Join(x)
	}
	w.Settle(time.Minute)
	return nodes
}

// until lets time pass until ok, and says how long it took.
func until(w *sim.World, what string, limit time.Duration, ok func() bool) time.Duration {
	w.T.Helper()
	start := time.Now()
	for !ok() {
		if time.Since(start) > limit {
			w.T.Fatalf("not within %v: %s", limit, what)
		}
		w.Pass(10 * time.Millisecond)
	}
	return time.Since(start)
}

// An admin removes somebody: within a second no node of the team gives them anything any more, they are told who did it
// and why, their node leaves the others alone, and what they had they keep.
func TestRemovalIsEnforcedEverywhere(t *testing.T) {
	inBubble(t, 41, func(w *sim.World) {
		n := crewOf(w, 5, 1)
		e := n[4]
		w.Everybody(w.General(), 10)
		w.Settle(time.Minute)
		had := e.Entries(w.General())
		n[1].SetRole(e, team.Removed, "not with us")
		took := until(w, "all enforce it", 5*time.Second, func() bool {
			for _, x := range n[:4] {
				if x.State().IsNode(e.Key()) || x.ConnectedTo(e) {
					return false
				}
			}
			return true
		})
		if took > time.Second {
			t.Errorf("it took %v until all nodes enforced it", took)
		}
		if r, ok := e.Told(); !ok || r.By != n[1].User() || r.Reason != "not with us" || r.Role != team.Removed {
			t.Errorf("told: %+v %v", r, ok)
		}
		w.Pass(5 * time.Second) // what was on its way when the connections closed
		to, from := w.Net.Bytes(sim.Hosts(n[:4]...), sim.Hosts(e)), w.Net.Bytes(sim.Hosts(e), sim.Hosts(n[:4]...))
		w.Everybody(w.General(), 0)
		for range 10 {
			for _, x := range n[:4] {
				x.Post(w.General(), 5)
			}
			w.Pass(30 * time.Second)
		}
		if got := w.Net.Bytes(sim.Hosts(n[:4]...), sim.Hosts(e)) - to; got != 0 {
			t.Errorf("%d bytes went to the removed node afterwards", got)
		}
		if got := w.Net.Bytes(sim.Hosts(e), sim.Hosts(n[:4]...)) - from; got != 0 {
			t.Errorf("the removed node sent %d bytes to those that it was to leave alone", got)
		}
		if got := e.Entries(w.General()); got != had {
			t.Errorf("it shows %d entries, and had %d", got, had)
		}
		w.Settle(time.Minute)
		if r := w.Check.Report(); r.Acked != 250 {
			t.Errorf("report %+v", r)
		}
	})
}

// Somebody was off when they were removed: their node is turned away, asks why, is told, and leaves the others alone.
func TestRemovedWhileAway(t *testing.T) {
	inBubble(t, 42, func(w *sim.World) {
		n := crewOf(w, 3, 0)
		w.Everybody(w.General(), 5)
		w.Settle(time.Minute)
		c := n[2]
		c.Stop()
		n[0].SetRole(c, team.Banned, "")
		n[0].Post(w.General(), 5)
		w.Pass(time.Minute)
		c.Restart()
		took := until(w, "it is told", time.Minute, func() bool { _, told := c.Told(); return told })
		t.Logf("told after %v", took)
		if r, _ := c.Told(); r.By != n[0].User() || r.Role != team.Banned {
			t.Errorf("told: %+v", r)
		}
		w.Pass(20 * time.Second)
		quiet := w.Net.Bytes(sim.Hosts(c), sim.Hosts(n[:2]...)) + w.Net.Bytes(sim.Hosts(n[:2]...), sim.Hosts(c))
		w.Pass(10 * time.Minute)
		if got := w.Net.Bytes(sim.Hosts(c), sim.Hosts(n[:2]...)) + w.Net.Bytes(sim.Hosts(n[:2]...), sim.Hosts(c)) - quiet; got != 0 {
			t.Errorf("%d bytes went to and fro afterwards", got)
		}
		if got := c.Entries(w.General()); got != 15 {
			t.Errorf("it shows %d entries", got)
		}
		// Lifting it lets the node in again, without its doing.
		n[0].SetRole(c, team.Member, "it was a mistake")
		until(w, "it is in again", time.Minute, func() bool { return !c.Out() && c.Entries(w.General()) == 20 })
		c.Post(w.General(), 3)
		w.Settle(time.Minute)
	})
}

// Removal, ban, promotion, denial and posts go on in two halves of a team that don't hear of each other. Afterwards all
// members' nodes say the same of everybody, hold the same for void, and count the same.
func TestTwoHalvesGovernAtOnce(t *testing.T) {
	inBubble(t, 43, func(w *sim.World) {
		n := crewOf(w, 5, 1) // a owns, b is admin
		a, b, c, d, e := n[0], n[1], n[2], n[3], n[4]
		w.Everybody(w.General(), 5)
		w.Settle(time.Minute)
		w.Net.Partition(sim.Hosts(a, c), sim.Hosts(b, d, e))
		w.Pass(time.Second)
		since := w.Check.Now()
		w.Check.MayVanish(d.User().String(), since) // a doesn't see what d posts in the other half
		w.Everybody(w.General(), 5)
		a.SetRole(d, team.Removed, "")
		a.Charter(team.Change{AddAdmins: users(c)})
		w.Pass(5 * time.Second)
		c.Acknowledge()
		a.Post(w.General(), 5)
		c.Post(w.General(), 5)
		b.SetRole(d, team.Banned, "")
		e.Post(w.General(), 5)
		w.Pass(time.Second)
		b.Deny(e)
		e.Post(w.General(), 5) // recorded by a node that is denied, and seen by nobody else
		w.Pass(30 * time.Second)
		b.Post(w.General(), 5)
		w.Net.Heal()
		t.Logf("healed in %v", w.Settle(3*time.Minute))
		for _, x := range []*sim.Node{a, b, c} {
			st := x.State()
			if got := st.Role(d.User()); got != team.Banned {
				t.Errorf("at %s d is %s", x.Name, got)
			}
			if got := st.Role(c.User()); got != team.Admin {
				t.Errorf("at %s c is %s", x.Name, got)
			}
			if st.IsNode(d.Key()) || st.IsNode(e.Key()) || !st.IsNode(c.Key()) {
				t.Errorf("at %s the nodes are %v", x.Name, st.Nodes())
			}
		}
		same, differ := w.SameVoids()
		if !same {
			t.Errorf("what is void differs:%s", differ)
		}
		if !d.Out() || !e.Out() {
			t.Errorf("d is out: %v, e is out: %v", d.Out(), e.Out())
		}
	})
}

func users(nodes ...*sim.Node) (out []board.UserID) {
	for _, n := range nodes {
		out = append(out, n.User())
	}
	return out
}

// One link for one person is used by two at once, at two nodes: one of them gets in.
func TestOneLinkUsedByTwoAtOnce(t *testing.T) {
	inBubble(t, 44, func(w *sim.World) {
		n := crewOf(w, 2, 0)
		x, y := w.Start("x", sim.NodeOptions{}), w.Start("y", sim.NodeOptions{})
		link := w.Invite()
		errs := make(chan error, 2)
		for _, j := range []*sim.Node{x, y} {
			go func() { errs <- j.TryJoin(link, "") }()
		}
		first, second := <-errs, <-errs
		if (first == nil) == (second == nil) {
			t.Fatalf("%v and %v", first, second)
		}
		if err := errors.Join(first, second); !errors.Is(err, team.ErrQuota) {
			t.Errorf("refused with %v", err)
		}
		for _, j := range []*sim.Node{x, y} {
			if !j.InTeam() {
				j.Stop()
			}
		}
		w.Everybody(w.General(), 3)
		w.Settle(time.Minute)
		if got := len(n[1].State().Members()); got != 3 {
			t.Errorf("%d members", got)
		}
	})
}

// A team that takes people by request: somebody asks at one node, an admin at another one lets them in, and they come.
func TestLateJoinerByRequest(t *testing.T) {
	inBubble(t, 45, func(w *sim.World) {
		n := crewOf(w, 3, 1)
		p := n[0].State().Policy()
		p.Join = weftv1.JoinMode_JOIN_MODE_APPROVAL
		n[0].Charter(team.Change{Policy: &p})
		w.Everybody(w.General(), 20)
		w.Settle(time.Minute)
		x := w.Start("x", sim.NodeOptions{})
		y := w.Start("y", sim.NodeOptions{})
		for _, j := range []*sim.Node{x, y} {
			if err := j.TryJoin(n[2].AskLink(), "let me in, says "+j.Name); err != nil {
				t.Fatal(err)
			}
			if got := j.Mesh().Asked(); len(got) != 1 {
				t.Fatalf("it asks for %+v", got)
			}
		}
		until(w, "the admin sees the requests", time.Minute, func() bool { return len(n[1].State().Requests()) == 2 })
		x.Restart()
		w.Pass(time.Minute)
		n[1].SetRole(x, team.Member, "welcome")
		n[1].SetRole(y, team.Removed, "we are full")
		took := until(w, "it is in", 2*time.Minute, func() bool { return x.InTeam() && x.Entries(w.General()) == 60 })
		t.Logf("in after %v", took)
		until(w, "the other one knows", 3*time.Hour, func() bool { w.Pass(time.Minute); got := y.Mesh().Asked(); return len(got) == 1 && got[0].Rejected })
		if got := y.Mesh().Asked()[0]; got.Reason != "we are full" || !got.NextTry.IsZero() {
			t.Errorf("it was told %+v", got)
		}
		y.Stop()
		x.Post(w.General(), 5)
		w.Settle(time.Minute)
	})
}

// The admin's folder of a while ago is brought back, twice: what it did to the team since comes back from the others, or
// is done for good where there were none; and whoever it had removed gets nothing in between.
func TestRemoverIsRolledBack(t *testing.T) {
	for _, alone := range []bool{false, true} {
		name := "its peers have heard"
		if alone {
			name = "nobody else has heard"
		}
		t.Run(name, func(t *testing.T) {
			inBubble(t, 46, func(w *sim.World) {
				n := crewOf(w, 4, 1)
				admin, gone := n[1], n[3]
				w.Everybody(w.General(), 5)
				w.Settle(time.Minute)
				back := admin.Backup()
				if alone {
					w.Net.Partition(sim.Hosts(admin), sim.Hosts(n[0], n[2], n[3]))
				}
				w.Check.MayVanish(gone.User().String(), w.Check.Now())
				admin.SetRole(gone, team.Removed, "")
				admin.Post(w.General(), 5)
				w.Pass(20 * time.Second)
				for range 2 {
					admin.Restore(back)
					w.Check.Forgotten(admin.Name)
					admin.Post(w.General(), 2)
					w.Pass(20 * time.Second)
				}
				w.Net.Heal()
				w.Settle(3 * time.Minute)
				want := team.Removed
				if alone {
					want = team.Member // it was never said to anybody
				}
				for _, x := range n[:3] {
					if got := x.State().Role(gone.User()); got != want {
						t.Errorf("at %s it is %s", x.Name, got)
					}
				}
				if gone.Out() == alone {
					t.Errorf("it is out: %v", gone.Out())
				}
			})
		})
	}
}

// Who leaves, or shuts their own node out, has said so at the node that is out by it: the others hear of it all the same.
func TestLeavingIsHeard(t *testing.T) {
	inBubble(t, 47, func(w *sim.World) {
		n := crewOf(w, 4, 1)
		w.Everybody(w.General(), 5)
		w.Settle(time.Minute)
		n[3].Leave()
		until(w, "the others know who left", 5*time.Second, func() bool {
			for _, x := range n[:3] {
				if r, gone := x.State().Removal(n[3].User()); !gone || !r.Left || x.ConnectedTo(n[3]) {
					return false
				}
			}
			return true
		})
		n[1].Deny(n[1])
		until(w, "the others know of the denial", 5*time.Second, func() bool {
			return !n[0].State().IsNode(n[1].Key()) && !n[2].State().IsNode(n[1].Key()) && !n[0].ConnectedTo(n[1])
		})
		w.Pass(5 * time.Second)
		out, in := sim.Hosts(n[1], n[3]), sim.Hosts(n[0], n[2])
		quiet := w.Net.Bytes(out, in)
		for _, x := range []*sim.Node{n[1], n[3]} {
			x.Restart()
		}
		w.Pass(10 * time.Minute)
		if got := w.Net.Bytes(out, in) - quiet; got != 0 {
			t.Errorf("who is out sent %d bytes", got)
		}
		w.Everybody(w.General(), 5)
		w.Settle(time.Minute)
	})
}

// Somebody leaves while nobody hears of it, and their node starts anew before the others are there again.
func TestLeavingWhileCutOff(t *testing.T) {
	inBubble(t, 48, func(w *sim.World) {
		n := crewOf(w, 3, 0)
		w.Net.Partition(sim.Hosts(n[0], n[1]), sim.Hosts(n[2]))
		w.Pass(time.Minute)
		n[2].Leave()
		w.Pass(time.Minute)
		n[2].Restart()
		w.Pass(time.Minute)
		w.Net.Heal()
		until(w, "the others know who left", 2*time.Minute, func() bool {
			_, first := n[0].State().Removal(n[2].User())
			_, second := n[1].State().Removal(n[2].User())
			return first && second
		})
	})
}

// Somebody with a long history still to come over a thin line is removed: nothing more of it comes.
func TestRemovedWhileSyncing(t *testing.T) {
	inBubble(t, 49, func(w *sim.World) {
		n := crewOf(w, 3, 0)
		for range 5 {
			n[0].PostTogether(w.General(), 500)
		}
		w.Settle(time.Minute)
		x := w.Start("x", sim.NodeOptions{Bandwidth: 256_000})
		link := w.Invite()
		go x.TryJoin(link, "")
		until(w, "it has a part", 2*time.Minute, func() bool {
			_, here := x.Store().Team(w.Team())
			return here && x.InTeam() && x.Entries(w.General()) > 200
		})
		n[0].SetRole(x, team.Removed, "")
		w.Pass(3 * time.Second) // what the line had taken by then
		had, sent := x.Entries(w.General()), w.Net.Bytes(sim.Hosts(n...), sim.Hosts(x))
		if had == 2500 {
			t.Fatal("it had everything: nothing is shown")
		}
		if _, told := x.Told(); !told {
			t.Error("it wasn't told")
		}
		w.Everybody(w.General(), 5)
		w.Pass(5 * time.Minute)
		if got := w.Net.Bytes(sim.Hosts(n...), sim.Hosts(x)) - sent; got != 0 {
			t.Errorf("%d bytes came afterwards", got)
		}
		if got := x.Entries(w.General()); got != had {
			t.Errorf("it has %d entries, and had %d", got, had)
		}
		w.Settle(time.Minute)
	})
}

// A ban is lifted, and nobody hears of it but the one who was banned: they bring it to the others, who turn them away.
func TestALiftThatNobodyElseHeard(t *testing.T) {
	inBubble(t, 51, func(w *sim.World) {
		n := crewOf(w, 3, 1)
		a, b, c := n[0], n[1], n[2]
		a.SetRole(c, team.Banned, "")
		w.Settle(time.Minute)
		until(w, "c is out", time.Minute, c.Out)
		w.Net.Partition(sim.Hosts(a), sim.Hosts(b, c))
		w.Pass(time.Minute)
		b.SetRole(c, team.Member, "")
		until(w, "c is in again", 2*time.Minute, c.InTeam)
		b.Stop()
		w.Net.Heal()
		until(w, "a has heard of it", 10*time.Minute, func() bool { return a.State().Role(c.User()) == team.Member })
		c.Post(w.General(), 3)
		w.Settle(time.Minute)
	})
}
