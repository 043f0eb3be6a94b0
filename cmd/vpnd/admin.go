package main

import (
	"context"
	"errors"
	"fmt"
	"time"
	"vpnd/internal/https"
	"vpnd/internal/state"
	"vpnd/mgmt"
	"vpnd/mgmt/access"

	"github.com/spf13/cobra"
)

func newAdminCommand() *cobra.Command {
	admin := newGroup("admin", "Manage the administrators of the pages and the API",
		newAdminAddCommand(), newAdminListCommand(), newAdminSetCommand(), newAdminRemoveCommand(), newAdminLinkCommand(), newAdminTokenCommand())
	admin.Long = "Manage the administrators of the pages and the API (management.listen). All of these commands work with and without the daemon. A change takes effect immediately."
	admin.Example = `  vpnd admin add anna                    # asks for a password
  vpnd admin add ben --role viewer       # can look, but changes nothing
  vpnd admin link anna                   # a link that lets her set a new password
  vpnd admin token add backup --role viewer --expires 2160h`
	admin.PersistentFlags().Bool("json", false, "print JSON")
	return admin
}

// withGate runs do with the administrators and tokens of the daemon.
func withGate(cmd *cobra.Command, do func(ctx context.Context, gate *access.Gate) error) error {
	return withUsers(cmd, func(users state.Store) error { return do(cmd.Context(), access.New(access.Config{Store: users})) })
}

// roleFlag defines --role.
func roleFlag(cmd *cobra.Command, role *string, otherwise string) {
	cmd.Flags().StringVar(role, "role", otherwise, "administrator, or viewer (can look, but changes nothing)")
	completeFlag(cmd, "role", cobra.FixedCompletions([]string{string(access.Administrator), string(access.Viewer)}, cobra.ShellCompDirectiveNoFileComp))
}

// newPassword gives the password of --password-file, or asks for one.
func newPassword(cmd *cobra.Command, file string) (string, error) {
	if file != "" {
		return passwordFrom(cmd, "--password-file", file)
	}
	return askTwice(cmd, "no terminal to ask for a password on: give --password-file FILE (- for standard input), or make a set-up link ('vpnd admin link')")
}

func newAdminAddCommand() *cobra.Command {
	var role, file string
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Add an administrator, or a viewer", Args: named("NAME"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := newPassword(cmd, file)
			if err != nil {
				return err
			}
			return withGate(cmd, func(ctx context.Context, gate *access.Gate) error {
				if err := gate.Add(ctx, args[0], password, access.Role(role)); err != nil {
					return err
				}
				return tellAction(cmd, args[0], "added")
			})
		},
	}
	roleFlag(cmd, &role, string(access.Administrator))
	cmd.Flags().StringVar(&file, "password-file", "", "read the password from the first line of `FILE`, - for standard input")
	return cmd
}

func newAdminListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List who may manage the daemon", Args: named(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withGate(cmd, func(ctx context.Context, gate *access.Gate) error {
				accounts, err := gate.Administrators(ctx)
				if err != nil {
					return err
				}
				list := make([]mgmt.Administrator, len(accounts))
				rows := make([][]string, len(accounts))
				for i, a := range accounts {
					list[i] = mgmt.AdministratorOf(a)
					code := "no"
					if a.TOTP {
						code = "yes"
					}
					rows[i] = []string{a.Name, string(a.Role), code, dateOr(a.LastLogIn, "never")}
				}
				if asJSON(cmd) {
					return printJSON(cmd, list)
				}
				return printTable(cmd.OutOrStdout(), terminalWidth(cmd.OutOrStdout()), []string{"NAME", "ROLE", "TOTP", "LAST LOG-IN"}, rows)
			})
		},
	}
}

// dateOr writes a time, or otherwise for the zero time.
func dateOr(t time.Time, otherwise string) string {
	if t.IsZero() {
		return otherwise
	}
	return t.Local().Format(time.DateTime)
}

