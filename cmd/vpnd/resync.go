package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"vpnd/auth"
	"vpnd/usermgmt"

	"github.com/spf13/cobra"
)

func newUserResyncCommand() *cobra.Command {
	return &cobra.Command{
		Use: "resync NAME", Short: "Bring a user's mOTP token back whose clock is out of the window", Args: named("NAME"),
		Long: "Bring a user's mOTP token back whose clock is out of the window, by up to a day. Two codes in a row are asked for, or read as two lines " +
			"from standard input; they count as used, and the user's window lies around their offset from then on.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return withUsers(cmd, func(users *usermgmt.Store) error {
				// Before the codes are asked for, so that nobody reads two in vain.
				p, err := users.Get(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if p.MOTPSecret == "" {
					return fmt.Errorf("%s: %w", p.Name, auth.ErrNoToken)
				}
				lines := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), maxLine))
				first, err := askCode(cmd, lines, "The code that the token shows: ")
				if err != nil {
					return err
				}
				second, err := askCode(cmd, lines, "The one that it shows next: ")
				if err != nil {
					return err
				}
				ahead, err := auth.Resync(cmd.Context(), users, users, p.Name, first, second, time.Now())
				if err != nil {
					return err
				}
				direction := "ahead"
				if ahead < 0 {
					ahead, direction = -ahead, "behind"
				}
				return say(cmd, "user %s resynchronised: the token's clock is %v %s", p.Name, ahead, direction)
			})
		},
	}
}

func askCode(cmd *cobra.Command, lines *bufio.Reader, prompt string) (string, error) {
	if _, err := fmt.Fprint(cmd.ErrOrStderr(), prompt); err != nil {
		return "", err
	}
	line, err := lines.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if line = strings.TrimSpace(line); line == "" {
		return "", errors.New("two codes in a row are needed; nothing was changed")
	}
	return line, nil
}
