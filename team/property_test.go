package team

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// history is a random team: people with and without power, nodes that restart and go back, objects honest and not, half of
// them recorded more than once.
type history struct {
	t       *rapid.T
	ledger  *ledger
	id      board.TeamID
	people  []Identity // owner, admin, then people without power
	nodes   []board.Key
	objects []*Object
	invites []*Object
	entries []*board.Header
	n       int
}

func newHistory(t *rapid.T) *history {
	h := &history{t: t}
	for _, n := range []string{"ana", "ben", "cy", "dee"} {
		h.people = append(h.people, person(t, n))
		h.nodes = append(h.nodes, keyOf("home-of-"+n))
	}
	id, objects, err := NewTeam(h.people[0], "crew", []board.UserID{h.people[1].User}, nonceOf("crew"))
	if err != nil {
		t.Fatal(err)
	}
	h.id, h.ledger = id, newLedger(id)
	for _, p := range h.people[1:] {
		o, err := NewPresent(id, p)
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, o)
	}
	for _, o := range objects {
		h.record(h.nodes[0], o)
	}
	return h
}

func (h *history) pick(of int, what string) int { return rapid.IntRange(0, of-1).Draw(h.t, what) }

func (h *history) record(node board.Key, o *Object) {
	h.ledger.write(node.Public(), line{object: o})
	if !slices.Contains(h.objects, o) {
		h.objects = append(h.objects, o)
	}
}

// some are hashes of objects, among them those that an operation ought to name.
func (h *history) some(about board.UserID) (out [][]byte) {
	for _, o := range h.objects {
		near := string(o.Op.GetSet().GetUser()) == string(about[:]) || string(o.Op.GetAdmit().GetUser()) == string(about[:]) || o.Op.GetNode() != nil || o.Op.GetFork() != nil
		if near && len(out) < 8 && h.pick(3, "named") > 0 {
			out = append(out, o.Hash[:])
		}
	}
	return out
}

func (h *history) cut(id [32]byte) *weftv1.Cut {
	switch h.pick(6, "cut") {
	case 0:
		return nil
	case 1:
		return h.ledger.cut(h.pick(len(h.ledger.lines)+1, "as of"), h.ledger.of(id))
	}
	return h.ledger.cut(len(h.ledger.lines), h.ledger.of(id))
}

func (h *history) charter() board.Hash {
	if h.pick(3, "old charter") > 0 {
		for _, o := range slices.Backward(h.objects) {
			if o.Charter != nil {
				return o.Hash
			}
		}
	}
	return board.Hash(h.id)
}

func (h *history) step() {
	h.n++
	who := h.people[h.pick(len(h.people), "who")]
	if h.pick(2, "with power") == 0 {
		who = h.people[h.pick(2, "whom")]
	}
	h.by(who, h.pick(13, "step"))
}

// by has somebody do something.
func (h *history) by(who Identity, what int) {
	target := h.people[h.pick(len(h.people), "target")]
	node := h.nodes[h.pick(len(h.nodes), "node")]
	at := h.nodes[h.pick(len(h.nodes), "at")]
	nonce := nonceOf(fmt.Sprint("step ", h.n))
	op := operationUnder(h.charter(), h.id, who.User, nonce)
	key, kind := who.Device, board.KindOperation
	switch what {
	case 0, 1:
		op.Kind = &weftv1.Operation_Set{Set: &weftv1.SetRole{User: target.User[:], Role: weftv1.Role(h.pick(5, "role")), Parents: h.some(target.User), Cut: h.cut(target.User), Recut: h.pick(4, "recut") == 0}}
	case 2:
		op.Kind = &weftv1.Operation_Set{Set: &weftv1.SetRole{User: who.User[:], Role: weftv1.Role_ROLE_REMOVED, Cut: h.cut(who.User)}}
	case 3:
		n := node.Public()
		op.Kind = &weftv1.Operation_Node{Node: &weftv1.SetNode{Node: n[:], Allowed: h.pick(2, "allowed") == 0, Parents: h.some(board.UserID{}), Cut: h.cut(n)}}
	case 4:
		op.Kind = &weftv1.Operation_Board{Board: &weftv1.CreateBoard{Name: "b"}}
	case 5:
		n := node.Public()
		op.Kind = &weftv1.Operation_Invite{Invite: &weftv1.Invite{Key: public(keyOf(fmt.Sprint("invite ", h.n))), Role: weftv1.Role(2 + 2*h.pick(2, "role")), Admitter: n[:], Quota: uint32(1 + h.pick(3, "quota"))}}
	case 6, 7:
		if len(h.invites) == 0 {
			return
		}
		inv := h.invites[h.pick(len(h.invites), "invite")]
		if what == 6 && h.pick(3, "withdraw") == 0 {
			op.Kind = &weftv1.Operation_Uninvite{Uninvite: &weftv1.Uninvite{Invite: inv.Hash[:], Cut: h.cut(inv.Hash)}}
			break
		}
		h.admit(inv, target, nonce, at)
		return
	case 8:
		h.charterBy(who, target, nonce, at)
		return
	case 9:
		h.restart(node)
		return
	case 10:
		h.record(at, h.objects[h.pick(len(h.objects), "again")])
		return
	case 11:
		h.fork(node)
		return
	case 12:
		h.post(who, at)
		return
	}
	o, err := build(kind, key, op)
	if err != nil {
		h.t.Fatal(err)
	}
	if op.GetInvite() != nil {
		h.invites = append(h.invites, o)
	}
	h.record(at, o)
}

