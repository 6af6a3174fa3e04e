package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// presenceCommand measures presence side by side and draws what it costs.
func presenceCommand() *cobra.Command {
	l, b := &lab{}, &presenceBench{}
	var plots string
	c := &cobra.Command{
		Use:   "presence",
		Short: "Measure presence, and draw what it costs over people, teams and nodes",
		Example: `  weftlab presence
  weftlab presence --quick
  weftlab presence --plots docs/performance   # most of an hour on two cores, up to 14 GB`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			all := []bench{{name: "presence", short: "how soon presence is seen, what it costs, how right it is", run: b.run}}
			if plots != "" {
				all = append(all, bench{name: "plots", short: "traffic over people, teams and nodes", run: func(ctx context.Context, l *lab) error { return b.virtual.draw(ctx, l, plots) }})
			}
			return l.measure(c.Context(), "presence", all)
		},
	}
	l.flags(c)
	b.flags(c)
	c.Flags().StringVar(&plots, "plots", "", "folder for the drawings (SVG)")
	return c
}

// plot is one drawing: traffic over something, stacked by kind.
type plot struct {
	file, title, axis string
	at                []int
	settings          func(at int) trafficSettings
}

func (b *virtualBench) draw(ctx context.Context, l *lab, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("couldn't make the folder for drawings: %w", err)
	}
	for _, p := range []plot{
		{"presence-nodes.svg", "Idle traffic sent by a node in 10 teams of 10 nodes", "nodes in the mesh", []int{10, 30, b.nodes},
			func(n int) trafficSettings { return trafficSettings{Shape: "tens", Nodes: n, People: 10} }},
		{"presence-shared.svg", "Idle traffic sent by a node, all nodes in the same 10 teams", "nodes in the mesh", []int{10, 20, b.nodes},
			func(n int) trafficSettings { return trafficSettings{Shape: "shared", Nodes: n, People: 10} }},
		{"presence-people.svg", "Traffic sent by each of 10 nodes in the same 10 teams", "people", []int{10, 1000, b.people / 5},
			func(n int) trafficSettings {
				return trafficSettings{Shape: "shared", Nodes: 10, People: n, Hourly: 1}
			}},
		{"presence-teams.svg", "Idle traffic sent by each of 2 nodes", "shared teams", []int{1, 10, 100, 500},
			func(n int) trafficSettings { return trafficSettings{Shape: "pair", Nodes: 2, Teams: n, People: 10} }},
	} {
		slices.Sort(p.at)
		p.at = slices.Compact(p.at)
		var results []trafficResult
		for _, at := range p.at {
			r, err := b.measure(ctx, l, p.settings(at))
			if err != nil {
				return err
			}
			results = append(results, r)
			l.out.add(fmt.Sprintf("%s, %s %s", p.title, number(float64(at)), p.axis), r.Idle.Payload, "bytes/s", bar{})
		}
		path := filepath.Join(dir, p.file)
		if err := os.WriteFile(path, []byte(p.svg(results)), 0o644); err != nil {
			return fmt.Errorf("couldn't write a drawing: %w", err)
		}
		l.say("drawn: %s", path)
	}
	return nil
}

// plotColours of parts, so that each has the same one in all drawings.
var plotColours = map[string]string{
	"pulse": "#4c78a8", "presence": "#f58518", "probe": "#54a24b", "sync": "#b279a2", "control": "#e45756", "live": "#72b7b2", "beat": "#9d755d", "push": "#eeca3b",
	"lobby": "#ff9da6", "QUIC: headers": "#9a9a9a", "QUIC: acks, keep-alives": "#d0d0d0",
}

// svg draws a bar for each result, its parts from below; beside it the one with changes, if that was measured.
func (p plot) svg(results []trafficResult) string {
	const width, height, left, bottom, top, legend = 760.0, 380.0, 70.0, 80.0, 60.0, 190.0
	most := 0.0
	var names []string // of parts that can be seen
	look := func(f flow) {
		most = max(most, f.Payload)
		for _, x := range f.parts() {
			if x.bytes >= 0.5 && !slices.Contains(names, x.name) {
				names = append(names, x.name)
			}
		}
	}
	changing := false
	for _, r := range results {
		look(r.Idle)
		if r.Changing != nil {
			look(*r.Changing)
			changing = true
		}
	}
	order := results[0].Idle.parts() // has all of them
	at := func(name string) int { return slices.IndexFunc(order, func(x part) bool { return x.name == name }) }
	slices.SortFunc(names, func(a, b string) int { return at(a) - at(b) })
	y := func(v float64) float64 { return height - bottom - v/(most*1.08)*(height-bottom-top) }
	var out strings.Builder
	put := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	put(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="12">`, width, height)
	put(`<rect width="%g" height="%g" fill="white"/><text x="%g" y="20" font-size="15">%s</text>`, width, height, left, p.title)
	put(`<text x="%g" y="38" fill="#555">bytes of UDP payload per second; the target is at most %s</text>`, left, number(p.settings(p.at[0]).limit()))
	step := math.Pow(10, math.Floor(math.Log10(most)))
	for _, part := range []float64{5, 2} {
		if most/step < 4 {
			step = math.Pow(10, math.Floor(math.Log10(most))) / 10 * part
		}
	}
	for v := 0.0; v <= most*1.08; v += step {
		put(`<line x1="%g" x2="%g" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%g" y="%.1f" text-anchor="end">%s</text>`, left, width-legend, y(v), y(v), left-6, y(v)+4, number(v))
	}
	bar := func(f flow, x, wide float64) {
		floor := 0.0
		for _, part := range f.parts() {
			if slices.Contains(names, part.name) {
				put(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`, x, y(floor+part.bytes), wide, y(floor)-y(floor+part.bytes), plotColours[part.name])
			}
			floor += part.bytes
		}
		put(`<text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, x+wide/2, y(f.Payload)-5, number(math.Round(f.Payload)))
	}
	wide := (width - legend - left) / float64(len(results))
	for i, r := range results {
		x := left + wide*float64(i)
		if r.Changing != nil {
			bar(r.Idle, x+wide*0.12, wide*0.34)
			bar(*r.Changing, x+wide*0.54, wide*0.34)
			put(`<text x="%.1f" y="%g" text-anchor="middle" font-size="10" fill="#555">idle</text><text x="%.1f" y="%g" text-anchor="middle" font-size="10" fill="#555">changing</text>`,
				x+wide*0.29, height-bottom+13, x+wide*0.71, height-bottom+13)
		} else {
			bar(r.Idle, x+wide*0.2, wide*0.6)
		}
		put(`<text x="%.1f" y="%g" text-anchor="middle">%s</text>`, x+wide/2, height-bottom+28, number(float64(p.at[i])))
	}
	put(`<text x="%g" y="%g" text-anchor="middle">%s</text>`, (left+width-legend)/2, height-bottom+46, p.axis)
	if changing {
		put(`<text x="%g" y="%g" text-anchor="middle" fill="#555">changing: each person's state changes once an hour</text>`, (left+width-legend)/2, height-bottom+64)
	}
	slices.Reverse(names) // as they lie in the bars
	for k, name := range names {
		put(`<rect x="%g" y="%g" width="12" height="12" fill="%s"/><text x="%g" y="%g">%s</text>`, width-legend+14, top+float64(k)*18, plotColours[name], width-legend+32, top+10+float64(k)*18, name)
	}
	out.WriteString("</svg>\n")
	return out.String()
}
