package team

import (
	"bytes"
	"math"
	"slices"

	"weft/board"
)

// userCharter is one version of a person's identity: keys[0] is the recovery key, then devices by seniority. Immutable,
// except that a user gathers the signers of one charter.
type userCharter struct {
	hash    board.Hash
	prev    board.Hash
	user    board.UserID
	ver     uint64
	name    string
	keys    [][32]byte
	homes   []board.NodeID
	signers [][32]byte
}

func (c *userCharter) has(key [32]byte) bool { return slices.Contains(c.keys, key) }

// user is a person as all presents of them in the team show them.
type user struct {
	id       board.UserID
	charters []*userCharter // by parent, then by hash
	accepted []board.NodeID
	presents []*item
	ops      []*item // boards and invites by this user
	again    bool    // charters or homes came: all of it is to be looked at
	fresh    []*item // else: only these are

	head   *userCharter // of the canonical chain; nil while the genesis is not here
	ever   [][32]byte   // every key of any well-formed charter, canonical or not
	grants []credential // by hash
	power  Role         // Owner or Admin by the team's charter, or None
	served []board.NodeID
}

// credential is a right to write, and the role that it gives.
type credential struct {
	hash board.Hash
	role Role
}

func compareCredential(c credential, h board.Hash) int { return bytes.Compare(c.hash[:], h[:]) }

// grant adds a credential, or takes it away where the role is None.
func (u *user) grant(h board.Hash, r Role) {
	switch i, held := slices.BinarySearchFunc(u.grants, h, compareCredential); {
	case held && r == None:
		u.grants = slices.Delete(u.grants, i, i+1)
	case !held && r != None:
		u.grants = slices.Insert(u.grants, i, credential{h, r})
	}
}

// show takes a present's charters and acceptances.
func (u *user) show(p *presented) {
	for _, c := range p.charters {
		i, held := slices.BinarySearchFunc(u.charters, c, compareCharters)
		if !held {
			own := *c
			own.signers = slices.Clone(c.signers)
			u.charters = slices.Insert(u.charters, i, &own)
			u.again = true
		}
		for _, s := range c.signers {
			if own := u.charters[i]; !slices.Contains(own.signers, s) {
				own.signers, u.again = append(own.signers, s), true
			}
		}
	}
	for _, n := range p.accepted {
		if !slices.Contains(u.accepted, n) {
			u.accepted, u.again = append(u.accepted, n), true
		}
	}
}

func compareCharters(a, b *userCharter) int {
	if c := bytes.Compare(a.prev[:], b.prev[:]); c != 0 {
		return c
	}
	return bytes.Compare(a.hash[:], b.hash[:])
}

// children of a charter, in order of hash.
func (u *user) children(of board.Hash) []*userCharter {
	from, _ := slices.BinarySearchFunc(u.charters, &userCharter{prev: of}, compareCharters)
	to := from
	for to < len(u.charters) && u.charters[to].prev == of {
		to++
	}
	return u.charters[from:to]
}

// choose finds the canonical chain: from genesis on, among valid children wins the one in whose subtree the most senior
// key of the parent signed, ties to the lowest hash (trust §4).
func (u *user) choose() {
	u.head, u.ever = nil, nil
	for _, c := range u.children(board.Hash{}) {
		if c.ver == 1 && c.hash == board.Hash(u.id) {
			u.head, _ = u.walk(c, nil)
		}
	}
}

// walk returns the head of the best chain from p on, and who signed in p's subtree. gone are keys removed above p.
func (u *user) walk(p *userCharter, gone [][32]byte) (head *userCharter, signed map[[32]byte]bool) {
	for _, k := range p.keys {
		if !slices.Contains(u.ever, k) {
			u.ever = append(u.ever, k)
		}
	}
	head, signed = p, map[[32]byte]bool{}
	best := math.MaxInt
	for _, c := range u.children(p.hash) {
		by := u.signersOf(p, c, gone)
		if len(by) == 0 {
			continue
		}
		lost := gone
		for _, k := range p.keys {
			if !c.has(k) {
				lost = append(slices.Clip(lost), k)
			}
		}
		end, below := u.walk(c, lost)
		for _, k := range by {
			below[k] = true
		}
		for i, k := range p.keys {
			if below[k] && i < best {
				best, head = i, end
			}
		}
		for k := range below {
			signed[k] = true
		}
	}
	return head, signed
}

// signersOf are the keys of p whose signature makes c a child of p: it keeps that key and all before it in their place,
// and brings back no key that was removed.
func (u *user) signersOf(p, c *userCharter, gone [][32]byte) (by [][32]byte) {
	if c.ver != p.ver+1 {
		return nil
	}
	for _, k := range c.keys {
		if slices.Contains(gone, k) {
			return nil
		}
	}
	for i, k := range p.keys {
		if i >= len(c.keys) || c.keys[i] != k {
			break
		}
		if slices.Contains(c.signers, k) {
			by = append(by, k)
		}
	}
	return by
}

// counts says whether one of these keys may sign for the user. Which items of a removed device still count is decided by
// cuts, which this version does not evaluate.
func (u *user) counts(keys ...[32]byte) Verdict {
	if u.head == nil {
		return Verdict{Status: Pending, Reason: reasonNoPresent, Missing: board.Hash(u.id)}
	}
	ever := false
	for _, k := range keys {
		if u.head.has(k) {
			return Verdict{Status: Valid}
		}
		ever = ever || slices.Contains(u.ever, k)
	}
	if ever {
		return Verdict{Status: Void, Reason: reasonDeviceRemoved}
	}
	return Verdict{Status: Pending, Reason: reasonNoDevice, Missing: board.Hash(u.id)}
}

// homes that the user's newest charter names and that have accepted, in order of key.
func (u *user) homes() (out []board.NodeID) {
	if u.head == nil {
		return nil
	}
	for _, n := range u.head.homes {
		if slices.Contains(u.accepted, n) {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b board.NodeID) int { return bytes.Compare(a[:], b[:]) })
	return out
}