func (h *history) admit(inv *Object, target Identity, nonce [16]byte, at board.Key) {
	n := inv.Op.GetInvite().Admitter
	key := keyOf("")
	for _, k := range h.nodes {
		if p := k.Public(); string(p[:]) == string(n) {
			key = k
		}
	}
	var seed board.Key
	for i := range h.n + 1 {
		if k := keyOf(fmt.Sprint("invite ", i)); string(public(k)) == string(inv.Op.GetInvite().Key) {
			seed = k
		}
	}
	op := operationUnder(board.Hash(h.id), h.id, key.Public(), nonce)
	sig := seed.SignHash(board.SignInvite, inviteHash(h.id, target.User, board.Hash(target.User), key.Public()))
	op.Kind = &weftv1.Operation_Admit{Admit: &weftv1.Admit{Invite: inv.Hash[:], User: target.User[:], UserCharter: target.User[:], InviteSignature: sig[:]}}
	o, err := build(board.KindOperation, key, op)
	if err != nil {
		h.t.Fatal(err)
	}
	if h.pick(3, "elsewhere") > 0 {
		at = key
	}
	h.record(at, o)
}

// charterBy proposes a charter and has one or two people agree.
func (h *history) charterBy(who, target Identity, nonce [16]byte, at board.Key) {
	ev := NewEvaluator(h.id)
	for _, x := range h.ledger.lines {
		x.feed(ev)
	}
	ch := Change{AddAdmins: []board.UserID{target.User}}
	switch h.pick(3, "change") {
	case 0:
		ch = Change{RemoveAdmins: []board.UserID{target.User}}
	case 1:
		ch = Change{Name: fmt.Sprint("crew ", h.n)}
	}
	cuts := map[board.UserID]*weftv1.Cut{target.User: h.cut(target.User)}
	c, err := NewCharter(ev.State(), who, ch, cuts, Role(h.pick(5, "keep")), nonce)
	if err != nil {
		return // no power, or nothing to change
	}
	h.record(at, c)
	for _, p := range []Identity{who, h.people[h.pick(len(h.people), "acks")]} {
		a, err := build(board.KindAck, p.Device, &weftv1.Ack{Charter: c.Hash[:], User: p.User[:]})
		if err != nil {
			h.t.Fatal(err)
		}
		h.record(at, a)
	}
}

func (h *history) restart(node board.Key) {
	upTo := len(h.ledger.lines)
	if h.pick(3, "an old copy") == 0 {
		upTo = h.pick(upTo+1, "how old")
	}
	h.ledger.restart(node.Public(), upTo)
}

// fork makes a node contradict itself at its last governance record, and proves it.
func (h *history) fork(node board.Key) {
	name := logName{board.GovernanceID(h.id), node.Public()}
	a := h.ledger.by[h.ledger.tips[name].Hash]
	if a == nil {
		return
	}
	h.ledger.tips[name] = a.Prev
	b := h.ledger.write(node.Public(), line{object: h.objects[h.pick(len(h.objects), "twin")]})
	if a.Seq != b.Seq || a.Epoch != b.Epoch || a.hash == b.hash {
		return
	}
	o, err := NewFork(h.id, h.nodes[0], proofOf(node, a, b), nonceOf(fmt.Sprint("fork ", h.n)))
	if err != nil {
		h.t.Fatal(err)
	}
	h.record(h.nodes[0], o)
}

