package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"weft/daemon"
)

// everyCommand calls f for each command of the program.
func everyCommand(root *cobra.Command, f func(*cobra.Command)) {
	for _, c := range root.Commands() {
		if c.Hidden {
			continue
		}
		f(c)
		everyCommand(c, f)
	}
}

func TestEveryCommandHasHelpWithAnExample(t *testing.T) {
	n := 0
	everyCommand(newApp(nil, nil, nil).root(), func(c *cobra.Command) {
		n++
		if c.Short == "" || c.Example == "" && c.Name() != "version" {
			t.Errorf("%s: no short text or no example", c.CommandPath())
		}
		var out, errs bytes.Buffer
		args := append(strings.Fields(c.CommandPath())[1:], "--help")
		if code := newApp(nil, &out, &errs).run(context.Background(), args); code != exitDone || errs.Len() > 0 {
			t.Errorf("%s --help: status %d, %s", c.CommandPath(), code, errs.String())
		}
		if !strings.Contains(out.String(), "--json") || !strings.Contains(out.String(), "--dir") {
			t.Errorf("%s --help doesn't mention --json and --dir:\n%s", c.CommandPath(), out.String())
		}
	})
	if n < 25 {
		t.Errorf("only %d commands were found", n)
	}
}

func TestRunHelpShowsEverySettingFromItsOneDescription(t *testing.T) {
	var out bytes.Buffer
	newApp(nil, &out, &out).run(context.Background(), []string{"run", "--help"})
	text := strings.Join(strings.Fields(out.String()), " ")
	c := daemon.DefaultConfig()
	for _, s := range c.Settings() {
		if s.Name == "dir" {
			continue
		}
		if !strings.Contains(text, "--"+s.Name) || !strings.Contains(text, "["+s.Env+"]") || !strings.Contains(text, s.Help[:20]) {
			t.Errorf("weft run --help lacks --%s, %s or %q", s.Name, s.Env, s.Help)
		}
	}
}
