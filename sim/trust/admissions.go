package trust

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"

	"weft/board"
	"weft/team"
)

// admission is an admission that would count, were there no quota.
type admission struct {
	*operation
	own *Held // its first counting record in the admitter's own log; nil: none
}

// admissions judges them all, and gives the admitted their role.
func (e *evaluation) admissions() {
	by := map[board.Hash][]admission{}
	for _, o := range sorted(e.ops) {
		if o.GetAdmit() == nil {
			continue
		}
		v := e.admit(o)
		if v == valid {
			invite := board.Hash(o.GetAdmit().Invite)
			by[invite] = append(by[invite], admission{o, e.ownRecord(o)})
		}
		e.st.Objects[o.hash] = v
	}
	for h, o := range e.ops {
		if o.GetInvite() != nil && e.st.Objects[h] == valid {
			e.st.Used[h] = 0
		}
	}
	for invite, list := range by {
		slices.SortFunc(list, compareAdmissions)
		in, quota := map[board.UserID]bool{}, int(e.ops[invite].GetInvite().Quota)
		for _, a := range list {
			u := board.UserID(a.GetAdmit().User)
			if !in[u] && len(in) >= quota {
				e.st.Objects[a.hash] = void("quota")
				continue
			}
			if in[u] {
				e.met.mark("admitted twice by one invite")
			}
			in[u] = true
			e.register[u] = append(e.register[u], grant{hash: a.hash, role: team.Role(e.ops[invite].GetInvite().Role)})
		}
		e.st.Used[invite] = len(in)
	}
}

// compareAdmissions: by the place in the admitter's own log those that have one, then the others by hash.
func compareAdmissions(a, b admission) int {
	switch {
	case a.own != nil && b.own == nil:
		return -1
	case a.own == nil && b.own != nil:
		return 1
	case a.own != nil:
		return comparePlaces(a.own, b.own)
	}
	return bytes.Compare(a.hash[:], b.hash[:])
}

func comparePlaces(a, b *Held) int {
	return cmp.Or(cmp.Compare(a.Record.Epoch.N, b.Record.Epoch.N), cmp.Compare(a.Record.Epoch.R, b.Record.Epoch.R), cmp.Compare(a.Record.Seq, b.Record.Seq))
}

// ownRecord is the first counting record of an admission in the log of its admitter.
func (e *evaluation) ownRecord(o *operation) (first *Held) {
	for _, h := range e.records(o) {
		if bytes.Equal(h.Record.Node[:], o.Author) && e.st.Counting[h.Hash] && (first == nil || comparePlaces(h, first) < 0) {
			first = h
		}
	}
	return first
}

// records that carry an operation, by whomever it is signed.
func (e *evaluation) records(o *operation) (out []*Held) {
	for _, k := range o.signers {
		out = append(out, e.items[item{o.hash, k}]...)
	}
	return out
}

// admit judges an admission but for the quota.
func (e *evaluation) admit(o *operation) Verdict {
	a := o.GetAdmit()
	if !bytes.Equal(o.Team, e.team[:]) {
		return void("team")
	}
	i := item{o.hash, o.signers[0]}
	invite := e.ops[board.Hash(a.Invite)]
	c := e.charters[board.Hash(o.Charter)]
	switch {
	case c == nil:
		return e.missing(board.Hash(o.Charter), "charter")
	case !e.hangs(c):
		return pending("charter's parents")
	case e.at(c.hash) < 0 && slices.Contains(e.st.Chain, c.hash):
		return pending("upgrade")
	case e.at(c.hash) < 0:
		return void("charter not canonical")
	case invite == nil:
		return e.missing(board.Hash(a.Invite), "invite")
	case invite.GetInvite() == nil:
		return void("what it names is no invite")
	case e.st.Objects[invite.hash].Status == Pending:
		return pending("invite pending")
	case e.st.Objects[invite.hash] != valid:
		return void("invite void")
	case !bytes.Equal(invite.GetInvite().Admitter, o.Author) || !bytes.Equal(o.Author, i.signer[:]):
		return void("not the admitter")
	}
	proof := sha256.Sum256(slices.Concat(o.Team, a.User, a.UserCharter, o.Author))
	if !board.VerifyHash(key(invite.GetInvite().Key), board.SignInvite, proof, a.InviteSignature) {
		return void("invite proof")
	}
	for _, x := range e.ops {
		if u := x.GetUninvite(); u != nil && bytes.Equal(u.Invite, a.Invite) && e.st.Objects[x.hash] == valid && !e.under(i, u.Cut) {
			return void("uninvited")
		}
	}
	inviter := board.UserID(invite.Author)
	for n, d := range e.chain[e.at(board.Hash(invite.Charter))+1:] {
		if d.takes(inviter) && !e.under(i, d.cutOf(inviter).Cut) {
			if d != e.loss(inviter, e.at(board.Hash(invite.Charter))) && n > 0 {
				e.met.mark("inviter lost power again")
			}
			return void("inviter lost power")
		}
	}
	for _, g := range e.denials(board.NodeID(o.Author)) {
		switch ours := g.fork != nil && g.fork.board == board.GovernanceID(e.team); {
		case g.fork == nil && !e.under(i, g.cut):
			return void("admitter denied")
		case ours && !e.under(i, g.cut):
			return void("admitter forked")
		}
	}
	return valid
}
