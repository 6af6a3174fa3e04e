package trust

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"weft/board"
	"weft/team"

	weftv1 "weft/api/weft/v1"
)

// best of the verdicts that an operation has by each of its signers.
func (e *evaluation) best(o *operation) (best Verdict) {
	for n, k := range o.signers {
		v := e.judge(o, item{o.hash, k})
		if n > 0 && v.Status != best.Status {
			e.met.mark("signers of one object differ")
		}
		if n == 0 || v.better(best) {
			best = v
		}
	}
	return best
}

// judge says which operation counts (trust §6), admissions apart.
func (e *evaluation) judge(o *operation, i item) Verdict {
	if !bytes.Equal(o.Team, e.team[:]) {
		return void("team")
	}
	author := board.UserID(o.Author)
	switch {
	case o.GetPresent() != nil:
		return e.person(author).counts(e.logs, i.signer, i)
	case o.GetFork() != nil:
		if _, ok := forked(o.GetFork()); !ok {
			return void("no fork")
		}
		return valid
	case o.Kind == nil:
		return Verdict{Unknown, "kind"}
	}
	c := e.charters[board.Hash(o.Charter)]
	if c == nil {
		return e.missing(board.Hash(o.Charter), "charter")
	}
	if !e.hangs(c) {
		return pending("charter's parents")
	}
	at := e.at(c.hash)
	if at < 0 && slices.Contains(e.st.Chain, c.hash) {
		return pending("upgrade")
	} else if at < 0 {
		return void("charter not canonical")
	}
	set := o.GetSet()
	if set != nil && c.power(board.UserID(set.User)) {
		return void("target has power")
	}
	if g := board.GovernanceID(e.team); bytes.Equal(o.GetFloor().GetPosition().GetBoard(), g[:]) {
		return void("governance is never pruned")
	}
	if f := o.GetFloor(); f != nil && bytes.Equal(f.GetPosition().GetNode(), i.signer[:]) && bytes.Equal(o.Author, i.signer[:]) {
		return valid
	}
	if o.leaves() || o.GetRequest() != nil {
		return e.person(author).counts(e.logs, i.signer, i)
	}
	if !c.power(author) {
		return void("no power")
	}
	d := e.loss(author, at)
	if d == nil {
		return e.person(author).counts(e.logs, i.signer, i)
	}
	if !e.under(i, d.cutOf(author).GetCut()) {
		return void("after loss of power")
	}
	v := e.personUnder(author, d).counts(e.logs, i.signer, i)
	if v.Status != e.person(author).counts(e.logs, i.signer, i).Status {
		e.met.mark("presents under the cut judge otherwise than all")
	}
	return v
}

// leaves says whether an operation is its author's own leave.
func (o *operation) leaves() bool {
	s := o.GetSet()
	return s != nil && bytes.Equal(s.User, o.Author) && team.Role(s.Role) == team.Removed
}

// place where two contents of one log part.
type place struct {
	board board.ID
	board.Origin
	seq   uint64
	below *weftv1.Cut // what stands below both
}

// forked reads a proof: two records of one (board, node, epoch, seq), each at or below a head that the node signed.
func forked(f *weftv1.ForkProof) (place, bool) {
	a, b := f.RecordA, f.RecordB
	if len(a) != 168 || len(b) != 168 || !bytes.Equal(a[:72], b[:72]) || bytes.Equal(a, b) {
		return place{}, false
	}
	n := binary.BigEndian.Uint64
	at := place{board.ID(a[:16]), board.Origin{Node: board.NodeID(a[16:48]), Epoch: board.Epoch{N: n(a[48:]), R: n(a[56:])}}, n(a[64:]), &weftv1.Cut{}}
	for _, r := range [][]byte{a, b} {
		if prev := r[72:128]; n(prev[16:]) > 0 {
			at.below.Positions = append(at.below.Positions, &weftv1.Position{Board: a[:16], Node: a[16:48], Epoch: n(prev), EpochRandom: n(prev[8:]), Seq: n(prev[16:]), Hash: prev[24:]})
		}
	}
	good := at.Epoch.N > 0 && at.seq > 0 && at.seq <= board.MaxSeq && signedChain(a, f.RestA, f.HeadSignatureA) && signedChain(b, f.RestB, f.HeadSignatureB)
	return at, good
}

// signedChain follows a record to the end of the rest and checks the head there.
func signedChain(record, rest, signature []byte) bool {
	if len(rest)%40 != 0 || len(rest) > 40*board.MaxForkRest {
		return false
	}
	for ; len(rest) > 0; rest = rest[40:] {
		h := sha256.Sum256(record)
		next := append([]byte{}, record[:64]...)
		next = binary.BigEndian.AppendUint64(next, binary.BigEndian.Uint64(record[64:])+1)
		next = append(append(next, record[48:72]...), h[:]...)
		record = append(next, rest[:40]...)
	}
	h := sha256.Sum256(record)
	return board.Verify([32]byte(record[16:48]), "head", append(append([]byte{}, record[:72]...), h[:]...), signature)
}
