package main

import (
	"encoding/json"
	"fmt"
	"os"
	"text/tabwriter"
	"time"
)

// print writes one object a line with --json, and what human writes otherwise.
func (a *app) print(object any, human func()) error {
	if a.json {
		return a.printJSON(object)
	}
	human()
	return a.out.broken()
}

// printJSON writes one compact object and a line break.
func (a *app) printJSON(object any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	if err := e.Encode(object); err != nil && a.out.broken() == nil { // the object itself can't be written as JSON
		return err
	}
	return a.out.broken()
}

// printEach writes one object a line with --json, and the rows of a table otherwise.
func printEach[T any](a *app, items []T, none string, header string, row func(T) []any) error {
	if a.json {
		for _, it := range items {
			if err := a.printJSON(it); err != nil {
				return err
			}
		}
		return nil
	}
	if len(items) == 0 {
		a.say("%s", none)
		return a.out.broken()
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, header)
	for _, it := range items {
		for i, cell := range row(it) {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, oneLine(fmt.Sprint(cell)))
		}
		fmt.Fprintln(w)
	}
	w.Flush() // its error is the output's
	return a.out.broken()
}

// say writes a line for people.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.out, format+"\n", args...) }

// note writes a line beside the output: to standard error, so that scripts don't read it.
func (a *app) note(format string, args ...any) { fmt.Fprintf(a.err, "weft: "+format+"\n", args...) }

// paint colours text where a person looks at it (and https://no-color.org doesn't forbid it).
func (a *app) paint(code, text string) string {
	if a.json || !isTerminal(a.out) || os.Getenv("NO_COLOR") != "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

const (
	bold = "1"
	dim  = "2"
)

func now() time.Time { return time.Now() }

// wall is a duration that people can take in.
func wall(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		return d.Round(time.Minute).String()
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
