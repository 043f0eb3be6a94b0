package main

import (
	"crypto/rand"
	"fmt"
	"time"
	"vpnd/auth/motp"

	"github.com/spf13/cobra"
)

func newMotpCommand() *cobra.Command {
	cmd := newGroup("motp", "Mobile-OTP secrets and one-time passwords", newMotpSecretCommand(), newMotpCodeCommand())
	cmd.PersistentFlags().Bool("json", false, "print JSON")
	return cmd
}

// printOne prints a value: as the field of a document with --json, otherwise on a line of its own.
func printOne(cmd *cobra.Command, field, value string) error {
	if asJSON(cmd) {
		return printJSON(cmd, map[string]string{field: value})
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), value)
	return err
}

func newMotpSecretCommand() *cobra.Command {
	return &cobra.Command{
		Use: "secret", Short: "Generate a new secret", Args: named(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			secret, err := motp.NewSecret(rand.Reader)
			if err != nil {
				return err
			}
			return printOne(cmd, "secret", secret)
		},
	}
}

func newMotpCodeCommand() *cobra.Command {
	var (
		secret, pin string
		at          int64
	)
	cmd := &cobra.Command{
		Use: "code --secret HEX --pin DIGITS", Short: "Compute the one-time password for now, or for --at", Args: named(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			token, err := motp.NewToken(secret, pin)
			if err != nil {
				return usagef(cmd, "%v", err)
			}
			when := time.Now()
			if cmd.Flags().Changed("at") {
				when = time.Unix(at, 0)
			}
			return printOne(cmd, "code", token.Code(motp.Step(when)))
		},
	}
	cmd.Flags().StringVar(&secret, "secret", "", "the token's secret, 16 to 32 `HEX` digits")
	cmd.Flags().StringVar(&pin, "pin", "", "the token's PIN, 4 to 7 `DIGITS`")
	cmd.Flags().Int64Var(&at, "at", 0, "compute for this `UNIXTIME` in seconds (default: now)")
	return cmd
}
