package main

import (
	"errors"
	"fmt"
	"vpnd/internal/daemon"

	"github.com/spf13/cobra"
)

var errCheck = errors.New("serving would fail")

func newCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and this machine",
		Long:  "Checks the configuration and this machine, and says each finding and its mend. Exit status 1: serving would fail.",
		Args:  named(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			fatal := false
			for _, f := range daemon.Check(cfg) {
				_, _ = fmt.Fprintln(cmd.OutOrStdout(), printable(f.String()))
				fatal = fatal || f.Fatal && f.Wrong != ""
			}
			if fatal {
				return errCheck
			}
			return nil
		},
	}
}
