package main

import (
	"errors"
	"fmt"
	"strings"

	"weft/client"
)

// noDaemon says that nothing answers on the folder's socket.
type noDaemon struct {
	dir, socket string
	err         error
}

func (e noDaemon) Error() string {
	return fmt.Sprintf("no daemon answers in %s; start one with: weft run --dir %s", e.dir, shellWord(e.dir))
}

func (e noDaemon) Unwrap() error { return e.err }

// notAnswering says that a daemon has the folder and its socket isn't there: it is starting, which can take a while when
// its store has to be mended, or stopping.
type notAnswering struct {
	dir, process string
	err          error
}

func (e notAnswering) Error() string {
	return fmt.Sprintf("the daemon in %s (process %s) doesn't answer: it is still starting, or about to stop; try again in a moment, its log says more", e.dir, e.process)
}

func (e notAnswering) Unwrap() error { return e.err }

// report writes why a command failed: the reason with the API's code, and what to do next.
func (a *app) report(err error) {
	var none noDaemon
	var busy notAnswering
	var refused *client.Error
	if errors.As(err, &none) || errors.As(err, &busy) || !errors.As(err, &refused) {
		fmt.Fprintf(a.err, "weft: %s\n", clean(err.Error()))
		return
	}
	code := strings.TrimSpace(refused.Code.String() + " " + refused.Reason)
	// What stands before the API's own message says which part of the command it was.
	before, _, _ := strings.Cut(err.Error(), refused.Error())
	fmt.Fprintf(a.err, "weft: %s%s (%s)\n", clean(before), clean(refused.Message), code)
	if refused.Hint != "" {
		fmt.Fprintf(a.err, "  %s\n", clean(refused.Hint))
	}
}
