package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// clean makes text from others safe to show: whatever could steer a terminal or turn lines around is written as an
// escape. Line breaks and tabs stay.
func clean(s string) string {
	safe := true
	for _, r := range s {
		if !harmless(r) {
			safe = false
			break
		}
	}
	if safe {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case harmless(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// harmless lets through what is visible, and the two joiners without which Persian, Hindi and family emoji fall apart.
func harmless(r rune) bool {
	switch r {
	case '\n', '\t', '\u200c', '\u200d':
		return true
	case utf8.RuneError:
		return false
	case '\u2028', '\u2029':
		return false
	}
	return unicode.IsGraphic(r)
}

// oneLine is clean for what must stay on one line: names, reasons.
func oneLine(s string) string {
	s = strings.ReplaceAll(clean(s), "\t", " ")
	return strings.ReplaceAll(s, "\n", `\n`)
}

// indented keeps the lines of a message apart from the lines of others: no message can imitate another one's first line.
func indented(s string) string {
	return strings.ReplaceAll(clean(s), "\n", "\n    ")
}

// clock is a point in time for people: the time of day, with the date where it isn't today.
func clock(ms uint64, now time.Time) string {
	if ms > 1<<52 {
		return "?"
	}
	t := time.UnixMilli(int64(ms)).In(now.Location())
	if y, m, d := t.Date(); y == now.Year() && m == now.Month() && d == now.Day() {
		return t.Format("15:04")
	}
	return t.Format("2006-01-02 15:04")
}

// isTerminal says whether w is one; colours are for terminals only.
func isTerminal(w io.Writer) bool {
	if s, ok := w.(*sink); ok {
		w = s.to
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// isTerminalIn says whether a person types there.
func isTerminalIn(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// plural is "1 entry", "2 entries".
func plural(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
