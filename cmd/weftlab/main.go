// Command weftlab measures weft: every figure that docs and release notes name has a bench here that prints the measured
// value beside its target. It also attacks nodes (package sim/attack).
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"weft/daemon"
)

func main() {
	daemon.SpreadThreads() // as weft run does
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := root().ExecuteContext(ctx)
	stop()
	var usage usageError
	switch {
	case err == nil:
	case errors.As(err, &usage):
		fmt.Fprintln(os.Stderr, "weftlab:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "weftlab:", err)
		os.Exit(1)
	}
}

// usageError is a wrong command line: exit status 2.
type usageError struct{ error }

func root() *cobra.Command {
	c := &cobra.Command{
		Use:           "weftlab",
		Short:         "Measure weft, and attack it",
		Long:          "weftlab measures weft on this machine and prints each figure beside its target; weftlab attack lies to a node.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	c.AddCommand(benchCommand(), presenceCommand(), attackCommand(), virtualCommand())
	return c
}
