package words

import (
	"testing"
	"unicode/utf8"
)

func TestTextIsDeterministicAndSized(t *testing.T) {
	seen := map[string]bool{}
	for n := range uint64(1000) {
		s := Text(1, n, 200)
		if len(s) != 200 || !utf8.ValidString(s) {
			t.Fatalf("text %d has %d bytes: %q", n, len(s), s)
		}
		if s != Text(1, n, 200) {
			t.Fatalf("text %d differs from itself", n)
		}
		if seen[s] {
			t.Fatalf("text %d came before", n)
		}
		seen[s] = true
	}
	if Text(1, 0, 200) == Text(2, 0, 200) {
		t.Fatal("the seed changes nothing")
	}
}
