package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	weftv1 "weft/api/weft/v1"
)

func TestWhoFollowsAChangeIsSaidInWords(t *testing.T) {
	now := time.Date(2026, 11, 21, 15, 0, 0, 0, time.UTC)
	at := uint64(time.Date(2026, 11, 21, 14, 2, 0, 0, time.UTC).UnixMilli())
	ana := &weftv1.NodeBehind{NodeId: "12D3KooWabcdefgh", Users: []string{"ana"}, LastHeardMs: at}
	relay := &weftv1.NodeBehind{NodeId: "12D3KooWabcdefgh", Connected: true}
	never := &weftv1.NodeBehind{NodeId: "12D3KooWabcdefgh", Users: []string{"cyd"}}
	for want, f := range map[string]*weftv1.Follow{
		"this is the team's only node":                                      {FollowedBy: 1, Nodes: 1},
		"3 of 3 nodes have this":                                            {FollowedBy: 3, Nodes: 3},
		"2 of 3 nodes have this; ana's node has not been heard since 14:02": {FollowedBy: 2, Nodes: 3, Behind: []*weftv1.NodeBehind{ana}},
		"1 of 3 nodes has this; node …abcdefgh is connected and hasn't said so yet; cyd's node hasn't been heard since this node started": {
			FollowedBy: 1, Nodes: 3, Behind: []*weftv1.NodeBehind{relay, never}},
		"1 of 3 nodes has this; ana's node …abcdefgh has not been heard since 14:02; ana's node …ijklmnop is connected and hasn't said so yet": {
			FollowedBy: 1, Nodes: 3, Behind: []*weftv1.NodeBehind{ana, {NodeId: "12D3KooWijklmnop", Users: []string{"ana"}, Connected: true}}},
		"0 of 1 nodes have this; ana's node has not been heard since 14:02": {Nodes: 1, Behind: []*weftv1.NodeBehind{ana}},
		"no node of the team is known here":                                 {},
	} {
		if got := followWords(f, now); got != want {
			t.Errorf("%v:\n got %s\nwant %s", f, got, want)
		}
	}
	many := &weftv1.Follow{FollowedBy: 1, Nodes: 9}
	for range 8 {
		many.Behind = append(many.Behind, ana)
	}
	if got := followWords(many, now); !strings.HasSuffix(got, "; 5 more are behind") || strings.Count(got, "ana") != 3 {
		t.Errorf("nodes that are behind fill the line: %s", got)
	}
}

// A script has said what it wants; only a person at a terminal is asked.
func TestScriptsAreNotAsked(t *testing.T) {
	var out, errs bytes.Buffer
	a := newApp(strings.NewReader("n\n"), &out, &errs)
	if err := a.confirm("Really?"); err != nil || errs.Len() > 0 {
		t.Errorf("a script was asked: %v, %q", err, errs.String())
	}
}
