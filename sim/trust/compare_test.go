package trust

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"weft/board"
	"weft/team"

	weftv1 "weft/api/weft/v1"
)

// feed tells an evaluator of a record, as a store does.
func feed(e *team.Evaluator, h *Held) {
	if h.Record.Board != board.GovernanceID(h.Entry.Header.Team) {
		return
	}
	e.AddRecord(h.Record.Position(), h.Record.Prev)
	if h.Object != nil {
		o := *h.Object
		o.Records = []board.Position{h.Record.Position()}
		if _, err := e.Add(&o); err != nil {
			panic(err)
		}
	}
}

// comparison of what the two evaluations say of one set of records.
type comparison struct {
	w     *world
	want  *State
	got   *team.State
	cuts  map[*team.Cut]*weftv1.Cut
	diffs []string
}

// compare says in words where they differ.
func (w *world) compare(want *State, got *team.State) []string {
	c := &comparison{w, want, got, map[*team.Cut]*weftv1.Cut{}, nil}
	c.equal("chain", w.chainText(want.Chain), w.chainText(got.Chain()))
	c.equal("upgrade needed", want.Upgrade, got.UpgradeNeeded())
	for _, h := range slices.SortedFunc(maps.Keys(want.Objects), func(a, b board.Hash) int { return bytes.Compare(a[:], b[:]) }) {
		v, here := got.Verdict(h)
		if s := statusOf(v); !here || s != want.Objects[h].Status && !(want.Objects[h].Rule == "upgrade" && s != Valid) {
			c.diffs = append(c.diffs, fmt.Sprintf("%s is %v (%s), evaluator: %v %s %s", w.nameOf(h[:]), want.Objects[h].Status, want.Objects[h].Rule, s, v.Rule, v.Reason))
		}
	}
	for _, a := range w.people {
		c.user(a)
	}
	if len(want.Chain) > 0 && !(want.Upgrade && len(want.Chain) == 1) {
		c.nodes()
	}
	c.records()
	return c.diffs
}

func (c *comparison) equal(what string, want, got any) {
	if fmt.Sprint(want) != fmt.Sprint(got) {
		c.diffs = append(c.diffs, fmt.Sprintf("%s: %v, evaluator: %v", what, want, got))
	}
}

func statusOf(v team.Verdict) Status {
	return map[team.Status]Status{team.Valid: Valid, team.Pending: Pending, team.Void: Void, team.Unevaluated: Unknown}[v.Status]
}

func (w *world) chainText(chain []board.Hash) (s []string) {
	for _, h := range chain {
		s = append(s, w.nameOf(h[:]))
	}
	return s
}

func (c *comparison) user(a *actor) {
	if len(c.want.Chain) == 0 || c.want.Upgrade && len(c.want.Chain) == 1 {
		return
	}
	role, has := c.want.Roles[a.id]
	if !has {
		role = team.None
	}
	c.equal("role of "+a.name, role, c.got.Role(a.id))
	c.equal("devices of "+a.name, len(c.want.Devices[a.id]), len(c.got.Devices(a.id)))
	for i, d := range c.got.Devices(a.id) {
		if i < len(c.want.Devices[a.id]) {
			c.equal("device of "+a.name, c.w.device(c.want.Devices[a.id][i][:]), c.w.device(d[:]))
		}
	}
	register := c.want.e.register[a.id]
	hs, all := c.got.Register(a.id)
	c.equal("register of "+a.name, c.grants(register), c.hashes(c.unpowered(all)))
	c.equal("heads of "+a.name, c.grants(heads(register, Met{})), c.hashes(c.unpowered(hs)))
	c.cred(a, register)
}

// cred that the evaluator would have a person name: a new entry with it must be valid; and there is none only if none is.
func (c *comparison) cred(a *actor, register []grant) {
	h := &board.Header{Team: c.w.team, Board: board.GeneralID(c.w.team), Author: a.id, DevSeq: 1, Kind: board.KindPost}
	if p := c.want.e.person(a.id); p.head() != nil {
		h.Device = board.DeviceID(p.head().Keys[0])
	}
	might := func(cred board.Hash) Verdict { h.Cred = cred; return c.want.Entry(h, board.Hash{}) }
	if cred, ok := c.got.Cred(a.id); ok {
		if v := might(cred); v.Status == Void {
			c.diffs = append(c.diffs, fmt.Sprintf("evaluator has %s name %s, which is %v", a.name, c.w.nameOf(cred[:]), v))
		}
		return
	}
	for _, x := range append(slices.Clone(c.want.Chain), hashesOf(register)...) {
		_, closed := c.got.Closed()
		if v := might(x); v == valid && !closed {
			c.diffs = append(c.diffs, fmt.Sprintf("evaluator has no right for %s, who may name %s", a.name, c.w.nameOf(x[:])))
		}
	}
}

