package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"vpnd/internal/state"
	"vpnd/usermgmt"
	"vpnd/usermgmt/exchange"

	"github.com/spf13/cobra"
)

const (
	maxImport  = 64 << 20 // bytes
	importHelp = `Add the users of a file, all of them or none. It reports all faults at once, with their lines. It prints the number
of users in the file and the number of skipped ones, and reports each skipped user with its line.

csv           a header with the columns name and any of the options of 'vpnd user set' (password, motp-secret,
              motp-pin, dial-in, ...; enabled is yes or no), then one user per line. An empty cell is the default of
              a new user. Commas, semicolons or tabs separate the columns. A first line such as "sep=;" may name the
              separator. There are no comments.
yaml          the format of 'vpnd user export': a list "users" with name and the same options.
chap-secrets  pppd's and accel-ppp's: client, server, secret, addresses. A server such as pptpd or l2tpd sets dial-in.
mpd-secret    mpd.secret of FreeBSD's mpd5: name, password, address.
ppp-secret    ppp.secret of BSD's ppp: name, password, address.
npppd-users   the users of OpenBSD's npppd.
routeros      an export of MikroTik's RouterOS with its passwords: the lines of /ppp secret.
pfsense       config.xml of pfSense or OPNsense: the users of its L2TP and PPTP servers.

vpnd finds the format from the file's name (users.csv, chap-secrets, mpd.secret, export.rsc) or from its beginning. It
does not guess the format of a file of words separated by spaces: give --format. The file must be UTF-8, or UTF-16 with
a byte order mark. --encoding windows-1252 reads files that Excel and Notepad call ANSI.

Fields that the file does not have get the defaults of 'vpnd user add' for new users. With --replace, existing users
keep them. Users that are not in the file stay, unless --prune removes them: with --replace --prune the table has the
users of the file and no others, and a second run changes nothing. FILE - is standard input.`
)

func newUserImportCommand() *cobra.Command {
	var format, encoding string
	var how usermgmt.How
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Add or change users from a file: CSV, YAML, or a file of another server", Long: importHelp, Args: named("FILE"),
		Example: "  vpnd user import users.csv --dry-run     # shows what it would do\n  vpnd user import /etc/ppp/chap-secrets",
		RunE: func(cmd *cobra.Command, args []string) error {
			how.Add = true
			if how.Prune && !how.Change {
				return usagef(cmd, "--prune needs --replace: together they make the table equal to the file")
			}
			data, err := readImport(cmd, args[0])
			if err != nil {
				return err
			}
			data, err = exchange.Decode(encoding, data)
			if err != nil {
				return tellFaults(cmd, args[0], err, nil, how)
			}
			f := exchange.Format(format)
			switch {
			case f == "":
				f = exchange.Guess(args[0], data)
				if f == "" {
					return usagef(cmd, "%s: neither the name nor the contents show the format: give --format with one of %s", args[0], formatNames())
				}
			case !slices.Contains(exchange.Formats, f):
				return usagef(cmd, "--format %q: use one of %s", format, formatNames())
			}
			content, faults := exchange.Read(f, data, readSecret)
			return withUsers(cmd, func(users state.Store) error {
				try := how
				try.DryRun = try.DryRun || faults != nil // also report other faults
				outcomes, err := users.Apply(cmd.Context(), content.Edits, try)
				if err := tellLeftOut(cmd, args[0], f, content); err != nil {
					return err
				}
				if err := tellFaults(cmd, args[0], faults, err, how); err != nil {
					return err
				}
				return tellOutcomes(cmd, outcomes, how)
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "", "`FORMAT` of the file: "+formatNames()+" (default: from its name and contents)")
	cmd.Flags().StringVar(&encoding, "encoding", "", "`NAME` of the file's encoding, such as windows-1252 (default: utf-8, or utf-16 with a byte order mark)")
	cmd.Flags().BoolVar(&how.DryRun, "dry-run", false, "show what the command would add and change, but change nothing")
	cmd.Flags().BoolVar(&how.Change, "replace", false, "change users that exist already; without it they are a fault")
	cmd.Flags().BoolVar(&how.Prune, "prune", false, "with --replace: remove users that are not in the file")
	completeFlag(cmd, "format", cobra.FixedCompletions(formatList(), cobra.ShellCompDirectiveNoFileComp))
	completeFlag(cmd, "encoding", cobra.FixedCompletions(exchange.Encodings(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func formatList() []string {
	var list []string
	for _, f := range exchange.Formats {
		list = append(list, string(f))
	}
	return list
}

func formatNames() string { return strings.Join(formatList(), ", ") }

// readSecret reads a file that chap-secrets names. The file contains one word.
func readSecret(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxLine {
		return nil, fmt.Errorf("%s is not a regular file with one secret", path)
	}
	return os.ReadFile(path) //nolint:gosec // the administrator's file names it
}

// tellLeftOut reports the parts of a file that become no user, or no field of one.
func tellLeftOut(cmd *cobra.Command, path string, format exchange.Format, c exchange.Content) error {
	all := slices.Concat(c.Skipped, c.Notes)
	slices.SortStableFunc(all, func(a, b *exchange.LineError) int { return cmp.Compare(a.Line, b.Line) })
	for _, e := range all {
		if err := say(cmd, "%s:%d: %s", path, e.Line, e.Text); err != nil {
			return err
		}
	}
	return say(cmd, "%s: %s: %s, %s, %d skipped", path, format, count(c.Records, "record"), count(len(c.Edits), "user"), len(c.Skipped))
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
		err = fmt.Errorf("%s: the file is larger than %d MiB: check that it is a list of users", path, maxImport>>20)
	}
	return data, err
}

// tellFaults reports all faults in the order of their lines. If there are any, the command ends.
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
		return &exitError{statusRule, fmt.Errorf("%s: %s; nothing was imported; give --replace to change users that exist already", path, count(len(all), "fault"))}
	default:
		return &exitError{statusRule, fmt.Errorf("%s: %s; nothing was imported", path, count(len(all), "fault"))}
	}
}

// parts splits a joined error.
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

// tellOutcomes reports the numbers of changes, and with --dry-run or --json also each user's.
func tellOutcomes(cmd *cobra.Command, outcomes []usermgmt.Outcome, how usermgmt.How) error {
	type outcomeView struct {
		Name   string   `json:"name"`
		Action string   `json:"action"` // added, changed, removed or unchanged
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
		case usermgmt.Changed:
			views[i].Fields = strings.Split(o.Fields, ", ")
			line += ": " + o.Fields
		case "":
			views[i].Action = "unchanged"
			line = o.Name + " is unchanged"
		}
		counts[views[i].Action]++
		if how.DryRun && !asJSON(cmd) {
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), printableLines(line)); err != nil {
				return err
			}
		}
	}
	if asJSON(cmd) {
		if err := printJSON(cmd, views); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("%s %sadded, %d changed, %d unchanged", count(counts["added"], "user"), would, counts["changed"], counts["unchanged"])
	if how.Prune {
		text += fmt.Sprintf(", %d removed", counts["removed"])
	}
	return say(cmd, "%s%s", text, was)
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprint(n, " ", what)
}
