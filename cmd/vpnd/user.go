package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"vpnd/auth"
	"vpnd/auth/motp"
	"vpnd/usermgmt"

	"github.com/spf13/cobra"
)

func newUserCommand() *cobra.Command {
	user := newGroup("user", "Manage the users that may dial in",
		newUserAddCommand(), newUserSetCommand(), newUserListCommand(), newUserShowCommand(), newUserRemoveCommand(), newUserUnlockCommand(), newUserResyncCommand())
	user.Long = "Manage the users that may dial in. All of these work with and without a running daemon, which takes a change within a second."
	user.PersistentFlags().Bool("json", false, "print JSON")
	return user
}

func newUserAddCommand() *cobra.Command {
	var f userFlags
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Add a user", Args: named("NAME"),
		Long: "Add a user with a password, a mOTP token, or both. Without either a password is asked for on the terminal.",
		RunE: func(cmd *cobra.Command, args []string) error {
			p := usermgmt.Profile{Name: args[0], Enabled: true, Services: []auth.Service{auth.PPTP, auth.L2TP}, IPsec: usermgmt.IPsecNone}
			if !cmd.Flags().Changed("password") && !cmd.Flags().Changed("password-file") && f.secret == "" && f.pin == "" {
				f.ask = true
			}
			if err := f.apply(cmd, &p); err != nil {
				return err
			}
			return withUsers(cmd, func(users *usermgmt.Store) error {
				if err := users.Add(cmd.Context(), p); err != nil {
					return err
				}
				return changed(cmd, users, p.Name, "added")
			})
		},
	}
	f.define(cmd)
	return cmd
}

func newUserSetCommand() *cobra.Command {
	var f userFlags
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Change what the flags name, and nothing else", Args: named("NAME"),
		Long: "Change what the flags name, and nothing else. An empty --password, --motp-secret or --address takes it away; --dial-in none allows nothing.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !f.any(cmd) {
				return usagef(cmd, "nothing to set: name what to change by a flag")
			}
			// Asked and read before the table is held.
			if err := f.readPassword(cmd); err != nil {
				return err
			}
			return withUsers(cmd, func(users *usermgmt.Store) error {
				err := users.Update(cmd.Context(), args[0], func(p *usermgmt.Profile) error { return f.apply(cmd, p) })
				if err != nil {
					return err
				}
				return changed(cmd, users, args[0], "changed")
			})
		},
	}
	f.define(cmd)
	return cmd
}

func newUserListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the users", Args: named(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withUsers(cmd, func(users *usermgmt.Store) error {
				profiles, err := users.List(cmd.Context())
				if err != nil {
					return err
				}
				views := make([]userView, len(profiles))
				for i, p := range profiles {
					if views[i], err = viewOf(cmd.Context(), users, p); err != nil {
						return err
					}
				}
				return printUsers(cmd, views)
			})
		},
	}
}

func newUserShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a user, without passwords, secrets and PINs", Args: named("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withUsers(cmd, func(users *usermgmt.Store) error { return showUser(cmd, users, args[0]) })
		},
	}
}

func newUserRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "Remove a user and hang up his connections", Args: named("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withUsers(cmd, func(users *usermgmt.Store) error {
				if err := users.Remove(cmd.Context(), args[0]); err != nil {
					return err
				}
				return say(cmd, "user %s removed", args[0])
			})
		},
	}
}

func newUserUnlockCommand() *cobra.Command {
	return &cobra.Command{
		Use: "unlock NAME", Short: "Let a user in again that too many failures locked", Args: named("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withUsers(cmd, func(users *usermgmt.Store) error {
				if err := users.Unlock(cmd.Context(), args[0]); err != nil {
					return err
				}
				return changed(cmd, users, args[0], "unlocked")
			})
		},
	}
}

// withUsers runs do with the user table.
func withUsers(cmd *cobra.Command, do func(*usermgmt.Store) error) error {
	users, err := openUsers(cmd)
	if err != nil {
		return err
	}
	return errors.Join(do(users), users.Close())
}

// changed tells what was done, and with --json shows the user.
func changed(cmd *cobra.Command, users *usermgmt.Store, name, what string) error {
	p, err := users.Get(cmd.Context(), name)
	if err != nil {
		return err
	}
	if p.MOTPSecret != "" && what != "unlocked" && motp.Weak(p.MOTPSecret) {
		if err := say(cmd, "warning: the mOTP secret of %s is easily guessed; 'vpnd motp secret' draws a good one", p.Name); err != nil {
			return err
		}
	}
	if err := say(cmd, "user %s %s", p.Name, what); err != nil {
		return err
	}
	if asJSON(cmd) {
		return showUser(cmd, users, name)
	}
	return nil
}

func showUser(cmd *cobra.Command, users *usermgmt.Store, name string) error {
	p, err := users.Get(cmd.Context(), name)
	if err != nil {
		return err
	}
	v, err := viewOf(cmd.Context(), users, p)
	if err != nil {
		return err
	}
	return printUser(cmd, v)
}

func say(cmd *cobra.Command, format string, args ...any) error {
	_, err := fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...)
	return err
}

// parseServices takes the value of --dial-in.
func parseServices(words []string) []auth.Service {
	if slices.Equal(words, []string{"none"}) {
		return nil
	}
	services := make([]auth.Service, len(words))
	for i, w := range words {
		services[i] = auth.Service(w)
	}
	return services
}

// parseAddress takes the value of --address; "" is none.
func parseAddress(text string) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is4() {
		return netip.Addr{}, fmt.Errorf("--address: %q is not an IPv4 address", text)
	}
	return a, nil
}
