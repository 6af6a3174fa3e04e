package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
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

// Sequences of ECMA-48 and xterm: the other screen, where the cursor is hidden and lines that are too long don't go on in
// the next one, and back; the upper left corner; what is behind the cursor to the end of the line; what is below it.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[?7l"
	leaveScreen = "\x1b[?7h\x1b[?25h\x1b[?1049l"
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
	width, height := 0, 0
	if f, ok := s.out.to.(*os.File); ok {
		width, height, _ = term.GetSize(int(f.Fd())) // where it can't be told it is 0
	}
	fmt.Fprint(s.out, drawn(lines, width, height)) // in one write, so that nobody sees half a page
	return s.out.broken()
}

// drawn is a page for a terminal of this size; one that doesn't know its size is as large as most.
func drawn(lines []string, width, height int) string {
	if width <= 0 || height <= 0 {
		width, height = 80, 24
	}
	var b strings.Builder
	b.WriteString(topLeft)
	for i, l := range lines {
		b.WriteString(clearLine) // before the text: behind a full line it would take the last character away
		if i == height-1 && len(lines) > height {
			b.WriteString("…")
			break
		}
		b.WriteString(shortened(l, width))
		if i == height-1 {
			break
		}
		b.WriteString("\r\n")
	}
	if len(lines) < height {
		b.WriteString(clearBelow)
	}
	return b.String()
}

// quitKey returns a context that ends when somebody types q or Ctrl-C, and a function that gives the keyboard back. Until then what is typed
// doesn't show on the page. Nobody types where in isn't a terminal.
func quitKey(ctx context.Context, in io.Reader) (context.Context, func()) {
	f, ok := in.(*os.File)
	if !ok || !isTerminalIn(in) {
		return ctx, func() {}
	}
	was, err := term.MakeRaw(int(f.Fd()))
	if err != nil {
		return ctx, func() {} // the signal of Ctrl-C is left
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		for key := make([]byte, 1); ; {
			if n, err := f.Read(key); err != nil {
				return
			} else if n > 0 && bytes.ContainsAny(key, "qQ\x03") {
				cancel()
				return
			}
		}
	}()
	return ctx, func() {
		cancel()
		_ = term.Restore(int(f.Fd()), was) // a terminal that is gone needs nothing back
	}
}

// close gives the terminal back as it was.
func (s *screen) close() {
	if s.open {
		fmt.Fprint(s.out, leaveScreen)
	}
}

// page is the page's lines, harmless for terminals.
func (s *screen) page(t topOut) []string {
	hint := ""
	if s.live {
		hint = "   q: quit"
	}
	lines := []string{
		fmt.Sprintf("weft  %s  node %s  up %s%s", oneLine(t.Name), shortNode(t.NodeID), wall((time.Duration(t.UptimeMs) * time.Millisecond).Round(time.Second)), hint),
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
