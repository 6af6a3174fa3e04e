package store

import (
	"context"
	"errors"
	"testing"
)

func TestATeamsBytesAreCountedAndBounded(t *testing.T) {
	ctx := context.Background()
	limit := int64(4 << 20)
	f := newTeamNode(t, 1, func(o *Options) { o.Quotas.TeamBytes = limit })
	ts, _ := f.s.memory().team(f.team)
	for range 8 {
		f.large(6)
	}
	before := ts.bytes.Load()
	if before < 1<<20 || before > limit {
		t.Fatalf("%d bytes are counted", before)
	}
	f.reopen()
	ts, _ = f.s.memory().team(f.team)
	if now := ts.bytes.Load(); now > before || now < before-1<<sizeNote {
		t.Fatalf("%d bytes after a restart, %d before", now, before)
	}
	d := f.draft("said before", "said")
	if _, err := f.s.Append(ctx, []Draft{d}); err != nil {
		t.Fatal(err)
	}
	ts.bytes.Store(limit)
	if _, err := f.s.Append(ctx, []Draft{f.draft("one too many", "more")}); !errors.Is(err, ErrLimit) {
		t.Fatalf("posting to a full team: %v", err)
	}
	if rs, err := f.s.Append(ctx, []Draft{d}); err != nil || !rs[0].Duplicate {
		t.Fatalf("a retry of what is held: %+v, %v", rs, err)
	}
}
