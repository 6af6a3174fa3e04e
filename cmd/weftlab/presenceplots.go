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
  weftlab presence --plots docs/performance`,
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
	limit             float64 // drawn as a line; 0: none
}

func (b *virtualBench) draw(ctx context.Context, l *lab, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("couldn't make the folder for drawings: %w", err)
	}
	for _, p := range []plot{
		{"presence-nodes.svg", "Idle traffic of a node in 10 teams of 10 nodes", "nodes in the mesh", []int{10, 30, 60, 100},
			func(n int) trafficSettings { return trafficSettings{Shape: "tens", Nodes: n, People: 10} }, 5000},
		{"presence-people.svg", "Idle traffic of a node in 10 teams of 10 nodes, 30 nodes", "people", []int{10, 100, 1000, 3000},
			func(n int) trafficSettings { return trafficSettings{Shape: "tens", Nodes: 30, People: n} }, 5000},
		{"presence-teams.svg", "Idle traffic between 2 nodes", "shared teams", []int{1, 10, 100, 500},
			func(n int) trafficSettings { return trafficSettings{Shape: "pair", Nodes: 2, Teams: n, People: 10} }, 2000},
	} {
		var results []trafficResult
		for _, at := range p.at {
			s := p.settings(at)
			s.Seconds = b.seconds
			var r trafficResult
			if err := l.virtually(ctx, "traffic", s, &r); err != nil {
				return err
			}
			results = append(results, r)
			l.say("%s, %d %s: %.0f bytes/s; of it %s", p.title, at, p.axis, r.Payload, kinds(r))
			l.out.add(fmt.Sprintf("%s, %s %s", p.title, number(float64(at)), p.axis), r.Payload, "bytes/s", bar{})
		}
		path := filepath.Join(dir, p.file)
		if err := os.WriteFile(path, []byte(p.svg(results)), 0o644); err != nil {
			return fmt.Errorf("couldn't write a drawing: %w", err)
		}
		l.say("drawn: %s", path)
	}
	return nil
}

var plotColours = []string{"#4c78a8", "#f58518", "#54a24b", "#b279a2", "#e45756", "#72b7b2", "#9d755d", "#bab0ac", "#eeca3b"}

// svg draws a bar for each result, its parts by kind from below, QUIC's own on top.
func (p plot) svg(results []trafficResult) string {
	const width, height, left, bottom, top = 640.0, 340.0, 70.0, 60.0, 40.0
	kinds := map[string]bool{}
	most := p.limit
	for _, r := range results {
		most = max(most, r.Payload)
		for k, v := range r.Kinds {
			if v >= 0.5 {
				kinds[k] = true
			}
		}
	}
	names := make([]string, 0, len(kinds)+1)
	for k := range kinds {
		names = append(names, k)
	}
	slices.Sort(names)
	names = append(names, "QUIC's own")
	y := func(v float64) float64 { return height - bottom - v/(most*1.05)*(height-bottom-top) }
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&out, `<rect width="%g" height="%g" fill="white"/><text x="%g" y="20" font-size="14">%s (bytes/s of UDP payload)</text>`+"\n", width, height, left, p.title)
	step := math.Pow(10, math.Floor(math.Log10(most)))
	if most/step < 3 {
		step /= 2
	}
	for v := 0.0; v <= most*1.05; v += step {
		fmt.Fprintf(&out, `<line x1="%g" x2="%g" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%g" y="%.1f" text-anchor="end">%s</text>`+"\n", left, width-130, y(v), y(v), left-6, y(v)+4, number(v))
	}
	wide := (width - 130 - left) / float64(len(results))
	for i, r := range results {
		x, floor := left+wide*(float64(i)+0.2), 0.0
		rest := r.Payload
		for _, v := range r.Kinds {
			rest -= v
		}
		for k, name := range names {
			v := r.Kinds[name]
			if k == len(names)-1 {
				v = max(0, rest)
			}
			fmt.Fprintf(&out, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", x, y(floor+v), wide*0.6, y(floor)-y(floor+v), plotColours[k%len(plotColours)])
			floor += v
		}
		fmt.Fprintf(&out, `<text x="%.1f" y="%.1f" text-anchor="middle">%s</text><text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`+"\n",
			x+wide*0.3, y(r.Payload)-4, number(math.Round(r.Payload)), x+wide*0.3, height-bottom+16, number(float64(p.at[i])))
	}
	fmt.Fprintf(&out, `<text x="%g" y="%g" text-anchor="middle">%s</text>`+"\n", (left+width-130)/2, height-bottom+36, p.axis)
	if p.limit > 0 {
		fmt.Fprintf(&out, `<line x1="%g" x2="%g" y1="%.1f" y2="%.1f" stroke="#c00" stroke-dasharray="5 4"/><text x="%g" y="%.1f" fill="#c00">at most</text>`+"\n", left, width-130, y(p.limit), y(p.limit), width-126, y(p.limit)+4)
	}
	for k, name := range names {
		fmt.Fprintf(&out, `<rect x="%g" y="%g" width="12" height="12" fill="%s"/><text x="%g" y="%g">%s</text>`+"\n", width-120, top+40+float64(k)*18, plotColours[k%len(plotColours)], width-102, top+50+float64(k)*18, name)
	}
	out.WriteString("</svg>\n")
	return out.String()
}
