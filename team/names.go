package team

import (
	"unicode"
)

// nameError is an ErrBadName whose text says all there is to say.
type nameError string

func (e nameError) Error() string        { return string(e) }
func (e nameError) Is(target error) bool { return target == ErrBadName }

// unfit says why a name may not be given here, or "". It is narrower than badName, the rule for objects from elsewhere:
// what can't be seen makes two names look alike, turns text around, and can't be copied by hand. Nodes that judge
// objects don't apply it, since they all must come to one judgement whatever their tables of characters.
func unfit(s string) string {
	if why := badName(s); why != "" {
		return why
	}
	visible := false
	for _, r := range s {
		if invisible(r) {
			return "has invisible characters"
		}
		visible = visible || unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.IsMark(r)
	}
	if !visible {
		return "has nothing to see"
	}
	return ""
}

// invisible characters are the ones that format (category Cf: zero widths, directions), separate lines, or are to be
// ignored. The two joiners stay: without them Persian, Hindi and family emoji fall apart.
func invisible(r rune) bool {
	switch r {
	case '\u200c', '\u200d':
		return false
	}
	return unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point)
}
