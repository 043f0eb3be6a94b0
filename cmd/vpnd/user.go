package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"vpnd/auth"
	"vpnd/auth/motp"
	"vpnd/internal/daemon"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/mgmt"
	"vpnd/mgmt/guide"
	"vpnd/usermgmt"

	"github.com/spf13/cobra"
)

func newUserCommand() *cobra.Command {
	user := newGroup("user", "Manage the users that may dial in",
		newUserAddCommand(), newUserSetCommand(), newUserListCommand(), newUserShowCommand(), newUserRemoveCommand(),
		newUserSwitchCommand("enable", "Let users dial in", true), newUserSwitchCommand("disable", "Stop users from dialling in, and hang up their connections", false),
		newUserUnlockCommand(), newUserMotpCommand(), newUserTotpCommand(), newUserResyncCommand(),
		newUserAttemptsCommand(), newUserHistoryCommand(), newUserImportCommand(), newUserExportCommand(),
		newUserRekeyCommand(), newUserBackupCommand(), newUserRestoreCommand())
	user.Long = "Manage the users that may dial in. All of these commands work with and without the daemon. The daemon applies a change within a second."
	user.Example = `  vpnd user motp anna                          # a user with a one-time password, and the QR code for her app
  vpnd user add ben --dial-in pptp             # a user with a password; asks for it
  vpnd user set ben --schedule "Mon-Fri 08:00-18:00 Europe/Berlin" --expires 2027-12-31
  vpnd user list`
	user.PersistentFlags().Bool("json", false, "print JSON")
	return user
}

func newUserAddCommand() *cobra.Command {
	var f userFlags
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Add a user", Args: named("NAME"), ValidArgsFunction: cobra.NoFileCompletions,
		Long: "Add a user with a password, a token, or both. Without any of them, the command asks for a password on the terminal.\n" +
			"'vpnd user motp' and 'vpnd user totp' generate the secret of a token and show it as a QR code.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !f.given("password", "password-file", "motp-secret", "motp-pin", "totp-secret") {
				f.ask = true
			}
			change, err := f.read()
			if err != nil {
				return err
			}
			return withUsers(cmd, func(users state.Store) error {
				return applyOne(cmd, users, args[0], change, usermgmt.How{Add: true})
			})
		},
	}
	f.define(cmd)
	return cmd
}

func newUserSetCommand() *cobra.Command {
	var f userFlags
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Change fields of a user", Args: named("NAME"), ValidArgsFunction: oneUser,
		Long: "Change the fields that the flags name. An empty value removes a field, such as --address \"\". --dial-in none allows no type.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !f.given() {
				return usagef(cmd, "nothing to set: give at least one flag")
			}
			change, err := f.read()
			if err != nil {
				return err
			}
			return withUsers(cmd, func(users state.Store) error {
				return applyOne(cmd, users, args[0], change, usermgmt.How{Change: true})
			})
		},
	}
	f.define(cmd)
	return cmd
}

func newUserShowCommand() *cobra.Command {
	var client, server string
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show a user without passwords, secrets and PINs", Args: named("NAME"), ValidArgsFunction: oneUser,
		Long: "Show a user without passwords, secrets and PINs. With --help-client, show how to set up a client for the user.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if client == "" {
				return withUsers(cmd, func(users state.Store) error { return showUser(cmd, users, args[0]) })
			}
			return withUsers(cmd, func(users state.Store) error { return helpClient(cmd, users, args[0], client, server) })
		},
	}
	cmd.Flags().StringVar(&client, "help-client", "", "show how to set up `CLIENT`: windows, smart-vpn, macos, ios, android or linux")
	cmd.Flags().StringVar(&server, "server", "", "with --help-client: the server's `NAME` or address that the client uses")
	completeFlag(cmd, "help-client", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		names := make([]string, len(guide.Kinds))
		for i, k := range guide.Kinds {
			names[i] = k.Name
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	completeFlag(cmd, "server", cobra.NoFileCompletions)
	return cmd
}

// helpClient prints how to set up a client, for the server of the configuration and the settings
// that override it.
func helpClient(cmd *cobra.Command, users state.Store, name, client, address string) error {
	cfg, err := loadConfig(cmd)
	if err != nil {
		return err
	}
	set, err := users.Settings(cmd.Context())
	if err != nil {
		return err
	}
	if cfg, err = cfg.With(set); err != nil {
		return err
	}
	p, err := users.Get(cmd.Context(), name)
	if err != nil {
		return err
	}
	server := daemon.GuideServer(cfg)
	if address != "" {
		server.Address = address
	}
	page, err := guide.Connect(client, server, mgmt.GuidePerson(p))
	if err != nil {
		return usagef(cmd, "--help-client: %v", err)
	}
	if asJSON(cmd) {
		return printJSON(cmd, page)
	}
	_, err = fmt.Fprint(cmd.OutOrStdout(), page.Text())
	return err
}

func newUserRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME...", Short: "Remove users and hang up their connections", Args: several("NAME"), ValidArgsFunction: userNames,
		Long: "Remove users and hang up their connections. If one of them does not exist, the command changes none.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return withUsers(cmd, func(users state.Store) error {
				if err := users.Remove(cmd.Context(), args...); err != nil {
					return err
				}
				return tellActions(cmd, actionsOf(args, "removed", nil))
			})
		},
	}
}

