package main

import (
	"context"
	"fmt"
	"time"
	"vpnd/mgmt"
	"vpnd/mgmt/access"

	"github.com/spf13/cobra"
)

func newAdminTokenCommand() *cobra.Command {
	return newGroup("token", "Manage the API tokens of programs",
		newAdminTokenAddCommand(), newAdminTokenListCommand(), newAdminTokenRemoveCommand())
}

func newAdminTokenAddCommand() *cobra.Command {
	var role string
	var life time.Duration
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Make an API token and print it", Args: named("NAME"), ValidArgsFunction: cobra.NoFileCompletions,
		Long: "Make an API token and print it. It is not shown again. A program sends it as 'Authorization: Bearer TOKEN'.",
		RunE: func(cmd *cobra.Command, args []string) error {
			var expires time.Time
			switch {
			case life < 0:
				return usagef(cmd, "--expires must not be negative: write a duration such as 2160h")
			case life > 0:
				expires = time.Now().Add(life)
			}
			return withGate(cmd, func(ctx context.Context, gate *access.Gate) error {
				secret, err := gate.NewToken(ctx, args[0], access.Role(role), expires)
				if err != nil {
					return err
				}
				if asJSON(cmd) {
					made := mgmt.NewToken{TokenInput: mgmt.TokenInput{Name: args[0], Role: role}, Secret: secret}
					if life > 0 {
						made.Expires = &expires
					}
					return printJSON(cmd, made)
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), secret)
				return err
			})
		},
	}
	roleFlag(cmd, &role, string(access.Viewer))
	cmd.Flags().DurationVar(&life, "expires", 0, "how long the token is valid, such as `2160h` (90 days); 0: it never expires")
	return cmd
}

func newAdminTokenListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the API tokens, without their secrets", Args: named(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withGate(cmd, func(ctx context.Context, gate *access.Gate) error {
				tokens, err := gate.Tokens(ctx)
				if err != nil {
					return err
				}
				list := make([]mgmt.Token, len(tokens))
				rows := make([][]string, len(tokens))
				for i, t := range tokens {
					list[i] = mgmt.TokenOf(t)
					rows[i] = []string{t.Name, string(t.Role), dateOr(t.Expires, "never"), dateOr(t.Added, ""), t.By}
				}
				if asJSON(cmd) {
					return printJSON(cmd, list)
				}
				return printTable(cmd.OutOrStdout(), terminalWidth(cmd.OutOrStdout()), []string{"NAME", "ROLE", "EXPIRES", "ADDED", "BY"}, rows)
			})
		},
	}
}

func newAdminTokenRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "Remove an API token", Args: named("NAME"), ValidArgsFunction: tokenNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withGate(cmd, func(ctx context.Context, gate *access.Gate) error {
				if err := gate.RemoveToken(ctx, args[0]); err != nil {
					return err
				}
				return tellAction(cmd, args[0], "removed")
			})
		},
	}
}

// tokenNames completes the name of an API token.
func tokenNames(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if len(args) == 0 {
		_ = withGate(cmd, func(ctx context.Context, gate *access.Gate) error {
			tokens, err := gate.Tokens(ctx)
			for _, t := range tokens {
				names = append(names, t.Name)
			}
			return err
		})
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
