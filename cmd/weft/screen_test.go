package main

import (
	"strings"
	"testing"
)

// shownOn is what a page leaves on a terminal that it is drawn on.
func shownOn(t *testing.T, page string, height int) []string {
	t.Helper()
	body, ok := strings.CutPrefix(page, topLeft)
	if !ok {
		t.Fatalf("the page doesn't begin in the upper left corner: %q", page)
	}
	rows := strings.Split(strings.ReplaceAll(body, clearBelow, ""), "\r\n")
	if len(rows) > height {
		t.Fatalf("%d rows on a terminal of %d: %q", len(rows), height, page)
	}
	for i, r := range rows {
		if rows[i], ok = strings.CutPrefix(r, clearLine); !ok && r != "" || strings.Contains(rows[i], "\x1b") {
			t.Fatalf("row %d isn't cleared before it is written: %q", i, r)
		}
	}
	return rows
}

func TestAPageFitsEachTerminal(t *testing.T) {
	lines := []string{"head", strings.Repeat("x", 100), "", strings.Repeat("é", 80)}
	for range 40 {
		lines = append(lines, "row")
	}
	for _, size := range []struct{ width, height, wantWidth, wantHeight int }{
		{80, 24, 80, 24}, {120, 40, 100, 40}, {20, 5, 20, 5}, {1, 1, 1, 1}, {80, 100, 80, 45},
		{0, 0, 80, 24}, {80, 0, 80, 24}, {-1, 10, 80, 24}, // terminals that don't know how large they are
	} {
		rows := shownOn(t, drawn(lines, size.width, size.height), size.wantHeight)
		widest := 0
		for _, r := range rows {
			widest = max(widest, len([]rune(r)))
		}
		if widest != size.wantWidth || len(rows) != size.wantHeight {
			t.Errorf("%d×%d: %d rows, the widest of %d", size.width, size.height, len(rows), widest)
		}
		if last := rows[len(rows)-1]; len(lines) > size.wantHeight && last != "…" {
			t.Errorf("%d×%d: the last row is %q, though there is more", size.width, size.height, last)
		}
	}
	// A page that is shorter than the one before leaves nothing of it.
	if page := drawn(lines[:2], 80, 24); !strings.HasSuffix(page, clearBelow) {
		t.Errorf("what was below stays: %q", page)
	}
	if page := drawn(lines[:24], 80, 24); strings.HasSuffix(page, clearBelow) {
		t.Errorf("a full page loses its last row: %q", page[len(page)-20:])
	}
}
