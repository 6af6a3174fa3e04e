package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// lab is one invocation: its settings, and what came out so far.
type lab struct {
	json    bool
	data    string // folder for what is costly to make and kept
	runs    int    // medians of so many
	large   int    // entries of the large board
	weft    string // path of the weft program
	out     *report
	started time.Time
	temp    []string // removed at the end
}

// bench is one measurement by name.
type bench struct {
	name, short string
	run         func(ctx context.Context, l *lab) error
	flags       func(c *cobra.Command)
	whole       func() // asks for the parts that only `bench all` runs unasked; may be nil
}

// benches in the order in which `bench all` runs them: what needs a quiet machine first.
func benches() []bench {
	a, so, ch, ca, id, ho, te, pr, li := &appendBench{}, &socketBench{}, &chatBench{}, &catchupBench{}, &idleBench{}, &hostileBench{}, &teamBench{}, &presenceBench{}, &liveBench{}
	return []bench{
		{"append", "posts per second into one store, beside a raw log with the same work", a.run, a.flags, func() { a.minute = true }},
		{"socket", "posts per second through the socket API with the real client", so.run, so.flags, nil},
		{"chat", "post on A until readable on B, three processes", ch.run, ch.flags, nil},
		{"hostile", "the same beside a hostile peer with half a core", ho.run, ho.flags, nil},
		{"catchup", "a fresh node pulls a board, every signature checked", ca.run, ca.flags, func() { ca.posting = true }},
		{"team", "what rules without a server cost: evaluation, memory, judging entries, removals", te.run, te.flags, nil},
		{"login", "heads, unread and last entries of 1,000 boards", (&loginBench{}).run, nil, nil},
		{"page", "the 50 newest entries of a large board", (&pageBench{}).run, nil, nil},
		{"unread", "unread of a member who is 100,000 behind", (&unreadBench{}).run, nil, nil},
		{"start", "start with 1,000,000 entries until the first answer", (&startBench{}).run, nil, nil},
		{"disk", "bytes on disk per post of 200 bytes of English text", (&diskBench{}).run, nil, nil},
		{"presence", "how soon presence is seen, what it costs in large meshes, how right it is under loss", pr.run, pr.flags, nil},
		{"live", "the live lane between three daemons", li.run, li.flags, nil},
		{"idle", "memory, CPU and traffic of an idle daemon with 3 peers and 10 teams", id.run, id.flags, nil},
	}
}

func benchCommand() *cobra.Command {
	l := &lab{}
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure one thing, or all of them",
		Example: `  weftlab bench append --writers 32,256 --seconds 10
  weftlab bench catchup --entries 10000
  weftlab bench all --data .bench --runs 3 --json`,
		RunE: func(c *cobra.Command, _ []string) error {
			return usageError{fmt.Errorf("couldn't run a bench without its name: see %s -h", c.CommandPath())}
		},
	}
	l.flags(c)
	all := benches()
	for _, b := range all {
		sub := &cobra.Command{Use: b.name, Short: b.short, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
			return l.measure(c.Context(), b.name, []bench{b})
		}}
		if b.flags != nil {
			b.flags(sub)
		}
		c.AddCommand(sub)
	}
	c.AddCommand(&cobra.Command{Use: "all", Short: "All benches, one after the other", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		for _, b := range all {
			if b.whole != nil {
				b.whole()
			}
		}
		return l.measure(c.Context(), "all", all)
	}})
	return c
}

// flags that all measurements have.
func (l *lab) flags(c *cobra.Command) {
	p := c.PersistentFlags()
	p.BoolVar(&l.json, "json", false, "print one object with all figures as the last line")
	p.StringVar(&l.data, "data", filepath.Join(os.TempDir(), "weftlab"), "folder in which large boards are kept for the next run; it should lie on the disk to be measured")
	p.IntVar(&l.runs, "runs", 1, "measure so many times and take medians")
	p.IntVar(&l.large, "large", bigBoard, "entries of the large board; the targets are for the default")
	p.StringVar(&l.weft, "weft", "", "the weft program (default: beside weftlab, else built with go)")
}

// measure runs benches and prints what came out, also of those before one that failed.
func (l *lab) measure(ctx context.Context, name string, bs []bench) error {
	if l.runs < 1 {
		return usageError{fmt.Errorf("couldn't measure %d times: --runs must be at least 1", l.runs)}
	}
	if l.large < 2*behind {
		return usageError{fmt.Errorf("couldn't measure with a board of %d entries: --large must be at least %d", l.large, 2*behind)}
	}
	if inNamespace() {
		if err := raiseLoopback(); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(l.data, 0o700); err != nil {
		return fmt.Errorf("couldn't make the folder for data: choose another one with --data: %w", err)
	}
	l.started, l.out = time.Now(), newReport(name)
	defer l.clean()
	cpu := cpuTime()
	var failed error
	for _, b := range bs {
		l.say("%s: %s", b.name, b.short)
		if err := b.run(ctx, l); err != nil {
			failed = fmt.Errorf("couldn't finish bench %s: %w", b.name, err)
			l.say("%v", failed)
			if ctx.Err() != nil {
				break
			}
		}
	}
	l.out.finish(time.Since(l.started), cpuTime()-cpu)
	l.out.table(os.Stdout)
	if l.json {
		if err := l.out.printJSON(os.Stdout); err != nil {
			return err
		}
	}
	return failed
}

// say tells of progress on standard error, so that standard output stays for results.
func (l *lab) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%7.1fs  %s\n", time.Since(l.started).Seconds(), fmt.Sprintf(format, args...))
}

// tempDir is a folder on the disk of --data that is removed in the end.
func (l *lab) tempDir() (string, error) {
	d, err := os.MkdirTemp(l.data, "run-")
	if err != nil {
		return "", fmt.Errorf("couldn't make a folder: choose another place with --data: %w", err)
	}
	l.temp = append(l.temp, d)
	return d, nil
}

func (l *lab) clean() {
	for _, d := range l.temp {
		if strings.HasPrefix(filepath.Base(d), "run-") {
			os.RemoveAll(d)
		}
	}
}
