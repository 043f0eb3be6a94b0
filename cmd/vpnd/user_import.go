package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"vpnd/usermgmt"
	"vpnd/usermgmt/exchange"

	"github.com/spf13/cobra"
)

const (
	maxImport  = 64 << 20 // octets
	importHelp = `Add the users of a file, all of them or none. All that is wrong is told at once, with its line.

csv           a header with the columns name and any of the options of 'vpnd user set' (password, motp-secret,
              motp-pin, dial-in, ...; enabled is yes or no), then one user a line. An empty cell is what a new user has.
yaml          what 'vpnd user export' writes: a list "users" with name and the same options.
chap-secrets  pppd's: client, server, secret, addresses.

What the file leaves out of a user is as in 'vpnd user add' for a new one, and stays as it is with --replace for
one that is there. Users that the file does not name stay. FILE - is standard input.`
)

func newUserImportCommand() *cobra.Command {
	var format string
	var how usermgmt.How
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Add or change the users of a file: CSV, YAML, or pppd's chap-secrets", Long: importHelp, Args: named("FILE"),
		Example: "  vpnd user import users.csv --dry-run     # says what it would do\n  vpnd user import /etc/ppp/chap-secrets",
		RunE: func(cmd *cobra.Command, args []string) error {
			how.Add = true
			data, err := readImport(cmd, args[0])
			if err != nil {
				return err
			}
			f := exchange.Format(format)
			switch {
			case f == "":
				f = exchange.Guess(args[0], data)
				if f == "" {
					return usagef(cmd, "%s: --format csv, yaml or chap-secrets has to say what this is", args[0])
				}
			case !slices.Contains(exchange.Formats, f):
				return usagef(cmd, "--format %q: csv, yaml or chap-secrets", format)
			}
			edits, faults := exchange.Read(f, data)
			return withUsers(cmd, func(users *usermgmt.Store) error {
				try := how
				try.DryRun = try.DryRun || faults != nil // what else is wrong is told, too
				outcomes, err := users.Apply(cmd.Context(), edits, try)
				if err := tellFaults(cmd, args[0], faults, err, how); err != nil {
					return err
				}
				return tellOutcomes(cmd, outcomes, how)
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "", "`FORMAT` of the file: csv, yaml or chap-secrets (default: by its name and contents)")
	cmd.Flags().BoolVar(&how.DryRun, "dry-run", false, "say what would be added and changed, and change nothing")
	cmd.Flags().BoolVar(&how.Change, "replace", false, "change users that are there already; without it they are a fault")
	completeFlag(cmd, "format", cobra.FixedCompletions([]string{"csv", "yaml", "chap-secrets"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func readImport(cmd *cobra.Command, path string) ([]byte, error) {
	in := cmd.InOrStdin()
	if path != "-" {
		file, err := os.Open(path) //nolint:gosec // the administrator names the file
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, maxImport+1))
	if err == nil && len(data) > maxImport {
		err = fmt.Errorf("%s: over %d MiB is no file of users", path, maxImport>>20)
	}
	return data, err
}

// tellFaults tells all faults, in the order of their lines, and ends the command if there are any.
func tellFaults(cmd *cobra.Command, path string, read, applied error, how usermgmt.How) error {
	type fault struct {
		line int
		text string
	}
	var all []fault
	exists := false
	for _, err := range append(parts(read), parts(applied)...) {
		at := (*exchange.LineError)(nil)
		edit := (*usermgmt.EditError)(nil)
		switch {
		case errors.As(err, &at):
			all = append(all, fault{at.Line, at.Text})
		case errors.As(err, &edit):
			for _, e := range parts(edit.Err) {
				if errors.Is(e, usermgmt.ErrExists) {
					e, exists = usermgmt.ErrExists, true
				}
				all = append(all, fault{edit.Line, (&usermgmt.EditError{Name: edit.Name, Err: e}).Error()})
			}
		default:
			return err
		}
	}
	slices.SortStableFunc(all, func(a, b fault) int { return cmp.Compare(a.line, b.line) })
	for _, f := range all {
		where := path
		if f.line > 0 {
			where = fmt.Sprintf("%s:%d", path, f.line)
		}
		if err := say(cmd, "%s: %s", where, f.text); err != nil {
			return err
		}
	}
	switch {
	case len(all) == 0:
		return nil
	case exists && !how.Change:
		return fmt.Errorf("%s: %s; nothing was imported; --replace changes users that are there already", path, count(len(all), "fault"))
	default:
		return fmt.Errorf("%s: %s; nothing was imported", path, count(len(all), "fault"))
	}
}

// parts takes a joined error apart.
func parts(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	switch {
	case ok:
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, parts(e)...)
		}
		return all
	case err == nil:
		return nil
	default:
		return []error{err}
	}
}

// tellOutcomes says what was done, or with --dry-run would be, for each user in the latter case.
func tellOutcomes(cmd *cobra.Command, outcomes []usermgmt.Outcome, how usermgmt.How) error {
	type outcomeView struct {
		Name   string   `json:"name"`
		Action string   `json:"action"` // added, changed or unchanged
		Fields []string `json:"fields,omitempty"`
	}
	views := make([]outcomeView, len(outcomes))
	counts := map[string]int{}
	would, was := "", ""
	if how.DryRun {
		would, was = "would be ", "; nothing was changed (--dry-run)"
	}
	for i, o := range outcomes {
		views[i] = outcomeView{Name: o.Name, Action: o.Event}
		line := fmt.Sprintf("%s %s%s", o.Name, would, o.Event)
		switch o.Event {
		case usermgmt.EventChanged:
			views[i].Fields = strings.Split(o.Fields, ", ")
			line += ": " + o.Fields
		case "":
			views[i].Action = "unchanged"
			line = o.Name + " is so already"
		}
		counts[views[i].Action]++
		if how.DryRun && !asJSON(cmd) {
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), line); err != nil {
				return err
			}
		}
	}
	if asJSON(cmd) {
		if err := printJSON(cmd, views); err != nil {
			return err
		}
	}
	return say(cmd, "%s %sadded, %d changed, %d are so already%s", count(counts["added"], "user"), would, counts["changed"], counts["unchanged"], was)
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprint(n, " ", what)
}
