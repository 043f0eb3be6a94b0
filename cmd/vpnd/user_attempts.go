package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"vpnd/internal/state"
	"vpnd/mgmt"

	"github.com/spf13/cobra"
)

const attemptsHelp = `Show the last dial-ins of a user or of all users, newest first. For each failure it shows the reason and the fix.
For a user, it also shows calls from the user's usual addresses that vpnd refused before they sent a name.`

func newUserAttemptsCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "attempts [NAME]", Short: "Show the last dial-ins, why they failed, and the fix", Long: attemptsHelp, ValidArgsFunction: oneUser,
		Args: atMostOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 {
				return usagef(cmd, "--limit %d: give a number of at least 1", limit)
			}
			name := strings.Join(args, "")
			return withUsers(cmd, func(users state.Store) error {
				list, err := mgmt.Attempts(cmd.Context(), users, users, name, limit)
				switch {
				case err != nil:
					return err
				case asJSON(cmd):
					return printJSON(cmd, list)
				case len(list) == 0:
					return say(cmd, "no dial-in attempts recorded")
				}
				for _, a := range list {
					if err := printAttempt(cmd.OutOrStdout(), a); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 10, "show the newest `NUMBER`")
	return cmd
}

// printAttempt prints an attempt in a line, and below it the meaning and the fix.
func printAttempt(w io.Writer, a mgmt.Attempt) error {
	line := fmt.Sprintf("%s  %s %s", a.At.Local().Format(time.DateTime), orDash(a.User), a.Event.Event)
	for _, part := range []string{a.Type, a.Auth} {
		if part != "" {
			line += ", " + part
		}
	}
	if a.RemoteIP != "" {
		line += ", from " + a.RemoteIP
	}
	if a.Reason != "" {
		line += ": " + a.Reason
	}
	lines := []string{line}
	for _, text := range []string{a.Meaning, a.Fix} {
		if text != "" {
			lines = append(lines, "    "+text)
		}
	}
	for _, l := range lines {
		if _, err := fmt.Fprintln(w, printable(l)); err != nil {
			return err
		}
	}
	return nil
}
