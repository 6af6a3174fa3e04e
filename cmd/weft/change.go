package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
	"weft/client"
)

const (
	// defaultFollow is how long a command waits for other nodes to have a change: long enough for those that are there.
	defaultFollow = 2 * time.Second
	maxFollow     = time.Minute
)

// change is a command that changes a team. All of them print what was done and who follows it already.
type change struct {
	use, short, long, example string
	args                      cobra.PositionalArgs
	complete                  cobra.CompletionFunc // nil: names of teams
	// check says what is wrong with the command line; nil: nothing can be.
	check func(args []string) error
	// ask is what a person has to answer with yes first; nil or "": nothing.
	ask func(args []string) string
	do  func(ctx context.Context, c *client.Client, args []string, waitMs uint64) (*weftv1.ChangeResponse, error)
}

// unasked ends the help text of what is asked about.
const unasked = `

On a terminal it asks first, unless --yes is given. A script (no terminal, or --json) is not asked.`

func (a *app) changeCommand(s change) *cobra.Command {
	var wait time.Duration
	var yes bool
	if s.complete == nil {
		s.complete = a.completeTeams
	}
	if s.ask != nil {
		s.long = strings.TrimSpace(s.long + unasked)
	}
	cmd := &cobra.Command{
		Use: s.use, Short: s.short, Long: s.long, Example: s.example, Args: s.args, ValidArgsFunction: s.complete,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			if wait < 0 || wait > maxFollow {
				return wrongUsage("--wait: %s: wait 0s to %s", wait, maxFollow)
			}
			if s.check != nil {
				if err := s.check(args); err != nil {
					return err
				}
			}
			if s.ask != nil && !yes {
				if err := a.confirm(s.ask(args)); err != nil {
					return err
				}
			}
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			res, err := s.do(cmd.Context(), c, args, uint64(wait.Milliseconds()))
			if err != nil {
				return err
			}
			return a.printChange(res)
		}),
	}
	cmd.Flags().DurationVar(&wait, "wait", defaultFollow, "how long to wait for the other nodes, 0s to 1m")
	if s.ask != nil {
		cmd.Flags().BoolVarP(&yes, "yes", "y", false, "don't ask")
	}
	return cmd
}

// errNotConfirmed is the end of a command to which a person didn't say yes.
var errNotConfirmed = errors.New("nothing was changed")

// confirm asks a person on a terminal. Nobody else is asked: a script has said what it wants.
func (a *app) confirm(question string) error {
	if question == "" || a.json || !isTerminalIn(a.in) || !isTerminal(a.err) {
		return nil
	}
	fmt.Fprintf(a.err, "%s [y/N] ", clean(question))
	answer, err := bufio.NewReader(a.in).ReadString('\n')
	if said := strings.ToLower(strings.TrimSpace(answer)); err != nil || said != "y" && said != "yes" {
		return errNotConfirmed
	}
	return nil
}

type behindOut struct {
	NodeID      string   `json:"node_id"`
	Users       []string `json:"users"`
	Connected   bool     `json:"connected"`
	LastHeardMs uint64   `json:"last_heard_ms"`
}

type changeOut struct {
	Did        string      `json:"did"`
	ObjectIDs  []string    `json:"object_ids"`
	Counts     bool        `json:"counts"`
	WaitsFor   string      `json:"waits_for"`
	Notes      []string    `json:"notes"`
	FollowedBy uint32      `json:"followed_by"`
	Nodes      uint32      `json:"nodes"`
	Behind     []behindOut `json:"behind"`
	Link       string      `json:"link,omitempty"`
}

func (a *app) printChange(res *weftv1.ChangeResponse) error {
	f := res.GetFollow()
	out := changeOut{Did: res.Did, ObjectIDs: list(res.ObjectIds), Counts: res.Counts, WaitsFor: res.WaitsFor, Notes: list(res.Notes),
		FollowedBy: f.GetFollowedBy(), Nodes: f.GetNodes(), Behind: []behindOut{}, Link: res.Link}
	for _, b := range f.GetBehind() {
		out.Behind = append(out.Behind, behindOut{b.NodeId, list(b.Users), b.Connected, b.LastHeardMs})
	}
	return a.print(out, func() {
		line := capitalized(oneLine(res.Did))
		if len(res.ObjectIds) > 0 && f.GetNodes() > 0 {
			line += "; " + followWords(f, now())
		}
		a.say("%s.", line)
		if res.WaitsFor != "" {
			a.say("It doesn't count yet: %s.", oneLine(res.WaitsFor))
		}
		for _, n := range res.Notes {
			a.say("%s", capitalized(oneLine(n)))
		}
		if res.Link != "" {
			a.say("%s", res.Link)
		}
	})
}

// openings are the words with which sentences begin that don't begin with somebody's name.
var openings = map[string]bool{
	"disbanded": true, "everyone": true, "in": true, "invite": true, "links": true, "node": true, "nothing": true, "older": true, "proposed:": true, "team": true,
	"the": true, "they": true, "this": true, "what": true, "whoever": true, "you": true, "your": true,
}

// capitalized begins a sentence with a capital letter, unless it begins with a name: that is as its owner writes it.
func capitalized(s string) string {
	first, _, _ := strings.Cut(s, " ")
	if !openings[first] {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// maxBehind is how many nodes that are behind are told about one by one.
const maxBehind = 3

// followWords says who has a change and who doesn't, and when those were last heard.
func followWords(f *weftv1.Follow, now time.Time) string {
	n, k := f.GetNodes(), f.GetFollowedBy()
	switch {
	case n == 1 && k == 1 && len(f.Behind) == 0:
		return "this is the team's only node"
	case n == 0:
		return "no node of the team is known here"
	case k >= n:
		return fmt.Sprintf("%d of %d nodes have this", n, n)
	}
	parts := []string{fmt.Sprintf("%d of %d nodes %s this", k, n, has(k))}
	named := map[string]int{}
	for _, b := range f.GetBehind() {
		named[strings.Join(b.Users, " and ")]++
	}
	for i, b := range f.GetBehind() {
		if i == maxBehind {
			parts = append(parts, fmt.Sprintf("%d more are behind", len(f.Behind)-maxBehind))
			break
		}
		parts = append(parts, behindWords(b, named[strings.Join(b.Users, " and ")] > 1, now))
	}
	return strings.Join(parts, "; ")
}

func has(n uint32) string {
	if n == 1 {
		return "has"
	}
	return "have"
}

// behindWords say of one node how far it is; which one, too, where its people have several.
func behindWords(b *weftv1.NodeBehind, several bool, now time.Time) string {
	id := "node …" + lastOf(b.GetNodeId(), 8)
	whose := id
	switch {
	case len(b.GetUsers()) > 0 && several:
		whose = oneLine(strings.Join(b.Users, " and ")) + "'s " + id
	case len(b.GetUsers()) > 0:
		whose = oneLine(strings.Join(b.Users, " and ")) + "'s node"
	}
	switch {
	case b.GetConnected():
		return whose + " is connected and hasn't said so yet"
	case b.GetLastHeardMs() == 0:
		return whose + " hasn't been heard since this node started"
	}
	return whose + " has not been heard since " + clock(b.LastHeardMs, now)
}

func lastOf(s string, n int) string { return s[max(0, len(s)-n):] }
