// Command weft-demo shows weft at work on one machine: three real nodes in temporary folders found a team, feed this
// repository's own history into a board and talk; one is killed with -9 in the middle, comes back and catches up. In the
// end all three must have the same boards. It leaves no process and no folder behind. `make demo` runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	program := flag.String("weft", "bin/weft", "the weft program")
	repository := flag.String("repository", ".", "git repository whose log becomes the feed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *program, *repository); err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(1) //nolint:gocritic // nothing is left to undo: run has cleaned up
	}
}

func run(ctx context.Context, program, repository string) (err error) {
	program, err = filepath.Abs(program)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "weft-demo")
	if err != nil {
		return fmt.Errorf("couldn't make a temporary folder: %w", err)
	}
	d := &demo{program: program, repository: repository, folder: folder}
	defer func() { err = errors.Join(err, d.cleanUp()) }()
	return d.play(ctx)
}

// demo is one performance.
type demo struct {
	program, repository, folder string
	nodes                       []*node
}

// cleanUp ends what still runs and removes the folders.
func (d *demo) cleanUp() error {
	for _, n := range d.nodes {
		n.kill()
	}
	if err := os.RemoveAll(d.folder); err != nil {
		return fmt.Errorf("couldn't remove %s: %w", d.folder, err)
	}
	return nil
}

// step prints what is done and how long it took.
func step(what string, do func() error) error {
	began := time.Now()
	err := do()
	outcome := "ok"
	if err != nil {
		outcome = "FAILED"
	}
	fmt.Printf("%8s  %-6s  %s\n", time.Since(began).Round(time.Millisecond), outcome, what)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
