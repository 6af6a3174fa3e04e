package main

import (
	"strings"
	"testing"
	"time"
)

// Of a peer that is gone people want to know since when, and of one that never came that it never did.
func TestPeersThatAreGoneSayWhenTheyWereHeard(t *testing.T) {
	heard := uint64(time.Date(2020, 2, 3, 4, 5, 0, 0, time.Local).UnixMilli())
	for want, p := range map[string]peerOut{
		"gone, last heard 2020-02-03 04:05, next try in 5s (no answer)":  {LastSeenMs: heard, RetryInMs: 5000, LastError: "no answer"},
		"gone, last heard 2020-02-03 04:05, being tried now (no answer)": {LastSeenMs: heard, Teams: []string{"crew"}, LastError: "no answer"},
		"gone, not heard since this node started, next try in 30s":       {RetryInMs: 30_000},
		"connected, inbound": {Connected: true, Direction: "inbound", LastSeenMs: heard},
	} {
		if row := peerRow(p); row[1] != want || strings.Contains(want, "gone") && row[2] != "" {
			t.Errorf("%q, want %q", row, want)
		}
	}
}