func (h *history) post(who Identity, at board.Key) {
	cred := h.objects[h.pick(len(h.objects), "cred")].Hash
	for _, o := range slices.Backward(h.objects) {
		if string(o.Op.GetSet().GetUser()) == string(who.User[:]) && h.pick(3, "this one") > 0 {
			cred = o.Hash
		}
	}
	e := &board.Header{
		Team: h.id, Board: board.GeneralID(h.id), Author: who.User, Device: board.DeviceID(who.Device.Public()), DevSeq: uint64(h.n), ClientMsgID: "m",
		HLC: board.HLC(h.n), Kind: board.KindPost, Cred: cred,
	}
	h.entries = append(h.entries, e)
	h.ledger.write(at.Public(), line{entry: e})
}

// dump says in words all that a State has to say.
func dump(st *State, h *history) string {
	var b strings.Builder
	fmt.Fprintln(&b, st.Known(), st.Name(), st.UpgradeNeeded(), st.Chain(), st.Nodes(), st.Origins(), st.Boards(), st.Invites(), st.ForkProofs(), st.Proposals())
	for _, p := range h.people {
		heads, all := st.Register(p.User)
		cred, ok := st.Cred(p.User)
		r, removed := st.Removal(p.User)
		fmt.Fprintln(&b, p.Name, st.Role(p.User), st.Homes(p.User), st.Devices(p.User), heads, all, cred, ok, r, removed, st.Why(p.User), st.Proof(p.User), st.WantsAck(p), st.Dropped(p.User))
	}
	for _, n := range h.nodes {
		cuts, denied := st.Denial(n.Public())
		fmt.Fprintln(&b, denied, len(cuts), st.Forks(board.GovernanceID(h.id), n.Public()), st.NodeProof(n.Public()))
	}
	for _, o := range h.objects {
		v, ok := st.Verdict(o.Hash)
		fmt.Fprintln(&b, o.Hash, v, v.Missing, ok)
	}
	for _, e := range h.entries {
		fmt.Fprintln(&b, st.CheckEntry(e, h.ledger.under(entryID(e))), st.CheckEntry(e, nil))
	}
	return b.String()
}

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range x {
		if x[i] != y[i] {
			return fmt.Sprintf("line %d\n%s\n%s", i, x[i], y[i])
		}
	}
	return "one is longer"
}

func feedAll(t failer, ev *Evaluator, lines []*line) {
	for _, x := range lines {
		if _, err := x.feed(ev); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStateIsAFunctionOfTheSet: any order, any duplicates, evaluated after each step or once at the end; and what changed
// says so.
func TestStateIsAFunctionOfTheSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			h.step()
		}
		scratch := NewEvaluator(h.id)
		feedAll(t, scratch, h.ledger.lines)
		want := dump(scratch.State(), h)

		again := slices.Concat(h.ledger.lines, h.ledger.lines[:rapid.IntRange(0, len(h.ledger.lines)).Draw(t, "twice")])
		ev := NewEvaluator(h.id)
		for _, x := range rapid.Permutation(again).Draw(t, "order") {
			was := ev.State()
			changed, err := x.feed(ev)
			if err != nil {
				t.Fatal(err)
			}
			if is := ev.State(); !changed && is != was {
				t.Fatal("another state, though nothing changed")
			}
		}
		if got := dump(ev.State(), h); got != want {
			t.Fatal("another state by another order:", firstDifference(got, want))
		}
	})
}

// TestSnapshotsStay: a State says the same however much is added after it.
func TestSnapshotsStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		ev := NewEvaluator(h.id)
		fed := 0
		var states []*State
		var said []string
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			h.step()
			feedAll(t, ev, h.ledger.lines[fed:])
			fed = len(h.ledger.lines)
			states, said = append(states, ev.State()), append(said, ev.State().summary())
		}
		for i, st := range states {
			if st.summary() != said[i] {
				t.Fatal("a snapshot changed")
			}
		}
	})
}

// summary is what a snapshot says without being asked about anything that came later.
func (s *State) summary() string {
	return fmt.Sprint(s.Chain(), s.Nodes(), s.Origins(), s.Boards(), s.Invites(), s.Members(), s.Outsiders(), s.Log(), s.Requests(), s.Proposals(), s.ForkProofs())
}
