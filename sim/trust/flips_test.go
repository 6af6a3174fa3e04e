package trust

import (
	"fmt"
	"slices"

	"weft/board"
	"weft/team"
)

// flips says which entries and records on disk changed although no flip covers them. A store judges only those again that
// one covers.
func (w *world) flips(was, is *State, flips []team.Flip, disk []*Held) (missed []string) {
	if is.Upgrade {
		return nil // nothing is judged then, and what was judged stays
	}
	for _, h := range disk {
		if h.Record.Board == board.GovernanceID(w.team) || is.e.held[h.Hash] == nil || was.e.held[h.Hash] == nil {
			continue
		}
		header := &h.Entry.Header
		before, after := was.Entry(header, h.Entry.ID), is.Entry(header, h.Entry.ID)
		if before.Status != after.Status && before.Status != Pending && !slices.ContainsFunc(flips, func(f team.Flip) bool { return covers(is, f, h, header) }) {
			missed = append(missed, fmt.Sprintf("%s was %v and is %v", w.nameOf(h.Entry.ID[:]), before, after))
		}
	}
	return missed
}

// covers says whether a store would judge the record's entry again for a flip.
func covers(is *State, f team.Flip, h *Held, header *board.Header) bool {
	switch {
	case f.User != (board.UserID{}) && f.User != header.Author, f.Node != (board.NodeID{}) && f.Node != h.Record.Node, f.Board != (board.ID{}) && f.Board != header.Board:
		return false
	}
	for _, cut := range f.Above {
		if !is.e.within(h, cut.Proto()) {
			return true
		}
	}
	return len(f.Above) == 0
}
