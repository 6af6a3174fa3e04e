package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
	"weft/client"
)

// completionTime is how long the shell may wait for names from the daemon.
const completionTime = time.Second

func (a *app) completionCommand() *cobra.Command {
	shell := func(name, how string, write func(root *cobra.Command) error) *cobra.Command {
		return &cobra.Command{
			Use:     name,
			Short:   "Completions for " + name,
			Example: "  " + how,
			Args:    exactly(),
			RunE:    action(func(cmd *cobra.Command, args []string) error { return write(cmd.Root()) }),
		}
	}
	return group("completion", "Write completions for a shell: bash, zsh or fish", "  source <(weft completion bash)",
		shell("bash", "source <(weft completion bash)", func(root *cobra.Command) error { return root.GenBashCompletionV2(a.out, true) }),
		shell("zsh", "source <(weft completion zsh)", func(root *cobra.Command) error { return root.GenZshCompletion(a.out) }),
		shell("fish", "weft completion fish | source", func(root *cobra.Command) error { return root.GenFishCompletion(a.out, true) }),
	)
}

// completeTeams offers the names of teams for the first argument.
func (a *app) completeTeams(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.names(cmd.Context(), prefix, func(b *weftv1.Board) string { return b.Team })
}

// completePlaces offers boards as TEAM/BOARD for the first argument.
func (a *app) completePlaces(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.names(cmd.Context(), prefix, func(b *weftv1.Board) string { return b.Team + "/" + b.Name })
}

func (a *app) names(ctx context.Context, prefix string, name func(*weftv1.Board) string) ([]string, cobra.ShellCompDirective) {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := context.WithTimeout(ctx, completionTime)
	defer stop()
	c, err := a.connect(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer c.Close()
	res, err := call(ctx, c.Boards.ListBoards, &weftv1.ListBoardsRequest{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, b := range res.Boards {
		n := oneLine(name(b))
		if strings.HasPrefix(n, prefix) && (len(names) == 0 || names[len(names)-1] != n) {
			names = append(names, n)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeMembers offers the names of teams, then those of a team's people.
func (a *app) completeMembers(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return a.completeTeams(cmd, args, prefix)
	}
	return a.people(cmd.Context(), prefix, func(ctx context.Context, c *client.Client) (names []string, err error) {
		res, err := call(ctx, c.Teams.ListMembers, &weftv1.ListMembersRequest{Team: args[0], WithRemoved: true})
		for _, m := range res.GetMembers() {
			names = append(names, m.Name)
		}
		return names, err
	})
}

// completeRequests offers the names of teams, then those of the people who ask to be let in.
func (a *app) completeRequests(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return a.completeTeams(cmd, args, prefix)
	}
	return a.people(cmd.Context(), prefix, func(ctx context.Context, c *client.Client) (names []string, err error) {
		res, err := call(ctx, c.Teams.ListRequests, &weftv1.ListRequestsRequest{Team: args[0]})
		for _, r := range res.GetRequests() {
			names = append(names, r.Name)
		}
		return names, err
	})
}

// completeRole is completeMembers, and then the roles.
func (a *app) completeRole(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 2 {
		return settable, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeMembers(cmd, args, prefix)
}

func (a *app) people(ctx context.Context, prefix string, list func(context.Context, *client.Client) ([]string, error)) ([]string, cobra.ShellCompDirective) {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := context.WithTimeout(ctx, completionTime)
	defer stop()
	c, err := a.connect(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer c.Close()
	all, err := list(ctx, c)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, n := range all {
		if n = oneLine(n); n != "" && strings.HasPrefix(n, prefix) {
			names = append(names, n)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
