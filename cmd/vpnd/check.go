package main

import (
	"errors"
	"fmt"
	"vpnd/internal/preflight"

	"github.com/spf13/cobra"
)

var errCheck = errors.New("serving would fail")

// findingView is the result of one check.
type findingView struct {
	Level string `json:"level"` // ok, warn or fail
	What  string `json:"what"`
	Where string `json:"where,omitempty"` // place in the configuration file: "file:line:column"
	Text  string `json:"text,omitempty"`  // what is wrong
	Fix   string `json:"fix,omitempty"`
}

func newCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and this machine",
		Long:  "Checks the configuration and this machine, and says what is wrong and how to fix it. Exit status 1 means that serving would fail.",
		Args:  named(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd)
			if err != nil && asJSON(cmd) {
				return errors.Join(printFindings(cmd, preflight.Faults(err)), err)
			}
			if err != nil {
				return err
			}
			findings := preflight.Check(cfg)
			if err := printFindings(cmd, findings); err != nil {
				return err
			}
			for _, f := range findings {
				if f.Level() == "fail" {
					return errCheck
				}
			}
			return nil
		},
	}
	cmd.Flags().Bool("json", false, "print JSON")
	return cmd
}

func printFindings(cmd *cobra.Command, findings []preflight.Finding) error {
	if asJSON(cmd) {
		views := make([]findingView, len(findings))
		for i, f := range findings {
			views[i] = findingView{Level: f.Level(), What: f.What, Where: f.Where}
			if f.Wrong != "" {
				views[i].Text, views[i].Fix = f.Wrong, f.Fix
			}
		}
		return printJSON(cmd, views)
	}
	for _, f := range findings {
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), printable(f.String())); err != nil {
			return err
		}
	}
	return nil
}
