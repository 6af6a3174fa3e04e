package team

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// event is something that an Evaluator is told: an object, or that an epoch was sealed.
type event struct {
	object *Object
	node   board.NodeID
	seal   board.Link
}

func (e event) tell(ev *Evaluator) {
	if e.object == nil {
		ev.AddRecord(board.Position{Board: board.GovernanceID(ev.id), Node: e.node, Epoch: board.Epoch{N: 9}, Seq: 1}, e.seal)
	} else if _, err := ev.Add(e.object); err != nil {
		panic(err)
	}
}

// history is a random set of events around one team: honest ones, powerless ones, half of them in the wrong order.
type history struct {
	t       *rapid.T
	c       *crew
	people  []Identity
	nodes   []string
	refs    []board.Hash // invites, boards and other things to name
	invites []*Object
	keys    map[board.Hash]string
	genesis *Object
	events  []event
}

func drawHistory(t *rapid.T) *history {
	h := &history{t: t, nodes: []string{"home-of-ana", "home-of-ben", "n"}, keys: map[board.Hash]string{}}
	for _, n := range []string{"ben", "cy", "dee", "eve"} {
		h.people = append(h.people, person(t, n))
	}
	h.c = newCrew(t, h.people[0].User)
	h.people = append(h.people, h.c.owner)
	h.genesis = h.c.objects[0]
	for _, o := range h.c.objects {
		h.events = append(h.events, event{object: o})
	}
	h.refs = []board.Hash{board.Hash(h.c.id), board.Hash(seedOf("nowhere"))}
	n := rapid.IntRange(1, 40).Draw(t, "events")
	for range n {
		h.step()
	}
	return h
}

func (h *history) pick(of int, what string) int { return rapid.IntRange(0, of-1).Draw(h.t, what) }

// teamID is nearly always the team's.
func (h *history) teamID() board.TeamID {
	if h.pick(25, "team") == 0 {
		return board.TeamID(seedOf("elsewhere"))
	}
	return h.c.id
}

func (h *history) put(o *Object, err error) *Object {
	if err != nil {
		panic(err)
	}
	for range h.pick(3, "records") {
		n := nodeOf(h.nodes[h.pick(len(h.nodes), "at")])
		o.Records = append(o.Records, h.c.at(n, uint64(1+h.pick(2, "epoch")), uint64(1+h.pick(12, "seq"))))
	}
	if len(o.Records) > 0 && h.pick(2, "records come later") == 0 {
		bare := *o
		bare.Records = nil
		h.events = append(h.events, event{object: &bare})
	}
	h.events = append(h.events, event{object: o})
	h.refs = append(h.refs, o.Hash)
	return o
}

func (h *history) op(author []byte) *weftv1.Operation {
	t, nonce := h.teamID(), h.c.nonce()
	charter := board.Hash(t)
	if h.pick(20, "charter") == 0 {
		charter = h.refs[h.pick(len(h.refs), "ref")]
	}
	return &weftv1.Operation{Team: t[:], Author: author, Charter: charter[:], Nonce: nonce[:]}
}

func (h *history) step() {
	who := h.people[h.pick(len(h.people), "who")]
	key := who.Device
	if h.pick(12, "forged") == 0 {
		key = h.people[h.pick(len(h.people), "forger")].Device
	}
	switch h.pick(14, "step") {
	case 0:
		h.put(NewPresent(h.c.id, who))
	case 1:
		op := h.op(who.User[:])
		op.Kind = &weftv1.Operation_Board{Board: &weftv1.CreateBoard{Name: "b", WriteRole: []uint32{0, 4, 5}[h.pick(3, "write")]}}
		h.put(build(board.KindOperation, key, op))
	case 2, 3:
		if h.pick(4, "by someone with power") > 0 {
			who = h.people[4*h.pick(2, "ana or ben")]
			key = who.Device
		}
		name := fmt.Sprint("invite ", len(h.events))
		op := h.op(who.User[:])
		n := nodeOf(h.nodes[h.pick(len(h.nodes), "admitter")])
		role := []weftv1.Role{weftv1.Role_ROLE_READER, weftv1.Role_ROLE_MEMBER, weftv1.Role_ROLE_MEMBER}[h.pick(3, "role")]
		op.Kind = &weftv1.Operation_Invite{Invite: &weftv1.Invite{
			Key: public(keyOf(name)), Role: role, Admitter: n[:], Quota: uint32(1 + h.pick(3, "quota")),
		}}
		o := h.put(build(board.KindOperation, key, op))
		h.keys[o.Hash] = name
		h.invites = append(h.invites, o)
	case 4, 5:
		h.odd(who, key)
	default:
		invite := h.refs[h.pick(len(h.refs), "ref")]
		node := h.nodes[h.pick(len(h.nodes), "by")]
		if len(h.invites) > 0 && h.pick(10, "a real invite") > 0 {
			o := h.invites[h.pick(len(h.invites), "invite")]
			invite = o.Hash
			for _, n := range h.nodes {
				if h.pick(12, "right admitter") > 0 && bytes.Equal(o.Op.GetInvite().Admitter, public(keyOf(n))) {
					node = n
				}
			}
		}
		if h.pick(15, "wrong key") == 0 {
			delete(h.keys, invite)
		}
		op := h.op(public(keyOf(node)))
		shown := who.User
		sig := keyOf(h.keys[invite]).SignHash(board.SignInvite, inviteHash(board.TeamID(op.Team), who.User, board.Hash(shown), nodeOf(node)))
		op.Kind = &weftv1.Operation_Admit{Admit: &weftv1.Admit{Invite: invite[:], User: who.User[:], UserCharter: shown[:], InviteSignature: sig[:]}}
		h.put(build(board.KindOperation, keyOf(node), op))
	}
}

