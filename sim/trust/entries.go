package trust

import (
	"bytes"

	"weft/board"
	"weft/team"
)

// Entry judges an entry (trust §7) by its header and its records, without asking which of those count and what the
// device wrote before. records: whether it has any; an entry that has none yet is under no cut.
func (s *State) Entry(h *board.Header, id board.Hash) Verdict {
	e := s.e
	i := item{hash: id}
	switch {
	case h.Team != e.team:
		return void("team")
	case h.Kind.Governance():
		return void("kind")
	case s.Upgrade:
		return pending("upgrade")
	case len(s.Chain) == 0:
		return pending("genesis")
	case h.Author == (board.UserID{}):
		return void("no author")
	}
	if v := e.person(h.Author).counts(e.logs, key(h.Device), i); v != valid {
		return v
	}
	least := team.Member
	if h.Board != board.GeneralID(e.team) {
		o := e.board(h.Board)
		if o == nil {
			return pending("board")
		}
		switch v := s.Objects[o.hash]; {
		case o.GetBoard() == nil:
			return void("no board")
		case v.Status == Pending:
			return pending("board pending")
		case v != valid:
			return void("board void")
		}
		least = max(least, team.Role(o.GetBoard().WriteRole))
	}
	return e.cred(h, i, least)
}

// board is the operation by which a board would have its id.
func (e *evaluation) board(id board.ID) *operation {
	for _, o := range e.ops {
		if bytes.Equal(o.hash[:16], id[:]) {
			return o
		}
	}
	return nil
}

// cred judges the right that an entry names.
func (e *evaluation) cred(h *board.Header, i item, least team.Role) Verdict {
	register := e.register[h.Author]
	if c := e.charters[h.Cred]; c != nil {
		at := e.at(c.hash)
		if !e.hangs(c) {
			return pending("cred pending")
		}
		if at < 0 {
			return void("cred charter not canonical")
		}
		if c.power(h.Author) {
			if d := e.loss(h.Author, at); d != nil && !e.under(i, d.cutOf(h.Author).GetCut()) {
				return void("after loss of power")
			}
			if c.role(h.Author) < least {
				return void("cred's role")
			}
			return valid
		}
		if !c.takes(h.Author) || at == 0 {
			return void("cred charter gives nothing")
		}
	} else if !e.here[h.Cred] {
		return pending("cred")
	} else if o := e.ops[h.Cred]; o == nil || o.Kind != nil && o.GetSet() == nil && o.GetAdmit() == nil {
		return void("cred can be no right")
	} else if s := e.st.Objects[h.Cred].Status; s == Pending || s == Unknown && o.Kind == nil {
		return pending("cred pending")
	}
	for _, g := range register {
		if g.hash != h.Cred {
			continue
		}
		if g.role < least {
			return void("cred's role")
		}
		above := ancestors(register, g, e.met)
		for _, r := range register {
			switch {
			case r.role >= team.Member:
			case above[r.hash]:
				e.met.mark("right over a restriction")
			case !e.accepts(register, r, i):
				return void("after removal")
			default:
				e.met.mark("under the cut of a restriction")
			}
		}
		return valid
	}
	return void("cred does not count")
}

// Shown says whether an entry of a message board is shown: valid, with a counting record, and later than what its device
// wrote before.
func (s *State) Shown(entry *board.Entry) Verdict {
	e, i := s.e, item{hash: entry.ID}
	if v := s.Entry(&entry.Header, entry.ID); v != valid {
		return v
	}
	counts := false
	for _, h := range e.items[i] {
		counts = counts || s.Counting[h.Hash]
	}
	if !counts {
		return void("no counting record")
	}
	for _, h := range e.items[item{hash: entry.Header.DevPrev}] {
		if h.Entry.Header.HLC >= entry.Header.HLC {
			return void("order")
		}
	}
	return valid
}
