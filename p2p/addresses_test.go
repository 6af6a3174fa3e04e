package p2p

import (
	"testing"
	"time"
)

func TestAFloodOfRecordsIsCutShort(t *testing.T) {
	r, taken := newRecords(), 0
	now := time.Now()
	for i := range uint64(1000) {
		if r.take("x", i+1, [32]byte{byte(i)}, now) {
			taken++
		}
	}
	if taken != recordsPerMin {
		t.Fatalf("%d were taken", taken)
	}
	if r.take("x", 5000, [32]byte{1}, now) || !r.take("x", 5001, [32]byte{2}, now.Add(2*time.Minute)) || r.take("x", 5001, [32]byte{3}, now.Add(2*time.Minute)) {
		t.Fatal("the next minute")
	}
	if !r.knows([32]byte{2}) || r.knows([32]byte{3}) || len(r.newest) != 1 {
		t.Fatalf("not just the newest is known again: %d", len(r.newest))
	}
}