// odd adds what is not evaluated here, or a seal.
func (h *history) odd(who Identity, key board.Key) {
	switch h.pick(3, "odd") {
	case 0:
		op := h.op(who.User[:])
		op.Kind = &weftv1.Operation_Set{Set: &weftv1.SetRole{User: who.User[:], Role: weftv1.Role_ROLE_BANNED}}
		h.put(build(board.KindOperation, key, op))
	case 1:
		n := nodeOf(h.nodes[h.pick(len(h.nodes), "sealed")])
		h.events = append(h.events, event{node: n, seal: board.Link{Epoch: board.Epoch{N: 1, R: 7}, Seq: uint64(1 + h.pick(12, "seal"))}})
	case 2:
		m := &weftv1.TeamCharter{Team: h.c.id[:], Ver: 2, Prev: h.c.id[:], Rules: 1, Owners: [][]byte{who.User[:]}, Nonce: make([]byte, 16), Name: "mine"}
		h.put(build(board.KindCharter, key, m))
	}
}

// dump writes all that a State says, for comparison.
func dump(st *State, h *history) string {
	var b strings.Builder
	fmt.Fprintln(&b, st.Known(), st.Name(), st.UpgradeNeeded())
	fmt.Fprintln(&b, st.Members(), st.Nodes(), st.Boards(), st.Invites())
	for _, e := range h.events {
		if e.object == nil {
			continue
		}
		v, ok := st.Verdict(e.object.Hash)
		fmt.Fprintln(&b, e.object.Hash, v, v.Missing, ok)
		for _, p := range h.people {
			for _, on := range []board.ID{board.GeneralID(h.c.id), board.OperationBoardID(e.object.Raw)} {
				hd := &board.Header{Team: h.c.id, Board: on, Author: p.User, Device: board.DeviceID(p.Device.Public()), Cred: e.object.Hash, Kind: board.KindPost}
				fmt.Fprintln(&b, st.CheckEntry(hd, nil), st.CanWrite(p.User, on))
			}
		}
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

// TestStateIsAFunctionOfTheSet: any order, any duplicates, evaluated after each step or once at the end.
func TestStateIsAFunctionOfTheSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t)
		all := NewEvaluator(h.c.id)
		for _, e := range h.events {
			e.tell(all)
		}
		want := dump(all.State(), h)

		again := slices.Concat(h.events, h.events[:rapid.IntRange(0, len(h.events)).Draw(t, "twice")])
		ev := NewEvaluator(h.c.id)
		for _, e := range rapid.Permutation(again).Draw(t, "order") {
			e.tell(ev)
			if rapid.Bool().Draw(t, "look") {
				ev.State()
			}
		}
		if got := dump(ev.State(), h); got != want {
			t.Fatal("another state by another order:", firstDifference(got, want))
		}
		if st := ev.State(); st != ev.State() {
			t.Fatal("a new state though nothing changed")
		}
	})
}

// TestSnapshotsStay: a State says the same however much is added after it.
func TestSnapshotsStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t)
		ev := NewEvaluator(h.c.id)
		var states []*State
		var said []string
		for _, e := range h.events {
			e.tell(ev)
			states, said = append(states, ev.State()), append(said, dump(ev.State(), h))
		}
		for i, st := range states {
			if dump(st, h) != said[i] {
				t.Fatal("a snapshot changed")
			}
		}
	})
}

