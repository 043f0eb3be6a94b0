package main

import (
	"fmt"
	"vpnd/internal/buildinfo"

	"github.com/spf13/cobra"
)

func newVersionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "version", Short: "Print release, commit and Go version", Args: named(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			build := buildinfo.Read()
			if asJSON(cmd) {
				return printJSON(cmd, build)
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "vpnd "+build.String())
			return err
		},
	}
	cmd.Flags().Bool("json", false, "print JSON")
	return cmd
}
