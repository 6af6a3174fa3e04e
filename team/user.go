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
	charters map[board.Hash]*userCharter
	children map[board.Hash][]*userCharter // by parent, in order of hash
	accepted map[board.NodeID]bool
	presents []*item
	ops      []*item // boards and invites by this user
	again    bool    // charters or homes came: all of it is to be looked at
	fresh    []*item // else: only these are

	head   *userCharter      // of the canonical chain; nil while the genesis is not here
	ever   map[[32]byte]bool // every key of any well-formed charter, canonical or not
	grants map[board.Hash]Role
	power  Role // Owner or Admin by the team's charter, or None
	served []board.NodeID
}

// show takes a present's charters and acceptances.
func (u *user) show(p *presented) {
	for _, c := range p.charters {
		held := u.charters[c.hash]
		if held == nil {
			held = &userCharter{}
			*held = *c
			held.signers = slices.Clone(c.signers)
			u.charters[c.hash] = held
			l := u.children[c.prev]
			i, _ := slices.BinarySearchFunc(l, held, func(a, b *userCharter) int { return bytes.Compare(a.hash[:], b.hash[:]) })
			u.children[c.prev] = slices.Insert(l, i, held)
			u.again = true
		}
		for _, s := range c.signers {
			if !slices.Contains(held.signers, s) {
				held.signers, u.again = append(held.signers, s), true
			}
		}
	}
	for _, n := range p.accepted {
		if !u.accepted[n] {
			u.accepted[n], u.again = true, true
		}
	}
}

// choose finds the canonical chain: from genesis on, among valid children wins the one in whose subtree the most senior
// key of the parent signed, ties to the lowest hash (trust §4).
func (u *user) choose() {
	u.head, u.ever = nil, map[[32]byte]bool{}
	genesis := u.charters[board.Hash(u.id)]
	if genesis == nil || genesis.ver != 1 {
		return
	}
	u.head, _ = u.walk(genesis, nil)
}

// walk returns the head of the best chain from p on, and who signed in p's subtree. gone are keys removed above p.
func (u *user) walk(p *userCharter, gone [][32]byte) (head *userCharter, signed map[[32]byte]bool) {
	for _, k := range p.keys {
		u.ever[k] = true
	}
	head, signed = p, map[[32]byte]bool{}
	best := math.MaxInt
	for _, c := range u.children[p.hash] {
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
		return Verdict{Pending, reasonNoPresent, board.Hash(u.id)}
	}
	ever := false
	for _, k := range keys {
		if u.head.has(k) {
			return Verdict{Status: Valid}
		}
		ever = ever || u.ever[k]
	}
	if ever {
		return Verdict{Status: Void, Reason: reasonDeviceRemoved}
	}
	return Verdict{Pending, reasonNoDevice, board.Hash(u.id)}
}

// homes that the user's newest charter names and that have accepted, in order of key.
func (u *user) homes() (out []board.NodeID) {
	if u.head == nil {
		return nil
	}
	for _, n := range u.head.homes {
		if u.accepted[n] {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b board.NodeID) int { return bytes.Compare(a[:], b[:]) })
	return out
}
