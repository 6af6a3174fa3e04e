package main

import (
	"fmt"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"weft/client"
)

// laterCommands are promised and not here yet: whoever asks for one is told so, and not that it was misspelt.
var laterCommands = map[string][]string{
	"weft":        {"open", "account", "contact", "backup", "restore", "drain"},
	"weft device": {"list", "link", "add", "revoke", "recover"},
}

// addLater puts the commands of later versions below cmd and its subcommands. They stand in no help and no completion.
func addLater(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		addLater(c)
	}
	for _, name := range laterCommands[cmd.CommandPath()] {
		path := cmd.CommandPath() + " " + name
		cmd.AddCommand(&cobra.Command{
			Use: name, Hidden: true, DisableFlagParsing: true,
			RunE: action(func(*cobra.Command, []string) error {
				return notYet(path+" isn't", fmt.Sprintf("%s --help shows what is", cmd.CommandPath()))
			}),
		})
	}
}

// notYet refuses what a later version will do.
func notYet(what, hint string) error {
	return &client.Error{Code: connect.CodeUnimplemented, Reason: "UNIMPLEMENTED", Message: what + " in this version of weft yet", Hint: hint}
}
