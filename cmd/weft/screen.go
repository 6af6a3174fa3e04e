package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"
)

// screen draws a page over the one before. Not safe for concurrent use.
type screen struct {
	*app
	live bool // a terminal, and more than one page
	open bool
}

// Sequences of ECMA-48 and xterm: the other screen with the cursor hidden, and back; the upper left corner; what is
// behind the cursor to the end of the line; what is below it.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	topLeft     = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

// draw shows a page: as much of it as the terminal has room for.
func (s *screen) draw(t topOut) error {
	lines := s.page(t)
	if !s.live {
		for _, l := range lines {
			s.say("%s", l)
		}
		return s.out.broken()
	}
	if !s.open {
		s.open = true
		fmt.Fprint(s.out, enterScreen)
	}
	width, height := 80, 24
	if f, ok := s.out.to.(*os.File); ok {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil {
			width, height = w, h
		}
	}
	var b strings.Builder // in one write, so that nobody sees half a page
	b.WriteString(topLeft)
	for i, l := range lines {
		if i == height-1 && len(lines) > height {
			b.WriteString("…" + clearLine)
			break
		}
		b.WriteString(shortened(l, width) + clearLine)
		if i < height-1 {
			b.WriteString("\r\n")
		}
	}
	b.WriteString(clearBelow)
	fmt.Fprint(s.out, b.String())
	return s.out.broken()
}

// close gives the terminal back as it was.
func (s *screen) close() {
	if s.open {
		fmt.Fprint(s.out, leaveScreen)
	}
}

// page is the page's lines, harmless for terminals.
func (s *screen) page(t topOut) []string {
	lines := []string{
		fmt.Sprintf("weft  %s  node %s  up %s", oneLine(t.Name), shortNode(t.NodeID), wall((time.Duration(t.UptimeMs) * time.Millisecond).Round(time.Second))),
		fmt.Sprintf("people %s   sessions %d   watching %d   listening %d   sync streams %d", orNone(t.People.words()), t.Sessions, t.Watchers, t.Listeners, t.SyncStreams),
	}
	if t.StorageFull {
		lines = append(lines, "the disk is nearly full: posts are refused (weft doctor)")
	}
	lines = append(lines, "")
	lines = append(lines, table("TEAM\tPEOPLE\tTOPIC PEERS\tBEHIND", t.Teams, func(x topTeamOut) []any { return []any{x.Team, orNone(x.People.words()), x.TopicPeers, x.Behind} })...)
	lines = append(lines, table("PEER\tUSERS\tSTATE\tRTT\tHEALTH", t.Peers, func(p peerOut) []any {
		return []any{shortNode(p.NodeID), strings.Join(p.Users, ", "), connectedWords(p), rttWords(p), healthWords(p)}
	})...)
	lines = append(lines, table("TRAFFIC\tOUT\tIN\tOUT IN ALL\tIN IN ALL", t.Traffic, func(x trafficOut) []any {
		return []any{x.Kind, amount(x.SentRate) + "/s", amount(x.ReceivedRate) + "/s", amount(x.SentBytes), amount(x.ReceivedBytes)}
	})...)
	return append(lines, table("BEHIND\tRECORDS", t.Behind, func(b topBehind) []any { return []any{b.Board, b.Behind} })...)
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// table is rows in columns and an empty line, or nothing where there are no rows.
func table[T any](header string, items []T, row func(T) []any) []string {
	if len(items) == 0 {
		return nil
	}
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, header)
	for _, it := range items {
		cells := row(it)
		for i, c := range cells {
			cells[i] = oneLine(fmt.Sprint(c))
		}
		fmt.Fprintf(w, strings.TrimSuffix(strings.Repeat("%s\t", len(cells)), "\t")+"\n", cells...)
	}
	w.Flush()
	return append(strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n"), "")
}

// amount is a number of bytes that people can take in.
func amount(n uint64) string {
	const unit = 1024
	switch {
	case n < 10*unit:
		return fmt.Sprintf("%d B", n)
	case n < 10*unit*unit:
		return fmt.Sprintf("%d KiB", n/unit)
	case n < 10*unit*unit*unit:
		return fmt.Sprintf("%d MiB", n/unit/unit)
	}
	return fmt.Sprintf("%d GiB", n/unit/unit/unit)
}
