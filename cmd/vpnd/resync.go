package main

import (
	"fmt"
	"vpnd/auth"
	"vpnd/internal/state"

	"github.com/spf13/cobra"
)

func newUserResyncCommand() *cobra.Command {
	return &cobra.Command{
		Use: "resync NAME", Short: "Adjust the server to a user's token whose clock is off", Args: named("NAME"), ValidArgsFunction: oneUser,
		Long: "Adjust the server to a user's token whose clock is off by up to a day. The command asks for two codes in a row, or reads two lines " +
			"from standard input. These codes then count as used. From then on, the user's window lies around the token's clock.",
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return withUsers(cmd, func(users state.Store) error {
				// This comes before the codes, so that nobody reads two of them in vain.
				p, err := users.Get(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if p.MOTPSecret == "" && p.TOTPSecret == "" {
					return fmt.Errorf("%s: %w", p.Name, auth.ErrNoToken)
				}
				in := newInput(cmd)
				var codes [2]string
				for i, prompt := range []string{"The code that the token shows", "The next code"} {
					if codes[i], err = in.ask(prompt); err != nil {
						return err
					}
					if codes[i] == "" {
						return usagef(cmd, "two codes in a row are needed; nothing was changed")
					}
				}
				ahead, err := auth.Resync(cmd.Context(), users, users, p.Name, codes[0], codes[1], askedClock(cmd, cfg).Corrected())
				if err != nil {
					return err
				}
				seconds, direction := ahead.Seconds(), "ahead"
				if ahead < 0 {
					ahead, direction = -ahead, "behind"
				}
				return tellOr(cmd, resyncView{actionView{p.Name, "resynchronised", true}, seconds}, "user %s resynchronised: the token's clock is %v %s", p.Name, ahead, direction)
			})
		},
	}
}

// resyncView is the result of resync.
type resyncView struct {
	actionView
	Ahead float64 `json:"ahead_seconds"` // of the token's clock; negative: it is behind
}
