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

// report writes why a command failed: the reason with the API's code, and what to do next.
func (a *app) report(err error) {
	var none noDaemon
	var refused *client.Error
	if errors.As(err, &none) || !errors.As(err, &refused) {
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
