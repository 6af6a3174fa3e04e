// Command weft is a node that keeps teams' boards (`weft run`) and the command line that talks to it.
//
// One file holds one noun of the command line (team.go, board.go, post.go, …). Each command asks the daemon through its
// socket and hands what it got to an output, which writes it for people or, with --json, as one compact object a line.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := newApp(os.Stdin, os.Stdout, os.Stderr).run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
