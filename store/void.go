package store

import (
	"errors"
	"fmt"
	"strings"

	"weft/board"
	"weft/team"
)

// Why an entry does not count is kept in its records: the rule's short name, a line feed, the reason in words. Only words:
// written before rules had names, or found out by the store itself.

// voidText is what a verdict leaves in a record; "" for a valid entry.
func voidText(v team.Verdict) string {
	switch {
	case v.Status != team.Void:
		return ""
	case v.Rule == "":
		return v.Reason
	}
	return v.Rule + "\n" + v.Reason
}

// voidWords cuts what voidText made.
func voidWords(void string) (rule, words string) {
	if rule, words, ok := strings.Cut(void, "\n"); ok {
		return rule, words
	}
	if void == reasonOrder {
		return "order", void
	}
	return "", void
}

// Refused says by which rule something was refused. It wraps the kind of refusal.
type Refused struct {
	Rule   string // short and stable: "removed", "muted", "after-removal", …
	Reason string // in words
	Kind   error
	Void   bool // it is recorded, as void
}

// Error implements error.
func (r *Refused) Error() string {
	void := ""
	if r.Void {
		void = "it is recorded as void: "
	}
	return fmt.Sprintf("couldn't accept entry: %s%s: %v", void, r.Reason, r.Kind)
}

// Unwrap gives the kind, and board.ErrNotMember beside those that say why somebody is no member any more.
func (r *Refused) Unwrap() []error {
	if errors.Is(r.Kind, team.ErrRemoved) || errors.Is(r.Kind, team.ErrReadOnly) {
		return []error{r.Kind, board.ErrNotMember}
	}
	return []error{r.Kind}
}

// verdictError is what an author is told whose entry was refused.
func verdictError(st *team.State, author board.UserID, v team.Verdict) error {
	switch v.Status {
	case team.Valid:
		return nil
	case team.Pending:
		return fmt.Errorf("couldn't accept entry: %s: %w", v.Reason, board.ErrPending)
	}
	return &Refused{Rule: v.Rule, Reason: v.Reason, Kind: kindOf(st, author)}
}

// voidError is what the author of an entry is told that is recorded as void.
func (s *Store) voidError(h *board.Header, void string) error {
	rule, words := voidWords(void)
	if void == reasonOrder {
		return &Refused{Rule: rule, Reason: words, Kind: board.ErrOutOfOrder, Void: true}
	}
	kind := board.ErrNotMember
	if st, ok := s.Team(h.Team); ok {
		kind = kindOf(st, h.Author)
	}
	return &Refused{Rule: rule, Reason: words, Kind: kind, Void: true}
}

// kindOf says what keeps a user from writing.
func kindOf(st *team.State, u board.UserID) error {
	if _, closed := st.Closed(); closed {
		return team.ErrTeamClosed
	}
	switch st.Role(u) {
	case team.Banned, team.Removed:
		return team.ErrRemoved
	case team.Reader, team.Muted:
		return team.ErrReadOnly
	}
	return board.ErrNotMember
}

// mayNotWrite is what somebody is told who has no right to write.
func mayNotWrite(st *team.State, u board.UserID) error {
	kind := kindOf(st, u)
	if kind == board.ErrNotMember {
		return fmt.Errorf("couldn't post: %w", kind)
	}
	role := st.Role(u)
	r := &Refused{Rule: role.String(), Reason: "your role in the team is " + role.String(), Kind: kind}
	if kind == team.ErrTeamClosed {
		r.Rule, r.Reason = "closed", "nobody writes here any more"
	}
	return r
}

func appendVoidKey(b []byte, id board.ID, k board.OrderKey) []byte {
	at := len(b)
	b = appendDisplayKey(b, id, k)
	b[at] = tVoid
	return b
}

// listVoids puts the entries of a post that do not count into the board's order of void entries.
func (g *group) listVoids(b *boardState, js []judged) error {
	if b.governance {
		return nil
	}
	for i, j := range js {
		if j.d == nil || j.valid {
			continue
		}
		first := true
		for _, k := range js[:i] {
			first = first && (k.d == nil || k.order.ID != j.order.ID)
		}
		if !first {
			continue
		}
		if err := g.put(appendVoidKey(make([]byte, 0, displayKeySize), b.id, j.order), appendPosition(nil, j.pos)); err != nil {
			return err
		}
	}
	return nil
}

// revise changes why a record's entry does not count: "" if it does.
func (g *group) revise(b *boardState, p pos, void string) error {
	r, err := g.load(p)
	if err != nil {
		return ignoreDamage(err)
	}
	if r.void == void {
		return nil
	}
	r.void = void
	if void == "" {
		if err := g.remove(appendVoidKey(make([]byte, 0, displayKeySize), b.id, r.entry.Order())); err != nil {
			return err
		}
	}
	return g.put(recordKey(p), r.append(nil, p.seq))
}
