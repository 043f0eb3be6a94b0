// Command vpnd is a VPN server for PPTP and L2TP dial-in, with its commands. Results go to standard
// output, messages to standard error. With --json both are JSON, one object per line on standard
// error. The exit statuses are in exit.go.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"vpnd/internal/buildinfo"

	"github.com/spf13/cobra"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run runs one command line and gives its exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	help := helper{show: root.HelpFunc()}
	root.SetHelpFunc(help.print)
	refuseUnknownTopics(root)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		err = help.err
	}
	status := exitStatus(err)
	switch usage := (*usageError)(nil); {
	case err == nil:
	case asJSON(cmd) || slices.Contains(args, "--json"):
		_ = json.NewEncoder(stderr).Encode(errorView{err.Error(), status})
	default:
		_, _ = fmt.Fprintf(stderr, "vpnd: %s\n", printableLines(err.Error()))
		if errors.As(err, &usage) {
			_, _ = fmt.Fprintf(stderr, "See '%s --help'.\n", usage.command)
		}
	}
	return status
}

// errorView is the failure of a command that prints JSON.
type errorView struct {
	Error  string `json:"error"`
	Status int    `json:"status"` // the exit status
}

func newRootCommand() *cobra.Command {
	root := newGroup("vpnd", "A VPN server for PPTP and L2TP dial-in with one-time passwords",
		newServeCommand(),
		newCheckCommand(),
		newUserCommand(),
		newAdminCommand(),
		newMotpCommand(),
		newTimeCommand(),
		newDialCommand(),
		newDemoCommand(),
		newConnectionsCommand(),
		newDropCommand(),
		newEventsCommand(),
		newServicesCommand(),
		newShutdownCommand(),
		newCaptureCommand(),
		newVersionCommand(),
		newManCommand(),
		newStatusTopic(),
	)
	root.Version = buildinfo.Read().String()
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SilenceErrors, root.SilenceUsage = true, true
	root.PersistentFlags().String("config", "", "configuration `FILE` (default /etc/vpnd/vpnd.yaml if it exists)")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		// The flags of an unknown command are not flags of the group.
		if err := stray(cmd); err != nil {
			return err
		}
		return usagef(cmd, "%v", err)
	})
	return root
}

// usageError is a fault of the command line.
type usageError struct {
	command, text string
}

func (e *usageError) Error() string { return e.text }

func usagef(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{cmd.CommandPath(), fmt.Sprintf(format, args...)}
}

// newGroup makes a command that only holds others.
func newGroup(use, short string, commands ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{
		Use: use, Short: short,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return usagef(cmd, "%s needs a command", cmd.CommandPath())
		},
	}
	group.AddCommand(commands...)
	return group
}

// stray is the error for a word that follows a group in place of a command's name; nil: there is
// none.
func stray(group *cobra.Command) error {
	if word := group.Flags().Arg(0); group.HasSubCommands() && word != "" {
		return unknownCommand(group, word)
	}
	return nil
}

// unknownCommand says that a group has no command of a name, and which commands have similar names.
func unknownCommand(group *cobra.Command, name string) error {
	group.SuggestionsMinimumDistance = 2
	near := ""
	if names := group.SuggestionsFor(name); len(names) > 0 {
		near = "; similar commands: " + strings.Join(names, ", ")
	}
	return usagef(group, "unknown command %q for %s%s", name, group.CommandPath(), near)
}

// named requires exactly one argument for each of names.
func named(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usagef(cmd, "%s is missing", names[len(args)])
		case len(args) > len(names):
			// The argument is not quoted: it may be the second word of a password.
			return usagef(cmd, "too many arguments; a value with spaces needs quotes")
		default:
			return nil
		}
	}
}

// several requires at least one argument.
func several(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef(cmd, "%s is missing", name)
		}
		return nil
	}
}

// atMost allows at most n arguments.
func atMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return usagef(cmd, "too many arguments")
		}
		return nil
	}
}
