package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
	"vpnd/internal/state/sqlite"

	"github.com/spf13/cobra"
)

func newUserRekeyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "rekey", Short: "Generate a new key and seal all secrets with it", Args: named(), ValidArgsFunction: cobra.NoFileCompletions,
		Long: "Generate a new key for the user table and seal all passwords, secrets and PINs with it. A running daemon uses the new key automatically.\n" +
			"Older backups still work: they contain the old key.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withFolder(cmd, func(users *sqlite.Store) error {
				if err := users.Rekey(cmd.Context()); err != nil {
					return err
				}
				return tellOr(cmd, changedView{true}, "all secrets are sealed with a new key")
			})
		},
	}
}

func newUserBackupCommand() *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE|FOLDER", Short: "Back up the users with all their secrets, also while the daemon runs", Args: named("FILE"),
		Long: "Write users, secrets, key and history into one file of mode 0600, as they are at this moment. This works while the daemon runs. It replaces an\n" +
			"existing file. In a folder, the file gets the name vpnd-users-DATE-TIME.tar. The file contains all secrets: keep it safe.",
		RunE: func(cmd *cobra.Command, args []string) error {
			path := args[0]
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				path = filepath.Join(path, time.Now().UTC().Format("vpnd-users-20060102-150405.tar"))
			}
			return withFolder(cmd, func(users *sqlite.Store) error {
				err := writeFile(path, func(w io.Writer) error { return users.Backup(cmd.Context(), w) })
				if err != nil {
					return err
				}
				return tellOr(cmd, fileView{File: path}, "users backed up to %s", path)
			})
		},
	}
}

func newUserRestoreCommand() *cobra.Command {
	return &cobra.Command{
		Use: "restore FILE", Short: "Put a backup into an empty state folder", Args: named("FILE"),
		Long: "Put a backup into the state folder. The folder must not contain users: use another machine, or first move the existing files away.\n" +
			"Restore before you start the daemon.",
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			file, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer func() { _ = file.Close() }()
			n, err := sqlite.Restore(cmd.Context(), cfg.StateDir, file)
			if err != nil {
				return permitted(fmt.Errorf("%s: %w", args[0], err))
			}
			return tellOr(cmd, struct {
				Users    int    `json:"users"`
				StateDir string `json:"state_dir"`
				changedView
			}{n, cfg.StateDir, changedView{true}}, "%s restored to %s", count(n, "user"), cfg.StateDir)
		},
	}
}
