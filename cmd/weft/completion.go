package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
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
