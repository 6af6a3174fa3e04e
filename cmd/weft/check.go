package main

import (
	"errors"
	"fmt"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
	"weft/client"
)

type checkReport struct {
	Records   uint64   `json:"records_checked"`
	Damaged   uint64   `json:"damaged"`
	Refetched uint64   `json:"refetched"`
	Problems  []string `json:"problems"`
}

// check follows the store's check to its end; with --json only the last state is printed.
func (a *app) check(cmd *cobra.Command, c *client.Client) error {
	stream, err := c.Nodes.Check(cmd.Context(), connect.NewRequest(&weftv1.CheckRequest{}))
	if err != nil {
		return err
	}
	defer stream.Close()
	report, done := checkReport{Problems: []string{}}, false
	progress := !a.json && isTerminal(a.out)
	for stream.Receive() {
		m := stream.Msg()
		report.Records, report.Damaged, report.Refetched = m.RecordsChecked, m.Damaged, m.Refetched
		report.Problems = append(report.Problems, m.Problems...)
		done = done || m.Done
		if progress {
			fmt.Fprintf(a.out, "\r%d records checked", report.Records)
		}
	}
	if progress {
		fmt.Fprint(a.out, "\r\x1b[K")
	}
	if err := stream.Err(); err != nil {
		return err
	}
	if !done {
		return errors.New("the check was cut short; run it again")
	}
	if err := a.print(report, func() { a.sayReport(report) }); err != nil {
		return err
	}
	if report.Damaged > report.Refetched {
		return fmt.Errorf("%d damaged records could not be fetched again yet; leave the node running with its peers connected, then check again", report.Damaged-report.Refetched)
	}
	return nil
}

func (a *app) sayReport(r checkReport) {
	for _, p := range r.Problems {
		a.say("%s", oneLine(p))
	}
	if r.Damaged == 0 {
		a.say("%s checked, everything fits.", plural(r.Records, "record", "records"))
		return
	}
	a.say("%s checked, %d damaged, %d fetched again.", plural(r.Records, "record", "records"), r.Damaged, r.Refetched)
}