func newUserSwitchCommand(use, short string, to bool) *cobra.Command {
	return &cobra.Command{
		Use: use + " NAME...", Short: short, Args: several("NAME"), ValidArgsFunction: namesOf(func(v userView) bool { return v.Enabled != to }),
		Long: short + ". If one of them does not exist, the command changes none.",
		RunE: func(cmd *cobra.Command, args []string) error {
			edits := make([]usermgmt.Edit, len(args))
			for i, name := range args {
				edits[i] = usermgmt.Edit{Name: name, Change: func(p *usermgmt.Profile) error { p.Enabled = to; return nil }}
			}
			return withUsers(cmd, func(users state.Store) error {
				outcomes, err := users.Apply(cmd.Context(), edits, usermgmt.How{Change: true})
				if err != nil {
					return withoutName(err)
				}
				return tellActions(cmd, actionsOf(args, use+"d", func(i int) bool { return outcomes[i].Event != "" }))
			})
		},
	}
}

func newUserUnlockCommand() *cobra.Command {
	return &cobra.Command{
		Use: "unlock NAME...", Short: "Unlock users locked out by failed log-ins", Args: several("NAME"), ValidArgsFunction: namesOf(userView.locked),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withUsers(cmd, func(users state.Store) error {
				failed := make([]bool, len(args))
				for i, name := range args {
					standing, err := users.Standing(cmd.Context(), name)
					// Unlock names all users that do not exist.
					if err != nil && !errors.Is(err, usermgmt.ErrNoUser) {
						return err
					}
					failed[i] = standing.Strangers != (auth.Failures{}) || standing.Usual != (auth.Failures{})
				}
				if err := users.Unlock(cmd.Context(), args...); err != nil {
					return err
				}
				return tellActions(cmd, actionsOf(args, "unlocked", func(i int) bool { return failed[i] }))
			})
		},
	}
}

// withUsers runs do with the user table.
func withUsers(cmd *cobra.Command, do func(state.Store) error) error {
	return withFolder(cmd, func(users *sqlite.Store) error { return do(users) })
}

// withFolder runs do with the user table of a state folder.
func withFolder(cmd *cobra.Command, do func(*sqlite.Store) error) error {
	users, err := openUsers(cmd)
	if err != nil {
		return permitted(err)
	}
	return errors.Join(do(users), users.Close())
}

// permitted adds the fix to an error about permissions.
func permitted(err error) error {
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		return fmt.Errorf("%w: run this with sudo", err)
	}
	return err
}

// who is the name under which the history records the changes of a command.
func who() string {
	name := fmt.Sprint("uid ", os.Getuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if person := os.Getenv("SUDO_USER"); os.Geteuid() == 0 && person != "" {
		name = printable(person) + " (sudo)"
	}
	return fmt.Sprintf("%.64s", name)
}

// withoutName removes the name from an EditError, because the command line already has it.
func withoutName(err error) error {
	var errs []error
	for _, e := range parts(err) {
		if at := (*usermgmt.EditError)(nil); errors.As(e, &at) {
			e = at.Err
		}
		errs = append(errs, e)
	}
	return errors.Join(errs...)
}

// applyOne adds or changes one user and reports it. With --json it shows the user.
func applyOne(cmd *cobra.Command, users state.Store, name string, change func(*usermgmt.Profile) error, how usermgmt.How) error {
	outcomes, err := users.Apply(cmd.Context(), []usermgmt.Edit{{Name: name, Change: change}}, how)
	if err != nil {
		return withoutName(err)
	}
	return told(cmd, users, outcomes[0], "", nil)
}

// told reports the outcome for one user, with a few words on how. With --json it shows the user.
func told(cmd *cobra.Command, users state.Store, done usermgmt.Outcome, how string, token *tokenView) error {
	p, err := users.Get(cmd.Context(), done.Name)
	if err != nil {
		return err
	}
	if p.MOTPSecret != "" && motp.Weak(p.MOTPSecret) {
		if err := say(cmd, "warning: the mOTP secret of %s is easy to guess; 'vpnd user motp %s --new' generates a good one", p.Name, p.Name); err != nil {
			return err
		}
	}
	if asJSON(cmd) {
		v, err := viewNow(cmd, users, &p)
		if err != nil {
			return err
		}
		return printJSON(cmd, struct {
			mgmt.User
			*tokenView
			Changed bool `json:"changed"`
		}{v.User, token, done.Event != ""})
	}
	if done.Event == "" {
		return say(cmd, "user %s has these values already: nothing was changed", p.Name)
	}
	return say(cmd, "user %s %s%s", p.Name, done.Event, how)
}

// say writes a message to standard error: for people, or with --json for programs.
func say(cmd *cobra.Command, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if asJSON(cmd) {
		return json.NewEncoder(cmd.ErrOrStderr()).Encode(map[string]string{"message": text})
	}
	_, err := fmt.Fprintln(cmd.ErrOrStderr(), printableLines(text))
	return err
}
