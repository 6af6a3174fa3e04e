package team

import (
	"encoding/binary"
	"slices"
	"testing"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// TestAFlipCoversWhatIsVoidByAnotherRuleNow: of several restrictions that an entry stands under, the first one is named.
// When what stands between two of them comes, they may change places; what is void stays void, by another rule.
func TestAFlipCoversWhatIsVoidByAnotherRuleNow(t *testing.T) {
	c := newCrew(t)
	cy := person(t, "cy")
	presented := c.must(NewPresent(c.id, cy))
	c.add(presented)
	set := func(role Role, cut *weftv1.Cut, nonce [16]byte) *Object {
		return c.must(NewSet(c.ev.State(), c.owner, cy.User, role, cut, "", nonce))
	}
	c.add(set(Member, nil, c.nonce()))
	posted := c.header(cy, board.GeneralID(c.id))
	cut := func(seq uint64) *weftv1.Cut { // of somebody else's log: the entry is not under it
		return NewCut([]board.Position{c.at(nodeOf("elsewhere"), 1, seq)})
	}
	removal := c.add(set(Removed, cut(1), c.nonce()))
	without := len(c.objects)
	back := c.add(set(Member, nil, c.nonce()))
	var ban *Object
	for n := uint64(0); ban == nil || slices.Compare(ban.Hash[:], removal.Hash[:]) > 0; n++ { // the lower hash is the first of equals
		ban = set(Banned, cut(2), [16]byte(binary.BigEndian.AppendUint64(make([]byte, 8), n)))
	}
	ev := NewEvaluator(c.id)
	for _, o := range append(slices.Clone(c.objects[:without]), ban) {
		c.feed(ev, o)
	}
	rule := func(st *State) string {
		return st.CheckEntry(posted, func(*Cut) bool { return false }).Rule
	}
	old := ev.State()
	c.feed(ev, back)
	now := ev.State()
	if a, b := rule(old), rule(now); a != "after-ban" || b != "after-removal" {
		t.Fatalf("%q, and once it is known what the ban replaces %q", a, b)
	}
	if !slices.ContainsFunc(now.Flips(old), func(f Flip) bool { return f.User == cy.User && f.Cred.IsZero() }) {
		t.Fatalf("no flip covers it: %v", now.Flips(old))
	}
	if again := now.Flips(now); len(again) != 0 {
		t.Fatalf("nothing changed, and yet: %v", again)
	}
}

// TestWhoseARightIsComesBeforeWhetherItCounts: what somebody names as a right that is another one's is void by one rule,
// whatever becomes of it, since no flip of the other one's speaks of this author's entries.
func TestWhoseARightIsComesBeforeWhetherItCounts(t *testing.T) {
	c := newCrew(t)
	cy, dee := person(t, "cy"), person(t, "dee")
	for _, id := range []Identity{cy, dee} {
		c.add(c.must(NewPresent(c.id, id)))
	}
	add := c.add(c.must(NewSet(c.ev.State(), c.owner, cy.User, Member, nil, "", c.nonce())))
	op := operationUnder(board.Hash(c.id), c.id, cy.User, c.nonce()) // by somebody without power
	op.Kind = &weftv1.Operation_Set{Set: &weftv1.SetRole{User: cy.User[:], Role: weftv1.Role(Member)}}
	void := c.add(c.must(build(board.KindOperation, cy.Device, op)))
	for _, cred := range []board.Hash{add.Hash, void.Hash} {
		h := c.header(dee, board.GeneralID(c.id))
		h.Cred = cred
		if v := c.ev.State().CheckEntry(h, nil); v.Rule != "cred-other" {
			t.Errorf("%v", v)
		}
	}
	h := c.header(dee, board.GeneralID(c.id))
	h.Cred = board.Hash(c.id)
	if v := c.ev.State().CheckEntry(h, nil); v.Rule != "cred-no-power" {
		t.Errorf("%v", v)
	}
}
