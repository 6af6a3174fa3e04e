package main

import (
	"strings"

	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
)

func (a *app) deviceCommand() *cobra.Command {
	recovery := &cobra.Command{
		Use:   "recovery-key",
		Short: "Show the recovery key once, as 24 words, and erase it from this machine",
		Long: `Shows the recovery key as 24 words, once, and erases it from this machine. Whoever has the words is you: they undo the
loss or theft of any device. Write them on paper now; they can't be shown again.`,
		Example: "  weft device recovery-key",
		Args:    exactly(),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			res, err := call(cmd.Context(), c.Nodes.TakeRecoveryKey, &weftv1.TakeRecoveryKeyRequest{})
			if err != nil {
				return err
			}
			out := struct {
				Words string `json:"words"`
			}{res.Words}
			return a.print(out, func() { a.sayWords(strings.Fields(res.Words)) })
		}),
	}
	return group("device", "Keys of this device and its user", "  weft device recovery-key", recovery)
}

func (a *app) sayWords(words []string) {
	for i, w := range words {
		a.say("%2d %s", i+1, w)
	}
	a.note("write these words on paper: they are no longer on this machine and can't be shown again")
}