// TestPowerless: objects that nobody with power made change no role and no board; an admission needs an invite that
// counts, its admitter, its key and room (a plain reading of trust §6, over the objects alone).
func TestPowerless(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t)
		ev := NewEvaluator(h.c.id)
		for _, e := range h.events {
			e.tell(ev)
		}
		st := ev.State()
		p := plain(h)
		for _, id := range h.people {
			if got, want := st.Role(id.User), p.role(id.User); got != want {
				t.Fatalf("%s is %v, want %v", id.Name, got, want)
			}
		}
		if got, want := len(st.Boards()), 1+len(p.boards); got != want {
			t.Fatalf("%d boards, want %d", got, want)
		}
	})
}

// naive evaluates a history as trust.md puts it, without any index or increment.
type naive struct {
	h      *history
	objs   map[board.Hash]*Object
	at     map[board.Hash][]board.Position
	boards []board.Hash
	grants map[board.UserID][]Role
}

func plain(h *history) *naive {
	n := &naive{h: h, objs: map[board.Hash]*Object{}, at: map[board.Hash][]board.Position{}, grants: map[board.UserID][]Role{}}
	for _, e := range h.events {
		if e.object != nil {
			n.objs[e.object.Hash] = e.object
			n.at[e.object.Hash] = append(n.at[e.object.Hash], e.object.Records...)
		}
	}
	for k, o := range n.objs {
		switch {
		case o.Op.GetBoard() != nil && n.byPower(o):
			n.boards = append(n.boards, k)
		case o.Op.GetInvite() != nil && n.byPower(o):
			n.admissions(k, o.Op.GetInvite())
		}
	}
	return n
}

// byPower: team and charter are the team's, the author is ana or ben, presented, and signed with the own device.
func (n *naive) byPower(o *Object) bool {
	team := string(n.h.c.id[:])
	if string(o.Op.Team) != team || string(o.Op.Charter) != team {
		return false
	}
	for _, id := range []Identity{n.h.c.owner, n.h.people[0]} {
		if string(o.Op.Author) == string(id.User[:]) && o.Key == id.Device.Public() {
			for _, p := range n.objs {
				if p.Op.GetPresent() != nil && string(p.Op.Author) == string(id.User[:]) && string(p.Op.Team) == team {
					return true
				}
			}
		}
	}
	return false
}

func (n *naive) admissions(invite board.Hash, i *weftv1.Invite) {
	type row struct {
		hash board.Hash
		user board.UserID
		at   *board.Position
	}
	var rows []row
	for k, o := range n.objs {
		a := o.Op.GetAdmit()
		if a == nil || board.Hash(a.Invite) != invite || !bytes.Equal(o.Op.Author, i.Admitter) || board.TeamID(o.Op.Team) != n.h.c.id ||
			board.TeamID(o.Op.Charter) != n.h.c.id {
			continue
		}
		h := inviteHash(n.h.c.id, board.UserID(a.User), board.Hash(a.UserCharter), board.NodeID(i.Admitter))
		if !board.VerifyHash([32]byte(i.Key), board.SignInvite, h, a.InviteSignature) {
			continue
		}
		r := row{hash: k, user: board.UserID(a.User)}
		for _, p := range n.at[k] {
			if bytes.Equal(p.Node[:], i.Admitter) && n.counts(p) && (r.at == nil || p.Epoch.N < r.at.Epoch.N || p.Epoch.N == r.at.Epoch.N && p.Seq < r.at.Seq) {
				r.at = &p
			}
		}
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b row) int {
		switch {
		case a.at != nil && b.at == nil:
			return -1
		case a.at == nil && b.at != nil:
			return 1
		case a.at != nil:
			if c := cmp.Or(cmp.Compare(a.at.Epoch.N, b.at.Epoch.N), cmp.Compare(a.at.Seq, b.at.Seq)); c != 0 {
				return c
			}
		}
		return bytes.Compare(a.hash[:], b.hash[:])
	})
	in := map[board.UserID]bool{}
	for _, r := range rows {
		if !in[r.user] && len(in) == int(i.Quota) {
			continue
		}
		in[r.user] = true
		n.grants[r.user] = append(n.grants[r.user], Role(i.Role))
	}
}

func (n *naive) counts(p board.Position) bool {
	sealed := uint64(0)
	for _, e := range n.h.events {
		if e.object == nil && e.node == p.Node && e.seal.Epoch == p.Epoch {
			sealed = max(sealed, e.seal.Seq)
		}
	}
	return sealed == 0 || p.Seq <= sealed
}

func (n *naive) role(u board.UserID) Role {
	switch u {
	case n.h.c.owner.User:
		return Owner
	case n.h.people[0].User:
		return Admin
	}
	if len(n.grants[u]) == 0 {
		return None
	}
	return slices.Min(n.grants[u])
}
