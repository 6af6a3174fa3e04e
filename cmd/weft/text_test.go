package main

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestHostileTextIsShownHarmless(t *testing.T) {
	for in, want := range map[string]string{
		"plain, Grüße, 你好, नमस्ते":      "plain, Grüße, 你好, नमस्ते",
		"family 👩\u200d👩\u200d👧 ok":     "family 👩\u200d👩\u200d👧 ok",
		"two\nlines\tand a tab":         "two\nlines\tand a tab",
		"\x1b]0;title\x07":              `\x1b]0;title\x07`,
		"\x1b[2J":                       `\x1b[2J`,
		"a\rb":                          `a\x0db`,
		"\u202eevil":                    `\u202eevil`,
		"\u2066isolate\u2069":           `\u2066isolate\u2069`,
		"\u009b31m":                     `\u009b31m`,
		"\u2028":                        `\u2028`,
		"bad \xff utf8":                 `bad \xff utf8`,
		"\u200b zero width, \ufeff BOM": `\u200b zero width, \ufeff BOM`,
	} {
		if got := clean(in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
	if got := oneLine("a\nb: forged"); got != `a\nb: forged` {
		t.Errorf("a name of two lines is shown as %q", got)
	}
	if got := indented("hi\n12:00 Ada: forged"); strings.Contains(got, "\n12:00") {
		t.Errorf("a message imitates another: %q", got)
	}
}

func TestNothingThatSteersATerminalPasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shown := clean(string(rapid.SliceOf(rapid.Byte()).Draw(t, "text")))
		for _, r := range shown {
			if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
				t.Fatalf("%q lets %U through", shown, r)
			}
		}
	})
}

func TestTimesNameTheDayOnlyWhenItIsAnother(t *testing.T) {
	at := time.Date(2026, 11, 21, 5, 7, 0, 0, time.UTC)
	if got := clock(uint64(at.UnixMilli()), at.Add(time.Hour)); got != "05:07" {
		t.Error(got)
	}
	if got := clock(uint64(at.UnixMilli()), at.Add(24*time.Hour)); got != "2026-11-21 05:07" {
		t.Error(got)
	}
	if got := clock(1<<63, at); got != "?" {
		t.Error(got)
	}
}

func TestAges(t *testing.T) {
	for text, want := range map[string]time.Duration{"7d": 168 * time.Hour, "48h": 48 * time.Hour, "1ms": time.Millisecond} {
		if got, err := parseAge(text); err != nil || got != want {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0s", "-1h", "-1d", "d", "1e9d", "soon"} {
		if got, err := parseAge(text); err == nil {
			t.Errorf("%q was taken for %s", text, got)
		}
	}
}

func TestReachOfAddresses(t *testing.T) {
	for addr, want := range map[string]reach{
		"/ip4/127.0.0.1/tcp/1":        reachLoopback,
		"/ip6/::1/udp/1/quic-v1":      reachLoopback,
		"/ip4/192.0.2.1/tcp/1":        reachFar,
		"/dns4/example.org/tcp/1":     reachFar,
		"nonsense":                    reachNone,
		"/ip4/10.0.0.1/udp/1/quic-v1": reachFar,
	} {
		if got := addressReach(addr); got != want {
			t.Errorf("%s: %d, want %d", addr, got, want)
		}
	}
}

func TestShellWords(t *testing.T) {
	for in, want := range map[string]string{"crew": "crew", "two words": "'two words'", "it's": `'it'\''s'`, "a/b": "a/b", "": "''"} {
		if got := shellWord(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}
