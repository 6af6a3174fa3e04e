package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// figure is one measured value and what it should be.
type figure struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Target string  `json:"target,omitempty"`
	Met    *bool   `json:"met,omitempty"`
}

// bar is a target: at least or at most so much. The zero bar is none.
type bar struct {
	limit  float64
	atMost bool
}

func atLeast(v float64) bar { return bar{v, false} }
func atMost(v float64) bar  { return bar{v, true} }

func (b bar) met(v float64) bool {
	if b.atMost {
		return v <= b.limit
	}
	return v >= b.limit
}

// report gathers figures.
type report struct {
	bench   string
	figures []figure
	fields  map[string]any // of the JSON object
	samples map[string][]float64
	notes   []string

	messages int // delivered or stored, for CPU per message
	cpu      time.Duration
}

func newReport(bench string) *report {
	return &report{bench: bench, fields: map[string]any{}, samples: map[string][]float64{}}
}

// add adds a figure. The same name again makes the figure the median of all its values.
func (r *report) add(name string, value float64, unit string, b bar) {
	r.samples[name] = append(r.samples[name], value)
	f := figure{Name: name, Value: median(r.samples[name]), Unit: unit}
	if b != (bar{}) {
		sign := "≥ "
		if b.atMost {
			sign = "≤ "
		}
		met := b.met(f.Value)
		f.Target, f.Met = sign+number(b.limit)+" "+unit, &met
	}
	for i := range r.figures {
		if r.figures[i].Name == name {
			r.figures[i] = f
			return
		}
	}
	r.figures = append(r.figures, f)
}

// note adds a line below the table: what was lifted, what was left out.
func (r *report) note(format string, args ...any) {
	n := fmt.Sprintf(format, args...)
	if !slices.Contains(r.notes, n) {
		r.notes = append(r.notes, n)
	}
}

// field sets a field of the JSON object.
func (r *report) field(name string, v any) { r.fields[name] = v }

// worked tells how many messages cost how much CPU; it makes cpu_ms_per_message.
func (r *report) worked(messages int, cpu time.Duration) {
	r.messages += messages
	r.cpu += cpu
}

func (r *report) finish(wall, cpu time.Duration) {
	r.field("bench", r.bench)
	r.field("wall_s", round(wall.Seconds()))
	per := 0.0
	if r.messages > 0 {
		if r.cpu == 0 {
			r.cpu = cpu
		}
		per = float64(r.cpu.Microseconds()) / 1000 / float64(r.messages)
	}
	r.field("cpu_ms_per_message", round(per))
	r.field("figures", r.figures)
	if len(r.notes) > 0 {
		r.field("notes", r.notes)
	}
}

func (r *report) table(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "what\tmeasured\ttarget\t")
	for _, f := range r.figures {
		verdict := ""
		if f.Met != nil {
			verdict = "met"
			if !*f.Met {
				verdict = "MISSED"
			}
		}
		fmt.Fprintf(t, "%s\t%s %s\t%s\t%s\n", f.Name, number(f.Value), f.Unit, f.Target, verdict)
	}
	t.Flush()
	for _, n := range r.notes {
		fmt.Fprintln(w, "note:", n)
	}
}

func (r *report) printJSON(w io.Writer) error {
	b, err := json.Marshal(r.fields)
	if err != nil {
		return fmt.Errorf("couldn't print the figures: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s\n", b)
	return err
}

// number prints v with three digits that matter and commas between thousands.
func number(v float64) string {
	a := math.Abs(v)
	switch {
	case a >= 1000:
		s := strconv.FormatInt(int64(math.Round(v)), 10)
		for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
			s = s[:i] + "," + s[i:]
		}
		return s
	case a >= 100 || v == math.Trunc(v):
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	s := strconv.FormatFloat(v, 'g', 3, 64)
	if strings.Contains(s, "e") {
		return strconv.FormatFloat(v, 'f', 6, 64)
	}
	return s
}

func round(v float64) float64 { return math.Round(v*1e6) / 1e6 }

func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// quantiles are p50, p99 and the greatest, in milliseconds.
func quantiles(d []time.Duration) (p50, p99, worst float64) {
	if len(d) == 0 {
		return 0, 0, 0
	}
	s := slices.Sorted(slices.Values(d))
	at := func(q float64) float64 {
		i := min(int(math.Ceil(q*float64(len(s))))-1, len(s)-1)
		return float64(s[max(i, 0)]) / float64(time.Millisecond)
	}
	return at(0.5), at(0.99), at(1)
}
