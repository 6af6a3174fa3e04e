package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestJSONHasWhatScriptsRelyOn(t *testing.T) {
	r := newReport("append")
	r.add("rate", 100, "posts/s", atLeast(50))
	r.add("rate", 300, "posts/s", atLeast(50))
	r.add("rate", 200, "posts/s", atLeast(50))
	r.add("p99", 30, "ms", atMost(20))
	r.worked(1000, 50*time.Millisecond)
	r.finish(2*time.Second, time.Second)
	var b bytes.Buffer
	if err := r.printJSON(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Count(b.String(), "\n") != 1 {
		t.Fatalf("not one line: %q", b.String())
	}
	var got struct {
		Bench   string
		WallS   float64 `json:"wall_s"`
		CPU     float64 `json:"cpu_ms_per_message"`
		Figures []figure
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Bench != "append" || got.WallS != 2 || got.CPU != 0.05 || len(got.Figures) != 2 {
		t.Fatalf("got %+v", got)
	}
	if f := got.Figures[0]; f.Value != 200 || f.Met == nil || !*f.Met {
		t.Fatalf("median and verdict: %+v", f)
	}
	if f := got.Figures[1]; *f.Met || f.Target != "≤ 20 ms" {
		t.Fatalf("a missed target: %+v", f)
	}
}

func TestNumbersAreReadable(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 7: "7", 0.4: "0.4", 0.123456: "0.123", 12.34: "12.3", 999.4: "999", 1000: "1,000", 1234567.8: "1,234,568", 0.00002: "0.000020",
	} {
		if got := number(v); got != want {
			t.Errorf("number(%v) is %q, want %q", v, got, want)
		}
	}
}

func TestQuantiles(t *testing.T) {
	var d []time.Duration
	for i := range 100 {
		d = append(d, time.Duration(100-i)*time.Millisecond)
	}
	if p50, p99, worst := quantiles(d); p50 != 50 || p99 != 99 || worst != 100 {
		t.Fatalf("got %v %v %v", p50, p99, worst)
	}
}

// A stall has to show in every post that was due during it, not in one. Virtual time: the bubble's clock stands still
// unless all sleep.
func TestPacedLoadCountsFromWhenAPostWasDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stalled := time.Now().Add(50 * time.Millisecond)
		r, err := paced(t.Context(), 1000, 100*time.Millisecond, []string{"x"}, func(context.Context, string, string) error {
			time.Sleep(time.Until(stalled))
			return nil
		})
		if err != nil || r.posts != 100 {
			t.Fatalf("%d posts, %v", r.posts, err)
		}
		p50, _, worst := quantiles(r.latency)
		if worst != 50 || p50 > 1 || r.latency[25] != 25*time.Millisecond {
			t.Fatalf("p50 %v, worst %v, the 25th %v", p50, worst, r.latency[25])
		}
	})
}
