package p2p

import (
	"testing"
	"time"
)

func TestAFloodOfRecordsIsCutShort(t *testing.T) {
	r, taken := newRecords(), 0
	now := time.Now()
	for i := range uint64(1000) {
		if r.take("x", i+1, now) {
			taken++
		}
	}
	if taken != recordsPerMin {
		t.Fatalf("%d were taken", taken)
	}
	if r.take("x", 5000, now) || !r.take("x", 5001, now.Add(2*time.Minute)) || r.take("x", 5001, now.Add(2*time.Minute)) {
		t.Fatal("the next minute")
	}
}
