package team

import (
	"bytes"
	"slices"

	"weft/board"
)

// CheckEntry judges the header of an entry whose signature fits (trust §7): the device is its author's, the board exists,
// and the right that it names counts, is the author's and allows writing. Whether a record of it counts, and whether it is
// later than the entry before it, is for its holder to know. under answers whether one of the entry's records, counting
// or not, stands at or below one of a cut's positions; it is asked only where a cut decides. nil is for a new entry at its
// origin, which is under no cut: then a disbanded team refuses it, too. A valid entry costs no allocation.
func (s *State) CheckEntry(h *board.Header, under func(*Cut) bool) Verdict {
	v := s.checkEntry(h)
	if v.Status != Valid {
		v.Rule = ruleNames[v.Reason]
	}
	return v
}

func (s *State) checkEntry(h *board.Header) Verdict {
	switch {
	case h.Team != s.id:
		return Verdict{Status: Void, Reason: reasonOtherTeam}
	case s.charter == nil:
		return Verdict{Status: Pending, Reason: reasonNoGenesis, Missing: board.Hash(s.id)}
	case s.charter.Rules > Rules:
		return Verdict{Status: Pending, Reason: reasonUpgrade}
	case h.Kind.Governance() != (h.Board == s.governance):
		return Verdict{Status: Void, Reason: reasonWrongKind}
	case h.Kind.Governance():
		return Verdict{Status: Valid} // objects count by their own signatures
	case h.Author == board.UserID{}:
		return Verdict{Status: Void, Reason: reasonNoAuthor}
	}
	m, ok := s.people.get(h.Author)
	if !ok || len(m.keys) == 0 {
		return Verdict{Status: Pending, Reason: reasonNoPresent, Missing: board.Hash(h.Author)}
	}
	if !m.signs([32]byte(h.Device)) {
		if slices.Contains(m.ever, [32]byte(h.Device)) {
			return Verdict{Status: Void, Reason: reasonDeviceRemoved}
		}
		return Verdict{Status: Pending, Reason: reasonNoDevice, Missing: board.Hash(h.Author)}
	}
	b, ok := s.boards[h.Board]
	if !ok {
		return s.noBoard(h.Board)
	}
	role := m.gives(h.Cred)
	switch {
	case role == None:
		return s.noCred(h)
	case role < b.WriteRole:
		return Verdict{Status: Void, Reason: reasonCredRead}
	case m.restricted && role < Admin:
		return Verdict{Status: Void, Reason: reasonRestricted}
	}
	return Verdict{Status: Valid}
}

// gives is the role that a right of the user's gives; None if it is not one.
func (m *member) gives(cred board.Hash) Role {
	if i, ok := slices.BinarySearchFunc(m.creds, cred, compareCredential); ok {
		return m.creds[i].role
	}
	return None
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
func (s *State) noBoard(b board.ID) Verdict {
	v := Verdict{Status: Pending, Reason: reasonNoBoard}
	copy(v.Missing[:], b[:])
	for h, o := range s.objects[b[0]] {
		if !bytes.Equal(h[:16], b[:]) {
			continue
		}
		if o.verdict.Status == Void || o.verdict.Status == Valid {
			return Verdict{Status: Void, Reason: reasonBoardVoid}
		}
		v.Reason, v.Missing = o.verdict.Reason, o.verdict.Missing
	}
	return v
}

// noCred says why what a header names is no right of its author.
func (s *State) noCred(h *board.Header) Verdict {
	o, ok := s.objects.get(h.Cred)
	if !ok {
		return Verdict{Status: Pending, Reason: reasonNoCred, Missing: h.Cred}
	}
	switch {
	case o.verdict.Status == Pending:
		return Verdict{Status: Pending, Reason: reasonCredPending, Missing: o.verdict.Missing}
	case o.verdict.Status == Unevaluated:
		return Verdict{Status: Pending, Reason: reasonLater}
	case o.verdict.Status == Void:
		return Verdict{Status: Void, Reason: reasonCredVoid}
	case o.act == actCharter:
		return Verdict{Status: Void, Reason: reasonCredNoPower}
	case o.act == actAdmit && o.user != h.Author:
		return Verdict{Status: Void, Reason: reasonCredOther}
	}
	return Verdict{Status: Void, Reason: reasonCredVoid}
}
