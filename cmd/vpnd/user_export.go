package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"vpnd/internal/atomicfile"
	"vpnd/internal/state"
	"vpnd/usermgmt/exchange"

	"github.com/spf13/cobra"
)

func newUserExportCommand() *cobra.Command {
	var format, output string
	var secrets bool
	cmd := &cobra.Command{
		Use: "export", Short: "Write the users as YAML, CSV or JSON for 'vpnd user import'", Args: named(), ValidArgsFunction: cobra.NoFileCompletions,
		Long: "Write the users as YAML, CSV or JSON for 'vpnd user import'. It writes passwords, secrets and PINs only with --secrets, and only into\n" +
			"a file that only its owner can read. 'vpnd user backup' saves everything in one file.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			f := exchange.Format(format)
			if f == "" && asJSON(cmd) {
				f = exchange.JSON
			}
			if f == "" {
				if f = exchange.Guess(output, nil); f == "" {
					f = exchange.YAML
				}
			}
			switch {
			case asJSON(cmd) && f != exchange.JSON:
				return usagef(cmd, "--format %s and --json exclude each other", f)
			case f != exchange.YAML && f != exchange.CSV && f != exchange.JSON:
				return usagef(cmd, "--format %q: use yaml, csv or json", f)
			case secrets && output == "":
				return usagef(cmd, "--secrets needs a file: give --output FILE")
			}
			return withUsers(cmd, func(users state.Store) error {
				all, err := users.List(cmd.Context())
				if err != nil {
					return err
				}
				write := func(w io.Writer) error { return exchange.Write(w, f, all, secrets) }
				if output == "" {
					return write(cmd.OutOrStdout())
				}
				if err := writeFile(output, write); err != nil {
					return err
				}
				return tellOr(cmd, fileView{output, len(all)}, "%s written to %s", count(len(all), "user"), output)
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "", "`FORMAT`: yaml, csv or json (default: from the name of --output, or yaml)")
	cmd.Flags().StringVar(&output, "output", "", "write to `FILE` with mode 0600 instead of standard output")
	cmd.Flags().BoolVar(&secrets, "secrets", false, "also write passwords, secrets and PINs, in clear text")
	completeFlag(cmd, "format", cobra.FixedCompletions([]string{"yaml", "csv", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// fileView is a file that a command has written.
type fileView struct {
	File  string `json:"file"`
	Users int    `json:"users,omitzero"` // in an export
}

// writeFile writes a complete file of mode 0600 at path, or none. It replaces an existing one.
func writeFile(path string, write func(io.Writer) error) error {
	if info, statErr := os.Stat(path); statErr == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s exists and is not a regular file: choose another name", path)
	} else if statErr != nil && !errors.Is(statErr, fs.ErrNotExist) {
		return statErr
	}
	return atomicfile.Write(path, 0o600, func(file *os.File) error { return write(file) })
}
