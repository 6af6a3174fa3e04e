package main

import (
	"encoding/xml"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

func TestADrawingHasItsNumbers(t *testing.T) {
	p := plot{title: "Traffic", axis: "people", at: []int{10, 50_000}, settings: func(n int) trafficSettings { return trafficSettings{Shape: "tens", People: n} }}
	calm := flow{Payload: 340, Bare: 120, Kinds: map[string]float64{"pulse": 100, "presence": 0}}
	busy := flow{Payload: 1234, Bare: 300, Kinds: map[string]float64{"pulse": 100, "presence": 600}}
	out := p.svg([]trafficResult{{Idle: calm}, {Idle: calm, Changing: &busy}})
	for d := xml.NewDecoder(strings.NewReader(out)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("not XML: %v", err)
		}
	}
	for _, text := range []string{">1,234<", ">340<", ">50,000<", ">people<", ">pulse<", ">QUIC: headers<", "at most 5,000"} {
		if !strings.Contains(out, text) {
			t.Errorf("no %s in %s", text, out)
		}
	}
	if strings.Contains(out, ">sync<") {
		t.Error("a part of which nothing was sent is in the legend")
	}
}

// What a run has measured, the next one that keeps its results in the same file doesn't measure again.
func TestMeshesAreMeasuredOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "results")
	b := virtualBench{seconds: 60, results: file}
	if err := b.load(); err != nil {
		t.Fatal(err)
	}
	s := trafficSettings{Shape: "pair", Nodes: 2, Teams: 3, People: 10, Seconds: 60}
	if err := b.keep(s, trafficResult{Idle: flow{Payload: 42}}); err != nil {
		t.Fatal(err)
	}
	again := virtualBench{seconds: 60, results: file}
	s.Seconds = 0 // measure puts its own there
	r, err := again.measure(t.Context(), nil, s)
	if err != nil || r.Idle.Payload != 42 {
		t.Fatalf("%+v, %v", r, err)
	}
}
