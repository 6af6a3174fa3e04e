package team

import (
	"testing"

	"pgregory.net/rapid"

	"weft/board"
)

// evaluated is what a history means.
func (h *history) evaluated() *State {
	ev := NewEvaluator(h.id)
	feedAll(h.t, ev, h.ledger.lines)
	return ev.State()
}

// TestPowerlessChangeNothing: people without power, each with all of their own keys and a node, change no role but their
// own, no charter, no board, and no entry of others. What they may do is leave, post by a right they have, and report a
// contradiction of their own node.
func TestPowerlessChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for range rapid.IntRange(0, 12).Draw(t, "honest") {
			h.n++
			h.by(h.people[h.pick(2, "with power")], []int{0, 4, 5, 12}[h.pick(4, "honest step")])
		}
		h.post(h.people[1], h.nodes[1])
		before := h.evaluated()
		known, lines := len(h.entries), len(h.objects)
		for range rapid.IntRange(1, 15).Draw(t, "hostile") {
			h.n++
			what := []int{0, 1, 3, 4, 5, 8, 12}[h.pick(7, "hostile step")]
			h.by(h.people[2+h.pick(2, "without power")], what)
		}
		after := h.evaluated()
		if len(before.Chain()) != len(after.Chain()) || len(before.Boards()) != len(after.Boards()) || len(before.Invites()) != len(after.Invites()) {
			t.Fatal("charters, boards or invites moved")
		}
		for _, p := range h.people {
			if a, b := before.Role(p.User), after.Role(p.User); a != b {
				// Only leaving, which a `set` of oneself to removed is.
				if b != Removed && b != Banned || p.User == h.people[0].User || p.User == h.people[1].User {
					t.Fatalf("%s was %v and is %v", p.Name, a, b)
				}
				if r, ok := after.Removal(p.User); !ok || !r.Left {
					t.Fatalf("%s was %v and is %v, and did not leave", p.Name, a, b)
				}
			}
		}
		for _, o := range h.objects[:lines] {
			a, _ := before.Verdict(o.Hash)
			if b, _ := after.Verdict(o.Hash); a != b {
				t.Fatalf("%s: %v became %v", Describe(o, nil), a, b)
			}
		}
		for _, e := range h.entries[:known] {
			powerful := e.Author == h.people[0].User || e.Author == h.people[1].User
			a, b := before.CheckEntry(e, h.ledger.under(entryID(e))), after.CheckEntry(e, h.ledger.under(entryID(e)))
			if powerful && a != b {
				t.Fatalf("an entry was %v and is %v", a, b)
			}
		}
	})
}

// TestStrongRemoval: after a removal, whatever its subject and its node sign, of what the remover had not seen nothing is
// valid, and all that it had seen stays.
func TestStrongRemoval(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		cy := h.people[2]
		ev := NewEvaluator(h.id)
		feedAll(t, ev, h.ledger.lines)
		add, err := NewSet(ev.State(), h.people[0], cy.User, Member, nil, "", nonceOf("add"))
		if err != nil {
			t.Fatal(err)
		}
		h.record(h.nodes[0], add)
		post := func() *board.Header {
			h.n++
			at := h.nodes[h.pick(len(h.nodes), "at")]
			e := &board.Header{
				Team: h.id, Board: board.GeneralID(h.id), Author: cy.User, Device: board.DeviceID(cy.Device.Public()), DevSeq: uint64(h.n),
				ClientMsgID: "m", HLC: board.HLC(h.n), Kind: board.KindPost, Cred: add.Hash,
			}
			h.ledger.write(at.Public(), line{entry: e})
			return e
		}
		var seen, unseen []*board.Header
		for range rapid.IntRange(0, 6).Draw(t, "seen") {
			seen = append(seen, post())
			if h.pick(3, "restart") == 0 {
				h.restart(h.nodes[2])
			}
		}
		known := len(h.ledger.lines)
		for range rapid.IntRange(0, 4).Draw(t, "concurrent") {
			unseen = append(unseen, post())
		}
		kick, err := NewSet(h.evaluated(), h.people[1], cy.User, []Role{Banned, Removed, Reader, Muted}[h.pick(4, "role")], h.ledger.cut(known, h.ledger.of(cy.User)), "", nonceOf("kick"))
		if err != nil {
			t.Fatal(err)
		}
		h.record(h.nodes[1], kick)
		left := false
		for range rapid.IntRange(0, 8).Draw(t, "hostile") {
			switch h.pick(4, "what") {
			case 0: // dates back, on a branch of its own node's log
				h.ledger.restart(h.nodes[2].Public(), h.pick(len(h.ledger.lines), "how far"))
			case 1:
				unseen = append(unseen, post())
			case 2:
				h.n++
				signs := []int{0, 2, 3, 5, 8}[h.pick(5, "signs")]
				left = left || signs == 2 || signs == 0 // a set of oneself to removed is leaving too
				h.by(cy, signs)
			case 3: // has all of it recorded again, at its own node
				for _, e := range append(append([]*board.Header{}, seen...), unseen...) {
					h.ledger.write(h.nodes[2].Public(), line{entry: e})
				}
			}
		}
		st := h.evaluated()
		for _, e := range seen {
			if v := st.CheckEntry(e, h.ledger.under(entryID(e))); v.Status != Valid && !left { // who leaves may void the own past
				t.Fatalf("accepted by the remover, now %v", v)
			}
		}
		for _, e := range unseen {
			if v := st.CheckEntry(e, h.ledger.under(entryID(e))); v.Status == Valid {
				t.Fatal("not accepted by the remover, yet valid")
			}
		}
	})
}

// TestQuotaIsExact: the number of people whom an invite lets in, whatever its admitter loses, clones or hides.
func TestQuotaIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		quota := uint32(1 + h.pick(3, "quota"))
		node := h.nodes[2]
		h.n++
		// The admitter need not be a home yet for the rules: an operation by hand.
		op := operationUnder(board.Hash(h.id), h.id, h.people[0].User, nonceOf("invite"))
		op.Kind = inviteKind(node.Public(), quota)
		inv, err := build(board.KindOperation, h.people[0].Device, op)
		if err != nil {
			t.Fatal(err)
		}
		h.record(h.nodes[0], inv)
		asked := map[string]bool{}
		for i := range rapid.IntRange(1, 14).Draw(t, "steps") {
			switch h.pick(4, "what") {
			case 0:
				h.restart(node)
			default:
				name := string(rune('a' + h.pick(6, "who")))
				asked[name] = true
				h.admit(inv, Identity{User: board.UserID(seedOf(name))}, nonceOf(name+string(rune(i))), node)
			}
		}
		st := h.evaluated()
		in := 0
		for name := range asked {
			if st.Role(board.UserID(seedOf(name))) == Member {
				in++
			}
		}
		if in != min(int(quota), len(asked)) {
			t.Fatalf("quota %d, %d asked, %d are in", quota, len(asked), in)
		}
	})
}
