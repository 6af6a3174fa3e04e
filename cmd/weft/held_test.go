package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

// TestAFeedThatIsHeldBackSaysSoOnce, and not for a wait that is soon over.
func TestAFeedThatIsHeldBackSaysSoOnce(t *testing.T) {
	var errs bytes.Buffer
	a := newApp(nil, nil, &errs)
	start, full := time.Unix(1_790_000_000, 0), errors.New("too many posts")
	wait := func(after time.Duration) { a.held.waits(full, 500*time.Millisecond, start.Add(after)) }
	wait(0)
	wait(time.Hour)
	if errs.Len() > 0 {
		t.Fatalf("without a feed: %s", errs.String())
	}
	a.held.begin(a)
	wait(0)
	wait(2 * time.Second)
	a.held.goesOn()
	wait(10 * time.Second)
	wait(12 * time.Second)
	if errs.Len() > 0 {
		t.Fatalf("after 2 s: %s", errs.String())
	}
	wait(13 * time.Second)
	wait(14 * time.Second)
	a.held.goesOn()
	wait(20 * time.Second)
	wait(40 * time.Second)
	if said := errs.String(); strings.Count(said, "\n") != 1 || !strings.Contains(said, "held back") || !strings.Contains(said, "too many posts") {
		t.Errorf("said: %q", said)
	}
}
