package team

import (
	"errors"
	"strings"
	"testing"

	"weft/board"
)

func TestInvisibleNamesAreRefusedWhenGiven(t *testing.T) {
	for name, why := range map[string]string{
		"bidi\u202eevil": "invisible", "cr\u200bew": "invisible", "\ufeffcrew": "invisible", "soft\u00adhyphen": "invisible",
		"a\u2066b": "invisible", "line\u2028break": "invisible", "hangul\u3164filler": "invisible", "\u200d": "nothing to see",
		"tab\tbed": "control", "  ": "nothing to see",
	} {
		if err := usable(name, "team"); !errors.Is(err, ErrBadName) || !strings.Contains(err.Error(), why) {
			t.Errorf("%+q: %v; wanted %s", name, err, why)
		} else if strings.Contains(err.Error(), ErrBadName.Error()) {
			t.Errorf("%+q: the text says twice that the name isn't usable: %v", name, err)
		}
		if _, err := NewUser(name, board.Key{}, board.Key{}, board.Key{}, [16]byte{}); !errors.Is(err, ErrBadName) {
			t.Errorf("a user may be called %+q: %v", name, err)
		}
	}
	for _, name := range []string{"crew", "Ärzte", "日本", "می\u200cخواهم", "👩\u200d👩\u200d👧", "❤\ufe0f", "a b"} {
		if err := usable(name, "board"); err != nil {
			t.Errorf("%+q: %v", name, err)
		}
	}
}

// What others have named is judged as before: all nodes must come to one judgement.
func TestInvisibleNamesOfOthersStayValid(t *testing.T) {
	for _, name := range []string{"bidi\u202eevil", "cr\u200bew", "\u3164"} {
		if why := badName(name); why != "" {
			t.Errorf("%+q %s", name, why)
		}
	}
}
