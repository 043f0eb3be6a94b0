package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"

	"github.com/spf13/cobra"
)

func completeFlag(cmd *cobra.Command, flag string, values cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, values); err != nil {
		panic(err) // the flag is not there, or is registered twice: covered by every test
	}
}

// oneUser completes the name of a user if the command line has none yet.
func oneUser(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return userNames(cmd, nil, "")
}

// userNames completes names of users that are not among args.
func userNames(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	return namesOf(func(userView) bool { return true })(cmd, args, toComplete)
}

// namesOf completes the names of users for whom fits is true and who are not among args. It makes
// no user table.
func namesOf(fits func(userView) bool) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		cfg, err := loadConfig(cmd)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		if info, err := os.Stat(filepath.Join(cfg.StateDir, "users.db")); err != nil || info.Size() == 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		users, err := sqlite.Open(context.Background(), cfg.StateDir, state.Options{})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer func() { _ = users.Close() }()
		cmd.SetContext(context.Background())
		views, err := listUsers(cmd, users)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, v := range views {
			if fits(v) && !slices.Contains(args, v.Name) {
				names = append(names, cobra.CompletionWithDesc(v.Name, v.Comment))
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// connectionNames completes the ids and the users of the open connections.
func connectionNames(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, err := newClient(cmd)
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list, err := c.Connections(context.Background())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, conn := range list {
		names = append(names, cobra.CompletionWithDesc(conn.ID, conn.Type+" of "+conn.User))
		if !slices.Contains(names, conn.User) {
			names = append(names, conn.User)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// poolNames completes the pools of the configuration.
func poolNames(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	cfg, err := loadConfig(cmd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for name := range cfg.Network.Pools {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, cobra.ShellCompDirectiveNoFileComp
}
