package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"weft/daemon"
)

func (a *app) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Start a node; sets itself up the first time",
		Long: `Starts a node and keeps it running until it is interrupted. The first start makes its keys and its store in --dir.

Each setting below is also an environment variable and a key of the file DIR/weft.toml: --log-level is WEFT_LOG_LEVEL and
log-level = "debug". A flag beats the environment, which beats the file. In the environment, lists are separated by commas.`,
		Example: `  weft run
  weft run --dir /srv/weft --name Ada --listen /ip4/0.0.0.0/udp/4001/quic-v1 --listen /ip4/0.0.0.0/tcp/4001
  WEFT_LOG_FORMAT=json weft run --metrics 127.0.0.1:9464`,
		Args: exactly(),
	}
	// The flags are bound to a Config of their own, so that pflag checks their values and shows the defaults.
	given := map[string][]string{}
	scratch := daemon.DefaultConfig()
	for _, s := range scratch.Settings() {
		if s.Name == "dir" { // a flag of every command
			continue
		}
		f := cmd.Flags().VarPF(recorded{s, given}, s.Name, "", usage(s))
		if s.IsSwitch() {
			f.NoOptDefVal = "true"
		}
	}
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		if a.dir != "" {
			given["dir"] = []string{a.dir}
		}
		cfg, err := daemon.Load(given, getenv)
		if errors.Is(err, daemon.ErrConfig) {
			return usageError{err}
		}
		if err != nil {
			return err
		}
		return a.runDaemon(cmd.Context(), cfg)
	})
	return cmd
}

// usage is a setting's help with its other name.
func usage(s *daemon.Setting) string { return strings.TrimSuffix(s.Help, ".") + " [" + s.Env + "]" }

// recorded is a setting that remembers what was given for it.
type recorded struct {
	*daemon.Setting
	given map[string][]string
}

var _ pflag.Value = recorded{}

func (r recorded) Set(text string) error {
	if err := r.Setting.Set(text); err != nil {
		return err
	}
	r.given[r.Name] = append(r.given[r.Name], text)
	return nil
}

func (a *app) runDaemon(ctx context.Context, cfg daemon.Config) error {
	cfg.Version = version
	cfg.LogTo = a.err
	daemon.SpreadThreads()
	d, err := daemon.Start(ctx, cfg)
	if err != nil {
		return err
	}
	info := d.Info()
	if cfg.Name != "" && cfg.Name != info.Name {
		a.note("the name %s is kept: --name is for the first start of a node only", oneLine(info.Name))
	}
	if err := a.print(statusOf(info), func() { a.sayStarted(d) }); err != nil {
		return errors.Join(err, d.Stop())
	}
	return d.Wait()
}

func (a *app) sayStarted(d *daemon.Daemon) {
	i := d.Info()
	if d.FirstStart() {
		a.say("A new node was set up in %s.", i.Dir)
	}
	a.say("weft %s runs as %s.", i.Version, a.paint(bold, oneLine(i.Name)))
	a.say("")
	for _, addr := range i.Listen {
		a.say("  %s", addr)
	}
	a.say("")
	dir := ""
	if cfg := daemon.DefaultConfig(); i.Dir != cfg.Dir {
		dir = " --dir " + shellWord(i.Dir)
	}
	a.say("In another terminal:")
	if len(d.Store().Teams()) == 0 {
		a.say("  weft%s team create crew      found a team", dir)
		a.say("  weft%s team invite crew      make a link for somebody else", dir)
		a.say("  weft%s join weft:…           use such a link", dir)
	} else {
		a.say("  weft%s unread                what is new", dir)
	}
	a.say("  weft%s post crew \"hello\"     write", dir)
	a.say("  weft%s read crew --follow    read", dir)
	if i.RecoveryKeyKept {
		a.say("  weft%s device recovery-key   once: the key that undoes the loss of this machine, for paper", dir)
	}
	a.say("")
	a.say("Stop it with Ctrl-C.")
}
