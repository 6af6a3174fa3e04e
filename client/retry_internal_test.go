package client

import (
	"testing"
	"time"
)

// 10,000 programs lose their node in the same moment, and it is back after three seconds: they don't come in the same one,
// and none comes late.
func TestManyProgramsDoNotComeBackAtOnce(t *testing.T) {
	const programs, down, slot = 10_000, 3 * time.Second, 100 * time.Millisecond
	slots := map[int]int{}
	tries, last := 0, time.Duration(0)
	for range programs {
		var b backoff
		at := b.wait()
		for tries++; at < down; tries++ {
			at += b.wait()
		}
		slots[int(at/slot)]++
		last = max(last, at)
	}
	most := 0
	for _, n := range slots {
		most = max(most, n)
	}
	if most > programs/10 || most < programs/100 {
		t.Errorf("%d of %d come within %v", most, programs, slot)
	}
	if last > down+maxBackoff {
		t.Errorf("the last comes %v after the loss", last)
	}
	if tries > programs*10 {
		t.Errorf("it took %d tries", tries)
	}
}