func newAdminSetCommand() *cobra.Command {
	var role, file string
	var ask, noTOTP bool
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Change an administrator, and end the sessions", Args: named("NAME"), ValidArgsFunction: adminNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			var change access.Change
			if cmd.Flags().Changed("role") {
				change.Role = (*access.Role)(&role)
			}
			if noTOTP {
				change.TOTPSecret = new(string)
			}
			if ask && file != "" {
				return usagef(cmd, "--password-file and --ask-password exclude each other")
			}
			if ask || file != "" {
				password, err := newPassword(cmd, file)
				if err != nil {
					return err
				}
				change.Password = &password
			}
			if change == (access.Change{}) {
				return usagef(cmd, "nothing to set: give at least one flag")
			}
			return withGate(cmd, func(ctx context.Context, gate *access.Gate) error {
				changed, err := gate.Change(ctx, args[0], change)
				if err != nil {
					return withoutHim(err, "add another administrator first")
				}
				if !changed && !asJSON(cmd) {
					return say(cmd, "%s has these values already: nothing was changed", args[0])
				}
				return tellActions(cmd, []actionView{{args[0], "changed", changed}})
			})
		},
	}
	roleFlag(cmd, &role, "")
	cmd.Flags().StringVar(&file, "password-file", "", "read the password from the first line of `FILE`, - for standard input")
	cmd.Flags().BoolVar(&ask, "ask-password", false, "ask for the password on the terminal")
	cmd.Flags().BoolVar(&noTOTP, "no-totp", false, "remove the authenticator, for example because the phone is lost")
	return cmd
}

// withoutHim adds the fix to the error about removing the last administrator.
func withoutHim(err error, fix string) error {
	if errors.Is(err, state.ErrLastAdministrator) {
		return fmt.Errorf("%w: %s", err, fix)
	}
	return err
}

func newAdminRemoveCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "remove NAME", Short: "Remove an administrator, and end the sessions", Args: named("NAME"), ValidArgsFunction: adminNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withGate(cmd, func(ctx context.Context, gate *access.Gate) error {
				if err := gate.Remove(ctx, args[0], force); err != nil {
					return withoutHim(err, "add another one first, or give --force: then HTTPS listens only on loopback")
				}
				return tellAction(cmd, args[0], "removed")
			})
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "even the last one")
	return cmd
}

func newAdminLinkCommand() *cobra.Command {
	var role string
	var isNew bool
	cmd := &cobra.Command{
		Use: "link [NAME]", Short: "Print a link that lets somebody set a password, once, within 24 hours", Args: atMost(1), ValidArgsFunction: adminNames,
		Long: "Print a link that lets somebody set a password, once, within 24 hours. With NAME it is for that administrator,\n" +
			"with --new for a new one with that name. Without NAME, the person who opens the link chooses a name.\n" +
			"Anyone who has the link gets in: keep it as secret as a password.",
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			return withGate(cmd, func(ctx context.Context, gate *access.Gate) error {
				anybody, err := gate.Any(ctx)
				if err != nil {
					return err
				}
				if name != "" && !isNew {
					if _, err := gate.Account(ctx, name); err != nil {
						return fmt.Errorf("%w: give --new to make a link for a new administrator", err)
					}
				}
				link, err := gate.NewLink(ctx, name, access.Role(role))
				if err != nil {
					return err
				}
				if cfg.Management.Listen == "" {
					if err := say(cmd, "warning: management.listen is empty: the daemon serves no HTTPS"); err != nil {
						return err
					}
				}
				link = https.SetUpURL(cfg.Management.Listen, anybody, link)
				if asJSON(cmd) {
					return printJSON(cmd, map[string]string{"link": link})
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), link)
				return err
			})
		},
	}
	roleFlag(cmd, &role, string(access.Administrator))
	cmd.Flags().BoolVar(&isNew, "new", false, "NAME is a new administrator")
	return cmd
}

// adminNames completes the name of an administrator.
func adminNames(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if len(args) == 0 {
		_ = withGate(cmd, func(ctx context.Context, gate *access.Gate) error {
			accounts, err := gate.Administrators(ctx)
			for _, a := range accounts {
				names = append(names, a.Name)
			}
			return err
		})
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
