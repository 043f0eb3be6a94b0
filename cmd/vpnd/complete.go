package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"vpnd/usermgmt"

	"github.com/spf13/cobra"
)

func completeFlag(cmd *cobra.Command, flag string, values cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, values); err != nil {
		panic(err) // the flag is not there, or is registered twice: covered by every test
	}
}

// oneUser completes the name of a user where none stands yet.
func oneUser(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return userNames(cmd, nil, "")
}

// userNames completes names of users that are not among args. It makes no user table.
func userNames(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	cfg, err := loadConfig(cmd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	if info, err := os.Stat(filepath.Join(cfg.StateDir, "users.db")); err != nil || info.Size() == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	users, err := usermgmt.Open(context.Background(), cfg.StateDir, usermgmt.Options{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer func() { _ = users.Close() }()
	all, err := users.List(context.Background())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, p := range all {
		if !slices.Contains(args, p.Name) {
			names = append(names, cobra.CompletionWithDesc(p.Name, p.Comment))
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
