package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/spf13/cobra"
)

// Some figures need hours, or a hundred machines. They are measured with whole nodes on the simulated network of package
// sim, in virtual time. Go gives virtual time to tests only, so weftlab runs itself again as a program with one test.

// scenario is something that is measured in virtual time. It gets its settings and returns its result in JSON.
type scenario func(t *testing.T, settings json.RawMessage) (result any)

// scenarios by name.
var scenarios = map[string]scenario{"traffic": trafficScenario, "loss": lossScenario, "flip": flipScenario}

// virtualMemory is what a scenario should do with: from there on the garbage collector works harder. 100 nodes that are all linked
// hold 4.3 GB; where each knows 5,000 people, the process takes 13.5 GB at its most.
const virtualMemory = 16 << 30

// virtualCommand is weftlab's way to call itself.
func virtualCommand() *cobra.Command {
	var profile string
	c := &cobra.Command{
		Use: "virtual SCENARIO SETTINGS FILE", Hidden: true, Args: cobra.ExactArgs(3),
		RunE: func(_ *cobra.Command, args []string) error {
			f, ok := scenarios[args[0]]
			if !ok {
				return usageError{fmt.Errorf("couldn't run scenario %q: there is none of that name", args[0])}
			}
			debug.SetGCPercent(200) // much of a large mesh lives as long as it
			debug.SetMemoryLimit(virtualMemory)
			signal.Reset() // a test doesn't look at the command's context
			testing.Init()
			if err := flag.CommandLine.Parse([]string{"-test.timeout=0"}); err != nil {
				return err
			}
			test := testing.InternalTest{Name: args[0], F: func(t *testing.T) {
				stop, err := profileTo(profile)
				if err != nil {
					t.Fatal(err)
				}
				defer stop()
				var out any
				synctest.Test(t, func(t *testing.T) { out = f(t, json.RawMessage(args[1])) })
				b, err := json.Marshal(out)
				if err == nil {
					err = os.WriteFile(args[2], b, 0o600)
				}
				if err != nil {
					t.Error(err)
				}
			}}
			all := func(string, string) (bool, error) { return true, nil }
			testing.Main(all, []testing.InternalTest{test}, nil, nil) // exits
			return nil
		},
	}
	c.Flags().StringVar(&profile, "profile", "", "file for a CPU profile")
	return c
}

// virtually runs a scenario in virtual time and reads its result.
func (l *lab) virtually(ctx context.Context, name string, settings, result any) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := l.tempDir()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // a hundred stores
	said, err := json.Marshal(settings)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "result.json")
	cmd := exec.CommandContext(ctx, self, "virtual", name, string(said), file)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "TMPDIR=") }), "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		text := out.String()
		return fmt.Errorf("couldn't finish scenario %s: %w\n%s", name, err, text[:min(len(text), 4000)])
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("couldn't read what scenario %s found: %w", name, err)
	}
	return json.Unmarshal(b, result)
}
