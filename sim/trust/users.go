package trust

import (
	"bytes"
	"slices"

	"google.golang.org/protobuf/proto"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

type key = [32]byte

// userCharter is a version of a person's identity, with everybody who signed it.
type userCharter struct {
	*weftv1.UserCharter
	hash    board.Hash
	signers map[key]bool
}

func (c *userCharter) index(k key) int {
	return slices.IndexFunc(c.Keys, func(b []byte) bool { return bytes.Equal(b, k[:]) })
}

// present is one signature of an operation that shows a user's charters.
type present struct {
	item
	*weftv1.Present
	last board.Hash // its newest charter
}

// person is a user as a set of presents shows them.
type person struct {
	id       board.UserID
	charters map[board.Hash]*userCharter
	chain    []*userCharter // canonical, from genesis on
	ever     map[key]bool   // keys of every charter that hangs validly on the genesis
	presents []present
	accepted map[key]bool // homes
	met      Met
}

func newPerson(id board.UserID, presents []present, met Met) *person {
	u := &person{id, map[board.Hash]*userCharter{}, nil, map[key]bool{}, presents, map[key]bool{}, met}
	for _, p := range presents {
		for _, s := range p.Charters {
			h := hashOf(s.Object)
			if u.charters[h] == nil {
				m := &weftv1.UserCharter{}
				if proto.Unmarshal(s.Object, m) != nil {
					continue
				}
				u.charters[h] = &userCharter{m, h, map[key]bool{}}
			}
			u.charters[h].signers[key(s.Key)] = true
		}
		for _, s := range p.Acceptances {
			u.accepted[key(s.Key)] = true
		}
	}
	if g := u.charters[board.Hash(id)]; g != nil && g.Ver == 1 {
		u.chain, _ = u.best(g, nil)
	}
	return u
}

// best chain from c on, and all keys that signed something in c's subtree, c itself left out. gone were removed above.
func (u *person) best(c *userCharter, gone []key) (chain []*userCharter, signed map[key]bool) {
	for _, k := range c.Keys {
		u.ever[key(k)] = true
	}
	chain, signed = []*userCharter{c}, map[key]bool{}
	rank := len(c.Keys)
	for _, d := range sorted(u.charters) {
		by := u.makes(c, d, gone)
		if len(by) == 0 {
			continue
		}
		lost := slices.Clone(gone)
		for _, k := range c.Keys {
			if d.index(key(k)) < 0 {
				lost = append(lost, key(k))
			}
		}
		tail, sub := u.best(d, lost)
		for _, k := range by {
			sub[k] = true
		}
		for i, k := range c.Keys {
			if !sub[key(k)] {
				continue
			}
			if rank == i && len(chain) > 1 {
				u.met.mark("sibling charters of a person with one signer: lowest hash")
			}
			if i < rank {
				if rank < len(c.Keys) {
					u.met.mark("sibling charters of a person: most senior signer")
				}
				if !slices.Contains(by, key(k)) {
					u.met.mark("sibling charters of a person: a senior signed above")
				}
				rank, chain = i, append([]*userCharter{c}, tail...)
			}
			break
		}
		for k := range sub {
			signed[k] = true
		}
	}
	return chain, signed
}

// makes are the keys whose signature makes d a child of c: keys of c that d keeps in their place, as it does all before
// them. A key once removed never returns.
func (u *person) makes(c, d *userCharter, gone []key) (by []key) {
	if !bytes.Equal(d.Prev, c.hash[:]) || d.Ver != c.Ver+1 || !bytes.Equal(d.User, u.id[:]) {
		return nil
	}
	for _, k := range gone {
		if d.index(k) >= 0 {
			u.met.mark("a removed key returns")
			return nil
		}
	}
	for i, k := range c.Keys {
		if i >= len(d.Keys) || !bytes.Equal(d.Keys[i], k) {
			break
		}
		if d.signers[key(k)] {
			by = append(by, key(k))
		}
	}
	if len(by) == 0 {
		u.met.mark("charter of a person signed by none who may")
	}
	return by
}

func (u *person) head() *userCharter {
	if len(u.chain) == 0 {
		return nil
	}
	return u.chain[len(u.chain)-1]
}

// removal is the place in the chain of the charter that removed k; -1 if none did.
func (u *person) removal(k key) int {
	for i := 1; i < len(u.chain); i++ {
		if u.chain[i-1].index(k) >= 0 && u.chain[i].index(k) < 0 {
			return i
		}
	}
	return -1
}

// counts says whether the signature of device k on an item counts.
func (u *person) counts(l *logs, k key, i item) Verdict {
	switch {
	case u.head() == nil:
		return pending("user")
	case u.head().index(k) >= 0:
		return valid
	}
	at := u.removal(k)
	if at < 0 && u.ever[k] {
		return void("device of a losing charter")
	} else if at < 0 {
		return pending("device")
	}
	says := u.says(l, k, at)
	if len(says) == 0 {
		return void("device removed without a cut")
	}
	for _, c := range says {
		if !l.under(i, c) {
			return void("device removed")
		}
	}
	l.met.mark("of a removed device, under its cut")
	return valid
}

// says are the cuts that hold for device k, which the charter at index at removed: those of the counting presents by the
// most senior signer, less those that it replaced.
func (u *person) says(l *logs, k key, at int) (cuts []*weftv1.Cut) {
	type word struct {
		by  present
		cut *weftv1.Cut
	}
	var words []word
	rank := [2]int{len(u.chain), 0}
	for _, p := range u.presents {
		i := slices.IndexFunc(u.chain, func(c *userCharter) bool { return c.hash == p.last })
		c := slices.IndexFunc(p.Cuts, func(d *weftv1.DeviceCut) bool { return bytes.Equal(d.Device, k[:]) })
		if i >= 0 && i < at && c >= 0 {
			l.met.mark("present about a device that it has not removed")
		}
		if i < at || c < 0 || u.counts(l, p.signer, p.item).Status != Valid {
			continue
		}
		r := u.seniority(p.signer, at)
		if len(words) > 0 && r != rank {
			l.met.mark("presents about a device: the most senior's hold")
		}
		if slices.Compare(r[:], rank[:]) < 0 {
			words, rank = nil, r
		}
		if r == rank {
			words = append(words, word{p, p.Cuts[c].Cut})
		}
	}
	for _, w := range words {
		replaced := slices.ContainsFunc(words, func(o word) bool {
			return slices.ContainsFunc(o.by.Parents, func(h []byte) bool { return bytes.Equal(h, w.by.hash[:]) })
		})
		if !replaced {
			cuts = append(cuts, w.cut)
		} else {
			l.met.mark("present about a device is replaced")
		}
	}
	return cuts
}

// seniority of a signer among those who may say what was accepted of a device that the charter at index at removed: the
// order of that charter; who came later stands behind, in the order of the charter that brought them.
func (u *person) seniority(k key, at int) [2]int {
	for i := at; i < len(u.chain); i++ {
		if n := u.chain[i].index(k); n >= 0 {
			if i > at {
				u.met.mark("present about a device by one added later")
			}
			return [2]int{i, n}
		}
	}
	return [2]int{len(u.chain), 0}
}
