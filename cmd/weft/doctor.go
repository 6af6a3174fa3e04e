package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
	"weft/daemon"
)

type checkOut struct {
	Name   string `json:"name"`
	Level  string `json:"level"`
	Found  string `json:"found"`
	Advice string `json:"advice"`
}

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong with this machine or this node",
		Long: `Looks at UDP buffers, the limit of open files, disk space, the clock (also against those of peers), ports, the socket,
the store and the recovery key. Works without a running daemon too, as far as that goes. Exit status 1 if something fails.`,
		Example: `  weft doctor
  weft doctor --json | jq -r 'select(.level != "ok").advice'`,
		Args: exactly(),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			checks, err := a.doctorChecks(cmd)
			if err != nil {
				return err
			}
			out := make([]checkOut, len(checks))
			failed := false
			for i, c := range checks {
				out[i] = checkOut{c.Name, c.Level, c.Found, c.Advice}
				failed = failed || c.Level == "fail"
			}
			if err := a.printChecks(out); err != nil {
				return err
			}
			if failed {
				return errors.New("something fails; the lines above say what to do")
			}
			return nil
		}),
	}
}

func (a *app) doctorChecks(cmd *cobra.Command) ([]*weftv1.DoctorCheck, error) {
	c, err := a.connect(cmd.Context())
	var none noDaemon
	var busy notAnswering
	if errors.As(err, &none) || errors.As(err, &busy) {
		cfg, err := daemon.Load(a.dirFlag(), getenv)
		if err != nil {
			return nil, err
		}
		if busy.dir != "" {
			return append(daemon.Doctor(cfg), &weftv1.DoctorCheck{Name: "daemon", Level: "warn", Found: "running, and doesn't answer",
				Advice: "it is still starting, or about to stop: look again in a moment; its log says more"}), nil
		}
		return append(daemon.Doctor(cfg), &weftv1.DoctorCheck{Name: "daemon", Level: "warn", Found: "not running", Advice: "start it with: weft run --dir " + cfg.Dir}), nil
	}
	if err != nil {
		return nil, err
	}
	defer c.Close()
	res, err := call(cmd.Context(), c.Nodes.Doctor, &weftv1.DoctorRequest{})
	return res.GetChecks(), err
}

func (a *app) printChecks(checks []checkOut) error {
	if a.json {
		return printEach(a, checks, "", "", nil)
	}
	for _, c := range checks {
		a.say("%-5s %s: %s", strings.ToUpper(c.Level), c.Name, oneLine(c.Found))
		if c.Advice != "" {
			a.say("      %s", oneLine(c.Advice))
		}
	}
	return nil
}

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Read the whole store again and compare checksums, chains and indexes",
		Long: `Reads every record and entry of the running node's store and compares checksums, hash chains and indexes. What is damaged
is fetched again from peers. Exit status 1 if damage was found that could not be mended.`,
		Example: "  weft check",
		Args:    exactly(),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			return a.check(cmd, c)
		}),
	}
}
