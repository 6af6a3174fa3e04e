package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weft/daemon"
)

// Exit statuses.
const (
	exitDone    = 0
	exitRefused = 1 // refused or failed
	exitUsage   = 2 // wrong usage
)

// app is one call of the program: its streams and the flags that every command has.
type app struct {
	in   io.Reader
	out  *sink
	err  io.Writer
	json bool
	dir  string
	held held
	// patience is how long a command waits for a daemon that doesn't answer before it says so.
	patience time.Duration
}

func newApp(in io.Reader, out, err io.Writer) *app {
	return &app{in: in, out: &sink{to: out}, err: err, patience: 3 * time.Second}
}

// failure marks an error of a command that was called rightly. Every other error that comes out of cobra is wrong usage.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// usageError is wrong usage that a command itself finds.
type usageError struct{ error }

func wrongUsage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run carries out one command line and returns the exit status.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		err = failureOf(a.out.broken())
	}
	if err == nil {
		return exitDone
	}
	var failed failure
	if errors.As(err, &failed) {
		if !errors.Is(err, errReported) {
			a.report(failed.error)
		}
		return exitRefused
	}
	fmt.Fprintf(a.err, "weft: %s\n", clean(err.Error()))
	fmt.Fprintf(a.err, "  see: %s --help\n", cmd.CommandPath())
	return exitUsage
}

// errReported is a failure about which everything was said already.
var errReported = errors.New("reported")

// failureOf marks err as a failure; nil stays nil.
func failureOf(err error) error {
	if err == nil {
		return nil
	}
	return failure{err}
}

// action is what a command does; an error of it is a failure unless it is a usageError.
func action(do func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := do(cmd, args)
		var usage usageError
		if errors.As(err, &usage) {
			return err
		}
		return failureOf(err)
	}
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "weft",
		Short: "Team messaging without a server in charge",
		Long: `weft keeps a team's boards on several machines, none of which is in charge.

Start a node with weft run; the other commands talk to it.`,
		Example: `  weft run                          start a node (sets itself up the first time)
  weft team create crew             found a team
  weft team invite crew             make a link for somebody else
  weft join weft:…                  use such a link
  weft post crew "hello"            write
  weft read crew --follow           read, and go on reading`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE: func(cmd *cobra.Command, args []string) error {
			return cmd.Help()
		},
	}
	root.SetFlagErrorFunc(flagError)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	// Long help texts are wrapped, so that they can be read.
	root.SetUsageTemplate(strings.NewReplacer(
		".LocalFlags.FlagUsages", ".LocalFlags.FlagUsagesWrapped 110",
		".InheritedFlags.FlagUsages", ".InheritedFlags.FlagUsagesWrapped 110",
	).Replace(root.UsageTemplate()))
	root.SetHelpCommand(helpCommand())
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print one compact JSON object per line and nothing else")
	root.PersistentFlags().StringVar(&a.dir, "dir", "", "folder of the node to use (default $WEFT_DIR, else "+daemon.DefaultDir(getenv)+")")
	root.AddCommand(
		a.runCommand(),
		a.statusCommand(), a.peersCommand(), a.peerCommand(), a.syncCommand(),
		a.doctorCommand(), a.checkCommand(), a.versionCommand(),
		a.teamCommand(), a.joinCommand(), a.boardCommand(),
		a.postCommand(), a.readCommand(), a.unreadCommand(), a.markCommand(),
		a.presenceCommand(), a.sayCommand(), a.watchCommand(), a.topCommand(),
		a.deviceCommand(), a.completionCommand(),
	)
	addLater(root)
	return root
}

// helpCommand is what people try first.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "What weft can do, or how a command is used",
		Example: "  weft help\n  weft help team invite",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return wrongUsage("there is no command %q: weft --help lists them", strings.Join(args, " "))
			}
			return about.Help()
		},
	}
}

// group makes a command that only has subcommands.
func group(use, short, example string, subcommands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:     use,
		Short:   short,
		Example: example,
		RunE: func(cmd *cobra.Command, args []string) error {
			var names []string
			for _, c := range cmd.Commands() {
				if !c.Hidden {
					names = append(names, c.Name())
				}
			}
			if len(args) > 0 && args[0] == "help" {
				return cmd.Help()
			}
			what := "say what to do"
			if len(args) > 0 {
				what = fmt.Sprintf("there is no command %q", args[0])
			}
			return wrongUsage("%s: %s knows %s", what, cmd.CommandPath(), strings.Join(names, ", "))
		},
	}
	cmd.AddCommand(subcommands...)
	return cmd
}

// exactly is cobra.ExactArgs with the names of what is expected.
func exactly(names ...string) cobra.PositionalArgs {
	return between(len(names), names...)
}

// between takes from least to all of the named arguments.
func between(least int, names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return wrongUsage("%s is missing: %s", names[len(args)], cmd.UseLine())
		case len(args) > len(names) && len(names) == 0:
			return wrongUsage("%s takes no arguments, so %q doesn't belong there", cmd.CommandPath(), args[0])
		case len(args) > len(names):
			return wrongUsage("%q is one argument too many (quote text with spaces): %s", args[len(names)], cmd.UseLine())
		}
		return nil
	}
}