// unpowered leaves out charters that are named for the power that they give: those are no part of the register.
func (c *comparison) unpowered(l []board.Hash) []board.Hash {
	return slices.DeleteFunc(slices.Clone(l), func(h board.Hash) bool {
		return c.want.e.at(h) == 0 || c.want.e.at(h) > 0 && c.want.e.charters[h].Cuts == nil
	})
}

func hashesOf(l []grant) (out []board.Hash) {
	for _, g := range l {
		out = append(out, g.hash)
	}
	return out
}

func (c *comparison) grants(l []grant) []string { return c.hashes(hashesOf(l)) }

func (c *comparison) hashes(l []board.Hash) (s []string) {
	for _, h := range l {
		s = append(s, c.w.nameOf(h[:]))
	}
	slices.Sort(s)
	return s
}

func (c *comparison) nodes() {
	text := func(l []board.NodeID) (s []string) {
		for _, n := range l {
			s = append(s, c.w.device(n[:]))
		}
		return s
	}
	c.equal("nodes", text(c.want.Nodes), text(c.got.Nodes()))
	for _, r := range c.w.replicas {
		_, denied := c.got.Denial(r.node)
		c.equal(r.name+" is denied", len(c.want.e.denials(r.node)) > 0, denied)
		c.equal(r.name+" is of the team", slices.Contains(c.want.Nodes, r.node), c.got.IsNode(r.node))
	}
	for h, n := range c.want.Used {
		i, ok := c.got.Invite(h)
		c.equal("uses of "+c.w.nameOf(h[:]), fmt.Sprint(n, true), fmt.Sprint(i.Used, ok))
	}
}

// under is what a store answers.
func (c *comparison) under(i item) func(*team.Cut) bool {
	return func(cut *team.Cut) bool { return c.want.e.under(i, c.proto(cut)) }
}

func (c *comparison) proto(cut *team.Cut) *weftv1.Cut {
	if c.cuts[cut] == nil {
		c.cuts[cut] = cut.Proto()
	}
	return c.cuts[cut]
}

// records and entries of message boards as a store would judge them, which knows the seals itself.
func (c *comparison) records() {
	e := c.want.e
	known := map[board.Hash]bool{}
	var counts func(h *Held) bool
	counts = func(h *Held) bool {
		if v, ok := known[h.Hash]; ok {
			return v
		}
		v := c.unfaulted(h)
		sealed, below := false, false
		for _, at := range e.held {
			for _, s := range e.seals[at.Hash] {
				if v && at.stretch() == h.stretch() && counts(s) {
					sealed, below = true, below || e.below(h, at)
				}
			}
		}
		known[h.Hash] = v && (below || !sealed)
		return known[h.Hash]
	}
	judged := map[board.Hash]bool{}
	for _, h := range c.w.all {
		if e.held[h.Hash] == nil {
			continue
		}
		if want, ok := c.want.Counting[h.Hash]; ok {
			c.equal(c.w.place[h.Hash]+" counts", want, counts(h))
		}
		if bytes.Equal(h.Record.Board[:], c.w.governance()) || judged[h.Entry.ID] {
			continue
		}
		judged[h.Entry.ID] = true
		want, got := c.want.Entry(&h.Entry.Header, h.Entry.ID), c.got.CheckEntry(&h.Entry.Header, c.under(item{hash: h.Entry.ID}))
		if (len(c.want.Chain) == 0 || c.want.Upgrade) && want.Status != Valid && got.Status != team.Valid {
			continue // while nothing is judged it doesn't matter what is found out first
		}
		if statusOf(got) != want.Status {
			c.diffs = append(c.diffs, fmt.Sprintf("%s is %v, evaluator: %v %s %s", c.w.nameOf(h.Entry.ID[:]), want, statusOf(got), got.Rule, got.Reason))
		}
	}
}

// unfaulted says whether a record counts as far as governance says: no denial, no fork.
func (c *comparison) unfaulted(h *Held) bool {
	cuts, _ := c.got.Denial(h.Record.Node)
	for _, cut := range cuts {
		if !c.want.e.within(h, c.proto(cut)) {
			return false
		}
	}
	for x := h; x != nil; x = c.want.e.held[x.Record.Prev.Hash] {
		for _, p := range c.got.Forks(x.Record.Board, x.Record.Node) {
			if p.Epoch == x.Record.Epoch && x.Record.Seq >= p.Seq {
				return false
			}
		}
	}
	return true
}
