package main

import (
	"bytes"

	"github.com/spf13/cobra"
)

// helper prints the help of commands. Package cobra ignores errors of that, so helper keeps them.
type helper struct {
	show func(*cobra.Command, []string)
	err  error
}

func (h *helper) print(cmd *cobra.Command, args []string) {
	if h.err = stray(cmd); h.err != nil {
		return
	}
	out := cmd.OutOrStdout()
	var text bytes.Buffer
	cmd.SetOut(&text)
	h.show(cmd, args)
	cmd.SetOut(out)
	_, h.err = text.WriteTo(out)
}

// refuseUnknownTopics makes `vpnd help` refuse a command that does not exist.
func refuseUnknownTopics(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	help, _, _ := root.Find([]string{"help"}) // it exists
	help.Run = nil
	help.RunE = func(_ *cobra.Command, args []string) error {
		topic, rest, err := root.Find(args)
		if err == nil && len(rest) > 0 {
			err = unknownCommand(topic, rest[0])
		}
		if err != nil {
			return err
		}
		topic.InitDefaultHelpFlag() // so that the help shows it
		topic.InitDefaultVersionFlag()
		return topic.Help()
	}
}
