package team

import (
	"bytes"
	"slices"

	"weft/board"
)

// CheckEntry judges the header of an entry whose signature fits (trust §7): the device is its author's, the board exists,
// and the right that it names counts, is the author's, allows writing and was not taken before. Whether a record of it
// counts, and whether it is later than the entry before it, is for its holder to know. under answers whether one of the
// entry's records, counting or not, stands at or below one of a cut's positions; it is asked only where a cut decides. nil
// is for a new entry at its origin, which is under no cut: then a disbanded team refuses it, too. A valid entry by someone
// who was never restricted costs no allocation and no call.
func (s *State) CheckEntry(h *board.Header, under func(*Cut) bool) Verdict {
	if s.plain(h) {
		return Verdict{Status: Valid}
	}
	return s.checkEntry(h, under).verdict()
}

// plain says whether an entry is what most are: by somebody who was never restricted, with a right that nothing limits. It
// is only a short cut: checkEntry comes to the same.
func (s *State) plain(h *board.Header) bool {
	p := s.people[h.Author[0]]
	if p == nil || !s.open || h.Kind.Governance() || h.Team != s.id {
		return false
	}
	m := p.m[h.Author]
	if m == nil || !m.clear || h.Cred != m.cred || !m.signs([32]byte(h.Device)) {
		return false
	}
	if h.Board == s.general {
		return true // a clear right is one of a member at least
	}
	b, ok := s.boards[h.Board]
	return ok && m.role >= b.WriteRole
}

func (s *State) checkEntry(h *board.Header, under func(*Cut) bool) finding {
	switch {
	case h.Team != s.id:
		return finding{rule: otherTeam}
	case h.Kind.Governance() != (h.Board == s.governance):
		return finding{rule: wrongKind}
	case s.UpgradeNeeded():
		return finding{rule: upgrade}
	case h.Author == board.UserID{} && !h.Kind.Governance():
		return finding{rule: noAuthor}
	case s.charter == nil:
		return finding{noGenesis, board.Hash(s.id)}
	case h.Kind.Governance():
		return finding{rule: counts} // objects count by their own signatures
	case s.closed && under == nil:
		return finding{rule: closed}
	}
	m, ok := s.people.get(h.Author)
	if !ok || len(m.keys) == 0 {
		return finding{noPresent, board.Hash(h.Author)}
	}
	if !m.signs([32]byte(h.Device)) {
		if f := m.checkDevice(h, under); f.rule != counts {
			return f
		}
	}
	b, ok := s.boards[h.Board]
	if !ok {
		return s.noBoard(h.Board)
	}
	return s.checkCred(m, h, b.WriteRole, under)
}

// checkDevice judges the signature of a device that its person does not have now.
func (m *member) checkDevice(h *board.Header, under func(*Cut) bool) finding {
	i, ok := slices.BinarySearchFunc(m.gone, h.Device, func(g gone, d board.DeviceID) int { return bytes.Compare(g.key[:], d[:]) })
	if !ok {
		if _, ever := slices.BinarySearchFunc(m.ever, h.Device, func(k [32]byte, d board.DeviceID) int { return bytes.Compare(k[:], d[:]) }); ever {
			return finding{rule: deviceLost}
		}
		return finding{noDevice, board.Hash(h.Author)}
	}
	if len(m.gone[i].cuts) == 0 || !all(m.gone[i].cuts, under) {
		return finding{rule: deviceRemoved}
	}
	return finding{rule: counts}
}

// all says whether something is under all of the cuts.
func all(cuts []*Cut, under func(*Cut) bool) bool {
	for _, c := range cuts {
		if under == nil || c.Empty() || !under(c) {
			return false
		}
	}
	return true
}

// checkCred judges the right that an entry names. A charter is one for those who have power in it, also later, under what
// the loss of that power accepted; an operation for whom it lets write, under what each restriction accepted that it does
// not descend from.
func (s *State) checkCred(m *member, h *board.Header, least Role, under func(*Cut) bool) finding {
	if i, ok := s.pos[h.Cred]; ok {
		if t := stintAt(m.stints, i); t != nil {
			switch {
			case t.role(i) < least:
				return finding{rule: credRead}
			case t.to >= 0 && !all([]*Cut{t.cut}, under):
				return finding{rule: afterLoss}
			}
			return finding{rule: counts}
		}
	}
	i, ok := slices.BinarySearchFunc(m.creds, h.Cred, compareCredential)
	if !ok {
		return s.noCred(h)
	}
	c := &m.creds[i]
	if c.role < least {
		return finding{rule: credRead}
	}
	for n := range c.needs {
		if !all(c.needs[n].cuts, under) {
			return finding{rule: c.needs[n].rule}
		}
	}
	return finding{rule: counts}
}

func (m *member) signs(key [32]byte) bool {
	for i := range m.keys {
		if m.keys[i] == key {
			return true
		}
	}
	return false
}

// noBoard says why a board does not exist: its operation is not here, or does not count.
func (s *State) noBoard(b board.ID) finding {
	f := finding{rule: noBoard}
	copy(f.missing[:], b[:])
	if p := s.objects[b[0]]; p != nil {
		for h, o := range p.m {
			if !bytes.Equal(h[:16], b[:]) {
				continue
			}
			if o.found.status() == Void || o.found.status() == Valid {
				return finding{rule: boardVoid}
			}
			f = finding{boardPending, o.found.missing}
		}
	}
	return f
}

// noCred says why what a header names is no right of its author. Whose right it would be comes before whether it counts:
// what becomes of other people's rights changes nothing for this author.
func (s *State) noCred(h *board.Header) finding {
	o, ok := s.objects.get(h.Cred)
	switch {
	case !ok:
		return finding{noCred, h.Cred}
	case o.act != actCharter && o.act != actSet && o.act != actAdmit && o.act != actLater:
		return finding{rule: credVoid} // no right, whatever becomes of it
	case o.found.status() == Pending || o.found.status() == Unevaluated:
		return finding{credPending, o.found.missing}
	}
	switch k := o.says.(type) {
	case *charterSays:
		if k.power(h.Author) == None {
			return finding{rule: credNoPower}
		}
		return finding{rule: charterLost}
	case *setSays:
		if k.user != h.Author {
			return finding{rule: credOther}
		}
	case *admitSays:
		if k.user != h.Author {
			return finding{rule: credOther}
		}
	}
	return finding{rule: credVoid}
}
