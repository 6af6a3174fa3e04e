package store

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// Tables come one after the other, faster the fuller the levels are, and without a pause before writers would wait.
func TestTablesAreSpaced(t *testing.T) {
	var p spacing
	now := time.Now()
	for i := range 3 {
		if got, want := p.turn(now, 1), time.Duration(i+1)*tableGap; got != want {
			t.Fatalf("table %d waits %v, not %v", i, got, want)
		}
	}
	if got := p.turn(now, hurry); got != 0 {
		t.Fatalf("a table waits %v while a level is about to be full", got)
	}
	now = now.Add(time.Minute)
	if got := p.turn(now, (1+hurry)/2); got < tableGap*49/100 || got > tableGap*51/100 {
		t.Fatalf("halfway a table waits %v", got)
	}
}

// Badger tells of each table that a compaction fills, and that is where it waits while somebody posts.
func TestCompactionsSayWhenATableIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTeamNode(t, 1, nil)
		noise := rand.NewChaCha8([32]byte{1})
		for i := 0; f.s.spacing.filled.Load() < 3; i++ {
			if i == 1000 {
				t.Fatal("150 MB were written, and compactions have not said that they filled a table")
			}
			drafts := make([]Draft, 10)
			for k := range drafts {
				b := make([]byte, 7<<10) // twice as many hexadecimal digits, which still stand in tables
				noise.Read(b)
				drafts[k] = f.draft(hex.EncodeToString(b), fmt.Sprint(i, " ", k))
			}
			if _, err := f.s.Append(t.Context(), drafts); err != nil {
				t.Fatal(err)
			}
			if i%10 == 0 {
				time.Sleep(postingFor / 2) // of the bubble's time: compactors look now and then
			}
		}
		f.s.spacing.mu.Lock()
		defer f.s.spacing.mu.Unlock()
		if f.s.spacing.next.IsZero() {
			t.Fatal("nothing waited for its turn beside posts")
		}
	})
}
